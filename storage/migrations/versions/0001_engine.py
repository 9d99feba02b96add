"""The engine's tables."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLES)


TABLES = """
CREATE TABLE accounts (
    account TEXT NOT NULL,
    name TEXT,
    zone TEXT DEFAULT 'UTC' NOT NULL,
    country TEXT,
    language TEXT DEFAULT 'en' NOT NULL,
    email_from TEXT,
    sms_from TEXT,
    test_now TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account)
);

COMMENT ON COLUMN accounts.test_now IS 'set: a test account, whose business time this is';

CREATE TABLE commands (
    account TEXT NOT NULL,
    command TEXT NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL,
    body JSONB,
    raw TEXT,
    digest TEXT NOT NULL,
    door TEXT NOT NULL,
    issued_at TIMESTAMP WITH TIME ZONE,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    state TEXT NOT NULL,
    problem TEXT,
    targets INTEGER DEFAULT '0' NOT NULL,
    applied INTEGER DEFAULT '0' NOT NULL,
    refused INTEGER DEFAULT '0' NOT NULL,
    superseded INTEGER DEFAULT '0' NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT commands_pkey PRIMARY KEY (account, command),
    CONSTRAINT commands_account_seq_key UNIQUE (account, seq),
    CONSTRAINT commands_state_known CHECK (state IN ('accepted', 'applied', 'partly', 'refused', 'superseded', 'quarantined')),
    CONSTRAINT commands_targets_counted_once CHECK (applied + refused + superseded <= targets)
);

CREATE INDEX commands_accepted_idx ON commands (account, seq) WHERE state = 'accepted';

CREATE INDEX commands_setup_idx ON commands (account, seq) WHERE state = 'accepted' AND targets = 0;

CREATE INDEX commands_state_idx ON commands (state, seq) WHERE state = 'quarantined';

COMMENT ON COLUMN commands.body IS 'null: it could not be read';

COMMENT ON COLUMN commands.raw IS 'what could not be read, as it came';

COMMENT ON COLUMN commands.digest IS 'tells a republished command from another one';

COMMENT ON COLUMN commands.problem IS 'why it is quarantined, or refused as a whole';

CREATE TABLE counters (
    account TEXT NOT NULL,
    active INTEGER DEFAULT '0' NOT NULL,
    active_limit INTEGER NOT NULL,
    directory INTEGER DEFAULT '0' NOT NULL,
    directory_limit INTEGER NOT NULL,
    CONSTRAINT counters_pkey PRIMARY KEY (account),
    CONSTRAINT counters_not_negative CHECK (active >= 0 AND directory >= 0)
);

CREATE TABLE installation (
    one BOOLEAN DEFAULT true NOT NULL,
    key_fingerprint TEXT NOT NULL,
    CONSTRAINT installation_pkey PRIMARY KEY (one),
    CONSTRAINT installation_one_row CHECK (one)
);

CREATE TABLE journal (
    account TEXT NOT NULL,
    entry BIGINT GENERATED ALWAYS AS IDENTITY,
    customer TEXT,
    event TEXT NOT NULL,
    data JSONB DEFAULT '{}'::jsonb NOT NULL,
    seq BIGINT,
    business_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT journal_pkey PRIMARY KEY (account, entry)
);

CREATE INDEX journal_customer_idx ON journal (account, customer, entry);

COMMENT ON COLUMN journal.seq IS 'the command that did it';

CREATE TABLE leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);

CREATE TABLE sends (
    account TEXT NOT NULL,
    enrolment BIGINT NOT NULL,
    step INTEGER NOT NULL,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    rule TEXT NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    decision JSONB DEFAULT '{}'::jsonb NOT NULL,
    planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    business_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    send BIGINT,
    token UUID,
    slot BIGINT,
    started_at TIMESTAMP WITH TIME ZONE,
    attempts SMALLINT DEFAULT '0' NOT NULL,
    template TEXT,
    template_version INTEGER,
    recipient_hash TEXT,
    provider TEXT,
    provider_id TEXT,
    CONSTRAINT sends_pkey PRIMARY KEY (account, enrolment, step, settled_at),
    CONSTRAINT sends_state_known CHECK (state IN ('sent', 'failed', 'unknown', 'skipped', 'cancelled')),
    CONSTRAINT sends_was_started CHECK (state NOT IN ('sent', 'unknown') OR token IS NOT NULL)
)
 PARTITION BY RANGE (settled_at);

CREATE INDEX sends_customer_idx ON sends (account, customer, settled_at);

CREATE INDEX sends_unresolved_idx ON sends (account, settled_at) WHERE state IN ('unknown', 'failed');

COMMENT ON COLUMN sends.rule IS 'which rule or answer decided';

COMMENT ON COLUMN sends.detail IS 'no personal data';

CREATE TABLE started (
    account TEXT NOT NULL,
    send BIGINT GENERATED ALWAYS AS IDENTITY,
    token UUID NOT NULL,
    enrolment BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    customer TEXT NOT NULL,
    step INTEGER NOT NULL,
    channel TEXT NOT NULL,
    planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts SMALLINT NOT NULL,
    template TEXT NOT NULL,
    template_version INTEGER NOT NULL,
    recipient_hash TEXT NOT NULL,
    decision JSONB NOT NULL,
    business_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_seconds INTEGER NOT NULL,
    worker TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT started_pkey PRIMARY KEY (account, send),
    CONSTRAINT started_account_enrolment_key UNIQUE (account, enrolment)
);

CREATE INDEX started_customer_idx ON started (account, customer);

COMMENT ON COLUMN started.token IS 'names this attempt, guards every later write';

COMMENT ON COLUMN started.attempts IS 'with this one';

COMMENT ON COLUMN started.recipient_hash IS 'keyed';

COMMENT ON COLUMN started.lease_seconds IS 'watched on a monotonic clock';

CREATE TABLE command_targets (
    account TEXT NOT NULL,
    customer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    code TEXT,
    message TEXT,
    cancelled INTEGER DEFAULT '0' NOT NULL,
    open BIGINT[],
    unknown INTEGER DEFAULT '0' NOT NULL,
    quiet_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT command_targets_pkey PRIMARY KEY (account, customer, seq),
    CONSTRAINT command_targets_commands_fkey FOREIGN KEY(account, seq) REFERENCES commands (account, seq),
    CONSTRAINT command_targets_state_known CHECK (state IN ('waiting', 'applied', 'refused', 'superseded'))
);

CREATE INDEX command_targets_next_idx ON command_targets (account, seq) WHERE state = 'waiting';

CREATE INDEX command_targets_seq_idx ON command_targets (account, seq, customer);

CREATE INDEX command_targets_unquiet_idx ON command_targets (account, customer) WHERE open IS NOT NULL AND quiet_at IS NULL;

CREATE INDEX command_targets_waiting_idx ON command_targets (account, customer, seq) WHERE state = 'waiting';

COMMENT ON COLUMN command_targets.open IS 'sends started before the silence; null: no silence';

CREATE TABLE customers (
    account TEXT NOT NULL,
    customer TEXT NOT NULL,
    place TEXT NOT NULL,
    name TEXT,
    email TEXT,
    phone TEXT,
    country TEXT,
    zone TEXT,
    language TEXT,
    values JSONB DEFAULT '{}'::jsonb NOT NULL,
    kept BOOLEAN DEFAULT false NOT NULL,
    silenced_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT customers_pkey PRIMARY KEY (account, customer),
    CONSTRAINT customers_account_customer_place_key UNIQUE (account, customer, place),
    CONSTRAINT customers_accounts_fkey FOREIGN KEY(account) REFERENCES accounts (account),
    CONSTRAINT customers_place_known CHECK (place IN ('reserve', 'active', 'archived'))
);

COMMENT ON COLUMN customers.kept IS 'a payment, order or message is recorded: never purged';

COMMENT ON COLUMN customers.silenced_at IS 'order of the latest silencing command, for superseding';

CREATE TABLE schedule_versions (
    account TEXT NOT NULL,
    schedule TEXT NOT NULL,
    version INTEGER NOT NULL,
    definition JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT schedule_versions_pkey PRIMARY KEY (account, schedule, version),
    CONSTRAINT schedule_versions_accounts_fkey FOREIGN KEY(account) REFERENCES accounts (account)
);

CREATE TABLE template_versions (
    account TEXT NOT NULL,
    template TEXT NOT NULL,
    version INTEGER NOT NULL,
    definition JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT template_versions_pkey PRIMARY KEY (account, template, version),
    CONSTRAINT template_versions_accounts_fkey FOREIGN KEY(account) REFERENCES accounts (account)
);

CREATE TABLE facts (
    account TEXT NOT NULL,
    fact BIGINT GENERATED ALWAYS AS IDENTITY,
    customer TEXT NOT NULL,
    kind TEXT NOT NULL,
    data JSONB NOT NULL,
    seq BIGINT NOT NULL,
    business_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT facts_pkey PRIMARY KEY (account, fact),
    CONSTRAINT facts_customers_fkey FOREIGN KEY(account, customer) REFERENCES customers (account, customer)
);

CREATE INDEX facts_customer_idx ON facts (account, customer);

CREATE TABLE slots (
    account TEXT NOT NULL,
    slot BIGINT GENERATED ALWAYS AS IDENTITY,
    customer TEXT NOT NULL,
    place TEXT DEFAULT 'active' NOT NULL,
    status TEXT DEFAULT 'on_track' NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE,
    activated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT slots_pkey PRIMARY KEY (account, slot),
    CONSTRAINT slots_account_customer_key UNIQUE (account, customer),
    CONSTRAINT slots_customers_fkey FOREIGN KEY(account, customer, place) REFERENCES customers (account, customer, place),
    CONSTRAINT slots_only_active CHECK (place = 'active'),
    CONSTRAINT slots_status_known CHECK (status IN ('on_track', 'late', 'promised', 'disputed'))
);

CREATE TABLE enrolments (
    account TEXT NOT NULL,
    enrolment BIGINT GENERATED ALWAYS AS IDENTITY,
    customer TEXT NOT NULL,
    slot BIGINT,
    schedule TEXT NOT NULL,
    version INTEGER NOT NULL,
    reference TEXT DEFAULT '' NOT NULL,
    anchor_date DATE,
    anchor_at TIMESTAMP WITH TIME ZONE,
    values JSONB DEFAULT '{}'::jsonb NOT NULL,
    step INTEGER DEFAULT '0' NOT NULL,
    held TEXT,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT enrolments_pkey PRIMARY KEY (account, enrolment),
    CONSTRAINT enrolments_account_enrolment_slot_key UNIQUE (account, enrolment, slot),
    CONSTRAINT enrolments_slots_fkey FOREIGN KEY(account, slot) REFERENCES slots (account, slot),
    CONSTRAINT enrolments_customers_fkey FOREIGN KEY(account, customer) REFERENCES customers (account, customer),
    CONSTRAINT enrolments_schedule_versions_fkey FOREIGN KEY(account, schedule, version) REFERENCES schedule_versions (account, schedule, version),
    CONSTRAINT enrolments_ended_has_no_slot CHECK ((slot IS NULL) = (ended_at IS NOT NULL)),
    CONSTRAINT enrolments_ended_for_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT enrolments_only_live_is_held CHECK (held IS NULL OR slot IS NOT NULL),
    CONSTRAINT enrolments_one_anchor CHECK (num_nonnulls(anchor_date, anchor_at) = 1)
);

CREATE INDEX enrolments_customer_idx ON enrolments (account, customer);

CREATE UNIQUE INDEX enrolments_live_key ON enrolments (account, slot, schedule, reference) WHERE slot IS NOT NULL;

COMMENT ON COLUMN enrolments.slot IS 'null: it has ended';

COMMENT ON COLUMN enrolments.step IS 'the next or current one';

COMMENT ON COLUMN enrolments.held IS 'why no send is planned: paused';

CREATE TABLE pending (
    account TEXT NOT NULL,
    enrolment BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    customer TEXT NOT NULL,
    step INTEGER NOT NULL,
    channel TEXT NOT NULL,
    planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts SMALLINT DEFAULT '0' NOT NULL,
    CONSTRAINT pending_pkey PRIMARY KEY (account, enrolment),
    CONSTRAINT pending_enrolments_fkey FOREIGN KEY(account, enrolment, slot) REFERENCES enrolments (account, enrolment, slot),
    CONSTRAINT pending_channel_known CHECK (channel IN ('email', 'sms'))
);

CREATE INDEX pending_due_idx ON pending (account, channel, due_at);

COMMENT ON COLUMN pending.planned_at IS 'by the schedule';

COMMENT ON COLUMN pending.due_at IS 'planned_at, or later: retried, deferred';

CREATE TABLE sends_default PARTITION OF sends DEFAULT;
"""
