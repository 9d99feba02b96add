"""Room on the pages of enrolments, so that a step's end does not touch their indexes."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
ALTER TABLE enrolments SET (fillfactor = 50);
"""
