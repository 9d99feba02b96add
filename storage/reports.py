"""What operators ask: who is where, what waits, what went wrong, and why."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.message import Channel

Rows = list[dict[str, Any]]


def customers(
    connection: Connection,
    account: str | None,
    place: str | None,
    limit: int,
    *,
    status: str | None = None,
    after: tuple[str, str] | None = None,
) -> Rows:
    """Customers with their place, status and number of live schedules, in order of their names.

    `after`: those that come later than this account and customer.
    """
    return _rows(
        connection,
        f"""
        SELECT c.account, c.customer, c.place, s.status,
               s.paused_at IS NOT NULL AS paused, c.redacted_at IS NOT NULL AS redacted,
               (SELECT count(*) FROM enrolments e
                WHERE e.account = c.account AND e.slot = s.slot) AS schedules,
               (SELECT min(p.due_at) FROM pending p JOIN enrolments e USING (account, enrolment)
                WHERE e.account = c.account AND e.slot = s.slot) AS next_send
        FROM customers c {_SLOT_OF_EACH if status is None else _SLOTS_OF_A_STATUS}
        WHERE (CAST(:account AS text) IS NULL OR c.account = :account)
          AND (CAST(:place AS text) IS NULL OR c.place = :place)
          AND (CAST(:after_account AS text) IS NULL
               OR (c.account, c.customer) > (:after_account, :after_customer))
        ORDER BY c.account, c.customer LIMIT :limit
        """,
        account=account,
        place=place,
        status=status,
        after_account=after[0] if after else None,
        after_customer=after[1] if after else None,
        limit=limit,
    )


# As a join, a page would begin with the slots of all the pages before.
_SLOT_OF_EACH = """
    LEFT JOIN LATERAL (SELECT * FROM slots s
                       WHERE s.account = c.account AND s.customer = c.customer OFFSET 0) s ON true
"""

_SLOTS_OF_A_STATUS = """
    JOIN slots s ON s.account = c.account AND s.customer = c.customer AND s.status = :status
"""


def customer(connection: Connection, name: str, account: str | None) -> Rows:
    """One customer of every account that has it, without personal data."""
    return _rows(
        connection,
        """
        SELECT c.account, c.customer, c.place, s.status, s.paused_at, s.activated_at,
               coalesce(c.zone, c.derived_zone, a.zone) AS zone,
               coalesce(c.language, a.language) AS language,
               c.email IS NOT NULL AS has_email, c.phone IS NOT NULL AS has_phone, c.redacted_at
        FROM customers c JOIN accounts a USING (account)
        LEFT JOIN slots s ON s.account = c.account AND s.customer = c.customer
        WHERE c.customer = :customer AND (CAST(:account AS text) IS NULL OR c.account = :account)
        """,
        customer=name,
        account=account,
    )


class At(NamedTuple):
    """A place in a timeline: what tells its events apart, in their order."""

    recorded_at: datetime
    number: int
    """Of the journal's entry, or the enrolment."""
    what: str


def place_of(event: dict[str, Any]) -> At:
    """Where an event stands in its timeline."""
    return At(event["recorded_at"], event["number"], event["what"])


def event_of(row: dict[str, Any]) -> dict[str, Any]:
    """An event as it is told, without its place."""
    return {name: value for name, value in row.items() if name not in ("number", "what")}


def timeline(
    connection: Connection,
    account: str,
    name: str,
    *,
    before: At | None = None,
    limit: int | None = None,
) -> Rows:
    """What happened to a customer, oldest first: the journal and the ledger in one.

    The latest so many before a place in it; of all, if neither is said.
    """
    return _rows(
        connection,
        """
        SELECT * FROM (
            SELECT * FROM (
                SELECT j.recorded_at, j.business_at, j.event, j.data, c.command,
                       c.body->>'source' AS source, c.body->>'reason' AS reason,
                       j.entry AS number, 'entry' AS what
                FROM journal j LEFT JOIN commands c ON c.account = j.account AND c.seq = j.seq
                WHERE j.account = :account AND j.customer = :customer
                UNION ALL
                SELECT s.settled_at, s.business_at, 'send_' || s.state,
                       s.decision || jsonb_build_object(
                           'schedule', e.schedule, 'version', e.version,
                           'reference', e.reference, 'step', s.step + 1,
                           'channel', s.channel, 'rule', s.rule, 'detail', s.detail,
                           'template', s.template, 'template_version', s.template_version,
                           'provider', s.provider, 'planned_at', s.planned_at),
                       NULL, NULL, NULL, s.enrolment, 'send ' || to_char(s.step, 'FM00000')
                FROM sends s JOIN enrolments e USING (account, enrolment)
                WHERE e.account = :account AND e.customer = :customer
                UNION ALL
                SELECT s.started_at, s.business_at, 'send_started',
                       s.decision || jsonb_build_object(
                           'schedule', e.schedule, 'version', e.version,
                           'reference', e.reference, 'step', s.step + 1,
                           'channel', s.channel, 'worker', s.worker),
                       NULL, NULL, NULL, s.enrolment, 'started'
                FROM started s JOIN enrolments e USING (account, enrolment)
                WHERE s.account = :account AND s.customer = :customer
                UNION ALL
                SELECT d.recorded_at, d.first_at, 'send_deferred',
                       d.decision || jsonb_build_object(
                           'schedule', e.schedule, 'version', e.version,
                           'reference', e.reference, 'step', d.step + 1,
                           'channel', d.channel, 'rule', d.rule, 'planned_at', d.planned_at,
                           'until', d.until, 'times', d.times, 'last_at', d.last_at),
                       NULL, NULL, NULL, d.enrolment,
                       'put off ' || to_char(d.step, 'FM00000') || d.rule
                FROM enrolments e JOIN deferrals d USING (account, enrolment)
                WHERE e.account = :account AND e.customer = :customer
            ) AS events
            WHERE CAST(:recorded_at AS timestamptz) IS NULL
               OR (recorded_at, number, what) < (:recorded_at, :number, :what)
            ORDER BY recorded_at DESC, number DESC, what DESC LIMIT :limit
        ) AS latest ORDER BY recorded_at, number, what
        """,
        account=account,
        customer=name,
        limit=limit,
        recorded_at=before.recorded_at if before else None,
        number=before.number if before else None,
        what=before.what if before else None,
    )


def coming(connection: Connection, account: str, name: str) -> Rows:
    """Each live schedule of a customer, and its next send or why there is none."""
    return _rows(
        connection,
        """
        SELECT e.schedule, e.version, e.reference, e.step + 1 AS step,
               coalesce(v.length, jsonb_array_length(v.definition->'steps')) AS steps, e.held,
               CASE WHEN e.held LIKE '%promised%' THEN
                   (SELECT max(m.until) FROM marks m
                    WHERE m.account = e.account AND m.slot = e.slot
                      AND (m.reference IS NULL OR m.reference = e.reference)) END AS held_until,
               p.due_at, p.planned_at, p.channel, p.attempts, p.deferred, p.fallback,
               paused.paused
        FROM enrolments e
        JOIN schedule_versions v USING (account, schedule, version)
        JOIN slots s ON s.account = e.account AND s.slot = e.slot
        LEFT JOIN pending p ON p.account = e.account AND p.enrolment = e.enrolment
        LEFT JOIN LATERAL (
            SELECT string_agg(w.scope || ' ' || w.name
                              || coalesce(' (' || nullif(w.reason, '') || ')', ''),
                              ', ' ORDER BY w.scope, w.name) AS paused
            FROM switches w
            WHERE w.account IN ('', e.account)
              AND (w.scope = 'account' OR (w.scope = 'channel' AND w.name = p.channel)
                   OR (w.scope = 'queue' AND p.deferred = 'command_waits')
                   OR (w.scope = 'template'
                       AND w.name = CASE WHEN p.fallback IS NULL
                                      THEN layby_step(v.definition, e.step)->>'template'
                                      ELSE layby_step(v.definition, e.step)->'fallback'->>'template'
                                      END))) paused ON true
        WHERE e.account = :account AND s.customer = :customer
        ORDER BY p.due_at NULLS LAST, e.enrolment
        """,
        account=account,
        customer=name,
    )


LATER_AT_MOST = 10_000
"""What is counted of an account's channel for later: it stands there in any number."""


def queues(connection: Connection, account: str | None, later: int | None = LATER_AT_MOST) -> Rows:
    """What is due, later and started on each account's channels, and commands that wait.

    `later` is counted so far, and `more` says whether there is more of it; None: to the end.
    `intake`: submitted in SQL and not taken in; `lifecycle`: accepted and not applied.
    """
    # Of an account's clock the planner knows nothing: it would read all that is pending.
    connection.execute(
        text("SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)")
    )
    return _rows(connection, _QUEUES, account=account, channels=list(Channel), later=later)


_QUEUES = """
    SELECT account, queue, due, oldest_due, later, more, started,
           (SELECT string_agg(w.scope || ' ' || w.name
                              || coalesce(' (' || nullif(w.reason, '') || ')', ''),
                              ', ' ORDER BY w.scope, w.name)
            FROM switches w
            WHERE w.account IN ('', all_queues.account)
              AND CASE WHEN queue IN ('lifecycle', 'bulk')
                       THEN w.scope = 'queue' AND w.name = queue
                       ELSE w.scope IN ('account', 'template')
                            OR (w.scope = 'channel' AND w.name = queue) END) AS paused
    FROM (
        SELECT a.account, channel AS queue, d.due, d.oldest_due,
               least(l.later, CAST(:later AS bigint)) AS later,
               coalesce(l.later > CAST(:later AS bigint), false) AS more,
               coalesce(s.started, 0) AS started
        FROM (SELECT account, coalesce(test_now, statement_timestamp()) AS now
              FROM accounts) AS a
        CROSS JOIN unnest(CAST(:channels AS text[])) AS c (channel)
        CROSS JOIN LATERAL (
            SELECT count(*) AS due, min(due_at) AS oldest_due FROM pending
            WHERE account = a.account AND channel = c.channel AND due_at <= a.now) d
        CROSS JOIN LATERAL (
            SELECT count(*) AS later FROM (
                SELECT FROM pending
                WHERE account = a.account AND channel = c.channel AND due_at > a.now
                ORDER BY due_at LIMIT CAST(:later AS bigint) + 1) AS so_far) l
        LEFT JOIN (SELECT account, channel, count(*) AS started
                   FROM started GROUP BY account, channel) s USING (account, channel)
        WHERE d.due > 0 OR l.later > 0 OR s.started > 0
        UNION ALL
        SELECT account, CASE WHEN bulk THEN 'bulk' ELSE 'lifecycle' END, count(*),
               min(received_at), 0, false, 0
        FROM commands WHERE state = 'accepted' GROUP BY account, bulk
        UNION ALL
        SELECT command->>'account', 'intake', count(*), min(submitted_at), 0, false, 0
        FROM submissions GROUP BY command->>'account'
    ) AS all_queues
    WHERE CAST(:account AS text) IS NULL OR account = :account
    ORDER BY account, queue
"""


def unresolved(connection: Connection, state: str, account: str | None, limit: int) -> Rows:
    """Sends that failed, or of which there is no word, the newest first.

    Each account's newest, by the index, and of these the newest: not all that there ever were,
    which the planner would sort, since it takes each account for one of few.
    """
    connection.execute(
        # What is off is only dear, up to version 17, and what is dear would be compiled first.
        text("SELECT set_config('enable_sort', 'off', true), set_config('jit', 'off', true)")
    )
    return _rows(
        connection,
        """
        SELECT s.account, s.customer, s.send, s.channel, e.schedule, s.step + 1 AS step, s.rule,
               s.detail, s.attempts, s.provider, s.settled_at
        FROM (
            SELECT s.* FROM accounts a CROSS JOIN LATERAL (
                SELECT * FROM sends
                WHERE account = a.account AND state = :state AND state IN ('unknown', 'failed')
                ORDER BY settled_at DESC LIMIT :limit) s
            WHERE CAST(:account AS text) IS NULL OR a.account = :account
            ORDER BY s.settled_at DESC LIMIT :limit) s
        JOIN enrolments e USING (account, enrolment)
        ORDER BY s.settled_at DESC
        """,
        state=state,
        account=account,
        limit=limit,
    )


def resolve_unknown(
    connection: Connection, account: str, send: int, state: str, detail: str
) -> bool:
    """A person's word on an unknown send; False: there is no such unknown send.

    Of a redacted customer no words are kept, and none is redacted meanwhile.
    """
    redacted = connection.execute(
        text(
            "SELECT c.redacted_at FROM sends s JOIN customers c USING (account, customer) "
            "WHERE s.account = :account AND s.send = :send AND s.state = 'unknown' "
            "FOR KEY SHARE OF c"
        ),
        {"account": account, "send": send},
    ).scalar_one_or_none()
    words = detail if redacted is None else ""
    return (
        connection.execute(
            text(
                "UPDATE sends SET state = :state, rule = 'resolved', detail = :detail "
                "WHERE account = :account AND send = :send AND state = 'unknown'"
            ),
            {"account": account, "send": send, "state": state, "detail": words},
        ).rowcount
        == 1
    )


def _rows(connection: Connection, sql: str, **values: object) -> Rows:
    return [dict(row) for row in connection.execute(text(sql), values).mappings()]
