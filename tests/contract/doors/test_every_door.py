"""The same command through every door: the same outcome, once."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from contract.doors.conftest import NAMES, Doors
from contract.doors.door import RefusedAtTheDoorError
from harness import SCHEDULE, START, TEMPLATES

ISSUED_EARLY = "2026-01-05T07:00:00Z"
EVERY_DOOR = pytest.mark.parametrize("name", NAMES)


def raw(name: str, kind: str, account: str = "acme", **fields: Any) -> bytes:
    command = {"id": name, "account": account, "kind": kind, **fields}
    return json.dumps(command, default=str).encode()


SET_UP = (
    raw("account", "put_account", active_limit=2, directory_limit=4, test_clock=START),
    raw("template", "put_template", template="hello", definition=TEMPLATES["hello"]),
    raw("nudge", "put_template", template="nudge", definition=TEMPLATES["nudge"]),
    raw("schedule", "put_schedule", schedule="dunning", definition=SCHEDULE),
    raw("people", "add_customer", customers=["ann", "bob", "cid", "dan"]),
    raw("others", "activate", customers=["ann", "bob"]),
)

OUTCOMES = {
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
    door, layby = doors[name], doors.layby
    for command in SET_UP:
        door.submit(command)
        doors.apply()
    assert {state for _, state in doors.kept()} == {"applied"}
    for case, (command, expected) in OUTCOMES.items():
        door.submit(command)
        doors.apply()
        given = json.loads(command)
        layby.account = given["account"]
        outcome = layby.outcome(given["id"])
        codes = [refusal.code for refusal in outcome.refusals]
        assert (outcome.state, outcome.applied, outcome.cancelled, codes) == expected, case
    assert layby.rows("SELECT DISTINCT door FROM commands") == [(name,)]


def profile(**fields: Any) -> bytes:
    return raw("ID", "add_customer", customers=["eve"], profile=fields)


def values(written: str) -> bytes:
    """A command with these values, written just so."""
    return profile(values={}).replace(b'"values": {}', b'"values": {%b}' % written.encode())


def template(*languages: str) -> bytes:
    texts = {language: {"text": language, "subject": language} for language in languages}
    definition = {"channel": "email", "default_language": "en", "texts": texts}
    return raw("ID", "put_template", template="t", definition=definition)


def dense(command: bytes, *, escaped: bool = True) -> bytes:
    return json.dumps(
        json.loads(command), separators=(",", ":"), ensure_ascii=escaped, sort_keys=True
    ).encode()


LONG = raw("ID", "pause", customers=[f"{n:0200}" for n in range(4925)])
"""Near the limit when dense; beyond it with a blank between any two values, as jsonb has it."""

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
    "a name twice": (values('"a": 1, "a": 2'), values('"a": 2')),
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
    "a long one": (dense(LONG), dense(LONG)),
}


@EVERY_DOOR
def test_same_command_through_all_doors_is_accepted_once(doors: Doors, name: str) -> None:
    """However it is written: the first door decides, the others find it there."""
    for number, (one, other) in enumerate(SAME.values()):
        written = [command.replace(b"ID", b"%d" % number) for command in (one, other)]
        doors[name].submit(written[0])
        doors.take_in()
        for door in NAMES:
            for command in dict.fromkeys(written):
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
                if name != "send":
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
    "longer than 1,000,000 bytes": raw("l-1", "pause", customers=["c" * 1_000_000]),
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
