"""G5, nothing lost: every step is to come, in progress, or in the ledger once."""

from storage.audit.facts import HELD_AND_WHY
from storage.audit.model import ONLY_READ, Check

_STALLED = """
    -- Live and not held: its next send is planned or in progress, or it would never go on.
    SELECT e.account, e.customer,
           format('enrolment %s on %s is at step %s, and nothing of it is pending or in progress',
                  e.enrolment, e.schedule, e.step + 1) AS detail
    FROM enrolments e
    WHERE e.slot IS NOT NULL AND e.held IS NULL
      AND NOT EXISTS (SELECT 1 FROM pending p
                      WHERE p.account = e.account AND p.enrolment = e.enrolment)
      AND NOT EXISTS (SELECT 1 FROM started r
                      WHERE r.account = e.account AND r.enrolment = e.enrolment)
"""

_HELD_FOR_NOTHING = f"""
    -- Only what changes a reason plans a held enrolment anew.
    SELECT account, customer,
           format('enrolment %s is held as %s, and is %s', enrolment, held,
                  coalesce(reasons, 'nothing of that')) AS detail
    FROM ({HELD_AND_WHY}) e WHERE held IS NOT NULL AND held IS DISTINCT FROM reasons
"""

_STEP_LOST = """
    -- Steps before the cursor are over. Duplicates are other checks' business: counted once here.
    SELECT e.account, e.customer,
           format('enrolment %s is at step %s, and %s of the steps before have an outcome',
                  e.enrolment, e.step + 1, count(l.step)) AS detail
    FROM enrolments e
    LEFT JOIN (SELECT DISTINCT account, enrolment, step FROM sends) l
        ON l.account = e.account AND l.enrolment = e.enrolment AND l.step < e.step
    WHERE e.step > 0
    GROUP BY e.account, e.enrolment HAVING count(l.step) < e.step
"""

_END_UNACCOUNTED = """
    -- What a command ends, it ends at a step: cancelled there, or in progress and settled later.
    SELECT e.account, e.customer,
           format('enrolment %s ended (%s) at step %s, of which nothing became', e.enrolment,
                  e.end_reason, e.step + 1) AS detail
    FROM enrolments e
    WHERE e.slot IS NULL AND e.end_reason <> 'completed'
      AND NOT EXISTS (SELECT 1 FROM sends l WHERE l.account = e.account
                      AND l.enrolment = e.enrolment AND l.step = e.step)
      AND NOT EXISTS (SELECT 1 FROM started r WHERE r.account = e.account
                      AND r.enrolment = e.enrolment AND r.step = e.step)
"""

_CURSOR_PAST_SCHEDULE = """
    -- Complete is: past the last step. Nothing else is past it.
    SELECT e.account, e.customer,
           format('enrolment %s is at step %s of %s and %s', e.enrolment, e.step + 1,
                  coalesce(v.length, jsonb_array_length(v.definition->'steps')),
                  coalesce(e.end_reason, 'live'))
               AS detail
    FROM enrolments e JOIN schedule_versions v USING (account, schedule, version)
    WHERE (e.step >= coalesce(v.length, jsonb_array_length(v.definition->'steps')))
          <> (e.end_reason IS NOT DISTINCT FROM 'completed')
"""

_WRONG_CHANNEL = """
    -- A send waits on the queue of its step's channel, or of its fallback's, and says why.
    SELECT p.account, p.customer,
           format('step %s of enrolment %s is pending by %s, which its step does not go by',
                  p.step + 1, p.enrolment, p.channel) AS detail
    FROM pending p
    JOIN enrolments e ON e.account = p.account AND e.enrolment = p.enrolment
    JOIN schedule_versions v
        ON v.account = e.account AND v.schedule = e.schedule AND v.version = e.version
    WHERE p.channel IS DISTINCT FROM CASE WHEN p.fallback IS NULL
        THEN layby_step(v.definition, p.step)->>'channel'
        ELSE layby_step(v.definition, p.step)->'fallback'->>'channel' END
"""

_TWO_OUTCOMES = """
    -- Pairs of which at most one reached the customer.
    SELECT account, min(customer) AS customer,
           format('step %s of enrolment %s has the outcomes %s', step + 1, enrolment,
                  string_agg(state, ', ' ORDER BY settled_at)) AS detail
    FROM sends GROUP BY account, enrolment, step
    HAVING count(*) > 1 AND count(*) FILTER (WHERE state IN ('sent', 'unknown')) <= 1
"""

_OPEN_VANISHED = """
    -- After a move, payment or removal nothing goes back to pending: what was in progress then
    -- still is, or is in the ledger under its number. (After a pause, or what a fact held and did
    -- not end, it may be tried again.)
    SELECT o.account, o.customer,
           format('send %s was in progress at command %s, and is nowhere now', o.send, o.command)
               AS detail
    FROM (SELECT t.account, t.customer, c.command, unnest(t.open) AS send
          FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
          WHERE cardinality(t.open) > 0 AND t.state = 'applied'
            AND (c.kind IN ('move_to_directory', 'remove_from_schedule')
                 OR (c.kind = 'record' AND EXISTS (
                     SELECT 1 FROM journal j
                     WHERE j.account = t.account AND j.customer = t.customer AND j.seq = t.seq
                       AND j.data ? 'ended')))) o
    -- Retention prunes whole enrolments, and leaves the number of the newest send that went.
    WHERE o.send > (SELECT pruned_send FROM upkeep)
      AND NOT EXISTS (SELECT 1 FROM started r WHERE r.account = o.account AND r.send = o.send)
      AND NOT EXISTS (SELECT 1 FROM sends l WHERE l.account = o.account AND l.send = o.send)
"""

_LEASE_LONG_OVER = """
    -- A warning: the lease is counted on the scheduler's monotonic clock, from when it first saw
    -- the send; the wall clock that this reads may have stepped.
    SELECT account, customer,
           format('send %s was started at %s by %s with a lease of %s s, and has no outcome', send,
                  started_at, worker, lease_seconds) AS detail
    FROM started
    WHERE started_at < clock_timestamp() - make_interval(secs => 10 * lease_seconds)
"""

_DUE_LONG_AGO = """
    -- A warning: a backlog, or delivery is down. A test clock stands still and says nothing, and
    -- what an operator paused is meant to wait.
    SELECT p.account, p.customer,
           format('step %s of enrolment %s is due by %s since %s', p.step + 1, p.enrolment,
                  p.channel, p.due_at) AS detail
    FROM pending p JOIN accounts a USING (account)
    WHERE a.test_now IS NULL AND p.due_at < clock_timestamp() - interval '15 minutes'
      AND p.account NOT IN (SELECT account FROM switches WHERE scope = 'account')
      AND p.channel NOT IN (SELECT name FROM switches WHERE scope = 'channel' AND account = '')
      AND (p.account, p.channel)
          NOT IN (SELECT account, name FROM switches WHERE scope = 'channel')
"""

NOTHING_LOST = (
    Check(
        "G5",
        "stalled",
        "Has every live schedule that is not held its next send pending or in progress?",
        "enrolments",
        _STALLED,
        "Pause and resume the customer: that plans the step anew. Report it.",
    ),
    Check(
        "G5",
        "held_for_nothing",
        "Is every schedule that is held, held for the reasons that there are?",
        "enrolments",
        _HELD_FOR_NOTHING,
        "Pause and resume the customer: that plans the step anew. Report it.",
    ),
    Check(
        "G5",
        "step_lost",
        "Has every step before the cursor its outcome?",
        "enrolments",
        _STEP_LOST,
        ONLY_READ,
    ),
    Check(
        "G5",
        "end_unaccounted",
        "Has the step at which a schedule ended its outcome, or is it in progress?",
        "enrolments",
        _END_UNACCOUNTED,
        ONLY_READ,
    ),
    Check(
        "G5",
        "cursor_past_schedule",
        "Is every schedule complete that is past its last step, and no other?",
        "enrolments",
        _CURSOR_PAST_SCHEDULE,
        ONLY_READ,
    ),
    Check(
        "G5",
        "wrong_channel",
        "Is every pending send on its step's channel, or on its fallback's for a reason?",
        "pending",
        _WRONG_CHANNEL,
        "Pause and resume the customer: that plans the step anew. Report it.",
    ),
    Check(
        "G5",
        "two_outcomes",
        "Has each step one outcome?",
        "sends",
        _TWO_OUTCOMES,
        ONLY_READ,
    ),
    Check(
        "G5",
        "open_vanished",
        "Is every send that an end found in progress settled, or in progress still?",
        "command_targets",
        _OPEN_VANISHED,
        ONLY_READ,
    ),
    Check(
        "G5",
        "lease_long_over",
        "Is every started send settled within ten times its lease?",
        "started",
        _LEASE_LONG_OVER,
        "Is a scheduler running? Start one, or run `layby tick`.",
        warning=True,
    ),
    Check(
        "G5",
        "due_long_ago",
        "Is what is due started within 15 minutes?",
        "pending",
        _DUE_LONG_AGO,
        "Are a scheduler and a delivery process running? See `layby queues`.",
        warning=True,
    ),
)
