"""Facts that move schedules."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
CREATE TABLE marks (
    account text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    slot bigint NOT NULL,
    mark text NOT NULL,
    reference text,
    until timestamptz,
    amount numeric(20, 4),
    currency text,
    seq bigint,
    CONSTRAINT marks_pkey PRIMARY KEY (account, number),
    CONSTRAINT marks_mark_known CHECK (mark IN ('disputed', 'promised', 'replied', 'late')),
    CONSTRAINT marks_only_promises_end CHECK ((mark = 'promised') = (until IS NOT NULL))
);
COMMENT ON COLUMN marks.reference IS 'null: all that the customer is on';
COMMENT ON COLUMN marks.until IS 'of a promise: when it is broken';
COMMENT ON COLUMN marks.amount IS 'of a promise: what is still to be paid of it';
COMMENT ON COLUMN marks.currency IS 'of that amount; null: the invoice''s';
COMMENT ON COLUMN marks.seq IS 'the command that brought it; null: a step, or a promise';
CREATE UNIQUE INDEX marks_slot_key ON marks (account, slot, mark, reference) NULLS NOT DISTINCT;
CREATE INDEX marks_until_idx ON marks (account, until) WHERE until IS NOT NULL;

CREATE INDEX facts_reference_idx ON facts (account, customer, (data ->> 'reference'))
    WHERE kind IN ('invoice', 'payment');

COMMENT ON COLUMN enrolments.held IS
    'why no send is planned: all reasons, by the slot and its marks';

ALTER TABLE started ADD COLUMN anchor_moved boolean;
COMMENT ON COLUMN started.anchor_moved IS
    'since it began: what follows is to be planned anew';

-- Who is late is so by what is scheduled for it; or, with nothing left of that, by all of it.
INSERT INTO marks (account, slot, mark, reference)
SELECT DISTINCT s.account, s.slot, 'late', e.reference
FROM slots s LEFT JOIN enrolments e ON e.account = s.account AND e.slot = s.slot
WHERE s.status = 'late';
"""
