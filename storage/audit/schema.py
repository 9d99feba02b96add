"""G3, by schema: the constraints that the other guarantees lean on are there, and are enforced."""

from storage.audit.model import Check

KEPT_BY = (
    (
        "slots",
        "slots_customers_fkey",
        "FOREIGN KEY (account, customer, place) REFERENCES customers(account, customer, place)",
    ),
    ("slots", "slots_only_active", "CHECK ((place = 'active'::text))"),
    ("slots", "slots_account_customer_key", "UNIQUE (account, customer)"),
    (
        "enrolments",
        "enrolments_slots_fkey",
        "FOREIGN KEY (account, slot) REFERENCES slots(account, slot)",
    ),
    (
        "enrolments",
        "enrolments_ended_has_no_slot",
        "CHECK (((slot IS NULL) = (ended_at IS NOT NULL)))",
    ),
    ("pending", "pending_pkey", "PRIMARY KEY (account, enrolment)"),
    (
        "pending",
        "pending_enrolments_fkey",
        "FOREIGN KEY (account, enrolment, slot) REFERENCES enrolments(account, enrolment, slot)",
    ),
    ("started", "started_account_enrolment_key", "UNIQUE (account, enrolment)"),
    (
        "sends",
        "sends_was_started",
        "CHECK (((state <> ALL (ARRAY['sent'::text, 'unknown'::text])) OR (token IS NOT NULL)))",
    ),
    ("counters", "counters_not_negative", "CHECK (((active >= 0) AND (directory >= 0)))"),
    ("commands", "commands_pkey", "PRIMARY KEY (account, command)"),
    (
        "command_targets",
        "command_targets_commands_fkey",
        "FOREIGN KEY (account, seq) REFERENCES commands(account, seq)",
    ),
)
"""(table, constraint, definition). PostgreSQL's own words for it: a cascade, NOT VALID,
NOT ENFORCED or DEFERRABLE would show in them."""

CONSTRAINTS = "constraints"

_VALUES = ", ".join(
    "({})".format(", ".join("'" + word.replace("'", "''") + "'" for word in row)) for row in KEPT_BY
)

_CONSTRAINTS = f"""
    -- A foreign key is enforced by triggers, which can be switched off one by one.
    WITH kept (relation, name, wanted) AS (VALUES {_VALUES})
    SELECT CAST(NULL AS text) AS account, CAST(NULL AS text) AS customer,
           format('table %s, constraint %s: %s', k.relation, k.name,
                  CASE WHEN c.oid IS NULL THEN 'is missing'
                       WHEN pg_get_constraintdef(c.oid) <> k.wanted
                       THEN format('is %s, not %s', pg_get_constraintdef(c.oid), k.wanted)
                       ELSE 'is switched off' END) AS detail
    FROM kept k
    LEFT JOIN pg_constraint c ON c.conrelid = to_regclass(k.relation) AND c.conname = k.name
    WHERE c.oid IS NULL OR pg_get_constraintdef(c.oid) <> k.wanted
       OR EXISTS (SELECT 1 FROM pg_trigger g
                  WHERE g.tgconstraint = c.oid AND g.tgenabled NOT IN ('O', 'A'))
    UNION ALL
    SELECT NULL, NULL, format('table %s: %s', relname,
                              CASE relpersistence WHEN 'u' THEN 'a crash of the server empties it'
                              ELSE 'row security hides rows of it, from this audit too' END)
    FROM pg_class
    WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind IN ('r', 'p')
      AND (relpersistence = 'u' OR row_security_active(oid))
"""

SCHEMA = (
    Check(
        "G3",
        "constraint_gone",
        "Are the constraints that make silence certain there, as they were made, and enforced, and "
        "is every row kept and seen?",
        CONSTRAINTS,
        _CONSTRAINTS,
        "Stop delivery. Put the constraint back as in storage/tables.py, the triggers on again, or "
        "the table as `layby check` says; then audit anew: what was written meanwhile was not "
        "checked.",
    ),
)
