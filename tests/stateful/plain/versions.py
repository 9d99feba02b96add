"""Moving to a newer version of a schedule: docs/schedules.md, "Newer versions"."""

from stateful.plain.customer import REFUSED, Came, Customer
from stateful.plain.plan import Plan
from stateful.plain.run import Line, Run


def move_to_version(who: Customer, schedule: str, newest: Plan, version: int) -> Came:
    runs = [run for run in who.live if run.schedule == schedule and run.version < version]
    if not who.active or not runs or any(run.started for run in runs):
        return REFUSED
    if any(run.plan.by_moment is not newest.by_moment for run in runs):
        return REFUSED
    if not who.any_way(schedule, newest.steps):
        return REFUSED
    return Came("applied", sum(_move(who, run, newest, version) for run in runs))


def _move(who: Customer, run: Run, newest: Plan, version: int) -> bool:
    """Returns whether its next send is none of the newest version's that are still to come."""
    new = Run(run.schedule, newest, version, run.reference, run.anchor, run.where, run.shift)
    new.last = run.last
    new.number = _place(run, new)
    dropped = run.plan.known_as(run.number) not in newest.known()[new.number :]
    run.write("cancelled", "moved_to_version", who.now)
    run.unschedule()
    run.stop_for_good("moved_to_version", who.now)
    if new.number < newest.length:
        who.runs.append(new)
        for number in range(new.number):
            new.ledger.append(Line(number, "skipped", "moved_to_version", None, who.now, None))
        new.held = who.holds(new)
        if not new.held:
            new.schedule_it()
    return dropped


def _place(run: Run, new: Run) -> int:
    """Behind all that is done; and behind what would have come by then, if the last is gone."""
    done = [run.plan.known_as(number) for number in range(run.number)]
    known = new.plan.known()
    behind = [known.index(one) + 1 for one in done if one in known]
    if done and done[-1] not in known:
        last = run.moment(run.number - 1)
        behind += [number + 1 for number in range(new.plan.length) if new.moment(number) <= last]
    return max(behind, default=0)
