"""G2, outcomes as counted, and G7, commands: none lost, none half applied."""

import json

from pydantic import ValidationError
from sqlalchemy import Row

from domain.commands import Command, CustomerCommand, read_kept
from domain.mistakes import in_words
from storage.audit.model import Check

_COUNTED = """
    -- Lines and counters are written by one statement. A list counts its customers from the
    -- beginning, and has them as targets once it is resolved.
    SELECT c.account, CAST(NULL AS text) AS customer,
           format('command %s counts %s applied, %s refused, %s superseded of %s; its targets are '
                  '%s, %s, %s of %s', c.command, c.applied, c.refused, c.superseded, c.targets,
                  coalesce(t.applied, 0), coalesce(t.refused, 0), coalesce(t.superseded, 0),
                  coalesce(t.targets, 0)) AS detail
    FROM commands c LEFT JOIN (
        SELECT account, seq, count(*) AS targets,
               count(*) FILTER (WHERE state = 'applied') AS applied,
               count(*) FILTER (WHERE state = 'refused') AS refused,
               count(*) FILTER (WHERE state = 'superseded') AS superseded
        FROM command_targets GROUP BY account, seq
    ) t USING (account, seq)
    WHERE c.applied <> coalesce(t.applied, 0) OR c.refused <> coalesce(t.refused, 0)
       OR c.superseded <> coalesce(t.superseded, 0)
       OR CASE WHEN c.listed IS NULL THEN c.targets <> coalesce(t.targets, 0)
               ELSE c.targets < coalesce(t.targets, 0) END
"""

_TOLD = """
    -- Of commands for customers with nobody waiting; and done_at of all that are over.
    SELECT account, CAST(NULL AS text) AS customer,
           format('command %s is told as %s, done at %s, with %s applied and %s superseded of %s',
                  command, state, coalesce(CAST(done_at AS text), 'no time'), applied, superseded,
                  targets) AS detail
    FROM commands
    WHERE (targets > 0 AND state <> 'accepted' AND applied + refused + superseded = targets
           AND NOT (state = 'quarantined' AND bulk AND resolved_at IS NULL)
           AND state <> CASE WHEN applied = targets THEN 'applied'
                             WHEN applied > 0 THEN 'partly'
                             WHEN superseded = targets THEN 'superseded'
                             ELSE 'refused' END)
       OR (state IN ('accepted', 'quarantined')) <> (done_at IS NULL)
"""

_UNJOURNALED = """
    -- A customer's line and journal entry are of one transaction.
    SELECT t.account, t.customer,
           format('command %s was applied, and the journal does not say so', c.command) AS detail
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE t.state = 'applied' AND NOT EXISTS
        (SELECT 1 FROM journal j
         WHERE j.account = t.account AND j.customer = t.customer AND j.seq = t.seq)
"""

_FINISHED_WAITING = """
    -- The bell of a finished command is never rung again.
    SELECT t.account, t.customer,
           format('command %s is %s, and this customer still waits for it', c.command, c.state)
               AS detail
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE t.state = 'waiting' AND c.state <> 'accepted'
"""

_ACCEPTED_FOR_NOBODY = """
    -- Set-up commands have no targets and are not meant here, nor what is still being resolved.
    SELECT c.account, CAST(NULL AS text) AS customer,
           format('command %s is accepted, and nobody waits for it', c.command) AS detail
    FROM commands c
    WHERE c.state = 'accepted' AND (c.bulk OR c.targets > 0)
      AND NOT (c.bulk AND c.resolved_at IS NULL) AND NOT EXISTS
        (SELECT 1 FROM command_targets t
         WHERE t.account = c.account AND t.seq = c.seq AND t.state = 'waiting')
"""

_UNRESOLVED = """
    -- Whoever is not among the targets of a finished command is forgotten.
    SELECT account, CAST(NULL AS text) AS customer,
           format('command %s is %s, and does not have all of its targets', command, state)
               AS detail
    FROM commands
    WHERE bulk AND (state NOT IN ('accepted', 'quarantined') AND resolved_at IS NULL
                    OR listed IS NOT NULL AND resolved_at IS NOT NULL)
"""

_WRONG_QUEUE = """
    -- A queue finds its work by this mark, in both tables.
    SELECT t.account, t.customer,
           format('command %s is %sbulk, and this customer waits for it as if it were%s',
                  c.command, CASE WHEN c.bulk THEN '' ELSE 'not ' END,
                  CASE WHEN t.bulk THEN '' ELSE ' not' END) AS detail
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE t.bulk <> c.bulk
"""

_PARTED = """
    SELECT account, CAST(NULL AS text) AS customer,
           format('command %s asks for all or none, and was applied to %s of %s', command, applied,
                  targets) AS detail
    FROM commands WHERE body @> '{"all_or_none": true}' AND applied NOT IN (0, targets)
"""

_ROW_KEPT = """
    -- A row is personal data: it is kept for as long as it can still be applied.
    SELECT t.account, t.customer,
           format('command %s is over for this customer, and its row is still kept', c.command)
               AS detail
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE t.payload IS NOT NULL AND t.state <> 'waiting' AND t.code IS DISTINCT FROM 'cannot_apply'
       OR t.state = 'waiting' AND c.kind = 'import_customers' AND t.payload IS NULL
       OR c.body ? 'csv'
"""

_ACCEPTED_LONG_AGO = """
    -- A warning: nothing is lost. By the clock that received it, which may have stepped.
    SELECT account, CAST(NULL AS text) AS customer,
           format('command %s (%s) is accepted since %s and not applied', command, kind,
                  received_at) AS detail
    FROM commands
    WHERE state = 'accepted' AND received_at < clock_timestamp() - interval '5 minutes'
      AND NOT EXISTS (SELECT 1 FROM switches WHERE scope = 'queue')
"""

_SUBMITTED_LONG_AGO = """
    -- A warning: it waits, and nothing is lost. Counted from the call, not from the commit.
    SELECT command->>'account' AS account, CAST(NULL AS text) AS customer,
           format('command %s was submitted in SQL at %s and is not taken in', command->>'id',
                  submitted_at) AS detail
    FROM submissions WHERE submitted_at < clock_timestamp() - interval '5 minutes'
"""

_NOT_KEPT = """
    -- What can't be read is kept as it came, and what can't be applied as it was read, or it can't
    -- be replayed.
    SELECT account, CAST(NULL AS text) AS customer,
           format('command %s is %s, and its %s is not kept', command, state,
                  CASE WHEN state = 'quarantined' THEN 'text' ELSE 'body' END) AS detail
    FROM commands
    WHERE CASE WHEN state = 'quarantined'
               THEN (raw IS NULL AND body IS NULL) OR problem IS NULL
               ELSE body IS NULL END
"""

_BODIES = """
    -- Of who is purged or redacted the content is erased; the rest must still parse.
    SELECT account, CAST(NULL AS text) AS customer, command, targets, bulk,
           CAST(CASE WHEN kind = 'update_customer' AND state <> 'accepted'
                     THEN '{"profile": {}}' || body ELSE body END AS text) AS body
    FROM commands WHERE body IS NOT NULL AND NOT body ? 'erased'
"""

_CONTENT_TWICE = """
    -- The id is part of what the digest is of, so equal digests are one command under two ids.
    SELECT account, CAST(NULL AS text) AS customer,
           format('the same content is kept as %s', string_agg(command, ' and ' ORDER BY seq))
               AS detail
    FROM commands GROUP BY account, digest HAVING count(*) > 1
"""


def unreadable(row: Row[tuple[object, ...]]) -> str | None:
    """Say what is wrong with a body; it must be the command that its row says."""
    try:
        command = read_kept(json.loads(row.body), bulk=row.bulk)
    except ValidationError as error:
        return f"command {row.command} can't be read: {in_words(error)}"
    # The targets of a bulk command are its customers, in the body's place.
    customers: int = row.targets if row.bulk else _listed(command)
    if (command.account, command.id, customers) == (row.account, row.command, row.targets):
        return None
    return (
        f"command {row.command} for {row.targets} customers holds the body of {command.id} of "
        f"{command.account} for {customers}"
    )


def _listed(command: Command) -> int:
    if isinstance(command, CustomerCommand) and isinstance(command.customers, tuple):
        return len(command.customers)
    return 0


_REPORT = "Report it with `layby command show ID`; send what is still wanted under a new id."

OUTCOMES = (
    Check(
        "G2",
        "targets_counted",
        "Do a command's counters equal what became of its customers?",
        "commands",
        _COUNTED,
        _REPORT,
    ),
    Check(
        "G2",
        "outcome_told",
        "Is every finished command told as it was counted, with the time that it was done?",
        "commands",
        _TOLD,
        _REPORT,
    ),
    Check(
        "G2",
        "all_or_none_parted",
        "Was every command that asks for all or none applied to all or to none?",
        "commands",
        _PARTED,
        _REPORT,
    ),
    Check(
        "G2",
        "applied_unjournaled",
        "Is everything that was applied to a customer in the journal?",
        "command_targets",
        _UNJOURNALED,
        "Was the journal cut by hand? It is the customer's timeline: restore it from a backup.",
    ),
)

ROWS = (
    Check(
        "bookkeeping",
        "row_kept",
        "Is the row of an import kept until it is applied or refused, and no longer?",
        "command_targets",
        _ROW_KEPT,
        "Set the payload of that target to null, unless it waits: then import the row again.",
    ),
)

COMMANDS = (
    Check(
        "G7",
        "finished_while_waiting",
        "Does nobody wait for a finished command?",
        "command_targets",
        _FINISHED_WAITING,
        _REPORT,
    ),
    Check(
        "G7",
        "accepted_for_nobody",
        "Does somebody wait for every accepted command?",
        "commands",
        _ACCEPTED_FOR_NOBODY,
        _REPORT,
    ),
    Check(
        "G7",
        "resolved_not",
        "Has every finished bulk command all of its targets?",
        "commands",
        _UNRESOLVED,
        _REPORT,
    ),
    Check(
        "G7",
        "wrong_queue",
        "Does everybody who waits for a bulk command wait on its queue, and nobody else there?",
        "command_targets",
        _WRONG_QUEUE,
        "Was it changed by hand? Set the target's mark to its command's.",
    ),
    Check(
        "G7",
        "body_unreadable",
        "Can every accepted command be read, and is it the one that it is kept as?",
        "commands",
        _BODIES,
        "Was it accepted by a newer version, or changed by hand? Install that version, or send "
        "the command under a new id.",
        judge=unreadable,
    ),
    Check(
        "G7",
        "not_kept",
        "Is the body of every command kept, and the text and the reason of each in quarantine?",
        "commands",
        _NOT_KEPT,
        "Was it deleted by hand? Ask its sender for it again, under a new id.",
    ),
    Check(
        "G7",
        "content_twice",
        "Is every command kept once, under one id?",
        "commands",
        _CONTENT_TWICE,
        "Was an id changed by hand? See `layby command show ID` of each.",
    ),
    Check(
        "G7",
        "accepted_long_ago",
        "Is every command applied within 5 minutes?",
        "commands",
        _ACCEPTED_LONG_AGO,
        "Are a lifecycle process and a scheduler running? Start them.",
        warning=True,
    ),
    Check(
        "G7",
        "submitted_long_ago",
        "Is every command submitted in SQL taken in within 5 minutes?",
        "submissions",
        _SUBMITTED_LONG_AGO,
        "Is an intake process running? Start one.",
        warning=True,
    ),
)
