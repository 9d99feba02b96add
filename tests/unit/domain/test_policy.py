"""When a send may start: against a plain reference, in every zone, at every clock change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from clock_changes import ALL_ZONES, changes
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.caps import Per, Recent
from domain.decision import Decision, Defer, Facts, Send, Skip
from domain.gate import decide
from domain.hours import HORIZON
from domain.law import LAWS
from domain.policy import COLLECTOR
from domain.rules import Rules
from domain.schedule import Schedule
from domain.window import Weekday
from domain.zones import zone_named

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEW_YORK, ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
KIRITIMATI, PAGO = ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")
NOON = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)  # a Monday, in New York
DAILY = Schedule.model_validate(
    {
        "anchor": "assigned_at",
        "steps": [
            {"offset": f"P{day}D", "channel": "sms", "template": "hello", "when_late": "send"}
            for day in range(3)
        ],
    }
)


def facts(now: datetime = NOON, **others: object) -> Facts:
    good = Facts(
        now=now,
        due_at=now,
        schedule=DAILY,
        step=DAILY.steps[1],
        zone=NEW_YORK,
        recipient="+12125550123",
        template_exists=True,
        sender="Acme",
    )
    return good._replace(**others)  # type: ignore[arg-type]


def decided(facts: Facts) -> Decision:
    """The decision, without what it was decided on."""
    decision = decide(facts)
    return decision if isinstance(decision, Send) else decision._replace(inputs={})


def rules(**given: object) -> Rules:
    return Rules.model_validate(given)


def local(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def is_allowed(at: datetime, facts: Facts) -> bool:
    """The rules themselves, by the clocks on the walls and by counting."""
    walls = [at.astimezone(zone).time() for zone in facts.places or (facts.zone,)]
    if facts.rules.collector and not all(time(8) <= wall < time(20, 59) for wall in walls):
        return False
    wall, quiet = at.astimezone(facts.zone), facts.rules.no_send_hours
    if quiet is not None:
        after, before = wall.time() >= quiet.begin, wall.time() < quiet.until
        if (after and before) if quiet.begin < quiet.until else (after or before):
            return False
    window = facts.schedule.window
    if list(Weekday)[wall.weekday()] not in window.weekdays or not (
        window.opens <= wall.time() and (window.until is None or wall.time() < window.until)
    ):
        return False
    return all(
        sum(
            at - cap.period < one.at
            and cap.channel in (None, one.channel)
            and (cap.per is Per.CUSTOMER or one.reference == facts.reference)
            for one in facts.recent
        )
        < cap.at_most
        or cap.channel not in (None, facts.step.channel)
        for cap in facts.rules.caps
    )


hours = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@st.composite
def at_a_clock_change(draw: st.DrawFn) -> Facts:
    """A send that is due near a change of some zone's clock, under any of the rules."""
    zone = zone_named(draw(st.sampled_from(ALL_ZONES)))
    other = zone_named(draw(st.sampled_from(ALL_ZONES)))
    change = draw(st.sampled_from([*changes(zone, 2025, 2027), NOON]))
    now = change + draw(st.integers(-40, 40)) * timedelta(minutes=37)
    begin, until = draw(st.tuples(hours, hours).filter(lambda pair: pair[0] != pair[1]))
    opens = draw(st.integers(0, 20))
    weekdays = draw(st.sets(st.sampled_from(list(Weekday)), min_size=1))
    window = {"from": f"{opens:02}:00", "until": f"{opens + 3:02}:30", "weekdays": weekdays}
    caps = [{"at_most": 2, "in": "P3D"}, {"at_most": 1, "in": "P1D", "per": "debt"}]
    recent = draw(st.lists(st.integers(0, 100), max_size=4))
    return facts(
        now,
        zone=zone,
        places=draw(st.sampled_from([(), (zone,), (zone, other)])),
        schedule=DAILY.model_copy(update={"window": type(DAILY.window).model_validate(window)})
        if draw(st.booleans())
        else DAILY,
        rules=rules(
            collector=draw(st.booleans()),
            no_send_hours={"from": begin, "until": until} if draw(st.booleans()) else None,
            caps=caps if draw(st.booleans()) else [],
        ),
        reference="a",
        recent=tuple(Recent(now - ago * HOUR, "sms", "a" if ago % 2 else "b") for ago in recent),
    )


@given(at_a_clock_change())
@settings(max_examples=100)
def test_nothing_starts_in_a_forbidden_moment_and_waits_no_longer_than_it_must(it: Facts) -> None:
    """Send: it is allowed now. Defer: it is not, but then, and at no moment in between."""
    decision = decide(it)
    if isinstance(decision, Send):
        assert is_allowed(it.now, it)
        return
    assert not is_allowed(it.now, it)
    until = decision.until if isinstance(decision, Defer) else it.now + 2 * DAY
    if isinstance(decision, Defer):
        assert is_allowed(until, it)
        assert decide(it._replace(now=until)) == Send(), "put off once, not again and again"
    between = [it.now + n * timedelta(minutes=19) for n in range(1, 150)]
    for at in [one for one in between if one < until] + [until - MINUTE]:
        assert at <= it.now or not is_allowed(at, it)


def test_collector_intersects_the_hours_of_every_place() -> None:
    """08:00 in Los Angeles is 11:00 in New York, where the day ends at 21:00."""
    both = facts(rules=rules(collector=True), places=(ANGELES, NEW_YORK))
    expected = {
        "2026-01-05T10:59": "2026-01-05T11:00",
        "2026-01-05T11:00": "2026-01-05T11:00",
        "2026-01-05T20:58": "2026-01-05T20:58",
        "2026-01-05T20:59": "2026-01-06T11:00",
        "2026-01-05T21:00": "2026-01-06T11:00",
    }
    for now, starts in expected.items():
        decision = decide(both._replace(now=local(now)))
        until = local(now) if isinstance(decision, Send) else getattr(decision, "until", None)
        assert until == local(starts), now


def test_collector_skips_where_no_hour_of_any_day_is_allowed() -> None:
    """Thirteen hours of two places always meet; of three round the world they need not."""
    world = (NEW_YORK, ZoneInfo("Europe/London"), ZoneInfo("Asia/Tokyo"))
    decision = decided(facts(rules=rules(collector=True), places=world))
    assert decision == Skip(
        "collector",
        "no hour of any day is between 08:00 and 21:00 in all of America/New_York, Europe/London, "
        "Asia/Tokyo",
    )
    # A day's length apart is the same hour.
    together = facts(rules=rules(collector=True), places=(KIRITIMATI, PAGO))
    assert isinstance(decide(together), Send | Defer)


def test_rules_that_are_never_open_together_skip_instead_of_going_round() -> None:
    """A schedule for the night in an account that is quiet at night."""
    night = Schedule.model_validate(
        {**DAILY.model_dump(by_alias=True), "window": {"from": "22:00", "until": "23:00"}}
    )
    it = facts(schedule=night, rules=rules(no_send_hours={"from": "20:00", "until": "08:00"}))
    assert decided(it) == Skip(
        "in_window",
        f"no moment of the next {HORIZON.days} days is allowed by it together with no_send_hours",
    )


def test_deferral_is_one_moment_that_all_the_rules_allow() -> None:
    """The cap is free at night, the quiet hours end at eight, the window opens at nine."""
    morning = Schedule.model_validate(
        {**DAILY.model_dump(by_alias=True), "window": {"from": "09:00", "until": "10:00"}}
    )
    it = facts(
        local("2026-01-05T09:30"),
        schedule=morning,
        rules=rules(
            caps=[{"at_most": 1, "in": "P1D"}], no_send_hours={"from": "20:00", "until": "08:00"}
        ),
        recent=(Recent(local("2026-01-05T03:00"), "sms", ""),),
    )
    decision = decide(it)
    assert isinstance(decision, Defer)
    assert (decision.rule, decision.until) == ("caps", local("2026-01-06T09:00"))
    assert decision.inputs["counted"] == 1
    assert decision.inputs["also"] == ["in_window", "no_send_hours"]


@pytest.mark.parametrize(
    ("last", "last_planned", "planned", "now", "starts"),
    [
        # Ten days of an outage: the second overdue step waits for the next day, at its own hour.
        ("05T15:00", "2025-12-28T09:30", "2025-12-29T09:30", "05T15:00", "06T09:30"),
        # Late yesterday is no reason to be late today.
        ("05T19:00", "2026-01-05T09:30", "2026-01-06T09:30", "06T09:30", "06T09:30"),
        # Sent just after midnight, for the day before.
        ("05T00:01", "2026-01-04T23:59", "2026-01-05T23:59", "05T23:59", "05T23:59"),
        # The same outage ends half an hour after midnight.
        ("05T00:30", "2025-12-28T09:30", "2025-12-29T09:30", "05T00:31", "06T09:30"),
        # Some are held, and come in the evening of a day on which another one went.
        ("05T02:00", "2026-01-03T09:30", "2026-01-04T09:30", "05T20:30", "06T09:30"),
        # Late by a sixth of what lies between the two, and by nearly half of it.
        ("05T02:00", "2026-01-04T22:00", "2026-01-05T22:00", "05T22:00", "05T22:00"),
        ("05T02:00", "2026-01-04T20:00", "2026-01-05T09:00", "05T09:00", "06T09:00"),
        # An hour across midnight, and late by half of it: that was yesterday's.
        ("05T00:10", "2026-01-04T23:30", "2026-01-05T00:30", "05T00:30", "05T00:30"),
        # Planned for one day, six hours apart: half of that.
        ("05T15:00", "2026-01-04T08:00", "2026-01-04T14:00", "05T15:30", "05T18:00"),
        ("05T15:00", "2026-01-04T08:00", "2026-01-04T14:00", "05T18:00", "05T18:00"),
        # Meant to come together.
        ("05T15:00", "2026-01-04T08:00", "2026-01-04T08:09", "05T15:00", "05T15:00"),
    ],
)
def test_late_messages_of_one_enrolment_keep_apart(
    last: str, last_planned: str, planned: str, now: str, starts: str
) -> None:
    it = facts(
        local(f"2026-01-{now}"),
        due_at=local(planned),
        messaged_at=local(f"2026-01-{last}"),
        messaged_for=local(last_planned),
    )
    decision = decide(it)
    until = decision.until if isinstance(decision, Defer) else it.now
    assert until == local(f"2026-01-{starts}")
    assert decide(it._replace(rules=rules(apart=False))) == Send()


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
def test_every_jurisdiction_is_sourced_and_closes_before_its_hour(law: object) -> None:
    law = next(one for one in LAWS if one is law)
    assert law.statute
    assert law.read_at.startswith("https://")
    assert law.checked.year >= 2026
    for window in law.hours.windows:
        assert window.until is not None
        assert window.until.minute == 59
    under = facts(laws=(law,), zone=ANGELES)
    for hour in range(24 * 7):
        at = local("2026-01-05T00:30", ANGELES) + hour * HOUR
        open_ = any(
            list(Weekday)[at.astimezone(ANGELES).weekday()] in window.weekdays
            and window.opens <= at.astimezone(ANGELES).time() < window.until  # type: ignore[operator]
            for window in law.hours.windows
        )
        assert isinstance(decide(under._replace(now=at, due_at=at)), Send) is open_


def test_french_marketing_text_waits_out_a_holiday_and_the_sunday_after_it() -> None:
    paris = ZoneInfo("Europe/Paris")
    (law,) = (law for law in LAWS if law.name == "FR")
    it = facts(local("2026-08-15T10:00", paris), laws=(law,), zone=paris)  # a Saturday
    decision = decide(it)
    assert isinstance(decision, Defer)
    assert decision.until == local("2026-08-17T08:00", paris)


def test_fourth_text_in_a_day_waits_in_florida() -> None:
    (law,) = (law for law in LAWS if law.name == "US-FL")
    recent = tuple(Recent(NOON - hours * HOUR, "sms", "") for hours in (1, 2, 3))
    decision = decided(facts(laws=(law,), recent=recent))
    assert decision == Defer("stricter_law", NOON + 21 * HOUR)
    assert decided(facts(laws=(law,), recent=recent[1:])) == Send()


@pytest.mark.parametrize(
    ("name", "opens"),
    [("US-TX", "2026-01-11T12:00"), ("FR", "2026-01-12T08:00"), ("US-FL", "2026-01-11T08:00")],
)
def test_sunday_is_as_the_law_has_it(name: str, opens: str) -> None:
    """Texas begins at noon, and France not at all; 11 January is one."""
    (law,) = (law for law in LAWS if law.name == name)
    decision = decided(facts(local("2026-01-11T07:00"), laws=(law,)))
    assert decision == Defer("stricter_law", local(opens))


def test_hours_end_early_enough_for_a_hand_over() -> None:
    """What starts in the last second that is open has left, or is broken off, by nine."""
    (window,) = COLLECTOR.windows
    assert window.until is not None
    # workers/delivery.py: HAND_OVER_SECONDS
    assert datetime.combine(NOON, window.until) + timedelta(seconds=30) < datetime.combine(
        NOON, time(21)
    )


def test_quiet_hours_may_end_at_midnight() -> None:
    it = facts(
        local("2026-01-05T23:30"), rules=rules(no_send_hours={"from": "22:00", "until": "24:00"})
    )
    assert decided(it) == Defer("no_send_hours", local("2026-01-06T00:00"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nightly": True}, "has no rule nightly: the rules that can be turned on and off are"),
        ({"no_send_hours": {"from": "20:00", "until": "20:00"}}, "which is the whole day"),
        ({"no_send_hours": {"from": "20:00+01:00", "until": "08:00"}}, "hours are local"),
        ({"no_send_hours": {"from": "20:00:30", "until": "08:00"}}, "whole minutes"),
        ({"caps": [{"at_most": 1, "in": "PT0S"}]}, "no length"),
        ({"caps": [{"at_most": 0, "in": "P1D"}]}, "greater than or equal to 1"),
        ({"caps": [{"at_most": 1, "in": "P400D"}]}, "less than or equal to"),
        ({"stricter_law": ["spam"]}, "'marketing', 'collection' or 'service'"),
    ],
)
def test_rules_that_make_no_sense_are_refused_in_words(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rules(**given)
