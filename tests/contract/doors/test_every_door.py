"""The same command through every door: the same outcome, once."""

import json
import re
import threading
from pathlib import Path

import pytest
from contract.doors.conftest import NAMES, TAKEN_IN_LATER, Came, Doors
from contract.doors.door import RefusedAtTheDoorError
from contract.doors.written import as_long_as, dense, profile, raw, set_up, template, values
from harness import numbered

from domain.commands import BULK_FROM, MAX_BYTES

CONSENT = {"source": "START", "at": "2026-01-05T07:00:00Z"}
ISSUED_EARLY = "2026-01-05T07:00:00Z"
EVERY_DOOR = pytest.mark.parametrize("name", NAMES)


SET_UP = (
    *set_up(active_limit=2, directory_limit=4),
    raw("people", "add_customer", customers=["ann", "bob", "cid", "dan"]),
    raw("others", "activate", customers=["ann", "bob"]),
)

OUTCOMES: dict[str, tuple[bytes, Came]] = {
    "applied": (
        raw("1", "assign_schedule", customers=["ann"], schedule="dunning"),
        ("applied", 1, 0, []),
    ),
    "cancelled": (raw("2", "move_to_directory", customers=["ann"]), ("applied", 1, 1, [])),
    "superseded": (
        raw("3", "reactivate", customers=["ann"], issued_at=ISSUED_EARLY),
        ("superseded", 0, 0, ["superseded"]),
    ),
    "in part": (
        raw("4", "pause", customers=["bob", "cid"]),
        ("partly", 1, 0, ["wrong_place"]),
    ),
    "wrong place": (
        raw("5", "move_to_directory", customers=["cid"]),
        ("refused", 0, 0, ["wrong_place"]),
    ),
    "a full plan": (
        raw("6", "activate", customers=["cid", "dan"]),
        ("partly", 1, 0, ["active_limit"]),
    ),
    "unknown schedule": (
        raw("7", "assign_schedule", customers=["bob"], schedule="nothing"),
        ("refused", 0, 0, ["unknown_schedule"]),
    ),
    "unknown customer": (
        raw("8", "pause", customers=["zoe"]),
        ("refused", 0, 0, ["unknown_customer"]),
    ),
    "blocked": (
        raw("8-1", "block", customers=["bob"], channel="email"),
        ("applied", 1, 0, []),
    ),
    "blocked by a domain": (raw("8-2", "block", domain="spam.example"), ("applied", 0, 0, [])),
    "not blocked by that": (
        raw("8-3", "unblock", customers=["bob"], channel="sms"),
        ("refused", 0, 0, ["nothing_to_lift"]),
    ),
    "unblocked": (raw("8-4", "unblock", customers=["bob"]), ("applied", 1, 0, [])),
    "opted out": (raw("8-5", "opt_out", customers=["ann", "bob"]), ("applied", 2, 0, [])),
    "opted in too early": (
        raw("8-6", "opt_in", customers=["bob"], issued_at=ISSUED_EARLY, consent=CONSENT),
        ("superseded", 0, 0, ["superseded"]),
    ),
    "opted in": (raw("8-7", "opt_in", customers=["bob"], consent=CONSENT), ("applied", 1, 0, [])),
    "suppressed": (
        raw("8-7-1", "suppress", customers=["bob"], channel="email", source="mailer"),
        ("applied", 1, 0, []),
    ),
    "not reachable by that": (
        raw("8-7-2", "unsuppress", customers=["bob"], channel="sms"),
        ("refused", 0, 0, ["nothing_to_lift"]),
    ),
    "reachable again": (raw("8-7-3", "unsuppress", customers=["bob"]), ("applied", 1, 0, [])),
    "redacted while active": (
        raw("8-8", "redact", customers=["bob"]),
        ("refused", 0, 0, ["wrong_place"]),
    ),
    "redacted": (
        raw("8-9", "redact", customers=["ann", "cid"]),
        ("partly", 1, 0, ["wrong_place"]),
    ),
    "reactivated though redacted": (
        raw("8-10", "reactivate", customers=["ann"]),
        ("refused", 0, 0, ["redacted"]),
    ),
    "unknown account": (
        raw("9", "pause", account="nobody", customers=["ann"]),
        ("refused", 0, 0, ["unknown_account"]),
    ),
    "set-up refused": (
        raw("10", "put_account", test_clock="2026-01-01T00:00:00Z"),
        ("refused", 0, 0, ["refused"]),
    ),
    "a clock ahead": (
        raw("11", "pause", customers=["bob"], issued_at="2199-01-01T00:00:00Z"),
        ("refused", 0, 0, ["refused"]),
    ),
}


@EVERY_DOOR
def test_command_has_the_same_outcome_through_every_door(doors: Doors, name: str) -> None:
    doors.set_up(name, SET_UP)
    for case, (command, expected) in OUTCOMES.items():
        assert doors.outcome(name, command) == expected, case
    assert doors.layby.rows("SELECT DISTINCT door FROM commands") == [(name,)]


FACTS_SET_UP = (
    *set_up(active_limit=2, directory_limit=4),
    raw("people", "add_customer", customers=["ann"]),
    raw("others", "activate", customers=["ann"]),
    *(
        raw(f"on-{n}", "assign_schedule", customers=["ann"], schedule="dunning", reference=f"i-{n}")
        for n in range(5)
    ),
)


def fact(name: str, fact: str, **fields: str | bool) -> bytes:
    return raw(name, "record", customers=["ann"], fact={"fact": fact, **fields})


FACTS: dict[str, tuple[bytes, Came]] = {
    "an invoice": (
        fact("1", "invoice", reference="i-0", amount="120.00", currency="EUR"),
        ("applied", 1, 0, []),
    ),
    "a payment in part": (
        fact("2", "payment", reference="i-0", amount="119.99", currency="EUR", full=False),
        ("applied", 1, 0, []),
    ),
    "a payment in another currency": (
        fact("3", "payment", reference="i-0", amount="0.01", currency="USD"),
        ("refused", 0, 0, ["currency"]),
    ),
    "the rest of it": (fact("4", "payment", reference="i-0", amount="0.01"), ("applied", 1, 1, [])),
    "what is paid": (
        raw("5", "assign_schedule", customers=["ann"], schedule="dunning", reference="i-0"),
        ("refused", 0, 0, ["paid"]),
    ),
    "a promise": (
        fact("6", "promise", reference="i-1", until="2026-01-09", amount="10"),
        ("applied", 1, 1, []),
    ),
    "a dispute": (fact("7", "dispute", reference="i-2"), ("applied", 1, 1, [])),
    "a dispute upheld": (
        fact("8", "dispute", reference="i-2", outcome="upheld"),
        ("applied", 1, 1, []),
    ),
    "a reply": (
        fact("9", "interaction", direction="inbound", channel="email", reference="i-3"),
        ("applied", 1, 1, []),
    ),
    "a reply seen to": (
        raw("10", "resume", customers=["ann"], hold="replied", reference="i-3"),
        ("applied", 1, 0, []),
    ),
    "a note": (fact("11", "note", text="Will call on Tuesday: café"), ("applied", 1, 0, [])),
    "a payment": (fact("12", "payment"), ("applied", 1, 3, [])),
}


@EVERY_DOOR
def test_fact_comes_to_the_same_through_every_door(doors: Doors, name: str) -> None:
    doors.set_up(name, FACTS_SET_UP)
    for case, (command, expected) in FACTS.items():
        assert doors.outcome(name, command) == expected, case
        assert doors.outcome(name, command) == expected, f"{case}, again"
    assert doors.layby.one("SELECT count(*) FROM facts") == 9


BULK_SET_UP = set_up(active_limit=BULK_FROM + 1, directory_limit=2 * BULK_FROM)
ALL = [*numbered("c", BULK_FROM + 1)]

BULK: dict[str, tuple[bytes, Came]] = {
    "an import": (
        raw("1", "import_customers", csv="\n".join(["id", *ALL, "not an id"])),
        ("partly", BULK_FROM + 1, 0, ["bad_row"]),
    ),
    "a long list": (
        raw("2", "activate", customers=[*ALL, "zoe"]),
        ("partly", BULK_FROM + 1, 0, ["unknown_customer"]),
    ),
    "a filter": (
        raw("3", "assign_schedule", customers={"place": "active"}, schedule="dunning"),
        ("applied", BULK_FROM + 1, 0, []),
    ),
    "a filter that silences": (
        raw("4", "move_to_directory", customers={"schedule": "dunning"}),
        ("applied", BULK_FROM + 1, BULK_FROM + 1, []),
    ),
}


@EVERY_DOOR
def test_bulk_command_has_the_same_outcome_through_every_door(doors: Doors, name: str) -> None:
    doors.set_up(name, BULK_SET_UP)
    for case, (command, expected) in BULK.items():
        assert doors.outcome(name, command) == expected, case
    bulk = doors.layby.rows("SELECT command FROM commands WHERE bulk ORDER BY seq")
    assert bulk == [("1",), ("2",), ("3",), ("4",)]
    assert doors.layby.rows("SELECT DISTINCT door FROM commands") == [(name,)]


LIST = raw("ID", "pause", customers=[*numbered("c", BULK_FROM + 1)])
IMPORT = raw("ID", "import_customers", csv="id,name\nc-1,Zoé\n")

SAME: dict[str, tuple[bytes, bytes]] = {
    "names in another order": (values('"zeta": 1, "a": 2'), values('"a": 2, "zeta": 1')),
    "languages in another order": (template("en", "de", "fr"), template("fr", "en", "de")),
    "a whole number": (values('"a": 1.0, "b": 120.00'), values('"a": 1, "b": 120')),
    "a power of ten": (values('"a": 1e2, "b": 1.25E1'), values('"a": 100, "b": 12.5')),
    "nought": (values('"a": -0.0, "b": 1e-400'), values('"a": 0, "b": 0')),
    "many digits": (values('"a": 0.1000000000000000055'), values('"a": 0.1')),
    "the largest numbers": (
        values('"a": 9007199254740991, "b": -9007199254740991'),
        values('"a": 9.007199254740991e15, "b": -9007199254740991.0'),
    ),
    "true, and a text of it": (values('"a": true, "b": "true"'), values('"b": "true", "a": true')),
    "escapes": (profile(name="é€😀\u2028\x85\x7f"), dense(profile(name="é€😀\u2028\x85\x7f"))),
    "no escapes": (profile(name="é€😀\u2028"), dense(profile(name="é€😀\u2028"), escaped=False)),
    "a number's blanks": (
        profile(phone="06 12 34 56 78", country="fr"),
        profile(phone="+33 (0)6 12-34-56-78", country="FR"),
    ),
    "an address's case": (profile(email="eve@EXAMPLE.org"), profile(email="eve@example.org")),
    "blanks around": (
        raw(" ID ", "pause", customers=[" a"]),
        raw("ID", "pause", customers=["a"]),
    ),
    "a customer twice": (
        raw("ID", "pause", customers=["a", "b", "a"]),
        raw("ID", "pause", customers=["a", "b"]),
    ),
    "a limit as a text": (
        raw("ID", "put_account", active_limit="100"),
        raw("ID", "put_account", active_limit=100).replace(b"100", b"1e2"),
    ),
    "a list so long that it is bulk": (LIST, LIST.replace(b'"c-2"', b'"c-2", "c-1"')),
    "a filter": (
        raw("ID", "pause", customers={"status": "late", "idle_for": "P7D"}),
        raw("ID", "pause", customers={"idle_for": "P1W", "status": "late"}),
    ),
    "a list to import": (IMPORT, dense(IMPORT, escaped=False)),
}


@EVERY_DOOR
def test_same_command_through_all_doors_is_accepted_once(doors: Doors, name: str) -> None:
    """However it is written: the first door decides, the others find it there."""
    written = [
        [command.replace(b"ID", b"%d" % number) for command in ways]
        for number, ways in enumerate(SAME.values())
    ]
    for one, _ in written:
        doors[name].submit(one)
    doors.take_in()
    for ways in written:
        for door in NAMES:
            for command in dict.fromkeys(ways):
                doors[door].submit(command)
    doors.take_in()
    expected = [(str(number), "accepted") for number in range(len(SAME))]
    assert dict(zip(SAME, doors.kept(), strict=False)) == dict(zip(SAME, expected, strict=True))
    assert doors.layby.rows("SELECT DISTINCT door FROM commands") == [(name,)]


@EVERY_DOOR
def test_other_command_under_the_same_id_is_quarantined_beside_the_first(
    doors: Doors, name: str
) -> None:
    """Also if only a number differs, or what is a text here is a number there."""
    first = values('"a": 1')
    others = [values('"a": 2'), values('"a": "1"'), values('"a": true'), values('"a": 1.5')]
    for command in (first, *others, *others):
        doors[name].submit(command)
        doors.take_in()
    kept = doors.kept()
    assert kept[0] == ("ID", "accepted")
    assert [(command[:3], state) for command, state in kept[1:]] == [("ID#", "quarantined")] * 4


@pytest.mark.soak
def test_longest_command_is_accepted_through_every_door_as_the_same(doors: Doors) -> None:
    """However many blanks jsonb puts into it: it is the sender's bytes that count."""
    longest = as_long_as(MAX_BYTES)
    assert len(longest) == MAX_BYTES
    for name in ("sql", *NAMES):
        doors[name].submit(longest)
        doors.take_in()
    assert doors.kept() == [("long", "accepted")]


def test_same_ids_through_all_doors_at_once_are_accepted_once_each(doors: Doors) -> None:
    """Doors and intake at the same time, in other orders: no command twice, and none held up."""
    commands = [raw(f"n-{n}", "pause", customers=[f"c-{n % 7}"]) for n in range(30)]
    gate = threading.Barrier(len(NAMES), timeout=30)
    failed: list[BaseException] = []

    def bring(name: str, turn: int) -> None:
        try:
            gate.wait()
            for command in commands[turn:] + commands[:turn]:
                doors[name].submit(command)
                if name in TAKEN_IN_LATER:
                    doors.take_in()
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [
        threading.Thread(target=bring, args=(name, 10 * number))
        for number, name in enumerate(NAMES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    doors.take_in()
    assert sorted(doors.kept()) == sorted((f"n-{n}", "accepted") for n in range(30))
    assert doors.layby.one("SELECT count(*) FROM command_targets") == 30


UNREADABLE: dict[str, bytes] = {
    "not JSON": b"{'id': 'single quotes'}",
    "not UTF-8": b'{"id": "latin", "account": "acme", "kind": "pause", "reason": "pay\xe9"}',
    "not an object": b'["id", "account", "kind"]',
    "`id`, `account` or `kind` missing, or not a text": b'{"id": 7, "account": "acme"}',
    "an unknown kind": raw("u-1", "explode", customers=["c-1"]),
    "a field missing, wrong or not known": raw("f-1", "pause", customer="c-1"),
    "a NUL character, `\\u0000`": raw("n-1", "pause", customers=["c-1"], reason="a\0b"),
    "half of a surrogate pair, `\\ud800`": raw("s-1", "pause", customers=["c-1"], reason="\ud800"),
    "nested 300 deep": raw("d-1", "pause", customers=json.loads("[" * 300 + "]" * 300)),
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "a number beyond ±(2^53 - 1)": values('"a": 9007199254740992').replace(b"ID", b"h-1"),
    "a number that is no number, `1e400`": values('"a": 1e400').replace(b"ID", b"h-2"),
    "no number, `NaN` or `Infinity`": values('"a": NaN').replace(b"ID", b"h-3"),
    "a name twice, as `kind`": raw("k-1", "resume", customers=["c-1"])[:-1] + b', "kind": "pause"}',
    "UTF-16": raw("w-1", "pause", customers=["c-1"]).decode().encode("utf-16"),
    "a byte order mark before UTF-8": b"\xef\xbb\xbf" + raw("w-2", "pause", customers=["c-1"]),
    "longer than 16,000,000 bytes": as_long_as(MAX_BYTES + 1),
}


@EVERY_DOOR
def test_what_a_door_cannot_read_it_refuses_or_keeps_as_the_page_says(
    doors: Doors, name: str
) -> None:
    """docs/doors.md says which; either way the sender or an operator is told why."""
    told = {case: brought(doors, name, command) for case, command in UNREADABLE.items()}
    assert told == said_of_unreadable(name)
    doors[name].submit(raw("behind", "pause", customers=["c-1"]))
    doors.take_in()
    assert doors.kept()[-1] == ("behind", "accepted")
    assert doors.layby.one("SELECT count(*) FROM commands WHERE problem = ''") == 0


def brought(doors: Doors, name: str, command: bytes) -> str:
    """What becomes of a command that can't be read: how it is kept, or that it is refused."""
    before = len(doors.kept())
    try:
        doors[name].submit(command)
    except RefusedAtTheDoorError as refused:
        doors.take_in()
        return "refused" if len(doors.kept()) == before and str(refused) else "kept silently"
    doors.take_in()
    ((_, state),) = doors.kept()[before:]
    return str(state)


def said_of_unreadable(door: str) -> dict[str, str]:
    """The page's table: what comes in, and what this door makes of it."""
    page = (Path(__file__).parents[3] / "docs" / "doors.md").read_text("utf-8")
    table = page[page.index("| what comes |") :].split("\n\n")[0].splitlines()
    names = re.findall(r"[^|]+", table[0])
    column = [name.strip(" `") for name in names].index(door)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    return {row[0]: row[column] for row in rows}
