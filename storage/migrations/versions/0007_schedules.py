"""Schedules in full: zones, calendars, repeats and newer versions."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE accounts
    ADD COLUMN holidays JSONB,
    ADD COLUMN calendar_data TEXT;
COMMENT ON COLUMN accounts.calendar_data IS
    'the zones and holidays that its plans were made by; null: older ones';

ALTER TABLE customers ADD COLUMN derived_zone TEXT;
COMMENT ON COLUMN customers.derived_zone IS 'where its number or country is, if that is one clock';

ALTER TABLE schedule_versions ADD COLUMN length INTEGER;
COMMENT ON COLUMN schedule_versions.length IS
    'sends of a run; null: as many as it has steps, none of which repeats';

ALTER TABLE enrolments ADD COLUMN shift_seconds INTEGER DEFAULT 0 NOT NULL;
COMMENT ON COLUMN enrolments.shift_seconds IS
    'by how much late steps have moved what follows them';

ALTER TABLE pending ADD COLUMN fallback TEXT;
COMMENT ON COLUMN pending.fallback IS
    'it goes by its step''s fallback: the rule that closed its channel';

-- The step that a cursor points at: domain/schedule.py, Schedule.turn.
CREATE FUNCTION layby_step(definition jsonb, cursor int) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT definition->'steps'->CASE
        WHEN cursor < jsonb_array_length(definition->'steps') THEN cursor
        WHEN definition->'repeat'->>'of' = 'all'
            THEN mod(cursor, jsonb_array_length(definition->'steps'))
        ELSE -1 END
$$;
"""
