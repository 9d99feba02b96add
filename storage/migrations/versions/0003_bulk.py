"""Bulk commands: lists of any length, filters, imports."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE commands
    ADD COLUMN bulk BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN resolved_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN resolved_to TEXT,
    ADD COLUMN listed TEXT[];
COMMENT ON COLUMN commands.bulk IS 'applied in chunks on a queue of its own';
COMMENT ON COLUMN commands.resolved_at IS 'of a bulk one: since when it has all its targets';
COMMENT ON COLUMN commands.resolved_to IS 'how far that is: a customer, or a number of the list';
COMMENT ON COLUMN commands.listed IS 'a list that has not all of its targets yet';
CREATE INDEX commands_single_idx ON commands (account, seq)
    WHERE state = 'accepted' AND NOT bulk;
CREATE INDEX commands_bulk_idx ON commands (account, seq)
    WHERE state = 'accepted' AND bulk;

ALTER TABLE command_targets
    ADD COLUMN bulk BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN payload JSONB;
COMMENT ON COLUMN command_targets.payload IS 'an import''s row: personal, gone once it is applied';
ALTER TABLE command_targets ADD CONSTRAINT command_targets_payload_gone
    CHECK (payload IS NULL OR state = 'waiting' OR code = 'cannot_apply');
CREATE INDEX command_targets_single_idx ON command_targets (account, seq)
    WHERE state = 'waiting' AND NOT bulk;
CREATE INDEX command_targets_bulk_idx ON command_targets (account, seq, customer)
    WHERE state = 'waiting' AND bulk;
"""
