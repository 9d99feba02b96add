"""Policy: rules by account, caps, recorded deferrals."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE accounts
    ADD COLUMN rules JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN rules_version INTEGER DEFAULT '0' NOT NULL;

COMMENT ON COLUMN accounts.rules IS 'the account''s choices: domain/rules.py';

COMMENT ON COLUMN accounts.rules_version IS 'counts their changes; the journal has each';

ALTER TABLE enrolments
    ADD COLUMN messaged_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN messaged_for TIMESTAMP WITH TIME ZONE;

COMMENT ON COLUMN enrolments.messaged_at IS 'when its last message went out, or may have';

COMMENT ON COLUMN enrolments.messaged_for IS 'when that one was due by the schedule';

CREATE TABLE deferrals (
    account TEXT NOT NULL,
    enrolment BIGINT NOT NULL,
    step INTEGER NOT NULL,
    rule TEXT NOT NULL,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    decision JSONB NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    times INTEGER DEFAULT '1' NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT deferrals_pkey PRIMARY KEY (account, enrolment, step, rule)
);

COMMENT ON COLUMN deferrals.decision IS 'of the last time; no personal data';

COMMENT ON COLUMN deferrals.until IS 'to when, the last time';

COMMENT ON COLUMN deferrals.first_at IS 'business time';

COMMENT ON COLUMN deferrals.last_at IS 'business time';

-- What was put off by an older version has no record; from here on each has.
INSERT INTO deferrals (account, enrolment, step, rule, customer, channel, planned_at, decision,
                       until, first_at, last_at)
SELECT account, enrolment, step, deferred, customer, channel, planned_at, '{}', due_at,
       planned_at, planned_at
FROM pending WHERE deferred NOT IN ('paused', 'command_waits');
"""
