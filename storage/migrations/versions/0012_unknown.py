"""Sends without a word are found as such, not among all that ever failed."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = "CREATE INDEX sends_unknown_idx ON sends (account, settled_at) WHERE state = 'unknown'"
