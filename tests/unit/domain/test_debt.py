"""What facts say of a debt and a status, and of what a schedule counts from."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.anchors import after_part_payment
from domain.facts import Debt, Payment, Promise, is_in_full, is_other_currency
from domain.journey import Status
from domain.marks import Mark, status_of
from domain.planning import due_at
from domain.schedule import Schedule

OWED = Debt(invoiced=True, amount=Decimal("120.00"), currency="EUR")


def paid(**given: object) -> Payment:
    return Payment.model_validate({"fact": "payment", **given})


@pytest.mark.parametrize(
    ("payment", "debt", "in_full"),
    [
        (paid(), Debt(), True),
        (paid(full=False), Debt(), False),
        (paid(amount="1.00"), Debt(), True),
        (paid(amount="1.00"), OWED, False),
        (paid(amount="1.00", full=True), OWED, True),
        (paid(amount="120"), OWED, True),
        (paid(amount="120.0001"), OWED, True),
        (paid(amount="119.9999"), OWED, False),
        (paid(amount="0.1", full=False), OWED._replace(paid=Decimal("119.9")), True),
        (paid(full=False), OWED._replace(paid=Decimal(120)), False),
        (paid(), OWED, True),
    ],
)
def test_payment_is_in_full_by_its_word_or_by_the_sum(
    payment: Payment, debt: Debt, *, in_full: bool
) -> None:
    assert is_in_full(payment, debt) is in_full


@given(st.lists(st.decimals("0.01", "99999", places=2), min_size=1, max_size=30))
def test_parts_that_add_up_to_the_amount_are_in_full_and_not_before(parts: list[Decimal]) -> None:
    """Exact: a sum of floats would miss it, or be there too soon."""
    debt = Debt(invoiced=True, amount=sum(parts, Decimal(0)), currency="EUR")
    for part in parts:
        assert not debt.settled
        last = is_in_full(paid(amount=str(part), full=False), debt)
        debt = debt._replace(paid=debt.paid + part)
        assert last is debt.settled
    assert debt.settled


def test_an_amount_of_another_currency_can_not_be_reckoned_with() -> None:
    assert is_other_currency(paid(amount="1", currency="USD"), OWED)
    assert not is_other_currency(paid(amount="1", currency="USD", full=True), OWED)
    assert not is_other_currency(paid(amount="1"), OWED)
    assert not is_other_currency(paid(amount="1", currency="USD"), Debt())
    promise = Promise(fact="promise", until=date(2026, 1, 9), amount="1", currency="USD")
    assert is_other_currency(promise, OWED)


def test_payment_of_nothing_is_refused_unless_it_says_that_nothing_is_owed() -> None:
    """It would put off what is to come, keep a promise, or (no invoice known) end all of it."""
    for full in ({}, {"full": False}):
        with pytest.raises(ValidationError, match="is of nothing: give what was paid"):
            paid(amount="0.00", **full)
    assert is_in_full(paid(amount="0.00", full=True), OWED)


def test_a_debt_that_no_invoice_names_is_never_known_to_be_settled() -> None:
    assert not Debt(paid=Decimal(9), said_full=True).settled
    assert Debt(invoiced=True, said_full=True).settled


ORDER = [
    (Mark.DISPUTED, Status.DISPUTED),
    (Mark.PROMISED, Status.PROMISED),
    (Mark.LATE, Status.LATE),
]
SETS = list(chain.from_iterable(combinations(Mark, n) for n in range(len(Mark) + 1)))


@pytest.mark.parametrize("marks", SETS, ids=lambda marks: "+".join(marks) or "none")
def test_status_is_disputed_before_promised_before_late_before_on_track(
    marks: tuple[Mark, ...],
) -> None:
    expected = next((status for mark, status in ORDER if mark in marks), Status.ON_TRACK)
    assert status_of(marks) is expected


def _schedule(anchor: str, *offsets: int, at: str | None = "09:00") -> Schedule:
    steps = [
        {"offset": f"P{days}D" if days >= 0 else f"-P{-days}D", "channel": "email", "template": "t"}
        | ({"at": at} if at else {})
        for days in offsets
    ]
    return Schedule.model_validate({"anchor": anchor, "steps": steps})


DUNNING = _schedule("due_date", -3, 1, 7, 14)
PARIS = ZoneInfo("Europe/Paris")
DUE = date(2026, 3, 20)


@pytest.mark.parametrize(
    ("step", "in_progress", "paid_on", "anchor"),
    [
        pytest.param(2, False, date(2026, 3, 23), date(2026, 3, 22), id="two days after a step"),
        pytest.param(2, True, date(2026, 3, 27), DUE, id="while a step is being sent"),
        pytest.param(2, False, date(2026, 3, 21), DUE, id="on the day of the last step"),
        pytest.param(1, False, date(2026, 3, 10), DUE, id="before the last step was due"),
        pytest.param(0, False, date(2026, 3, 1), DUE, id="long before the first step"),
        pytest.param(0, False, date(2026, 3, 25), date(2026, 3, 25), id="before any step, late"),
    ],
)
def test_the_distance_to_the_next_step_counts_anew_from_a_payment_in_part(
    step: int, paid_on: date, anchor: date, *, in_progress: bool
) -> None:
    paid_at = datetime.combine(paid_on, datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
    moved = after_part_payment(DUNNING, step, DUE, PARIS, paid_at, in_progress=in_progress)
    assert moved == anchor


@given(
    st.lists(st.integers(-30, 60), min_size=1, max_size=6, unique=True).map(sorted),
    st.data(),
)
def test_a_payment_in_part_never_brings_a_step_forward_or_out_of_order(
    offsets: list[int], data: st.DataObject
) -> None:
    """And the next one is due no sooner than it would be had the last one gone out just now."""
    moments = data.draw(st.booleans())
    schedule = _schedule("assigned_at" if moments else "due_date", *offsets)
    step = data.draw(st.integers(0, len(offsets) - 1))
    anchor = datetime(2026, 3, 20, 15, 30, tzinfo=UTC) if moments else DUE
    paid_at = datetime(2026, 3, 20, tzinfo=UTC) + timedelta(
        hours=data.draw(st.integers(-1000, 3000))
    )
    moved = after_part_payment(schedule, step, anchor, PARIS, paid_at)
    before = [due_at(schedule, n, anchor, PARIS) for n in range(step, len(offsets))]
    after = [due_at(schedule, n, moved, PARIS) for n in range(step, len(offsets))]
    assert all(late >= early for early, late in zip(before, after, strict=True))
    assert after == sorted(after)
    if step:
        gap = offsets[step] - offsets[step - 1]
        wait = after[0].astimezone(PARIS).date() - paid_at.astimezone(PARIS).date()
        assert wait.days >= gap or after == before
