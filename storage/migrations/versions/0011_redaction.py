"""Redaction: customers without personal data, and commands whose content goes once it is over."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE customers ADD COLUMN redacted_at timestamptz;
COMMENT ON COLUMN customers.redacted_at IS
    'business time; since then it holds no personal data';

ALTER TABLE commands ADD COLUMN erase_when_done boolean DEFAULT false NOT NULL;
COMMENT ON COLUMN commands.erase_when_done IS
    'once it is over, and cannot be replayed, its personal content goes';
CREATE INDEX commands_erase_idx ON commands (account, seq) WHERE erase_when_done;

-- What was said of an address or a number is kept by keyed hash; here it is still in plain words.
UPDATE commands SET erase_when_done = true WHERE body ?| ARRAY['address', 'number'];
"""
