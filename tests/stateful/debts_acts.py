"""What can happen to debts: schedules and their later versions, facts, commands, answers."""

from typing import Any

from hypothesis import strategies as st
from stateful.plain.plan import Plan, Step

from domain.message import Answer, Channel

BILL = {
    "first": Step("first", 0),
    "second": Step("second", 2, "sms", fallback="email", status="late"),
    "third": Step("third", 5),
}
VERSIONS = {
    "bill": (
        Plan((BILL["first"], BILL["second"], BILL["third"])),
        Plan(
            (
                BILL["first"],
                Step("added", 1, "sms", fallback="email"),
                BILL["second"],
                BILL["third"]._replace(days=4, when_late="send"),
            ),
            every=3,
            times=2,
        ),
        Plan((BILL["first"], BILL["third"]._replace(days=3)), every=2, times=1),
        Plan((BILL["second"]._replace(days=-1), BILL["first"]._replace(days=1))),
    ),
    "soft": (
        Plan(
            (
                Step("ask", 1, late_after_days=1, when_late="reanchor"),
                Step("again", 3, "sms", "email", late_after_days=1, when_late="reanchor"),
                Step("thank", 5, status="on_track"),
            ),
            ends=False,
            holds=frozenset({"disputed"}),
        ),
        Plan((Step("again", 2, "sms", "email"), Step("thank", 4)), ends=False),
    ),
    "texts": (
        Plan(
            (Step("text", 0, "sms"), Step("mail", 1, "email", "sms")),
            holds=frozenset({"promised"}),
            every=3,
            times=1,
            of="all",
        ),
        Plan((Step("text", 0, "sms", when_late="reanchor"), Step("mail", 2)), every=4, times=1),
    ),
}
"""The first of each is what it begins with."""

PEOPLE = {
    "ann": ("UTC", {"email": "ann@example.org", "sms": "+80012345678"}),
    "bob": ("Asia/Tokyo", {"email": "bob@example.org", "sms": "+80012345678"}),
    "cleo": ("UTC", {"email": "cleo@example.org"}),
}
"""Where each is and can be reached; two share a number."""

names = st.sampled_from(sorted(PEOPLE))
schedules = st.sampled_from(sorted(VERSIONS))
references = st.sampled_from(["r1", "r2"])
channels = st.sampled_from(list(Channel))
days = st.integers(-1, 4)
amounts = st.sampled_from(["40", "60.00", "100"])
some = st.integers(0, 99)
LATE = st.sampled_from([0, 0, 25, 49])
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
FACTS = st.one_of(OFTEN, OFTEN, OFTEN, SELDOM)
"""Most leave something to go on with."""

Command = tuple[str, Fields]


def _command(kind: str, fields: st.SearchStrategy[Fields]) -> st.SearchStrategy[Command]:
    return st.tuples(st.just(kind), fields)


SCOPE = {"channel": channels.map(str), "schedule": schedules}
CONSENT = st.just({"source": "START", "at": "2020-01-01T00:00:00Z"})
RECORDS = _command("record", _fields(fact=FACTS))
MOVING = _command("record", _fields(fact=st.one_of(PARTS, INVOICES)))
"""What a run counts from."""
ASSIGNMENTS = _command(
    "assign_schedule", _fields(schedule=schedules, reference=references, due_date=days)
)
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
COMMANDS = st.one_of(
    *[RECORDS] * 4,
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
AGAIN = st.sampled_from([Answer.TEMPORARY, Answer.NOT_HANDED_OVER])
RECIPIENTS = st.sampled_from(
    sorted({(channel, at) for _, where in PEOPLE.values() for channel, at in where.items()})
)
ANSWERS = st.sampled_from(
    [
        *[Answer.ACCEPTED] * 4,
        *[Answer.TEMPORARY] * 2,
        *(Answer.UNKNOWN, Answer.PERMANENT, Answer.NOT_HANDED_OVER),
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
ACTS = st.one_of(
    *[_act("command", name=names, command=COMMANDS)] * 3,
    *[_act("command_holds", name=names, command=COMMANDS, meanwhile=SENDS)] * 2,
    *[_act("command_waits", name=names, command=COMMANDS, for_=SENDS)] * 2,
    *[_act("while_it_is_out", which=some, command=MOVING, with_=ANSWERS, late_hours=LATE)] * 3,
    *[_act("while_it_is_out", which=some, command=COMMANDS, with_=ANSWERS, late_hours=LATE)] * 2,
    _act("while_it_is_out", which=some, command=HOLDING, with_=AGAIN, late_hours=LATE),
    _act("break_a_promise", name=names, fact=_fact("promise", AMOUNT, until=st.just(0))),
    *[_act("start", channel=channels)] * 3,
    *[_act("settle", which=some, with_=ANSWERS)] * 3,
    *[_act("travel_to_what_is_next", late_hours=LATE)] * 3,
    _act("travel", hours=st.sampled_from([1, 24])),
    *[_act("release", name=names)] * 2,
    _act("edit", schedule=schedules, which=some, name=names),
    _act("edit", schedule=schedules, which=some, name=names),
    _act(
        "of_a_recipient",
        kind=st.sampled_from(["block", "opt_out", "unblock", "opt_in"]),
        recipient=RECIPIENTS,
        scope=_fields({"schedule": schedules}),
    ),
    _act("settle_late_or_again", which=some, with_=ANSWERS),
    _act("rescue"),
)
"""What can happen next, the frequent more than once; one rule draws from all, as in machine.py."""
