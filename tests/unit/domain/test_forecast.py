"""Looking ahead, without a database: what is told of what comes late, or not at all."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.calendar import NO_HOLIDAYS
from domain.decision import Facts
from domain.forecast import Foreseen, Next, Outlook, PutOff, Run, Started, foresee
from domain.message import Channel
from domain.schedule import Schedule

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)  # Monday, 09:00 in Paris
MONTH = NOW + timedelta(days=30)
SCHEDULE: dict[str, Any] = {
    "anchor": "due_date",
    "steps": [
        {"offset": "P0D", "at": "10:00", "channel": "email", "template": "first"},
        {"offset": "P2D", "at": "10:00", "channel": "sms", "template": "second"},
    ],
}


def run(schedule: dict[str, Any] | None = None, **fields: Any) -> Run:
    """A run whose first step is due an hour from now."""
    first = NOW + timedelta(hours=1)
    return Run(
        **{
            "enrolment": 1,
            "schedule": Schedule.model_validate(schedule or SCHEDULE),
            "cursor": 0,
            "anchor": date(2026, 1, 5),
            "shift_seconds": 0,
            "zone": PARIS,
            "calendar": NO_HOLIDAYS,
            "next": Next(Channel.EMAIL, first, first),
            **fields,
        }
    )


def facts(of: Run, planned: Next, at: datetime, **changed: Any) -> Facts:
    return Facts(
        now=at,
        due_at=planned.planned_at,
        schedule=of.schedule,
        step=of.step.by(planned.channel),
        zone=of.zone,
        recipient="somewhere",
        template_exists=True,
        sender="Acme",
    )._replace(**changed)


def ahead(*runs: Run, until: datetime = MONTH, **changed: Any) -> list[Foreseen]:
    return foresee(runs, NOW, until, lambda *asked: facts(*asked, **changed))


def test_each_step_comes_at_its_moment_until_the_schedule_is_complete() -> None:
    assert [(one.cursor, one.outlook, one.at, one.template) for one in ahead(run())] == [
        (0, Outlook.SENT, NOW + timedelta(hours=1), "first"),
        (1, Outlook.SENT, NOW + timedelta(days=2, hours=1), "second"),
    ]


def test_nothing_is_told_of_what_comes_after_the_last_moment_looked_at() -> None:
    assert [one.cursor for one in ahead(run(), until=NOW + timedelta(days=2))] == [0]


def test_what_is_paused_is_put_off_until_nobody_knows_when() -> None:
    (one,) = ahead(run(), paused=True)
    assert (one.outlook, one.at, one.rule) == (Outlook.PUT_OFF, None, "paused")


def test_what_is_held_waits_for_whoever_releases_it() -> None:
    (one,) = ahead(run(held="paused", next=None))
    assert (one.outlook, one.at, one.rule) == (Outlook.HELD, None, "paused")


def test_what_is_held_until_a_day_goes_on_by_itself_and_may_be_too_late() -> None:
    """Its step was due an hour from now: with the promise's day over, the gate decides."""
    until = NOW + timedelta(days=1)
    promised = run(held="promised", next=None, held_until=until)
    told = [(one.cursor, one.outlook, one.at) for one in ahead(promised)]
    assert told == [
        (0, Outlook.HELD, until),
        (0, Outlook.SENT, until),
        (1, Outlook.SENT, NOW + timedelta(days=2, hours=1)),
    ]
    later = promised._replace(held_until=NOW + timedelta(days=5))
    assert [one.outlook for one in ahead(later)][1:] == [Outlook.SKIPPED, Outlook.SKIPPED]


def test_what_is_in_progress_moves_nothing_once_a_fact_has_moved_its_anchor() -> None:
    steps = [{**SCHEDULE["steps"][0], "late_after": "P1D", "when_late": "reanchor"}]
    of = {**SCHEDULE, "steps": [*steps, SCHEDULE["steps"][1]]}
    late = Started(Channel.EMAIL, NOW - timedelta(days=3), NOW)
    moved = ahead(run(of, next=None, started=late))[1]
    stays = ahead(run(of, next=None, started=late._replace(anchor_moved=True)))[1]
    assert moved.at is not None
    assert stays.at == moved.at - timedelta(days=3)


def test_what_is_put_off_again_and_again_by_one_rule_says_so_once() -> None:
    """Without a sender the gate looks again every hour, until it is too late for the step."""
    first, second = ahead(run(), sender=None)
    begins, skipped = NOW + timedelta(hours=1), NOW + timedelta(days=2, hours=2)
    assert first.put_off == (PutOff("has_sender", begins, skipped),)
    assert (first.outlook, first.rule, first.at) == (Outlook.SKIPPED, "in_time", skipped)
    assert second.planned_at == NOW + timedelta(days=2, hours=1)


def test_what_is_put_off_beyond_the_last_moment_says_until_when() -> None:
    night = run({**SCHEDULE, "window": {"until": "10:01"}})
    late = night._replace(next=Next(Channel.EMAIL, NOW, NOW + timedelta(hours=2)))
    (one,) = ahead(late, until=NOW + timedelta(hours=3))
    tomorrow = datetime(2026, 1, 5, 23, 0, tzinfo=UTC)
    assert (one.outlook, one.rule, one.at) == (Outlook.PUT_OFF, "in_window", tomorrow)


def test_what_is_in_progress_is_followed_by_what_comes_next() -> None:
    started = Started(Channel.EMAIL, NOW, NOW)
    first, second = ahead(run(next=None, started=started))
    assert (first.outlook, first.at) == (Outlook.IN_PROGRESS, NOW)
    assert (second.cursor, second.at) == (1, NOW + timedelta(days=2, hours=1))


def test_runs_are_told_in_the_order_of_time() -> None:
    early = NOW + timedelta(minutes=5)
    other = run(enrolment=2, next=Next(Channel.SMS, early, early))
    told = [(one.enrolment, one.cursor) for one in ahead(run(), other)]
    assert told[:2] == [(2, 0), (1, 0)]


def test_late_step_moves_what_follows_it() -> None:
    steps = [{**SCHEDULE["steps"][0], "late_after": "P1D", "when_late": "reanchor"}]
    late = run({**SCHEDULE, "steps": [*steps, SCHEDULE["steps"][1]]})
    due = NOW - timedelta(days=3)
    moved = ahead(late._replace(next=Next(Channel.EMAIL, due, due)))
    assert moved[1].at == NOW + timedelta(days=5, hours=1)
