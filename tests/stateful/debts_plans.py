"""Who there is, on what schedules, in two accounts; and what may become of all of it."""

from datetime import UTC, date, datetime, time
from typing import NamedTuple

from stateful.plain.calendar import EVERY_DAY, Calendar
from stateful.plain.caps import Cap
from stateful.plain.hours import Window
from stateful.plain.laws import EVERY_KIND
from stateful.plain.plan import Plan, Step
from stateful.plain.rules import Rules

OPENED_AT = datetime(2026, 3, 27, 8, tzinfo=UTC)
"""A Friday. On Sunday clocks go forward in Berlin, a week later back in Sydney; on the Tuesday
and on the Thursday between them is a holiday of one calendar, on Friday of both."""

ZONES = (
    *("Europe/Berlin", "Europe/Madrid"),
    *("Asia/Tokyo", "America/New_York", "Australia/Sydney"),
)
PEOPLE = {
    "ann": ("Europe/Berlin", "FR", {"email": "ann@example.org", "sms": "+12145551234"}),
    "bob": (None, "ES", {"email": "bob@example.org", "sms": "+13055551234"}),
    "cleo": (None, None, {"email": "cleo@example.org"}),
}
"""Where each is and can be reached. Both accounts have them."""
NUMBERS = ("+80012345678", "+12145551234", "+13055551234", "+33612345678", None)
"""Free of charge, of Dallas, of Miami, of France: whose anybody's may become."""
COUNTRIES = ("FR", "ES", None)

OFFICE = Window(("mon", "tue", "wed", "thu", "fri"), time(8), time(18))
FIRST = Step("first", 0, late_after_days=6, at=time(10))
SECOND = Step("second", 2, "sms", fallback="email", status="late", late_after_days=6)
THIRD = Step("third", 5, late_after_days=6)
SOON = Step("soon", 0, "sms", "email", at=None, hours=3, late_after_days=6)
FIVE, SIX = time(17), time(18)
VERSIONS = {
    "bill": (
        Plan((FIRST, SECOND, THIRD), window=OFFICE),
        Plan(
            (
                FIRST,
                Step("added", 1, "sms", fallback="email"),
                SECOND,
                THIRD._replace(days=4, when_late="send"),
            ),
            every=3,
            times=2,
            holidays=Calendar("DK"),
        ),
        Plan((FIRST, THIRD._replace(days=2, business=True)), every=2, times=1),
        Plan((SECOND._replace(days=-1, business=True), FIRST._replace(days=1)), holidays="none"),
    ),
    "soft": (
        Plan(
            (
                Step("ask", 1, late_after_days=1, when_late="reanchor", at=time(2, 30)),
                Step("again", 3, "sms", "email", late_after_days=1, when_late="reanchor"),
                Step("thank", 5, status="on_track"),
            ),
            ends=False,
            holds=frozenset({"disputed"}),
            holidays=Calendar("DK"),
        ),
        Plan(
            (Step("again", 2, "sms", "email"), Step("thank", 4)),
            ends=False,
            zone="Australia/Sydney",
            window=Window(until=time(12)),
        ),
    ),
    "texts": (
        Plan(
            (Step("text", 0, "sms", at=FIVE), Step("mail", 1, "email", "sms", at=FIVE)),
            holds=frozenset({"promised"}),
            every=3,
            times=1,
            of="all",
            window=Window(opens=FIVE, until=SIX),
        ),
        Plan(
            (Step("text", 0, "sms", when_late="reanchor", business=True), Step("mail", 2)),
            every=4,
            times=1,
            holidays=Calendar("MT", frozenset({date(2026, 3, 30)})),
        ),
    ),
    "hours": (
        Plan(
            (
                SOON,
                Step("later", hours=8, at=None, when_late="send"),
                Step("next", 1, "sms", "email", at=time(10), late_after_days=6),
                Step("day", 3, business=True, at=time(11)),
            ),
            by_moment=True,
            holds=frozenset({"promised", "replied"}),
            window=Window(opens=time(8), until=time(20)),
            zone="Asia/Tokyo",
        ),
        Plan(
            (SOON, Step("later", 1, hours=6, at=None, late_after_days=0, when_late="reanchor")),
            by_moment=True,
            every=2,
            times=1,
            of="all",
            holidays=Calendar("MT"),
        ),
    ),
}
"""The first of each is what it begins with. `hours` counts from the moment of the assignment."""

FROM_A_DAY = sorted(name for name, versions in VERSIONS.items() if not versions[0].by_moment)

CAPS = (
    (),
    (Cap(2, 24),),
    (Cap(1, 24),),
    (Cap(1, 20, "sms"), Cap(3, 50)),
    (Cap(1, 30, per_debt=True),),
)
QUIET = (None, (time(16), time(9, 30)), (time(10), time(14)))
LAW = (EVERY_KIND, ("marketing", "service"), ("collection",), ())
"""Of which messages."""
CALENDARS = (EVERY_DAY, Calendar("MT"), Calendar("DK", frozenset({date(2026, 3, 29)})))


class Opened(NamedTuple):
    """An account as it begins."""

    zone: str
    calendar: Calendar
    rules: Rules
    runs: tuple[dict[str, str], ...]
    """Of everybody."""


DUE = "2026-03-28"
ACCOUNTS = (
    Opened(
        "America/New_York",
        Calendar("MT", frozenset({date(2026, 4, 4)})),
        Rules((Cap(3, 24), Cap(2, 24, per_debt=True)), law=LAW[0]),
        (
            {"schedule": "bill", "reference": "r1", "due_date": DUE},
            {"schedule": "bill", "reference": "r2", "due_date": DUE},
            {"schedule": "soft", "reference": "r2", "due_date": DUE},
            {"schedule": "hours", "reference": "r1"},
        ),
    ),
    Opened(
        "Australia/Sydney",
        Calendar("DK"),
        Rules((Cap(1, 20),), QUIET[2], collector=True, law=LAW[1], apart=False),
        ({"schedule": "bill", "reference": "r1", "due_date": DUE},),
    ),
)
