"""Facts that move schedules."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
SELECT 1;
"""
