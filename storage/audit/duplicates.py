"""G4, no duplicates: what is to come, what is in progress, and the ledger are of different steps.

The engine writes one ledger row for a step, whatever became of it: a retry goes back to pending
and leaves none, a late word changes the row that is there. So every second row is wrong: two that
reached the provider here, any other two in lost.py.
"""

from storage.audit.model import ONLY_READ, Check

_DELIVERED_TWICE = """
    -- sent and unknown are what the customer may have received.
    SELECT account, min(customer) AS customer,
           format('step %s of enrolment %s is in the ledger as %s', step + 1, enrolment,
                  string_agg(state, ', ' ORDER BY settled_at)) AS detail
    FROM sends GROUP BY account, enrolment, step
    HAVING count(*) FILTER (WHERE state IN ('sent', 'unknown')) > 1
"""

_STARTED_AND_PENDING = """
    -- Whoever starts takes the row out of pending: in both, it would be started again.
    SELECT p.account, p.customer,
           format('enrolment %s has step %s pending and step %s in progress', p.enrolment,
                  p.step + 1, r.step + 1) AS detail
    FROM pending p JOIN started r ON r.account = p.account AND r.enrolment = p.enrolment
"""

_NUMBER_TWICE = """
    -- Every attempt has a number of its own, by which it is settled.
    SELECT account, min(customer) AS customer, format('send number %s is there %s times', send,
           count(*)) AS detail
    FROM (SELECT account, customer, send FROM sends WHERE send IS NOT NULL
          UNION ALL SELECT account, customer, send FROM started) numbered
    GROUP BY account, send HAVING count(*) > 1
"""

_TO_COME_AGAIN = """
    -- A live enrolment's cursor is at what has no outcome yet, and so is whatever is started.
    WITH to_come AS (
        SELECT account, enrolment, step FROM enrolments WHERE slot IS NOT NULL
        UNION
        SELECT account, enrolment, step FROM started
    )
    SELECT l.account, l.customer,
           format('step %s of enrolment %s is still to come or in progress, and in the ledger: %s',
                  l.step + 1, l.enrolment, l.state) AS detail
    FROM sends l JOIN to_come USING (account, enrolment, step)
"""

_NOT_AT_CURSOR = """
    -- The cursor moves after the outcome is written, in the same transaction.
    SELECT r.account, r.customer,
           format('step %s of enrolment %s is %s, and the cursor is at step %s', r.step + 1,
                  r.enrolment, r.state, e.step + 1) AS detail
    FROM (SELECT account, customer, enrolment, step, 'pending' AS state FROM pending
          UNION ALL SELECT account, customer, enrolment, step, 'started' FROM started
          UNION ALL SELECT account, customer, enrolment, step, state FROM sends) r
    JOIN enrolments e ON e.account = r.account AND e.enrolment = r.enrolment
    WHERE r.step > e.step OR (r.step < e.step AND r.state IN ('pending', 'started'))
"""

TAKE_OFF = "Take the customer off the schedule and assign it anew; report it."

DUPLICATES = (
    Check(
        "G4",
        "delivered_twice",
        "Did each step reach the provider once at most?",
        "sends",
        _DELIVERED_TWICE,
        ONLY_READ,
    ),
    Check(
        "G4",
        "started_and_pending",
        "Is what is in progress no longer pending?",
        "started",
        _STARTED_AND_PENDING,
        "Stop delivery, and pause the customer: that takes the pending send out.",
    ),
    Check(
        "G4",
        "number_twice",
        "Does every attempt have a number of its own?",
        "sends",
        _NUMBER_TWICE,
        "Was a sequence reset? Set the sequence of started.send above the highest number in the "
        "ledger before delivery goes on. (After a restore, layby restore-fence does.)",
    ),
    Check(
        "G4",
        "to_come_again",
        "Is nothing still to come that has its outcome already?",
        "enrolments",
        _TO_COME_AGAIN,
        TAKE_OFF,
    ),
    Check(
        "G4",
        "not_at_cursor",
        "Is what is to come at its enrolment's cursor, and the ledger never ahead of it?",
        "enrolments",
        _NOT_AT_CURSOR,
        TAKE_OFF,
    ),
)
