"""What can happen on a journey: commands of every kind, starts, answers, switches, crashes."""

from typing import Any

from hypothesis import strategies as st
from stateful.journey.parts import CAPS, DEFINITIONS, LEASE_SECONDS, QUEUES, QUIET
from stateful.weights import as_often_as_named

from domain.message import Answer, Channel

NAMES = [f"c{n}" for n in range(1, 5)]
ANSWERS = [
    Answer.ACCEPTED,
    Answer.TEMPORARY,
    Answer.PERMANENT,
    Answer.UNKNOWN,
    Answer.NOT_HANDED_OVER,
]
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
references = st.sampled_from(["", "i-1"])
any_number = st.integers(0, 1000)
issued_days = st.sampled_from([None, None, None, None, None, None, 0, 1, 2, 3])
dies_at = as_often_as_named(st.none(), st.none(), st.integers(0, 16))
dies_later = st.none() | st.integers(0, 40)
at_once = st.sampled_from([True, True, False])
channels = st.sampled_from(list(Channel))

CommandStrategy = st.SearchStrategy[tuple[str, dict[str, Any]]]


def _with(
    kind: str,
    *,
    optional: dict[str, st.SearchStrategy[Any]] | None = None,
    **fields: st.SearchStrategy[Any],
) -> CommandStrategy:
    return st.tuples(st.just(kind), st.fixed_dictionaries(fields, optional=optional or {}))


PROFILE = {
    "phone": st.just("+80012345678"),
    "zone": st.sampled_from(["Asia/Tokyo", "America/New_York"]),
}
SILENCES = st.one_of(
    _with("move_to_directory", optional={"if_full": st.sampled_from(["pause", "refuse"])}),
    _with("pause"),
)
ENDS_OF_SILENCE = st.one_of(_with("activate"), _with("reactivate"), _with("resume"))
UPDATES = _with("update_customer", profile=st.fixed_dictionaries({}, optional=PROFILE).filter(bool))
PROFILES = as_often_as_named(
    _with(
        "add_customer",
        profile=st.fixed_dictionaries({"email": st.just("a@example.org")}, optional=PROFILE),
    ),
    UPDATES,
    UPDATES,
    _with("purge"),
)
CHANNEL = {"channel": channels.map(str)}
CONSENT = st.just({"source": "START", "at": "2020-01-01T00:00:00Z"})
WORDS = st.one_of(_with("block", optional=CHANNEL), _with("opt_out", optional=CHANNEL))
LIFTS = st.one_of(
    _with("unblock", optional=CHANNEL), _with("opt_in", optional=CHANNEL, consent=CONSENT)
)
ASSIGNMENTS = st.one_of(
    _with("assign_schedule", schedule=st.just("calls"), optional={"reference": references}),
    _with(
        "assign_schedule",
        schedule=st.just("bill"),
        due_date=st.integers(-1, 2),
        optional={"reference": references},
    ),
)
ENDS_OF_SCHEDULES = st.one_of(
    _with(
        "remove_from_schedule",
        schedule=st.sampled_from(["calls", "bill"]),
        optional={"reference": references},
    ),
    _with(
        "record",
        fact=st.fixed_dictionaries(
            {"fact": st.just("payment")}, optional={"full": st.booleans(), "reference": references}
        ),
    ),
)


Act = tuple[str, dict[str, Any]]


def _act(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


def _commands(*kinds: CommandStrategy) -> list[st.SearchStrategy[Act]]:
    return [
        _act(
            "command",
            command=kind,
            customers=names,
            issued=issued_days,
            at_once=at_once,
            bulk=st.booleans(),
        )
        for kind in kinds
    ]


def _filters(**of: CommandStrategy) -> list[st.SearchStrategy[Act]]:
    """A command for whom it can change something, or who is on a schedule."""
    asked = {
        "any": {"schedule": "calls"},
        "active": {"place": "active"},
        "reserve": {"place": "reserve"},
        "archived": {"place": "archived"},
    }
    return [
        _act("filter_", command=kind, asked=st.just(asked[where]), at_once=at_once)
        for where, kind in of.items()
    ]


START = _act("start", channel=channels, dies_at=dies_at)
SETTLE = _act(
    "settle",
    which=st.lists(any_number, min_size=1, max_size=3),
    with_=st.sampled_from(ANSWERS),
    dies_at=dies_at,
)
SWITCH = _act(
    "switch", switched=st.sampled_from(["hello", "hello", "email", "sms", "account", *QUEUES])
)
TRAVEL = _act("travel", hours=st.sampled_from([0.1, 1, 24, 25, 72]))
GO_OUT = _act(
    "go_out",
    late_hours=st.sampled_from([0, 0, 0, 1, 9, 49]),
    with_=st.sampled_from([Answer.ACCEPTED, None, Answer.ACCEPTED, *ANSWERS]),
)
ACTS = as_often_as_named(
    *[GO_OUT] * 8,
    *_commands(SILENCES, SILENCES, ENDS_OF_SILENCE, PROFILES, ASSIGNMENTS, ENDS_OF_SCHEDULES),
    *_commands(WORDS, LIFTS, LIFTS),
    *(START, START, START, SETTLE, SETTLE, SETTLE, TRAVEL, TRAVEL),
    *_filters(
        any=SILENCES,
        active=st.one_of(SILENCES, UPDATES, ENDS_OF_SCHEDULES),
        reserve=st.one_of(_with("activate"), _with("purge")),
        archived=_with("reactivate"),
    ),
    _act("settle_late_or_again", which=any_number, with_=st.sampled_from(ANSWERS)),
    _act("rescue", seconds=st.sampled_from([0, 20, LEASE_SECONDS + 1])),
    _act("sweep"),
    *(SWITCH, SWITCH, SWITCH),
    _act("ring"),
    _act("resolve", dies_at=dies_at),
    *(_act("resolve_step"), _act("bulk_turn", dies_at=dies_later)),
    _act("ring_for_some", which=any_number, dies_at=dies_at),
    _act("acknowledgement_is_lost", which=any_number),
    _act("put_plan", active=st.integers(0, 4), directory=st.integers(0, 5), at_once=st.booleans()),
    _act("put_rules", caps=st.sampled_from(CAPS), quiet=st.sampled_from(QUIET)),
    _act("put_schedule", schedule=st.sampled_from(list(DEFINITIONS)), variant=st.integers(0, 1)),
)
"""What can happen next, the frequent more than once.

One rule draws from them all: of many rules Hypothesis takes some out of each example, and too few
examples would be left with a whole reminder in them.
"""
