"""What facts left: why schedules are held, whose status follows from it, and what is paid."""

from domain.marks import STATUS_OF
from storage.audit.model import Check
from storage.holds import REASONS

HELD_AND_WHY = f"""
    SELECT e.account, e.customer, e.enrolment, e.held, {REASONS} AS reasons
    FROM enrolments e JOIN slots s ON s.account = e.account AND s.slot = e.slot
    JOIN schedule_versions v ON v.account = e.account AND v.schedule = e.schedule
        AND v.version = e.version
"""
"""Live enrolments: what they are held as, and what there is to hold them."""

_STATUS = f"""
    SELECT s.account, s.customer, format('its status is %s, and what stands of it makes %s',
                                         s.status, derived.status) AS detail
    FROM slots s
    LEFT JOIN (SELECT account, slot, array_agg(mark) AS marks FROM marks GROUP BY account, slot) m
        ON m.account = s.account AND m.slot = s.slot
    CROSS JOIN LATERAL (SELECT CASE {
    " ".join(f"WHEN '{mark}' = ANY(m.marks) THEN '{status}'" for mark, status in STATUS_OF.items())
} ELSE 'on_track' END AS status) derived
    WHERE s.status <> derived.status
"""

_PROMISE_OVER = """
    -- A warning: it reads the clock, and only says that nobody ticks.
    SELECT m.account, s.customer,
           format('promised%s until %s, and not released', coalesce(' for ' || m.reference, ''),
                  m.until) AS detail
    FROM marks m JOIN slots s ON s.account = m.account AND s.slot = m.slot
    JOIN accounts a ON a.account = m.account
    WHERE m.until < coalesce(a.test_now, clock_timestamp()) - interval '15 minutes'
"""

_PAID_AND_LIVE = """
    -- Invoices alone: a reference that no invoice names may be of one debt after another.
    WITH debt AS (
        SELECT account, customer, data->>'reference' AS reference,
               CAST((array_agg(data->>'amount' ORDER BY fact DESC)
                     FILTER (WHERE kind = 'invoice' AND data ? 'amount'))[1] AS numeric) AS amount,
               sum(CAST(data->>'amount' AS numeric)) FILTER (WHERE kind = 'payment') AS paid,
               bool_or(kind = 'invoice') AS invoiced,
               bool_or(data->>'full' = 'true' OR NOT data ?| ARRAY['full', 'amount'])
                   FILTER (WHERE kind = 'payment') AS said_full
        FROM facts WHERE kind IN ('invoice', 'payment') AND data ? 'reference'
        GROUP BY account, customer, data->>'reference'
    )
    SELECT e.account, e.customer,
           format('enrolment %s on %s is live, and %s is paid', e.enrolment, e.schedule,
                  e.reference) AS detail
    FROM debt d JOIN enrolments e ON e.account = d.account AND e.customer = d.customer
        AND e.reference = d.reference
    JOIN schedule_versions v ON v.account = e.account AND v.schedule = e.schedule
        AND v.version = e.version
    WHERE e.slot IS NOT NULL AND v.definition->'ends' ? 'paid' AND d.invoiced
      AND (d.said_full OR d.paid >= d.amount)
"""

FACTS = (
    Check(
        "G1",
        "paid_and_live",
        "Is nothing scheduled, that ends on a payment, for an invoice that is paid?",
        "facts",
        _PAID_AND_LIVE,
        'Record the payment again, with "full": true: that ends what is scheduled for it. '
        "Report it.",
    ),
    Check(
        "bookkeeping",
        "status_as_marked",
        "Is the status of every active customer the one that follows from its promises, disputes "
        "and lateness?",
        "slots",
        _STATUS,
        "Does a process of an older version still run? Any fact recorded of the customer, such as "
        "a resumed reply, writes it anew.",
    ),
    Check(
        "bookkeeping",
        "promise_over",
        "Is every promise released within 15 minutes of the end of its day?",
        "marks",
        _PROMISE_OVER,
        "Are a scheduler and a lifecycle process running? Start them, or run `layby tick`.",
        warning=True,
    ),
)
