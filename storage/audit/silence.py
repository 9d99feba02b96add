"""G1, silence: what is forbidden does not start, and quiet is quiet.

No order is read from a wall clock, which can step. What a command found started is listed in its
target's `open`, by send number. What an end of an enrolment left unfinished is at the enrolment's
cursor, which never moves again. And a transaction writes one business moment to all that it
touches (`ended_at`, `paused_at`, the journal's `business_at`), so equality finds the command.
"""

from storage.audit.facts import HELD_AND_WHY
from storage.audit.model import Check

_PENDING_OF_INACTIVE = """
    -- The key forbids it: read here without trusting the key.
    SELECT p.account, p.customer,
           format('step %s of enrolment %s is pending under slot %s, and the customer is %s',
                  p.step + 1, p.enrolment, p.slot,
                  CASE WHEN c.place = 'active' THEN 'active without that slot'
                       ELSE coalesce('in ' || c.place, 'gone') END) AS detail
    FROM pending p
    LEFT JOIN customers c ON c.account = p.account AND c.customer = p.customer
    LEFT JOIN slots s ON s.account = p.account AND s.slot = p.slot AND s.customer = p.customer
    WHERE c.place IS DISTINCT FROM 'active' OR s.slot IS NULL
"""

_PENDING_WHILE_HELD = """
    -- No key forbids this one: only the statements that plan do.
    SELECT p.account, p.customer,
           format('step %s of enrolment %s is pending, and the enrolment is held: %s',
                  p.step + 1, p.enrolment, e.held) AS detail
    FROM pending p JOIN enrolments e ON e.account = p.account AND e.enrolment = p.enrolment
    WHERE e.held IS NOT NULL
"""

_NOT_HELD = f"""
    -- What is not held is planned, or will be when its send settles.
    SELECT account, customer, format('enrolment %s is not held, and is %s', enrolment, reasons)
               AS detail
    FROM ({HELD_AND_WHY}) e WHERE held IS NULL AND reasons IS NOT NULL
"""

_STARTED_WHILE_PAUSED = """
    -- What was started before a pause is in its `open`: of the pause that is in force, not of one
    -- repeated later, which would list a leak as its own. A move that found the directory full
    -- pauses too.
    WITH excused AS (
        SELECT t.account, t.customer, j.business_at AS paused_at, unnest(t.open) AS send
        FROM command_targets t
        JOIN journal j ON j.account = t.account AND j.customer = t.customer AND j.seq = t.seq
        WHERE cardinality(t.open) > 0 AND t.state = 'applied'
        UNION ALL
        SELECT t.account, t.customer, s.paused_at, unnest(t.open)
        FROM command_targets t
        JOIN slots s ON s.account = t.account AND s.customer = t.customer
        WHERE cardinality(t.open) > 0 AND t.code = 'directory_limit'
    )
    SELECT r.account, r.customer,
           format('send %s is in progress and began after the pause of %s', r.send, s.paused_at)
               AS detail
    FROM started r JOIN slots s ON s.account = r.account AND s.slot = r.slot
    WHERE s.paused_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM excused x
        WHERE x.account = r.account AND x.customer = r.customer AND x.send = r.send
          AND x.paused_at = s.paused_at)
"""

_STARTED_AFTER_END = """
    -- A move, payment or removal lists the sends it found started. Whatever was started of the
    -- step at which the enrolment ended, and is not in that list, began after the end.
    WITH attempt AS (
        SELECT account, enrolment, step, send, state FROM sends WHERE send IS NOT NULL
        UNION ALL
        SELECT account, enrolment, step, send, 'in progress' FROM started
    ), found_open AS (
        SELECT t.account, t.customer, j.business_at, unnest(t.open) AS send
        FROM command_targets t
        JOIN journal j ON j.account = t.account AND j.customer = t.customer AND j.seq = t.seq
        WHERE cardinality(t.open) > 0 AND t.state = 'applied'
    )
    SELECT e.account, e.customer,
           format('send %s (step %s of enrolment %s, %s) began after the enrolment had ended: %s',
                  a.send, a.step + 1, a.enrolment, a.state, e.end_reason) AS detail
    FROM enrolments e
    JOIN attempt a ON a.account = e.account AND a.enrolment = e.enrolment AND a.step = e.step
    WHERE e.slot IS NULL AND e.end_reason <> 'completed' AND NOT EXISTS (
        SELECT 1 FROM found_open o
        WHERE o.account = e.account AND o.customer = e.customer AND o.send = a.send
          AND o.business_at = e.ended_at)
"""

_QUIET_IN_PROGRESS = """
    -- Quiet is said once and relied on: nothing that it waited for may still be started.
    SELECT t.account, t.customer,
           format('command %s was reported quiet at %s, and send %s is still in progress',
                  c.command, t.quiet_at, r.send) AS detail
    FROM (SELECT account, customer, seq, quiet_at, unnest(open) AS send FROM command_targets
          WHERE quiet_at IS NOT NULL AND cardinality(open) > 0) t
    JOIN started r ON r.account = t.account AND r.send = t.send
    JOIN commands c ON c.account = t.account AND c.seq = t.seq
"""

_QUIET_UNSAID = """
    -- The sweep runs every second or so; a wall clock can only make this early or late.
    SELECT t.account, t.customer,
           format('nothing of command %s is in progress, and it is not reported quiet', c.command)
               AS detail
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE t.open IS NOT NULL AND t.quiet_at IS NULL
      AND c.done_at < clock_timestamp() - interval '5 minutes'
      AND NOT EXISTS (SELECT 1 FROM started r
                      WHERE r.account = t.account AND r.customer = t.customer
                        AND r.send = ANY(t.open))
"""

LEAK = (
    "Stop the delivery processes and keep the database as it is: this is a defect of the engine. "
    "Report it with `layby explain CUSTOMER`."
)

SILENCE = (
    Check(
        "G1",
        "pending_of_inactive",
        "Is every pending send of an active customer, under its own slot?",
        "pending",
        _PENDING_OF_INACTIVE,
        "Stop the delivery processes, delete that pending row, and find out who switched the "
        "foreign keys off. To repeat the move takes nothing out: it was done.",
    ),
    Check(
        "G1",
        "pending_while_held",
        "Is nothing pending for an enrolment that is held?",
        "pending",
        _PENDING_WHILE_HELD,
        "Stop the delivery processes and delete that pending row: another pause leaves what is "
        "held as it is. Report it.",
    ),
    Check(
        "G1",
        "not_held",
        "Is every schedule held whose customer is paused, or that a promise, a dispute or a reply "
        "holds?",
        "enrolments",
        _NOT_HELD,
        "Pause the customer: that holds what is not held. Then resume it. Report it.",
    ),
    Check(
        "G1",
        "started_while_paused",
        "Was every send in progress of a paused customer begun before the pause?",
        "started",
        _STARTED_WHILE_PAUSED,
        LEAK,
    ),
    Check(
        "G1",
        "started_after_end",
        "Was every send begun before the move, payment or removal that ended its schedule?",
        "enrolments",
        _STARTED_AFTER_END,
        LEAK,
    ),
    Check(
        "G1",
        "quiet_in_progress",
        "Is nothing in progress that a command reported as quiet?",
        "command_targets",
        _QUIET_IN_PROGRESS,
        LEAK,
    ),
    Check(
        "G1",
        "quiet_unsaid",
        "Is every silence reported quiet once nothing of it is in progress?",
        "command_targets",
        _QUIET_UNSAID,
        "Is a scheduler running? Start one, or run `layby tick`.",
        warning=True,
    ),
)
