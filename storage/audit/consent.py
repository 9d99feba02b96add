"""G1, silence of who may not be written to.

Of recipients the database has keyed hashes only, so what is asked here is of customers: each word
against a customer is recorded of the customer as such, too.
"""

from storage.audit.model import Check
from storage.audit.silence import LEAK

_PENDING_WHILE_SUPPRESSED = """
    -- What has another way to go may be pending: the gate decides. A schedule without one is ended
    -- in the transaction of the silence, and no assignment to it is accepted after.
    WITH ways AS (
        SELECT v.account, v.schedule, v.version, array_agg(DISTINCT way.channel) AS channels
        FROM schedule_versions v CROSS JOIN jsonb_array_elements(v.definition->'steps') AS step
        CROSS JOIN LATERAL (VALUES (step->>'channel'), (step->'fallback'->>'channel'))
             AS way (channel)
        WHERE way.channel IS NOT NULL
        GROUP BY v.account, v.schedule, v.version
    ), closed AS (
        SELECT e.account, e.enrolment, e.schedule, e.version,
               array_agg(DISTINCT s.channel) AS channels
        FROM enrolments e JOIN suppressions s ON s.account = e.account AND s.target = e.customer
        WHERE e.slot IS NOT NULL AND s.aim = 'customer' AND s.schedule IN ('', e.schedule)
        GROUP BY e.account, e.enrolment
    )
    SELECT p.account, p.customer,
           format('step %s of enrolment %s on %s is pending, and the customer is silenced by %s',
                  p.step + 1, p.enrolment, c.schedule, array_to_string(c.channels, ' and '))
               AS detail
    FROM pending p JOIN closed c ON c.account = p.account AND c.enrolment = p.enrolment
    JOIN ways w ON w.account = c.account AND w.schedule = c.schedule AND w.version = c.version
    WHERE w.channels <@ c.channels
"""

_STARTED_WHILE_SUPPRESSED = """
    -- What was started before is in the `open` of the command that said so first.
    SELECT r.account, r.customer,
           format('send %s by %s is in progress and began after command %s', r.send, r.channel,
                  s.command) AS detail
    FROM started r JOIN enrolments e ON e.account = r.account AND e.enrolment = r.enrolment
    JOIN suppressions s ON s.account = r.account AND s.target = r.customer
    JOIN commands c ON c.account = s.account AND c.command = s.command
    JOIN command_targets t ON t.account = c.account AND t.seq = c.seq AND t.customer = r.customer
    WHERE s.aim = 'customer' AND s.channel = r.channel AND s.schedule IN ('', e.schedule)
      AND NOT r.send = ANY(coalesce(t.open, '{}'))
"""

_SUPPRESSION_LOST = """
    -- The journal's last word of each kind, of a customer: a silence leaves at least one record.
    SELECT j.account, j.customer,
           format('was last %s in entry %s of the journal, and nothing of that is recorded',
                  replace(j.kind, '_', ' '), j.entry) AS detail
    FROM (SELECT DISTINCT ON (account, customer, kind) account, customer, kind, silences, entry
          FROM (SELECT account, customer, entry, event IN ('customer_blocked',
                       'customer_opted_out', 'customer_suppressed') AS silences,
                       CASE WHEN event LIKE '%blocked' THEN 'blocked'
                            WHEN event LIKE '%suppressed' THEN 'suppressed'
                            ELSE 'opted_out' END AS kind
                FROM journal
                WHERE customer IS NOT NULL
                  AND (event IN ('customer_blocked', 'customer_opted_out', 'customer_suppressed')
                       OR event LIKE '%\\_unblocked' OR event LIKE '%\\_opted\\_in'
                       OR event LIKE '%\\_unsuppressed')) words
          ORDER BY account, customer, kind, entry DESC) j
    WHERE j.silences AND NOT EXISTS (
        SELECT 1 FROM suppressions s
        WHERE s.account = j.account AND s.target = j.customer AND s.aim = 'customer'
          AND s.kind = j.kind)
"""

CONSENT = (
    Check(
        "G1",
        "pending_while_suppressed",
        "Is nothing pending of a schedule that its customer is silenced for by every channel?",
        "pending",
        _PENDING_WHILE_SUPPRESSED,
        "The gate will not send it. Block the customer again: that takes it out. Report it.",
    ),
    Check(
        "G1",
        "started_while_suppressed",
        "Was every send in progress begun before its customer was silenced for its channel?",
        "started",
        _STARTED_WHILE_SUPPRESSED,
        LEAK,
    ),
    Check(
        "G1",
        "suppression_lost",
        "Is who was last blocked, opted out or suppressed still recorded so?",
        "journal",
        _SUPPRESSION_LOST,
        "Was the table of suppressions cut by hand? Send the block, opt_out or suppress again "
        "under a new id, before anything else is sent.",
    ),
)
