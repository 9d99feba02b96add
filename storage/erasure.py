"""Erasing people: from their own rows, and from the commands, the journal and the outcomes.

Callers hold the customers since an earlier statement. Commands are held in order, together with
those that the transaction is about to finish; only then is anything of them changed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.erasure import ERASED, KEPT_WHOLE, OF_AN_ENTRY, REFUSED_FOR, of_body, of_text
from domain.journey import Kind
from storage.columns import numbers, texts
from storage.installation import hashed


def redact(connection: Connection, account: str, customers: Sequence[str], now: datetime) -> None:
    """Empty customers, what they were on and what is recorded of them; the rows stay.

    The ledger stays as it is, but for what providers and people said of a send in words.
    """
    connection.execute(
        text(
            """
            WITH emptied AS (
                UPDATE customers SET name = NULL, email = NULL, phone = NULL, country = NULL,
                       zone = NULL, language = NULL, derived_zone = NULL, "values" = '{}',
                       redacted_at = coalesce(redacted_at, :now)
                WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
            ), runs AS (
                UPDATE enrolments SET "values" = '{}', reference = ''
                WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
            )
            UPDATE facts SET data = jsonb_build_object('fact', kind)
            WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
            """
        ),
        {"account": account, "customers": list(customers), "now": now},
    )
    # Held by number first, as by a late word on several of them, which holds no customer.
    theirs = {"account": account, "customers": list(customers)}
    connection.execute(_HOLD_SAID, theirs)
    connection.execute(_FORGET_SAID, theirs)


_SAID = """
    s.account = :account AND s.enrolment = e.enrolment AND e.account = :account
    AND e.customer = ANY(CAST(:customers AS text[])) AND s.token IS NOT NULL AND s.detail <> ''
"""

_HOLD_SAID = text(
    f"SELECT 1 FROM sends s, enrolments e WHERE {_SAID} ORDER BY s.send FOR NO KEY UPDATE OF s"
)

_FORGET_SAID = text(f"UPDATE sends s SET detail = '' FROM enrolments e WHERE {_SAID}")


def hold_commands(
    connection: Connection, account: str, customers: Iterable[str], seqs: Iterable[int]
) -> list[int]:
    """Hold, by number, all commands for these customers, and those that are to be finished."""
    rows = connection.execute(
        text(
            """
            SELECT seq FROM commands
            WHERE account = :account AND seq = ANY(ARRAY(
                SELECT seq FROM command_targets
                WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
                UNION SELECT unnest(CAST(:seqs AS bigint[]))
                UNION SELECT seq FROM commands, unnest(CAST(:customers AS text[])) AS name
                      WHERE state = 'quarantined' AND account = :account
                        AND strpos(raw, CAST(to_jsonb(name) AS text)) > 0))
            ORDER BY seq FOR NO KEY UPDATE
            """
        ),
        {"account": account, "customers": list(customers), "seqs": numbers(seqs)},
    )
    return [row.seq for row in rows]


def erase(
    connection: Connection, account: str, until: Mapping[str, int], held: Iterable[int]
) -> None:
    """Erase these customers from held commands up to a number each, and from what came of them."""
    values = {
        "account": account,
        "customers": texts(until),
        "until": numbers(until.values()),
        "held": numbers(held),
    }
    theirs = connection.execute(_THEIRS, values).all()
    _erase_bodies(connection, account, theirs)
    connection.execute(_OUTCOMES, {**values, "told": list(REFUSED_FOR)})
    connection.execute(_JOURNAL, {**values, "kept": list(OF_AN_ENTRY)})
    consents = [one.seq for one in theirs if one.kind == Kind.OPT_IN]
    if consents:
        asked = {"account": account, "seqs": numbers(consents), "kept": list(OF_AN_ENTRY)}
        connection.execute(_ENTRIES_OF_NOBODY, asked)
    _erase_texts(connection, account, list(until), values["held"])


_UNTIL = """
    ROWS FROM (json_array_elements_text(CAST(:customers AS json)), unnest(CAST(:until AS bigint[])))
    AS gone (customer, until)
"""

# What is under way for others, or can be replayed for them, needs its content until it is over.
_OVER = """
    c.state NOT IN ('accepted', 'quarantined') AND NOT EXISTS (
        SELECT 1 FROM command_targets o
        WHERE o.account = c.account AND o.seq = c.seq AND o.code = 'cannot_apply' {but})
"""

_THEIRS = text(
    f"""
    WITH gone AS MATERIALIZED (SELECT * FROM {_UNTIL})
    SELECT DISTINCT c.account, c.seq, c.kind, c.body, c.digest, c.targets = 1 AS alone,
           {_OVER.format(but="AND o.customer NOT IN (SELECT customer FROM gone)")} AS over
    FROM gone
    JOIN command_targets t ON t.account = :account AND t.customer = gone.customer
        AND t.seq <= gone.until AND t.seq = ANY(CAST(:held AS bigint[]))
    JOIN commands c ON c.account = t.account AND c.seq = t.seq
    WHERE c.body IS NOT NULL
    """
)

_OUTCOMES = text(
    f"""
    UPDATE command_targets t
    SET payload = NULL, code = CASE t.code WHEN 'cannot_apply' THEN '{ERASED}' ELSE t.code END,
        message = CASE WHEN t.code = ANY(:told) THEN t.message
                       ELSE 'What it was is erased, with the person.' END
    FROM {_UNTIL}
    WHERE t.account = :account AND t.customer = gone.customer AND t.seq <= gone.until
      AND t.seq = ANY(CAST(:held AS bigint[]))
      AND t.state <> 'waiting' AND t.code IS NOT NULL
    """
)

_JOURNAL = text(
    f"""
    UPDATE journal j
    SET data = (SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(j.data)
                WHERE key = ANY(:kept))
    FROM {_UNTIL}
    WHERE j.account = :account AND j.customer = gone.customer
      AND (j.seq IS NULL OR j.seq <= gone.until)
      AND EXISTS (SELECT 1 FROM jsonb_object_keys(j.data) AS key WHERE key <> ALL(:kept))
    """
)

# What was said of an address as such: an entry of the account, found by its command.
_ENTRIES_OF_NOBODY = text(
    """
    UPDATE journal j
    SET data = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(j.data)
                WHERE key = ANY(:kept))
    WHERE j.account = :account AND j.customer IS NULL AND j.seq = ANY(CAST(:seqs AS bigint[]))
    """
)


def _erase_bodies(connection: Connection, account: str, found: Iterable[Any]) -> None:
    theirs = [one for one in found if one.kind not in KEPT_WHOLE]
    _write_bodies(connection, [one for one in theirs if one.over])
    connection.execute(
        text(
            "UPDATE commands SET erase_when_done = true "
            "WHERE account = :account AND seq = ANY(CAST(:seqs AS bigint[]))"
        ),
        {"account": account, "seqs": numbers(one.seq for one in theirs if not one.over)},
    )


def _write_bodies(connection: Connection, found: Iterable[Any]) -> None:
    """Without their content, and with a digest that nobody can try guesses on."""
    erased = []
    for one in found:
        body = of_body(one.body, alone=one.alone)
        if body != one.body:
            known = ERASED in one.body
            digest = one.digest if known else hashed(connection, one.digest)
            erased.append((one.account, one.seq, json.dumps(body), digest))
    if not erased:
        return
    accounts, seqs, bodies, digests = zip(*erased, strict=True)
    connection.execute(
        text(
            """
            UPDATE commands c
            SET body = CAST(e.body AS jsonb), digest = e.digest, erase_when_done = false
            FROM ROWS FROM (json_array_elements_text(CAST(:accounts AS json)),
                            unnest(CAST(:seqs AS bigint[])),
                            json_array_elements_text(CAST(:bodies AS json)),
                            json_array_elements_text(CAST(:digests AS json)))
                 AS e (account, seq, body, digest)
            WHERE c.account = e.account AND c.seq = e.seq
            """
        ),
        {
            "accounts": texts(accounts),
            "seqs": numbers(seqs),
            "bodies": texts(bodies),
            "digests": texts(digests),
        },
    )


def _erase_texts(connection: Connection, account: str, customers: list[str], held: str) -> None:
    """From what could not be read and is held, as far as it says for whom it is."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT seq, raw, digest
            FROM commands, unnest(CAST(:customers AS text[])) AS name
            WHERE state = 'quarantined' AND account = :account
              AND seq = ANY(CAST(:held AS bigint[]))
              AND strpos(raw, CAST(to_jsonb(name) AS text)) > 0
            """
        ),
        {"account": account, "customers": customers, "held": held},
    ).all()
    for seq, raw, digest in rows:
        left = of_text(raw, set(customers))
        if left is not None:
            connection.execute(
                text(
                    "UPDATE commands SET raw = :raw, digest = :digest "
                    "WHERE account = :account AND seq = :seq"
                ),
                {
                    "account": account,
                    "seq": seq,
                    "raw": left,
                    "digest": hashed(connection, digest),
                },
            )


def sweep(connection: Connection, account: str | None = None, limit: int = 1000) -> int:
    """Erase the content of commands that waited to be over; returns how many.

    Those that others hold are left to the next sweep.
    """
    found = connection.execute(
        text(
            f"""
            SELECT account, seq, body, digest, false AS alone FROM commands c
            WHERE erase_when_done AND (CAST(:account AS text) IS NULL OR account = :account)
              AND {_OVER.format(but="")}
            ORDER BY account, seq LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
            """
        ),
        {"account": account, "limit": limit},
    ).all()
    _write_bodies(connection, found)
    return len(found)
