"""A schedule that contradicts itself is refused; one that does not is stored and read unchanged."""

import subprocess
import sys
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.mistakes import in_words
from domain.schedule import Schedule
from domain.window import Weekday, Window

STEP = {"offset": "P1D", "channel": "email", "template": "hello"}
AT_NINE = {**STEP, "at": "09:00"}
NO_MOMENT = {"channel": "email", "template": "hello"}
FRENCH = {"country": "FR", "days": ["2026-12-24"]}
BUSINESS = {**NO_MOMENT, "business_days": 1, "at": "09:00"}


def schedule(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"anchor": "assigned_at", "steps": list(steps), **fields}


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        (schedule(), "steps: needs at least 1"),
        (schedule(STEP, STEP), "step 2 repeats step 1: same moment, same channel"),
        (schedule(AT_NINE, AT_NINE), "step 2 repeats step 1: same moment, same channel"),
        (schedule(STEP, {**STEP, "offset": "PT1H"}), "step 2 comes before step 1"),
        (schedule(STEP, AT_NINE, {**AT_NINE, "at": "08:00"}), "step 3 comes before step 2"),
        (
            schedule(AT_NINE, STEP, anchor="due_date"),
            "step 2 has no time of day, and a due date has none either",
        ),
        (
            schedule(AT_NINE, window={"from": "10:00"}),
            "step 1 is at 09:00, outside the window from 10:00 to 24:00: it could never be sent",
        ),
        (
            schedule(AT_NINE, window={"until": "09:00"}),
            "step 1 is at 09:00, outside the window from 00:00 to 09:00: it could never be sent",
        ),
        (
            schedule(STEP, {**AT_NINE, "offset": "PT36H"}),
            "steps[1]: has a time of day and an offset with hours: give whole days, such as P3D",
        ),
        (schedule({**STEP, "at": "09:00Z"}), "steps[0]: has a time of day with an offset"),
        (schedule({**STEP, "sets_status": "promised"}), "steps[0]: can set the status on_track"),
        (schedule({**STEP, "offset": "P9999D"}), "steps[0].offset: "),
        (schedule({**STEP, "offset": "-P9999D"}), "steps[0].offset: "),
        (schedule({**STEP, "late_after": "-P1D"}), "steps[0].late_after: "),
        (schedule({**STEP, "late_after": "P9999D"}), "steps[0].late_after: "),
        (schedule({**STEP, "channel": "fax"}), "steps[0].channel: is not 'email' or 'sms'"),
        (schedule({**STEP, "template": "Hello!"}), "steps[0].template: "),
        (schedule(STEP, {**STEP, "delay": "P1D"}), "steps[1].delay: is not a field here"),
        (
            schedule(STEP, window={"from": "20:00", "until": "08:00"}),
            "window: opens at 20:00 and closes at 08:00: it never opens",
        ),
        (schedule(STEP, window={"from": "09:00", "until": "09:00"}), "window: opens at 09:00"),
        (schedule(STEP, window={"from": "09:00+02:00"}), "window: has an hour with an offset"),
        (
            schedule(AT_NINE, window={"from": "08:00", "until": "10:00Z"}),
            "window: has an hour with an offset: hours are local, such as 09:30",
        ),
        (schedule(STEP, window={"weekdays": []}), "window.weekdays: needs at least 1"),
        (schedule(STEP, window={"weekdays": ["monday"]}), "window.weekdays[0]: is not 'mon'"),
        (schedule(STEP, zone="Mars/Phobos"), "zone: is not an IANA time zone"),
        (schedule(STEP, ends=["bored"]), "ends[0]: is not 'paid'"),
        (
            schedule({**STEP, "business_days": 1, "at": "09:00"}),
            "steps[0]: needs one of `offset`, such as P3D, and `business_days`, such as 3",
        ),
        (schedule(NO_MOMENT), "steps[0]: needs one of `offset`"),
        (
            schedule({**NO_MOMENT, "business_days": 1}),
            "steps[0]: counts business days without a time of day: give `at`",
        ),
        (
            schedule({**AT_NINE, "offset": "P9D"}, {**BUSINESS, "business_days": -1}),
            "step 2 comes before step 1",
        ),
        (schedule(BUSINESS, BUSINESS), "step 2 repeats step 1: same moment, same channel"),
        (
            schedule({**STEP, "offset": 3}),
            "steps[0].offset: is a number: write a duration",
        ),
        (schedule({**STEP, "at": 930}), "steps[0].at: is a number: write an hour in quotes"),
        (
            schedule({**STEP, "fallback": {"channel": "email", "template": "t"}}),
            "steps[0]: has a fallback on its own channel, email: give the other one",
        ),
        (
            schedule({**STEP, "name": "a"}, {**STEP, "name": "a", "offset": "P2D"}),
            "step 2 has the name of step 1: give each its own",
        ),
        (schedule(STEP, repeat={"every": "P7D"}), "repeat: never ends: give `times`"),
        (schedule(STEP, repeat={"every": "P7D", "times": 0}), "repeat.times: "),
        (schedule(STEP, repeat={"every": "P1M2D", "times": 1}), "repeat.every: "),
        (schedule(STEP, repeat={"every": "P0D", "times": 1}), "repeat.every: "),
        (
            schedule(STEP, repeat={"every": "P1M", "until": "P90D"}),
            "repeat: has months in one of `every` and `until` and days in the other",
        ),
        (schedule(STEP, repeat={"every": "P9D", "until": "P8D"}), "repeat: never comes again"),
        (
            schedule(STEP, repeat={"every": "P9999Y", "times": 1}),
            "repeat: comes again every P9999Y, and a thousand years is the limit: repeat sooner",
        ),
        (schedule(STEP, repeat={"every": "PT1H", "until": "P9Y"}), "repeat: has months in one of"),
        (
            schedule(STEP, repeat={"every": "PT1H", "until": "P100D"}),
            "comes to 2,401 sends with its repeat, and 2,000 is the limit: repeat less often",
        ),
        (
            schedule(AT_NINE, repeat={"every": "PT6H", "times": 2}),
            "repeats every PT6H what has a time of day: give whole days, such as P7D",
        ),
        (
            schedule(
                STEP, {**STEP, "offset": "P9D"}, repeat={"every": "P7D", "times": 2, "of": "all"}
            ),
            "repeats every P7D, before its last step has come: repeat less often, or only the last",
        ),
        (schedule(STEP, holidays="always"), "holidays: is not 'none'"),
        (schedule(STEP, holidays={"days": ["x"]}), "holidays.days[0]: "),
        (
            schedule(STEP, holidays={"country": "ZZ"}),
            "holidays: has a country whose holidays are not known: leave it out",
        ),
        (
            schedule(STEP, holidays={"country": "DE", "subdivision": "XX"}),
            "holidays: has a subdivision that DE has not: it has Augsburg, BB, ",
        ),
    ],
)
def test_contradiction_is_refused_by_the_step_that_has_it(
    given_as: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Schedule.model_validate(given_as)
    assert in_words(refused.value).startswith(says)


@pytest.mark.parametrize(
    "steps",
    [
        (STEP, {**STEP, "channel": "sms"}),
        (AT_NINE, {**AT_NINE, "at": "09:01"}),
        ({**STEP, "offset": "-P2D"}, {**STEP, "offset": "PT0S"}, STEP),
    ],
)
def test_steps_in_time_order_are_a_schedule(steps: tuple[dict[str, Any], ...]) -> None:
    assert len(Schedule.model_validate(schedule(*steps)).steps) == len(steps)


def test_window_may_end_at_midnight() -> None:
    """24:00 is what refusals call it; no end at all is the same."""
    assert Window.model_validate({"from": "08:00", "until": "24:00"}) == Window(opens=time(8))


def test_what_is_not_used_is_not_written_so_older_versions_read_it() -> None:
    """And the same schedule, sent again after an upgrade, is the version that is there."""
    before = (
        '{"anchor":"assigned_at","steps":[{"offset":"P1D","at":null,"channel":"email",'
        '"template":"hello","sets_status":null,"late_after":"P2D","when_late":"skip"}],'
        '"window":{"weekdays":["mon","tue","wed","thu","fri","sat","sun"],"opens":"00:00:00",'
        '"until":null},"zone":null,"ends":["paid"]}'
    )
    assert Schedule.model_validate(schedule(STEP)).model_dump_json() == before
    assert Schedule.model_validate_json(before) == Schedule.model_validate(schedule(STEP))


@pytest.mark.parametrize(
    ("repeat", "turns"),
    [
        (None, [(0, 0), (0, 1)]),
        ({"every": "P7D", "times": 2}, [(0, 0), (0, 1), (1, 1), (2, 1)]),
        ({"every": "P7D", "until": "P20D"}, [(0, 0), (0, 1), (1, 1), (2, 1)]),
        ({"every": "P7D", "until": "P20D", "times": 1}, [(0, 0), (0, 1), (1, 1)]),
        ({"every": "P1M", "times": 1, "of": "all"}, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ({"every": "P1M", "until": "P1Y", "of": "all"}, [(n // 2, n % 2) for n in range(26)]),
    ],
)
def test_a_cursor_goes_through_the_steps_and_their_rounds(
    repeat: dict[str, Any] | None, turns: list[tuple[int, int]]
) -> None:
    steps = (STEP, {**STEP, "offset": "P2D"})
    read = Schedule.model_validate(schedule(*steps, repeat=repeat))
    assert [tuple(read.turn(cursor)) for cursor in range(read.length)] == turns


HOURS = st.times().map(lambda at: at.replace(microsecond=0))


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    """Schedules as a user writes them, each of them valid."""
    opens, until = sorted(draw(st.lists(HOURS, min_size=2, max_size=2, unique=True)))
    window: dict[str, Any] = {"weekdays": draw(st.sets(st.sampled_from(Weekday), min_size=1))}
    window |= draw(st.sampled_from([{}, {"from": opens}, {"from": opens, "until": until}]))
    latest = time(23, 59, 59) if "until" not in window else until
    hours = HOURS.filter(lambda at: window.get("from", time(0)) <= at < latest)
    days = sorted(draw(st.sets(st.integers(-400, 400), min_size=1, max_size=4)))
    return {
        "anchor": draw(st.sampled_from(["due_date", "assigned_at"])),
        "steps": [
            {
                "offset": timedelta(days=day),
                "at": draw(hours) if "from" in window else time(12),
                "channel": draw(st.sampled_from(["email", "sms"])),
                "template": "hello",
                "late_after": timedelta(seconds=draw(st.integers(0, 10**6))),
                "when_late": draw(st.sampled_from(["send", "skip"])),
            }
            for day in days
        ],
        "window": window,
        "zone": draw(st.sampled_from([None, "Europe/Paris"])),
        "holidays": draw(st.sampled_from([None, "none", FRENCH])),
        "repeat": draw(st.sampled_from([None, {"every": "P1Y", "times": 2, "of": "all"}])),
        "ends": draw(st.sampled_from([[], ["paid"]])),
    }


@given(schedules())
def test_stored_schedule_is_read_back_equal(given_as: dict[str, Any]) -> None:
    """As storage/definitions.py stores it, and as storage/inbox.py stores its command."""
    first = Schedule.model_validate(given_as)
    assert Schedule.model_validate_json(first.model_dump_json()) == first
    unset_left_out = first.model_dump_json(exclude_none=True, exclude_unset=True)
    assert Schedule.model_validate_json(unset_left_out) == first


DUMP = """
from domain.schedule import Schedule
print(Schedule.model_validate_json('''{
    "anchor": "assigned_at", "steps": [{"offset": "P1D", "channel": "sms", "template": "t"}],
    "window": {"weekdays": ["fri", "mon", "wed", "tue", "thu"], "from": "09:00"}
}''').model_dump_json())
"""


def test_same_schedule_is_the_same_json_in_every_process() -> None:
    """Else one republished from elsewhere would be another version, and another command.

    A set of texts has an order of its own in each process.
    """
    dumps = {
        subprocess.run(
            [sys.executable, "-c", DUMP],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(1, 4)
    }
    assert len(dumps) == 1
    assert b'"weekdays":["mon","tue","wed","thu","fri"]' in dumps.pop()
