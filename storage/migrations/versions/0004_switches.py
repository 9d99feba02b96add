"""Kill switches: what is paused for operators."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE pending ADD COLUMN deferred TEXT;

COMMENT ON COLUMN pending.deferred IS 'the rule that put it off last, since it was planned';

CREATE INDEX pending_paused_idx ON pending (account, planned_at) WHERE deferred IN ('paused', 'command_waits');

CREATE TABLE switches (
    account TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    after_send BIGINT NOT NULL,
    after_entry BIGINT NOT NULL,
    CONSTRAINT switches_pkey PRIMARY KEY (account, scope, name),
    CONSTRAINT switches_scope_known CHECK (scope IN ('queue', 'channel', 'template', 'account')),
    CONSTRAINT switches_of_its_account CHECK (CASE scope WHEN 'queue' THEN account = '' WHEN 'account' THEN account = name WHEN 'template' THEN account <> '' ELSE true END)
);

COMMENT ON COLUMN switches.source IS 'who';

COMMENT ON COLUMN switches.after_send IS 'the last one given out before it';

COMMENT ON COLUMN switches.after_entry IS 'of the journal, likewise';
"""
