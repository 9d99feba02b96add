"""A long life: retention, restored backups, rolling upgrades."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
CREATE TABLE upkeep (
    one BOOLEAN DEFAULT true NOT NULL,
    compatible_from TEXT DEFAULT '0001' NOT NULL,
    pruned_send BIGINT DEFAULT '0' NOT NULL,
    id UUID,
    server TEXT,
    epoch BIGINT DEFAULT '0' NOT NULL,
    held TEXT,
    fence_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT upkeep_pkey PRIMARY KEY (one),
    CONSTRAINT upkeep_one_row CHECK (one)
);

COMMENT ON COLUMN upkeep.compatible_from IS 'the oldest revision whose version can work with this schema';

COMMENT ON COLUMN upkeep.pruned_send IS 'sends up to this number may have been pruned';

COMMENT ON COLUMN upkeep.id IS 'under which Redis remembers the epoch; null: no process was here';

COMMENT ON COLUMN upkeep.server IS 'that sends may start on; null: any';

COMMENT ON COLUMN upkeep.epoch IS 'only grows: less than was seen is a restored backup';

COMMENT ON COLUMN upkeep.held IS 'why no send may start';

COMMENT ON COLUMN upkeep.fence_until IS 'what was due by then may have gone out; null: no fencing is under way';

INSERT INTO upkeep DEFAULT VALUES;

CREATE INDEX commands_done_idx ON commands (done_at) WHERE state NOT IN ('accepted', 'quarantined');

CREATE INDEX journal_recorded_idx ON journal (recorded_at);

-- Which database of which history this is: a copy of the files keeps the first, a failover and a
-- point-in-time recovery make another timeline, a dump is restored into another database. A server
-- that does not tell is always the same one; one in recovery is none.
CREATE FUNCTION layby_server() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT system_identifier FROM pg_control_system()) || '/'
        || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/'
        || (SELECT oid FROM pg_database WHERE datname = current_database());
EXCEPTION
    WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
        RETURN 'unreadable';
    WHEN object_not_in_prerequisite_state THEN
        RETURN 'in recovery';
END
$$;

-- Asked in the statement that locks what is due. `seen` is the highest epoch that the asking
-- process has seen.
CREATE FUNCTION layby_may_send(seen bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT held IS NULL AND epoch >= seen AND coalesce(server = layby_server(), true)
            FROM upkeep);
END
$$;
"""
