"""What the doors need: tokens, and commands submitted in SQL."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TOKENS)


TOKENS = """
CREATE TABLE tokens (
    account TEXT NOT NULL,
    token TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    label TEXT DEFAULT '' NOT NULL,
    made_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_on DATE,
    CONSTRAINT tokens_pkey PRIMARY KEY (account, token),
    CONSTRAINT tokens_token_key UNIQUE (token),
    CONSTRAINT tokens_role_known CHECK (role IN ('viewer', 'operator', 'admin'))
);

COMMENT ON COLUMN tokens.account IS 'empty: the whole installation';

COMMENT ON COLUMN tokens.token IS 'its public id';

COMMENT ON COLUMN tokens.secret_hash IS 'keyed; the secret itself is kept nowhere';
"""
