"""Each customer's line of an outcome; with journal and counters, the end of a transaction."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.quota import Room
from storage.journal import Entry
from storage.often import Often


class Line(NamedTuple):
    """One customer's line of an outcome."""

    customer: str
    seq: int
    state: str
    code: str | None = None
    message: str | None = None
    cancelled: int = 0
    open: tuple[int, ...] | None = None


def write_lines(connection: Connection, account: str, lines: Sequence[Line]) -> None:
    """Write customers' lines and count them in their commands, which are held first, in order.

    A silence with nothing open is quiet as of this very transaction.
    """
    connection.execute(text(f"{_LINES} SELECT count(*) FROM told"), _values(account, lines))


def finish(
    connection: Connection,
    account: str,
    lines: Sequence[Line],
    entries: Sequence[Entry],
    now: datetime,
    room: Room,
) -> bool:
    """Write lines and journal, and last of all count what was taken and freed, if it still fits.

    What shrinks always fits: a plan lowered below what is in use refuses growth and nothing else.
    False also if a line waits no more: its command was set aside meanwhile.
    """
    counts = bool(room.active_delta or room.directory_delta)
    finish = _FINISH_AND_COUNT if counts else _FINISH_ALONE
    done = finish.rows(
        connection,
        {
            **_values(account, lines),
            "entries": json.dumps([entry._asdict() for entry in entries]),
            "now": now,
            "active": room.active_delta,
            "directory": room.directory_delta,
        },
    )
    return bool(done)


def _values(account: str, lines: Sequence[Line]) -> dict[str, object]:
    return {"account": account, "lines": json.dumps([line._asdict() for line in lines])}


# The commands before their lines, in one order for everybody who writes both; `held` is asked for
# where nothing of a line is looked at yet.
_LINES = """
    WITH line AS (
        SELECT * FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS line
            (customer text, seq bigint, state text, code text, message text, cancelled int,
             open bigint[])
    ), held AS MATERIALIZED (
        SELECT c.seq FROM (SELECT DISTINCT seq FROM line ORDER BY seq) counting,
        LATERAL (SELECT seq FROM commands c WHERE c.account = :account AND c.seq = counting.seq
                 OFFSET 0 FOR NO KEY UPDATE) c
    ), written AS (
        UPDATE command_targets t
        SET state = line.state, code = line.code, message = line.message,
            cancelled = line.cancelled, open = line.open,
            payload = CASE WHEN line.code = 'cannot_apply' THEN t.payload END,
            quiet_at = CASE WHEN cardinality(line.open) = 0 THEN clock_timestamp() END
        FROM line
        WHERE t.account = :account AND t.customer = line.customer AND t.seq = line.seq
          AND t.customer = ANY(ARRAY(SELECT customer FROM line)) AND t.state = 'waiting'
          AND (SELECT count(*) FROM held) > 0
        RETURNING t.seq, t.state
    ), counted AS (
        SELECT seq, count(*) FILTER (WHERE state = 'applied') AS applied,
               count(*) FILTER (WHERE state = 'refused') AS refused,
               count(*) FILTER (WHERE state = 'superseded') AS superseded
        FROM written GROUP BY seq
    ), told AS (
    UPDATE commands c SET
        applied = c.applied + n.applied,
        refused = c.refused + n.refused,
        superseded = c.superseded + n.superseded,
        state = CASE
            WHEN c.applied + c.refused + c.superseded + n.applied + n.refused + n.superseded
                 < c.targets OR (c.bulk AND c.resolved_at IS NULL) THEN 'accepted'
            WHEN c.applied + n.applied = c.targets THEN 'applied'
            WHEN c.applied + n.applied > 0 THEN 'partly'
            WHEN c.superseded + n.superseded = c.targets THEN 'superseded'
            ELSE 'refused' END,
        done_at = CASE
            WHEN c.applied + c.refused + c.superseded + n.applied + n.refused + n.superseded
                 = c.targets AND NOT (c.bulk AND c.resolved_at IS NULL)
            THEN clock_timestamp() END
    FROM counted n WHERE c.account = :account AND c.seq = n.seq
    RETURNING c.seq
    )
"""

_FINISH = """
    , noted AS (
        INSERT INTO journal (account, customer, event, data, seq, business_at)
        SELECT :account, customer, event, data, seq, :now
        FROM jsonb_to_recordset(CAST(:entries AS jsonb))
             AS entry (customer text, event text, data jsonb, seq bigint)
    ), total AS (
        SELECT (SELECT count(*) FROM told) AS told,
               (SELECT count(*) FROM written) = (SELECT count(*) FROM line) AS all_waited
    )
"""

# From `total`, so that the counters are locked after the commands: last, and for the shortest time.
_COUNT = """
    UPDATE counters SET active = active + :active, directory = directory + :directory FROM total
    WHERE account = :account AND total.all_waited
      AND (:active <= 0 OR active + :active <= active_limit)
      AND (:directory <= 0 OR directory + :directory <= directory_limit)
    RETURNING account
"""

_FINISH_AND_COUNT = Often(_LINES + _FINISH + _COUNT)
_FINISH_ALONE = Often(_LINES + _FINISH + "SELECT told FROM total WHERE all_waited")
