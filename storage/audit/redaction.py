"""Redaction: who this was is erased wherever it was."""

from domain.erasure import OF_AN_ENTRY
from storage.audit.model import Check

_KEPT = ", ".join(f"'{name}'" for name in sorted(OF_AN_ENTRY))

_HOLDS_DATA = f"""
    WITH gone AS (SELECT * FROM customers WHERE redacted_at IS NOT NULL)
    SELECT account, customer, 'is redacted, and is active' AS detail
    FROM gone WHERE place = 'active'
    UNION ALL
    SELECT account, customer, 'is redacted, and its profile holds details'
    FROM gone
    WHERE num_nonnulls(name, email, phone, country, zone, language, derived_zone) > 0
       OR "values" <> '{{}}'
    UNION ALL
    SELECT account, customer, format('is redacted, and enrolment %s says what it was about',
                                     e.enrolment)
    FROM gone JOIN enrolments e USING (account, customer)
    WHERE e."values" <> '{{}}' OR e.reference <> ''
    UNION ALL
    SELECT account, customer, format('is redacted, and fact %s says more than its kind', f.fact)
    FROM gone JOIN facts f USING (account, customer)
    WHERE f.data <> jsonb_build_object('fact', f.kind)
    UNION ALL
    SELECT account, customer, format('is redacted, and entry %s of the journal says %s', j.entry,
                                     key)
    FROM gone JOIN journal j USING (account, customer)
    CROSS JOIN LATERAL jsonb_object_keys(j.data) AS key
    WHERE key NOT IN ({_KEPT})
    UNION ALL
    SELECT gone.account, gone.customer,
           format('is redacted, and step %s of enrolment %s is told in a person''s words',
                  s.step + 1, s.enrolment)
    FROM gone JOIN enrolments e ON e.account = gone.account AND e.customer = gone.customer
    JOIN sends s ON s.account = e.account AND s.enrolment = e.enrolment
    WHERE s.rule = 'resolved' AND s.detail <> ''
    UNION ALL
    SELECT account, customer, format('is redacted, and who sent the %s is recorded', s.kind)
    FROM gone JOIN suppressions s USING (account, customer)
    WHERE s.source <> ''
"""

_COMMAND_KEPT = """
    -- What is under way for others, or can be replayed for them, is marked for the sweep.
    SELECT t.account, t.customer, format('is redacted, and command %s (%s) has its content yet',
                                         c.command, c.kind) AS detail
    FROM customers g JOIN command_targets t USING (account, customer)
    JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE g.redacted_at IS NOT NULL AND c.kind NOT IN ('redact', 'purge')
      AND c.state NOT IN ('accepted', 'quarantined') AND NOT c.erase_when_done
      AND (NOT c.body ? 'erased' OR c.targets = 1 AND c.body ?| ARRAY['source', 'reason'])
"""

_AGAIN = "Send the redact command again, under a new id: it erases what is there."

REDACTION = (
    Check(
        "bookkeeping",
        "redacted_holds_data",
        "Is nothing personal kept of who is redacted?",
        "customers",
        _HOLDS_DATA,
        _AGAIN,
    ),
    Check(
        "bookkeeping",
        "redacted_command_kept",
        "Is the content erased of every command that was for a redacted customer?",
        "command_targets",
        _COMMAND_KEPT,
        _AGAIN,
    ),
)
