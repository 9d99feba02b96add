"""`layby schedule preview`: a file as it would be for somebody, before anybody is on it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from config.settings import read_settings
from domain.calendar import Calendar
from domain.forecast import Foreseen, Outlook
from domain.message import Channel
from domain.moments import in_our_times
from domain.opening import moment
from domain.planning import Anchor, calendar_for, due_at, zone_of
from domain.preview import Previewed, anchor_in_words, preview
from domain.schedule import AnchorKind, Schedule
from domain.zones import zone_named
from ops.columns import aligned
from ops.installation import open_installation
from ops.month import LEGEND, months
from ops.named import read_account, the_account, the_customer
from ops.schedule_file import NamedSchedule, read_schedule_file
from ops.screen import Account, Json, UserError, counted, screen
from ops.story import why_fallback
from storage.definitions import TemplateVersion, newest_templates
from workers.previewing import Somebody, gate_outlook
from workers.rendering import RenderError
from workers.samples import sample


class Look(NamedTuple):
    """One schedule of a file, for somebody."""

    named: NamedSchedule
    who: Somebody
    anchor: Anchor
    calendar: Calendar
    until: datetime


class Row(NamedTuple):
    """A send of it: as planned, and as the gate would have it."""

    planned: Previewed
    foreseen: Foreseen | None


def preview_(
    file: Annotated[Path, typer.Argument(help="A YAML or JSON file.")],
    account: Account = None,
    customer: Annotated[
        str | None, typer.Option(help="For this customer: its zone, and where it can be reached.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="In this zone, such as Europe/Paris.")] = None,
    anchor: Annotated[
        str | None,
        typer.Option(help="The due date, or (YYYY-MM-DDTHH:MM, local) the assignment; today."),
    ] = None,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="So long from the first send.")] = 12,
    json: Json = False,
) -> None:
    """Show a schedule's sends: local time, weekday, UTC, and why each is when it is.

    With --account also by its zone, holidays and rules, and how the texts read.
    """
    schedules = read_schedule_file(file)
    templates: dict[str, TemplateVersion] = {}
    if account is None and customer is None:
        who = Somebody(zone_named("UTC"))
    else:
        who, templates = _read(account, customer, schedules)
    given = _zone(zone) if zone is not None else None
    looks = [_look(one, who, given, customer, anchor, weeks) for one in schedules]
    if json:
        screen.json([_as_json(look, templates) for look in looks])
        return
    for look in looks:
        _show(look)
        _show_samples(look.named.definition, templates)


def _read(
    account: str | None, customer: str | None, schedules: list[NamedSchedule]
) -> tuple[Somebody, dict[str, TemplateVersion]]:
    """Whom it is for, and the account's texts."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        found = the_customer(connection, customer, account) if customer is not None else None
        name = found["account"] if found else the_account(installation.engine, account)
        known = read_account(connection, name)
        templates = newest_templates(
            connection, name, {text for one in schedules for text in _texts(one.definition)}
        )
    channels = frozenset(Channel)
    if found is not None:
        reachable = {Channel.EMAIL: found["has_email"], Channel.SMS: found["has_phone"]}
        channels = frozenset(channel for channel, there in reachable.items() if there)
    zone = zone_named(found["zone"] if found is not None else known.zone)
    return Somebody(zone, channels, known, frozenset(templates)), templates


def _texts(schedule: Schedule) -> set[str]:
    ways = (way for step in schedule.steps for way in (step, step.fallback) if way is not None)
    return {way.template for way in ways}


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UserError(f"There is no zone {name}. Zones are named like Europe/Paris.") from None


def _look(
    named: NamedSchedule,
    who: Somebody,
    zone: ZoneInfo | None,
    customer: str | None,
    anchor: str | None,
    weeks: int,
) -> Look:
    schedule = named.definition
    if zone is None:
        own = who.zone.key if customer is not None else None
        zone = zone_of(own, schedule, who.account.zone if who.account else "UTC")
    begins = _anchor(schedule, zone, anchor, who)
    calendar = calendar_for(schedule, who.account.holidays if who.account else None)
    first = due_at(schedule, 0, begins, zone, calendar)
    return Look(named, who._replace(zone=zone), begins, calendar, first + timedelta(weeks=weeks))


def _anchor(schedule: Schedule, zone: ZoneInfo, given: str | None, who: Somebody) -> Anchor:
    now = who.account.now if who.account else datetime.now(UTC)
    by_day = schedule.anchor is AnchorKind.DUE_DATE
    if given is None:
        return now.astimezone(zone).date() if by_day else now
    read = _read_anchor(given, by_day=by_day)
    if not isinstance(read, datetime):
        return read
    return read.astimezone(UTC) if read.tzinfo is not None else moment(read, zone)


def _read_anchor(given: str, *, by_day: bool) -> Anchor:
    try:
        read = date.fromisoformat(given) if by_day else datetime.fromisoformat(given)
    except ValueError:
        example = "2026-03-27" if by_day else "2026-03-27T10:00"
        raise UserError(f"--anchor is {given}: write it as in {example}.") from None
    try:
        return in_our_times(read)
    except ValueError as error:
        raise UserError(f"--anchor is {given}, which {error}. Give another one.") from None


def _rows(look: Look) -> Iterator[Row]:
    schedule, zone = look.named.definition, look.who.zone
    gate = gate_outlook(schedule, look.anchor, look.who, look.calendar, look.until)
    for planned in preview(schedule, look.anchor, zone, look.calendar, look.until):
        yield Row(planned, gate.get(planned.cursor))


def _show(look: Look) -> None:
    schedule, zone = look.named.definition, look.who.zone
    rows = list(_rows(look))
    screen.say(
        f"Schedule {look.named.name}, in {zone.key}, from {anchor_in_words(look.anchor)}: "
        f"{counted(schedule.length, 'send')}"
        + (f", the first {len(rows):,} here" if len(rows) < schedule.length else "")
        + "."
    )
    for line in aligned([(_in_a_row(look, row), "; ".join(_notes(look, row))) for row in rows]):
        screen.say(line)
    screen.say("")
    days = {row.planned.at.astimezone(zone).date() for row in rows}
    for line in months(days, schedule.window, look.calendar):
        screen.say(line)
    screen.say(LEGEND)


def _in_a_row(look: Look, row: Row) -> dict[str, Any]:
    step = look.named.definition.step_at(row.planned.cursor)
    local = row.planned.at.astimezone(look.who.zone)
    return {
        "send": row.planned.cursor + 1,
        "step": step.name or look.named.definition.turn(row.planned.cursor).step + 1,
        "local time": f"{local:%a %Y-%m-%d %H:%M}",
        "UTC": f"{row.planned.at:%Y-%m-%d %H:%M}",
        "by": step.channel.value,
        "text": step.template,
    }


def _notes(look: Look, row: Row) -> list[str]:
    """What is not plain from the file: of the plan, and of the gate."""
    notes, found = list(row.planned.notes), row.foreseen
    if found is None:
        return notes
    if found.fallback is not None:
        why = why_fallback(found.fallback)
        notes.append(f"by its fallback, {found.channel.value} {found.template} ({why})")
    if found.outlook is Outlook.SKIPPED:
        notes.append(f"would be skipped by {found.rule}: {found.reason}")
    notes += [
        f"put off by {put_off.rule} to {put_off.until.astimezone(look.who.zone):%a %m-%d %H:%M}"
        for put_off in found.put_off
    ]
    return notes


def _show_samples(schedule: Schedule, templates: dict[str, TemplateVersion]) -> None:
    for name in sorted(_texts(schedule) & set(templates)):
        found = templates[name]
        language = found.definition.default_language
        screen.say(f"\n{name}, version {found.version}, {language}:")
        try:
            filled = sample(found.definition.text_in(language))
        except RenderError as error:
            screen.say(f"  no sample: {error}")
            continue
        if filled.subject:
            screen.say(f"  Subject: {filled.subject}")
        for line in filled.text.splitlines():
            screen.say(f"  {line}")


def _as_json(look: Look, templates: dict[str, TemplateVersion]) -> dict[str, Any]:
    return {
        "schedule": look.named.name,
        "zone": look.who.zone.key,
        "anchor": look.anchor,
        "sends": look.named.definition.length,
        "templates": {
            name: templates[name].version if name in templates else None
            for name in sorted(_texts(look.named.definition))
        },
        "rows": [
            {
                **_in_a_row(look, row),
                "at": row.planned.at,
                "local": row.planned.at.astimezone(look.who.zone).isoformat(),
                "notes": _notes(look, row),
            }
            for row in _rows(look)
        ],
    }
