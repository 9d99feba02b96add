"""Consent: what is blocked, opted out or suppressed."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGES)


CHANGES = """
CREATE TABLE suppressions (
    account TEXT NOT NULL,
    target TEXT NOT NULL,
    aim TEXT NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    schedule TEXT DEFAULT '' NOT NULL,
    customer TEXT,
    order_at TIMESTAMP WITH TIME ZONE NOT NULL,
    command TEXT,
    source TEXT DEFAULT '' NOT NULL,
    business_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT suppressions_pkey PRIMARY KEY (account, target, aim, channel, schedule, kind),
    CONSTRAINT suppressions_accounts_fkey FOREIGN KEY(account) REFERENCES accounts (account),
    CONSTRAINT suppressions_aim_known
        CHECK (aim IN ('customer', 'address', 'number', 'domain')),
    CONSTRAINT suppressions_kind_known CHECK (kind IN ('blocked', 'opted_out', 'suppressed')),
    CONSTRAINT suppressions_channel_known CHECK (channel IN ('email', 'sms'))
);

COMMENT ON COLUMN suppressions.target IS 'a customer, or a keyed hash';

COMMENT ON COLUMN suppressions.aim IS 'what the target is';

COMMENT ON COLUMN suppressions.schedule IS 'empty: all of the account''s';

COMMENT ON COLUMN suppressions.customer IS 'by whose command this recipient of its was recorded';

COMMENT ON COLUMN suppressions.order_at IS 'of the latest command, for superseding';

COMMENT ON COLUMN suppressions.command IS 'the first one that said so';

COMMENT ON COLUMN suppressions.source IS 'who sent that';

CREATE INDEX suppressions_customer_idx ON suppressions (account, customer) WHERE customer IS NOT NULL;

CREATE INDEX customers_address_idx ON customers (account, lower(email COLLATE "C"), customer)
    WHERE email IS NOT NULL;

CREATE INDEX customers_domain_idx
    ON customers (account, lower(split_part(email, '@', -1) COLLATE "C"), customer)
    WHERE email IS NOT NULL;

CREATE INDEX customers_number_idx ON customers (account, phone, customer) WHERE phone IS NOT NULL;
"""
