"""What the doors need: tokens, and commands submitted in SQL."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TOKENS)
    connection.exec_driver_sql(SUBMISSIONS)
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    connection.exec_driver_sql(LAYBY_SUBMIT.replace("OUR_SCHEMA", schema))
    connection.exec_driver_sql(REPLANS)


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

SUBMISSIONS = """
CREATE TABLE submissions (
    key BIGINT GENERATED ALWAYS AS IDENTITY,
    command JSONB NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT submissions_pkey PRIMARY KEY (key)
);
"""

# With the rights of whoever migrated, so that a caller needs none on the table. The path is fixed:
# else a caller could have its own tables and operators used with those rights.
LAYBY_SUBMIT = """
CREATE FUNCTION layby_submit(command jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, OUR_SCHEMA, pg_temp AS $$
DECLARE
    called CONSTANT text := 'SELECT layby_submit(''{"id": "m-1", "account": "acme", '
        '"kind": "pause", "customers": ["c-1"]}'')';
    field text;
BEGIN
    IF jsonb_typeof(command) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'Cannot submit the command: it is '
                || coalesce('JSON of type ' || jsonb_typeof(command), 'NULL')
                || ', and a command is a JSON object.',
            HINT = 'Call it as in: ' || called;
    END IF;
    FOREACH field IN ARRAY ARRAY['id', 'account', 'kind'] LOOP
        IF jsonb_typeof(command->field) IS DISTINCT FROM 'string' OR command->>field = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'Cannot submit the command: its ' || field || ' is '
                    || CASE WHEN command->field IS NULL THEN 'missing'
                            WHEN command->>field = '' THEN 'empty'
                            ELSE 'JSON of type ' || jsonb_typeof(command->field) END
                    || ', and every command has an id, an account and a kind, each a text.',
                HINT = 'Call it as in: ' || called;
        END IF;
    END LOOP;
    INSERT INTO submissions (command) VALUES (layby_submit.command);
    RETURN command->>'id';
END
$$;

REVOKE ALL ON FUNCTION layby_submit(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION layby_submit(jsonb) IS
    'Accepts a command of Layby in this transaction: committed, it will be applied; rolled back, it never was. Returns its id.';
"""

REPLANS = """
ALTER TABLE accounts ADD COLUMN replan_after TEXT;

COMMENT ON COLUMN accounts.replan_after IS 'its zone has changed: customers after this one are still to be planned by the new one';

CREATE INDEX accounts_replan_idx ON accounts (account) WHERE replan_after IS NOT NULL;
"""
