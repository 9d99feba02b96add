"""What can happen to debts: facts, commands, edits, answers, and time that passes."""

from typing import Any

from hypothesis import strategies as st
from stateful.debts_plans import (
    CALENDARS,
    CAPS,
    COUNTRIES,
    FROM_A_DAY,
    LAW,
    NUMBERS,
    PEOPLE,
    QUIET,
    VERSIONS,
    ZONES,
)
from stateful.weights import as_often_as_named

from domain.message import Answer, Channel

names = st.sampled_from(sorted(PEOPLE))
schedules = st.sampled_from(sorted(VERSIONS))
references = st.sampled_from(["r1", "r2"])
channels = st.sampled_from(list(Channel))
days = st.integers(-1, 4)
amounts = st.sampled_from(["40", "60.00", "100"])
some = st.integers(0, 99)
LATE = st.sampled_from([0, 0, 0, 0, 1, 1, 25, 49])
SELDOM_LATE = st.sampled_from([0, 0, 0, 0, 1, 9, 25])
"""Hours."""

Fields = dict[str, Any]


def _fields(
    optional: dict[str, st.SearchStrategy[Any]] | None = None, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries(fields, optional=optional or {})


def _fact(
    fact: str, optional: dict[str, st.SearchStrategy[Any]] | None = None, **of: Any
) -> st.SearchStrategy[Fields]:
    return _fields(optional, fact=st.just(fact), **of)


ABOUT = {"reference": references}
AMOUNT = {"amount": amounts}
PARTS = _fact("payment", AMOUNT, reference=references, full=st.just(value=False))
INVOICES = _fact("invoice", AMOUNT, reference=references, due_date=days)
OFTEN = st.one_of(
    PARTS,
    INVOICES,
    _fact("promise", {**AMOUNT, **ABOUT}, until=days),
    _fact("dispute", reference=references),
    _fact("dispute", reference=references, outcome=st.just("rejected")),
    _fact("invoice", AMOUNT, reference=references),
)
SELDOM = st.one_of(
    _fact("payment", {**ABOUT, **AMOUNT, "full": st.booleans()}),
    _fact("dispute", {"outcome": st.sampled_from(["upheld", "rejected"])}),
    _fact("dispute", reference=references, outcome=st.just("upheld")),
    _fact("interaction", ABOUT, direction=st.just("inbound")),
)
FACTS = as_often_as_named(OFTEN, OFTEN, OFTEN, SELDOM)
"""Most leave something to go on with."""

Command = tuple[str, Fields]


def _command(kind: str, fields: st.SearchStrategy[Fields]) -> st.SearchStrategy[Command]:
    return st.tuples(st.just(kind), fields)


SCOPE = {"channel": channels.map(str), "schedule": schedules}
CONSENT = st.just({"source": "START", "at": "2020-01-01T00:00:00Z"})
RECORDS = _command("record", _fields(fact=FACTS))
MOVING = _command("record", _fields(fact=st.one_of(PARTS, INVOICES)))
"""What a run counts from."""
UPHELD = _command(
    "record",
    _fields(fact=_fact("dispute", reference=references, outcome=st.just("upheld"))),
)
ASSIGNMENTS = st.one_of(
    _command(
        "assign_schedule",
        _fields(schedule=st.sampled_from(FROM_A_DAY), reference=references, due_date=days),
    ),
    _command("assign_schedule", _fields(schedule=st.just("hours"), reference=references)),
)
PROFILES = st.one_of(
    _fields(zone=st.sampled_from(ZONES)),
    _fields(zone=st.none(), phone=st.sampled_from(NUMBERS)),
    _fields(phone=st.sampled_from(NUMBERS), country=st.sampled_from(COUNTRIES)),
    _fields(country=st.sampled_from(COUNTRIES)),
)
MOVES_AWAY = _command("update_customer", _fields(profile=PROFILES))
NEWER = _command("move_to_version", _fields(schedule=schedules))
SILENCES = st.one_of(_command("block", _fields(SCOPE)), _command("opt_out", _fields(SCOPE)))
LIFTS = st.one_of(
    _command("unblock", _fields(SCOPE)), _command("opt_in", _fields(SCOPE, consent=CONSENT))
)
REPLIES = _command("resume", _fields(ABOUT, hold=st.just("replied")))
LEAVES = st.one_of(
    _command("move_to_directory", _fields()),
    _command("remove_from_schedule", _fields(ABOUT, schedule=schedules)),
)
COMMANDS = as_often_as_named(
    *[RECORDS] * 4,
    *[MOVES_AWAY] * 2,
    *[MOVING] * 2,
    *[ASSIGNMENTS] * 2,
    *[NEWER] * 3,
    *(SILENCES, LIFTS, REPLIES, LEAVES),
    _command("pause", _fields()),
    *[_command("resume", _fields())] * 2,
)
HOLDING = st.one_of(
    _command("pause", _fields()),
    _command("record", _fields(fact=_fact("dispute", reference=references))),
    _command("record", _fields(fact=_fact("promise", ABOUT, until=days))),
)
AGAIN = st.sampled_from([Answer.TEMPORARY, Answer.NOT_HANDED_OVER, Answer.NO_SUCH_RECIPIENT])
RECIPIENTS = st.sampled_from(
    [("email", at["email"]) for *_, at in PEOPLE.values()]
    + [("sms", number) for number in NUMBERS if number]
)
ANSWERS = st.sampled_from(
    [
        *[Answer.ACCEPTED] * 4,
        *[Answer.TEMPORARY] * 2,
        *(Answer.UNKNOWN, Answer.PERMANENT, Answer.NOT_HANDED_OVER),
        *[Answer.NO_SUCH_RECIPIENT] * 2,
    ]
)

IN_TURN = st.sampled_from(
    [
        (Answer.ACCEPTED, Answer.UNKNOWN),
        *[(Answer.ACCEPTED,)] * 2,
        *[(Answer.TEMPORARY, Answer.ACCEPTED)] * 2,
        (Answer.UNKNOWN,),
    ]
)

Act = tuple[str, Fields]


def _act(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


SENDS = st.one_of(
    _act("start", channel=channels),
    _act("settle", which=some, with_=ANSWERS),
    _act("rescue"),
)
ACTS = as_often_as_named(
    *[_act("go_out", late_hours=SELDOM_LATE, answers=IN_TURN)] * 9,
    *[_act("command", name=names, command=COMMANDS)] * 2,
    *[_act("command_about", which=some, command=MOVING)] * 3,
    *[_act("command_about", which=some, command=UPHELD)] * 2,
    *[_act("command_holds", name=names, command=COMMANDS, meanwhile=SENDS)] * 2,
    *[_act("command_waits", name=names, command=COMMANDS, for_=SENDS)] * 2,
    *[_act("while_it_is_out", which=some, command=MOVING, with_=ANSWERS, late_hours=LATE)] * 3,
    _act("while_it_is_out", which=some, command=MOVES_AWAY, with_=ANSWERS, late_hours=LATE),
    *[_act("while_it_is_out", which=some, command=COMMANDS, with_=ANSWERS, late_hours=LATE)] * 2,
    _act("while_it_is_out", which=some, command=HOLDING, with_=AGAIN, late_hours=LATE),
    _act("break_a_promise", name=names, fact=_fact("promise", AMOUNT, until=st.just(0))),
    *[_act("start", channel=channels)] * 2,
    *[_act("settle", which=some, with_=ANSWERS)] * 2,
    _act("travel_to_what_is_next", late_hours=LATE),
    _act("travel", hours=st.sampled_from([1, 9, 24])),
    *[_act("release", name=names)] * 2,
    *[_act("edit", schedule=schedules, which=some)] * 3,
    *[
        _act(
            "put_rules",
            caps=st.sampled_from(CAPS),
            quiet=st.sampled_from(QUIET),
            collector=st.booleans(),
            law=st.sampled_from(LAW),
            apart=st.sampled_from([True, True, False]),
        )
    ]
    * 2,
    _act("put_zone", zone=st.sampled_from(ZONES)),
    _act("put_calendar", calendar=st.sampled_from(CALENDARS)),
    _act(
        "of_a_recipient",
        kind=st.sampled_from(["block", "opt_out", "unblock", "opt_in"]),
        recipient=RECIPIENTS,
        scope=_fields({"schedule": schedules}),
    ),
    _act("settle_late_or_again", which=some, with_=ANSWERS),
    _act("rescue"),
)
"""What can happen next, the frequent more than once; one rule draws from all, as in machine.py.

Hypothesis begins with an example of which every draw is the first: so all goes out in time there.
"""
