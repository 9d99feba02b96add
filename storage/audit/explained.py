"""G9: whatever came later than planned says why."""

from storage.audit.model import Check

_PUT_OFF_UNEXPLAINED = """
    -- What an operator paused is in the journal.
    SELECT p.account, p.customer,
           format('step %s of enrolment %s was put off by %s until %s, and no record says on what',
                  p.step + 1, p.enrolment, p.deferred, p.due_at) AS detail
    FROM pending p LEFT JOIN deferrals d
         ON d.account = p.account AND d.enrolment = p.enrolment AND d.step = p.step
            AND d.rule = p.deferred
    WHERE p.deferred NOT IN ('paused', 'command_waits') AND d.rule IS NULL
"""

EXPLAINED = (
    Check(
        "G9",
        "put_off_unexplained",
        "Is there a record of why, for every send that a rule has put off?",
        "pending",
        _PUT_OFF_UNEXPLAINED,
        "Does an older version's delivery process still run? Stop it: the next look at the send "
        "records it.",
        warning=True,
    ),
)
