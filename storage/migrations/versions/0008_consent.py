"""Consent: what is blocked, opted out or suppressed."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
SELECT 1;
"""
