"""What facts do to a customer: docs/facts.md."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from stateful.plain.customer import Came, Customer, Mark
from stateful.plain.hours import DAY, shown
from stateful.plain.plan import Anchor
from stateful.plain.run import Run


def record(who: Customer, fact: dict[str, Any]) -> Came:
    """Of who is in the directory it is kept, and moves nothing."""
    if not who.active:
        who.owed.tell(fact)
        return Came()
    does = {
        "invoice": _invoice,
        "payment": _payment,
        "promise": _promise,
        "dispute": _dispute,
        "interaction": _interaction,
    }
    return does[fact["fact"]](who, fact, fact.get("reference"))


def _invoice(who: Customer, fact: dict[str, Any], reference: str | None) -> Came:
    assert reference is not None
    before = who.owed.last(reference, "due_date")
    who.owed.tell(fact)
    if "due_date" in fact and fact["due_date"] != before:
        for run in who.of(reference):
            if not run.plan.by_moment and str(run.anchor) != fact["due_date"]:
                run.shift = timedelta()
                _move(run, date.fromisoformat(fact["due_date"]))
    return _pay_off(who, reference) if who.owed.settled(reference) else Came()


def _payment(who: Customer, fact: dict[str, Any], reference: str | None) -> Came:
    in_full = who.owed.in_full(fact)
    who.owed.tell(fact)
    if in_full:
        _keep(who, fact, reference)
        return _pay_off(who, reference)
    runs = [run for run in who.of(reference) if run.plan.ends]
    opened = sum(run.started for run in runs)
    for run in runs:
        _put_off(who, run)
    _keep(who, fact, reference)
    who.hold_and_release()
    return Came("applied", 0, opened)


def _put_off(who: Customer, run: Run) -> None:
    last = run.number if run.started else run.number - 1
    since = run.moment(last) if last >= 0 else run.counts_from
    if run.plan.by_moment:
        assert isinstance(since, datetime)
        by = who.now - since
    else:
        by = run.day(who.now) - _day(run, since)
    if by > timedelta():
        _move(run, run.anchor + by)


def _day(run: Run, since: Anchor) -> date:
    return run.day(since) if isinstance(since, datetime) else since


def _move(run: Run, anchor: Anchor) -> None:
    run.anchor = anchor
    run.moved |= run.started  # if that is late, it counts from the new day already
    if run.pending and run.channel:
        run.schedule_again(run.channel, run.attempts)


def _pay_off(who: Customer, reference: str | None) -> Came:
    came = who.end([run for run in who.of(reference) if run.plan.ends], "paid")
    who.unmark({"promised", "disputed", "late"}, reference)
    who.hold_and_release()
    return came


def _keep(who: Customer, fact: dict[str, Any], reference: str | None) -> None:
    """Promises, by this payment."""
    amount = Decimal(fact["amount"]) if "amount" in fact else None
    for mark in [one for one in who.marks if one.kind == "promised"]:
        exact = reference is None or mark.reference == reference
        towards = mark.reference is None and mark.amount is not None and amount is not None
        if not (exact or towards):
            continue
        if mark.amount is not None and amount is not None and mark.amount > amount:
            mark.amount -= amount
        else:
            who.marks.remove(mark)


def _promise(who: Customer, fact: dict[str, Any], reference: str | None) -> Came:
    who.owed.tell(fact)
    midnight = datetime.combine(date.fromisoformat(fact["until"]) + DAY, time())
    until = shown(midnight, who.where.zone_by())
    if until > who.now and not who.owed.settled(reference):
        amount = Decimal(fact["amount"]) if "amount" in fact else None
        who.mark(Mark("promised", reference, until, amount))
    return _came_to(who, "promised", reference)


def _dispute(who: Customer, fact: dict[str, Any], reference: str | None) -> Came:
    who.owed.tell(fact)
    outcome = fact.get("outcome")
    if outcome is None:
        who.mark(Mark("disputed", reference))
        return _came_to(who, "disputed", reference)
    came = Came()
    if outcome == "upheld":
        heeding = [run for run in who.of(reference) if "disputed" in run.plan.holds]
        came = who.end(heeding, "dispute_upheld")
        who.unmark({"promised", "late"}, reference)
    who.unmark({"disputed"}, reference)
    who.hold_and_release()
    return came


def _interaction(who: Customer, fact: dict[str, Any], reference: str | None) -> Came:
    who.owed.tell(fact)
    who.mark(Mark("replied", reference))
    return _came_to(who, "replied", reference)


def _came_to(who: Customer, kind: str, reference: str | None) -> Came:
    opened = sum(run.started for run in who.of(reference) if kind in run.plan.holds)
    return Came("applied", who.hold_and_release(), opened)
