"""Moving runs to the newest version of their schedule, and what that would change."""

from collections import Counter, defaultdict
from typing import NamedTuple

from domain.commands import MoveToVersion
from domain.customer import CustomerState
from domain.planning import calendar_for, zone_of
from domain.refusal import Refusal
from domain.schedule import Schedule
from domain.versions import Change, Diff, PlannedBy, Run, Stays, change, diff_of
from storage import definitions, enrolments, versions
from storage.accounts import Account, read_account
from storage.database import Connection, Engine, reading
from storage.versions import Begun, Behind, OldRun
from workers.consent import closed_to
from workers.holds import settle
from workers.planning import anchor_now, plan_of
from workers.work import Work


class Planned(NamedTuple):
    """What the move of one run comes to."""

    run: OldRun
    change: Change


def diff(
    engine: Engine, account_id: str, schedule: str, from_version: int | None = None
) -> Diff | None:
    """What `move_to_version` would do now to all who are on it; None: no such schedule.

    Without a transaction: the server ends one in which nothing happens while many are reckoned.
    """
    with reading(engine) as connection:
        return _diff(connection, account_id, schedule, from_version)


def _diff(
    connection: Connection, account_id: str, schedule: str, from_version: int | None
) -> Diff | None:
    account = read_account(connection, account_id)
    newest = definitions.newest_schedule(connection, account_id, schedule)
    if account is None or newest is None:
        return None
    runs = versions.older_runs(
        connection, account_id, schedule, newest=newest, from_version=from_version
    )
    names = sorted({run.customer for run in runs})
    shut = _shut(connection, account_id, schedule, newest, names)
    stays: dict[str, Stays] = dict.fromkeys(shut, Stays.NO_CONSENT)
    for run in runs:
        if run.customer not in shut and run.in_progress:
            stays[run.customer] = Stays.IN_PROGRESS
        elif not _same_anchor(connection, account, schedule, newest, run):
            stays.setdefault(run.customer, Stays.OTHER_ANCHOR)
    return diff_of(
        (
            _change(connection, account, schedule, newest, run)
            for run in runs
            if run.customer not in stays
        ),
        Counter(stays[run.customer] for run in runs if run.customer in stays),
    )


def _same_anchor(
    connection: Connection, account: Account, name: str, newest: int, run: OldRun
) -> bool:
    older = definitions.read_schedule(connection, account.account, name, run.version)
    return (
        older.anchor is definitions.read_schedule(connection, account.account, name, newest).anchor
    )


def _change(
    connection: Connection, account: Account, name: str, newest: int, run: OldRun
) -> Change:
    older = definitions.read_schedule(connection, account.account, name, run.version)
    newer = definitions.read_schedule(connection, account.account, name, newest)
    planned_by = (_planned_by(account, run, version) for version in (older, newer))
    return change(older, newer, Run(run.step, anchor_now(run), *planned_by))


def _planned_by(account: Account, run: OldRun, version: Schedule) -> PlannedBy:
    zone = zone_of(run.zone, version, account.zone)
    return PlannedBy(zone, calendar_for(version, account.holidays))


def move_to_version(
    work: Work, seq: int, command: MoveToVersion, here: list[CustomerState]
) -> None:
    """Each run goes on where it has come to; what is done stays done, and is told."""
    name, account = command.schedule, work.account
    newest = definitions.newest_schedule(work.connection, account.account, name)
    found: defaultdict[str, list[OldRun]] = defaultdict(list)
    if newest is not None:
        for run in versions.older_runs(
            work.connection,
            account.account,
            name,
            newest=newest,
            from_version=command.from_version,
            slots=[state.slot for state in here if state.slot is not None],
        ):
            found[run.customer].append(run)
    moving: dict[str, list[Planned]] = {}
    names = [state.customer for state in here]
    shut = {} if newest is None else _shut(work.connection, account.account, name, newest, names)
    for state in here:
        refusal = shut.get(state.customer) or _refusal(
            work, command, state, newest, found[state.customer]
        )
        if newest is None or refusal is not None:
            work.refused(seq, state, refusal or _unknown(command))
        else:
            moving[state.customer] = [
                Planned(run, _change(work.connection, account, name, newest, run))
                for run in found[state.customer]
            ]
    if newest is not None and moving:
        _move(work, command, newest, [one for planned in moving.values() for one in planned])
        _tell(work, seq, command, newest, here, moving)


def _shut(
    connection: Connection, account: str, name: str, newest: int, customers: list[str]
) -> dict[str, Refusal]:
    """Those to whom no step of the newest version has a way to go."""
    schedule = definitions.read_schedule(connection, account, name, newest)
    return closed_to(connection, account, name, schedule, customers)


def _tell(
    work: Work,
    seq: int,
    command: MoveToVersion,
    newest: int,
    here: list[CustomerState],
    moving: dict[str, list[Planned]],
) -> None:
    for state in here:
        if state.customer in moving:
            planned = moving[state.customer]
            all_of_it = diff_of(one.change for one in planned)
            work.applied(
                seq,
                state,
                "schedule_version_moved",
                cancelled=all_of_it.dropped,
                schedule=command.schedule,
                version=newest,
                from_versions=sorted({one.run.version for one in planned}),
                moved=all_of_it.moved,
                retimed=all_of_it.retimed,
                ended=all_of_it.ended,
            )


def _move(work: Work, command: MoveToVersion, newest: int, planned: list[Planned]) -> None:
    connection, account = work.connection, work.account
    versions.end_runs(
        connection, account.account, [one.run.enrolment for one in planned], account.now
    )
    going = [one for one in planned if not one.change.ends]
    begun = [Begun(one.run, one.change.landing.cursor) for one in going]
    newer = versions.begin_runs(connection, account.account, newest, begun) if begun else {}
    schedule = definitions.read_schedule(connection, account.account, command.schedule, newest)
    behind = [
        Behind(
            newer[one.run.enrolment],
            one.run.customer,
            step,
            schedule.step_at(step).channel.value,
            _why_behind(one, step),
        )
        for one in going
        for step in range(one.change.landing.cursor)
    ]
    versions.account_for(connection, account.account, behind, account.now)
    live = enrolments.read_enrolments(connection, account.account, list(newer.values()))
    # Those that are held get none.
    enrolments.plan(
        connection, account.account, [plan_of(connection, account, run) for run in live]
    )
    # The newer version may heed other facts.
    settle(connection, account, sorted({one.run.slot for one in going}))


def _why_behind(one: Planned, step: int) -> str:
    done = one.change.landing.done.get(step)
    if done is None:
        return "it comes before what was done in the older version"
    return f"done as step {done + 1} of version {one.run.version}"


def _refusal(
    work: Work,
    command: MoveToVersion,
    state: CustomerState,
    newest: int | None,
    runs: list[OldRun],
) -> Refusal | None:
    if newest is None:
        return _unknown(command)
    doing = f"Cannot move customer {state.customer} to version {newest} of {command.schedule}"
    if not runs:
        from_ = command.from_version
        where = "on no older version of it" if from_ is None else f"not on its version {from_}"
        return Refusal("not_on_version", f"{doing}: it is {where}. There is nothing to do.")
    if any(run.in_progress for run in runs):
        return Refusal(
            "in_progress",
            f"{doing}: a send of it is in progress, and what comes of it is not known yet. Send "
            "the command again in a minute, under another id.",
        )
    name = command.schedule
    if not all(_same_anchor(work.connection, work.account, name, newest, run) for run in runs):
        return Refusal(
            "other_anchor",
            f"{doing}: that counts from something else than the version that it is on. Take it off "
            "the schedule, and assign it anew.",
        )
    return None


def _unknown(command: MoveToVersion) -> Refusal:
    return Refusal(
        "unknown_schedule",
        f"There is no schedule {command.schedule}. Bring it with put_schedule first.",
    )
