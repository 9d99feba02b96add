"""The schema on one page. Migrations build it; a test holds the two equal.

Every key begins with the account, so that no row can refer to another account's. What must hold
whatever the code does is here as a key or a CHECK, each with its reason.
"""

from collections.abc import Iterable

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from domain.access import Role
from domain.commands import CommandState
from domain.journey import Place, Status
from domain.marks import Mark
from domain.message import Channel
from domain.send import FINAL_STATES
from domain.suppression import Aim, SuppressionKind
from domain.switch import Scope

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(referred_table_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

Moment = DateTime(timezone=True)
EMPTY = text("'{}'::jsonb")
NOW = text("now()")


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def account_id() -> Column[str]:
    return Column("account", Text, nullable=False)


accounts = Table(
    "accounts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("name", Text),
    Column("zone", Text, nullable=False, server_default="UTC"),
    Column("country", Text),
    Column("language", Text, nullable=False, server_default="en"),
    Column("email_from", Text),
    Column("sms_from", Text),
    Column("test_now", Moment, comment="set: a test account, whose business time this is"),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column(
        "replan_after",
        Text,
        comment="its zone has changed: customers after this one are still to be planned by the "
        "new one",
    ),
    Column(
        "rules",
        JSONB,
        nullable=False,
        server_default=EMPTY,
        comment="the account's choices: domain/rules.py",
    ),
    Column(
        "rules_version",
        Integer,
        nullable=False,
        server_default="0",
        comment="counts their changes; the journal has each",
    ),
    Column("holidays", JSONB),
    Column(
        "calendar_data",
        Text,
        comment="the zones and holidays that its plans were made by; null: older ones",
    ),
    Index("accounts_replan_idx", "account", postgresql_where=text("replan_after IS NOT NULL")),
)

# Nothing references this table: its row is updated by every change of place, last in the
# transaction, and must not collide with foreign key checks.
counters = Table(
    "counters",
    metadata,
    Column("account", Text, primary_key=True),
    Column("active", Integer, nullable=False, server_default="0"),
    Column("active_limit", Integer, nullable=False),
    Column("directory", Integer, nullable=False, server_default="0"),
    Column("directory_limit", Integer, nullable=False),
    CheckConstraint("active >= 0 AND directory >= 0", name="not_negative"),
)

customers = Table(
    "customers",
    metadata,
    account_id(),
    Column("customer", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("country", Text),
    Column("zone", Text),
    Column("language", Text),
    Column("values", JSONB, nullable=False, server_default=EMPTY),
    Column(
        "kept",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="a payment, order or message is recorded: never purged",
    ),
    Column("silenced_at", Moment, comment="order of the latest silencing command, for superseding"),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("derived_zone", Text, comment="where its number or country is, if that is one clock"),
    Column("redacted_at", Moment, comment="business time; since then it holds no personal data"),
    PrimaryKeyConstraint("account", "customer"),
    # What slots refer to, so that a slot can only belong to an active customer.
    UniqueConstraint("account", "customer", "place"),
    ForeignKeyConstraint(["account"], ["accounts.account"]),
    one_of("place", Place),
    # Whom a silence of an address, a domain or a number concerns: the expressions of
    # `storage/suppressions.py`.
    Index(
        "customers_address_idx",
        "account",
        text('lower(email COLLATE "C")'),
        "customer",
        postgresql_where=text("email IS NOT NULL"),
    ),
    Index(
        "customers_domain_idx",
        "account",
        text("lower(split_part(email, '@', -1) COLLATE \"C\")"),
        "customer",
        postgresql_where=text("email IS NOT NULL"),
    ),
    Index(
        "customers_number_idx",
        "account",
        "phone",
        "customer",
        postgresql_where=text("phone IS NOT NULL"),
    ),
)

# One row per active customer, a new number at each activation. All that automation owns hangs
# from it; deleting it is what "inactive" means.
slots = Table(
    "slots",
    metadata,
    account_id(),
    Column("slot", BigInteger, Identity(always=True), nullable=False),
    Column("customer", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=Place.ACTIVE.value),
    Column("status", Text, nullable=False, server_default=Status.ON_TRACK.value),
    Column("paused_at", Moment),
    Column("activated_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "slot"),
    UniqueConstraint("account", "customer"),
    # With the place in the key and always active, a parked customer cannot have a slot.
    ForeignKeyConstraint(
        ["account", "customer", "place"],
        ["customers.account", "customers.customer", "customers.place"],
    ),
    CheckConstraint("place = 'active'", name="only_active"),
    one_of("status", Status),
)

schedule_versions = Table(
    "schedule_versions",
    metadata,
    account_id(),
    Column("schedule", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column(
        "length",
        Integer,
        comment="sends of a run; null: as many as it has steps, none of which repeats",
    ),
    PrimaryKeyConstraint("account", "schedule", "version"),
    ForeignKeyConstraint(["account"], ["accounts.account"]),
)

template_versions = Table(
    "template_versions",
    metadata,
    account_id(),
    Column("template", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("account", "template", "version"),
    ForeignKeyConstraint(["account"], ["accounts.account"]),
)

enrolments = Table(
    "enrolments",
    metadata,
    account_id(),
    Column("enrolment", BigInteger, Identity(always=True), nullable=False),
    Column("customer", Text, nullable=False),
    Column("slot", BigInteger, comment="null: it has ended"),
    Column("schedule", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reference", Text, nullable=False, server_default=""),
    Column("anchor_date", Date),
    Column("anchor_at", Moment),
    Column("values", JSONB, nullable=False, server_default=EMPTY),
    Column("step", Integer, nullable=False, server_default="0", comment="the next or current one"),
    Column("held", Text, comment="why no send is planned: all reasons, by the slot and its marks"),
    Column("ended_at", Moment),
    Column("end_reason", Text),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("messaged_at", Moment, comment="when its last message went out, or may have"),
    Column("messaged_for", Moment, comment="when that one was due by the schedule"),
    Column(
        "shift_seconds",
        Integer,
        nullable=False,
        server_default="0",
        comment="by how much late steps have moved what follows them",
    ),
    PrimaryKeyConstraint("account", "enrolment"),
    # What pending refers to: a live enrolment of this very slot.
    UniqueConstraint("account", "enrolment", "slot"),
    # No cascade: a slot with anything live on it cannot go.
    ForeignKeyConstraint(["account", "slot"], ["slots.account", "slots.slot"]),
    ForeignKeyConstraint(["account", "customer"], ["customers.account", "customers.customer"]),
    ForeignKeyConstraint(
        ["account", "schedule", "version"],
        ["schedule_versions.account", "schedule_versions.schedule", "schedule_versions.version"],
    ),
    CheckConstraint("(slot IS NULL) = (ended_at IS NOT NULL)", name="ended_has_no_slot"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended_for_a_reason"),
    CheckConstraint("held IS NULL OR slot IS NOT NULL", name="only_live_is_held"),
    CheckConstraint("num_nonnulls(anchor_date, anchor_at) = 1", name="one_anchor"),
    # A customer is on a schedule once for each reference; also finds what hangs from a slot.
    Index(
        "enrolments_live_key",
        "account",
        "slot",
        "schedule",
        "reference",
        unique=True,
        postgresql_where=text("slot IS NOT NULL"),
    ),
    Index("enrolments_customer_idx", "account", "customer"),
    # Each step moves a cursor, and those of a page are often due together: with room for a second
    # version beside each row no index is touched (a heap-only update), and half the log is written.
    postgresql_with={"fillfactor": 50},
)

pending = Table(
    "pending",
    metadata,
    account_id(),
    Column("enrolment", BigInteger, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("customer", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("planned_at", Moment, nullable=False, comment="by the schedule"),
    Column("due_at", Moment, nullable=False, comment="planned_at, or later: retried, deferred"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("deferred", Text, comment="the rule that put it off last, since it was planned"),
    Column(
        "fallback",
        Text,
        comment="it goes by its step's fallback: the rule that closed its channel",
    ),
    # At most one pending send per enrolment.
    PrimaryKeyConstraint("account", "enrolment"),
    # G3: nothing is pending but for a live enrolment of a live slot. No cascade.
    ForeignKeyConstraint(
        ["account", "enrolment", "slot"],
        ["enrolments.account", "enrolments.enrolment", "enrolments.slot"],
    ),
    one_of("channel", Channel),
    # What is due of one account and channel, in order.
    Index("pending_due_idx", "account", "channel", "due_at"),
    # What a resume brings forward.
    Index(
        "pending_paused_idx",
        "account",
        "planned_at",
        postgresql_where=text("deferred IN ('paused', 'command_waits')"),
    ),
)

# Why a send came later than planned: one row for each rule that put it off, however often it did.
# Without a key to enrolments, as the ledger.
deferrals = Table(
    "deferrals",
    metadata,
    account_id(),
    Column("enrolment", BigInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("decision", JSONB, nullable=False, comment="of the last time; no personal data"),
    Column("until", Moment, nullable=False, comment="to when, the last time"),
    Column("first_at", Moment, nullable=False, comment="business time"),
    Column("last_at", Moment, nullable=False, comment="business time"),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("recorded_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("account", "enrolment", "step", "rule"),
)

# No foreign keys: a started send outlives the slot that it started under.
started = Table(
    "started",
    metadata,
    account_id(),
    Column("send", BigInteger, Identity(always=True), nullable=False),
    Column("token", Uuid, nullable=False, comment="names this attempt, guards every later write"),
    Column("enrolment", BigInteger, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("customer", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("attempts", SmallInteger, nullable=False, comment="with this one"),
    Column("template", Text, nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("recipient_hash", Text, nullable=False, comment="keyed"),
    Column("decision", JSONB, nullable=False),
    Column("business_at", Moment, nullable=False),
    Column("lease_seconds", Integer, nullable=False, comment="watched on a monotonic clock"),
    Column("worker", Text, nullable=False),
    Column("started_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    Column("anchor_moved", Boolean, comment="since it began: what follows is to be planned anew"),
    PrimaryKeyConstraint("account", "send"),
    # G4: an enrolment has one send in progress at most.
    UniqueConstraint("account", "enrolment"),
    # What a silencing command counts as started.
    Index("started_customer_idx", "account", "customer"),
)

# The ledger: appended; only an unknown row is later resolved. Partitioned by month.
sends = Table(
    "sends",
    metadata,
    account_id(),
    Column("enrolment", BigInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("customer", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rule", Text, nullable=False, comment="which rule or answer decided"),
    Column("detail", Text, nullable=False, server_default="", comment="no personal data"),
    Column("decision", JSONB, nullable=False, server_default=EMPTY),
    Column("planned_at", Moment, nullable=False),
    Column("business_at", Moment, nullable=False),
    Column("settled_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    # Of what was started; null for what never was.
    Column("send", BigInteger),
    Column("token", Uuid),
    Column("slot", BigInteger),
    Column("started_at", Moment),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("template", Text),
    Column("template_version", Integer),
    Column("recipient_hash", Text),
    Column("provider", Text),
    Column("provider_id", Text),
    PrimaryKeyConstraint("account", "enrolment", "step", "settled_at"),
    one_of("state", FINAL_STATES),
    CheckConstraint("state NOT IN ('sent', 'unknown') OR token IS NOT NULL", name="was_started"),
    # What went wrong, the newest first. A customer's are found by its enrolments.
    Index(
        "sends_unresolved_idx",
        "account",
        "settled_at",
        postgresql_where=text("state IN ('unknown', 'failed')"),
    ),
    # The few that wait for a receipt or a person.
    Index("sends_unknown_idx", "account", "settled_at", postgresql_where=text("state = 'unknown'")),
    postgresql_partition_by="RANGE (settled_at)",
)

commands = Table(
    "commands",
    metadata,
    account_id(),
    Column("command", Text, nullable=False),
    # Not always by itself: those of a batch are drawn in its order, and written in another.
    Column("seq", BigInteger, Identity(always=False), nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSONB, comment="null: it could not be read"),
    Column("raw", Text, comment="what could not be read, as it came"),
    Column("digest", Text, nullable=False, comment="tells a republished command from another one"),
    Column("door", Text, nullable=False),
    Column("issued_at", Moment),
    Column("received_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    Column("state", Text, nullable=False),
    Column("problem", Text, comment="why it is quarantined, or refused as a whole"),
    Column("targets", Integer, nullable=False, server_default="0"),
    Column("applied", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("superseded", Integer, nullable=False, server_default="0"),
    Column("done_at", Moment),
    Column(
        "bulk",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="applied in chunks on a queue of its own",
    ),
    Column("resolved_at", Moment, comment="of a bulk one: since when it has all its targets"),
    Column("resolved_to", Text, comment="how far that is: a customer, or a number of the list"),
    Column("listed", ARRAY(Text), comment="a list that has not all of its targets yet"),
    Column(
        "erase_when_done",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="once it is over, and cannot be replayed, its personal content goes",
    ),
    PrimaryKeyConstraint("account", "command"),
    UniqueConstraint("account", "seq"),
    one_of("state", CommandState),
    CheckConstraint("applied + refused + superseded <= targets", name="targets_counted_once"),
    # What is not applied yet; the past does not slow it.
    Index("commands_accepted_idx", "account", "seq", postgresql_where=text("state = 'accepted'")),
    # Single and bulk work, each found without a look at the other.
    Index(
        "commands_single_idx",
        "account",
        "seq",
        postgresql_where=text("state = 'accepted' AND NOT bulk"),
    ),
    Index(
        "commands_bulk_idx", "account", "seq", postgresql_where=text("state = 'accepted' AND bulk")
    ),
    # Set-up commands come before the customers' commands that follow them.
    Index(
        "commands_setup_idx",
        "account",
        "seq",
        postgresql_where=text("state = 'accepted' AND targets = 0"),
    ),
    Index("commands_state_idx", "state", "seq", postgresql_where=text("state = 'quarantined'")),
    # What the sweep erases once it is over.
    Index("commands_erase_idx", "account", "seq", postgresql_where=text("erase_when_done")),
    # What retention prunes, the oldest first.
    Index(
        "commands_done_idx",
        "done_at",
        postgresql_where=text("state NOT IN ('accepted', 'quarantined')"),
    ),
)

command_targets = Table(
    "command_targets",
    metadata,
    account_id(),
    Column("customer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("code", Text),
    Column("message", Text),
    Column("cancelled", Integer, nullable=False, server_default="0"),
    Column("open", ARRAY(BigInteger), comment="sends started before the silence; null: no silence"),
    Column("unknown", Integer, nullable=False, server_default="0"),
    Column("quiet_at", Moment),
    Column("bulk", Boolean, nullable=False, server_default=text("false")),
    Column("payload", JSONB, comment="an import's row: personal, gone once it is applied"),
    PrimaryKeyConstraint("account", "customer", "seq"),
    ForeignKeyConstraint(["account", "seq"], ["commands.account", "commands.seq"]),
    one_of("state", ("waiting", "applied", "refused", "superseded")),
    # What can't be applied keeps its row for the replay.
    CheckConstraint(
        "payload IS NULL OR state = 'waiting' OR code = 'cannot_apply'", name="payload_gone"
    ),
    # A customer's commands not applied yet, in order.
    Index(
        "command_targets_waiting_idx",
        "account",
        "customer",
        "seq",
        postgresql_where=text("state = 'waiting'"),
    ),
    # All that waits in an account, in order.
    Index("command_targets_next_idx", "account", "seq", postgresql_where=text("state = 'waiting'")),
    # The same for single and for bulk work alone; bulk goes on from where its turn came to.
    Index(
        "command_targets_single_idx",
        "account",
        "seq",
        postgresql_where=text("state = 'waiting' AND NOT bulk"),
    ),
    Index(
        "command_targets_bulk_idx",
        "account",
        "seq",
        "customer",
        postgresql_where=text("state = 'waiting' AND bulk"),
    ),
    Index("command_targets_seq_idx", "account", "seq", "customer"),
    # What the sweep watches until it is quiet.
    Index(
        "command_targets_unquiet_idx",
        "account",
        "customer",
        postgresql_where=text("open IS NOT NULL AND quiet_at IS NULL"),
    ),
)

journal = Table(
    "journal",
    metadata,
    account_id(),
    Column("entry", BigInteger, Identity(always=True), nullable=False),
    Column("customer", Text),
    Column("event", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default=EMPTY),
    Column("seq", BigInteger, comment="the command that did it"),
    Column("business_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("account", "entry"),
    Index("journal_customer_idx", "account", "customer", "entry"),
    # What retention prunes, the oldest first.
    Index("journal_recorded_idx", "recorded_at"),
)

facts = Table(
    "facts",
    metadata,
    account_id(),
    Column("fact", BigInteger, Identity(always=True), nullable=False),
    Column("customer", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("business_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "fact"),
    ForeignKeyConstraint(["account", "customer"], ["customers.account", "customers.customer"]),
    Index("facts_customer_idx", "account", "customer"),
    # What is owed of one reference, however many a customer has.
    Index(
        "facts_reference_idx",
        "account",
        "customer",
        text("(data ->> 'reference')"),
        postgresql_where=text("kind IN ('invoice', 'payment')"),
    ),
)

# What stands on a slot or on one of its references: why it waits, and its status. No foreign key:
# the version before this one frees slots and does not know of these. A slot's number never comes
# again, so what is left of one means nothing.
marks = Table(
    "marks",
    metadata,
    account_id(),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("mark", Text, nullable=False),
    Column("reference", Text, comment="null: all that the customer is on"),
    Column("until", Moment, comment="of a promise: when it is broken"),
    Column("amount", Numeric(20, 4), comment="of a promise: what is still to be paid of it"),
    Column("currency", Text, comment="of that amount; null: the invoice's"),
    Column("seq", BigInteger, comment="the command that brought it; null: a step, or a promise"),
    PrimaryKeyConstraint("account", "number"),
    one_of("mark", Mark),
    CheckConstraint("(mark = 'promised') = (until IS NOT NULL)", name="only_promises_end"),
    # One of a kind for each reference; also finds those of a slot.
    Index(
        "marks_slot_key",
        "account",
        "slot",
        "mark",
        "reference",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    # Whose promises are broken, by each account's own clock.
    Index("marks_until_idx", "account", "until", postgresql_where=text("until IS NOT NULL")),
)

# What `SELECT layby_submit(jsonb)` was given (a function of the migration 0002), until intake takes
# it in. Nothing is unique here, or a caller's long transaction would hold up the others' commands.
submissions = Table(
    "submissions",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("command", JSONB, nullable=False),
    Column("submitted_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
)

# Who may not be written to. No foreign key to customers: it outlives a purge, and is there when the
# same customer, or another one with the same address, is added again.
suppressions = Table(
    "suppressions",
    metadata,
    account_id(),
    Column("target", Text, nullable=False, comment="a customer, or a keyed hash"),
    Column("aim", Text, nullable=False, comment="what the target is"),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column(
        "schedule", Text, nullable=False, server_default="", comment="empty: all of the account's"
    ),
    Column("customer", Text, comment="by whose command this recipient of its was recorded"),
    Column("order_at", Moment, nullable=False, comment="of the latest command, for superseding"),
    Column("command", Text, comment="the first one that said so"),
    Column("source", Text, nullable=False, server_default="", comment="who sent that"),
    Column("business_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    # A start looks up its customers and recipients by the target.
    PrimaryKeyConstraint("account", "target", "aim", "channel", "schedule", "kind"),
    ForeignKeyConstraint(["account"], ["accounts.account"]),
    one_of("aim", Aim),
    one_of("kind", SuppressionKind),
    one_of("channel", Channel),
    # What was recorded beside a customer is lifted with it.
    Index(
        "suppressions_customer_idx",
        "account",
        "customer",
        postgresql_where=text("customer IS NOT NULL"),
    ),
)

# What operators have paused. No foreign key: an empty account means all of them.
switches = Table(
    "switches",
    metadata,
    account_id(),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("paused_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    Column("reason", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default="", comment="who"),
    Column("after_send", BigInteger, nullable=False, comment="the last one given out before it"),
    Column("after_entry", BigInteger, nullable=False, comment="of the journal, likewise"),
    PrimaryKeyConstraint("account", "scope", "name"),
    one_of("scope", Scope),
    CheckConstraint(
        "CASE scope WHEN 'queue' THEN account = '' WHEN 'account' THEN account = name "
        "WHEN 'template' THEN account <> '' ELSE true END",
        name="of_its_account",
    ),
)

# One scheduler at a time does each tick; any number may run. Here is, too, when the clock by which
# one prunes was looked at last (storage/clock.py).
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Moment, nullable=False),
)

# One row: which secret key this database's hashes were made with.
installation = Table(
    "installation",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("key_fingerprint", Text, nullable=False),
    CheckConstraint("one", name="one_row"),
)

# Bearer tokens of the HTTP door. Without a key to accounts: the installation's own belong to none,
# and an account's admin may be there before its first put_account.
tokens = Table(
    "tokens",
    metadata,
    Column("account", Text, nullable=False, comment="empty: the whole installation"),
    Column("token", Text, nullable=False, comment="its public id"),
    Column("secret_hash", Text, nullable=False, comment="keyed; the secret itself is kept nowhere"),
    Column("role", Text, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("made_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("last_used_on", Date),
    PrimaryKeyConstraint("account", "token"),
    # A request brings the public id alone.
    UniqueConstraint("token"),
    one_of("role", Role),
)

# One row, made with the table: what keeps a database usable for long. Through versions, retention
# and restored backups.
upkeep = Table(
    "upkeep",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column(
        "compatible_from",
        Text,
        nullable=False,
        server_default="0001",
        comment="the oldest revision whose version can work with this schema",
    ),
    Column(
        "pruned_send",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="sends up to this number may have been pruned",
    ),
    Column("id", Uuid, comment="under which Redis remembers the epoch; null: no process was here"),
    Column("server", Text, comment="that sends may start on; null: any"),
    Column(
        "epoch",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="only grows: less than was seen is a restored backup",
    ),
    Column("held", Text, comment="why no send may start"),
    Column(
        "fence_until",
        Moment,
        comment="what was due by then may have gone out; null: no fencing is under way",
    ),
    CheckConstraint("one", name="one_row"),
)
