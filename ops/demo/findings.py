"""What the demo came to: counted from the outbox's files, the outcomes and the ledger."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from domain.message import Channel
from ops.customer_file import CustomerFile
from ops.demo.outbox import Delivered, Hush, after_quiet, same
from ops.demo.story import Story
from ops.demo.stream import ACCOUNT
from storage import demo_reads, reports
from storage.database import Connection
from storage.demo_reads import Silence
from storage.outcomes import Outcome

_MOVE, _PAUSE, _PAYMENT = "move_to_directory", "pause", "record"
NEVER = datetime.min.replace(tzinfo=UTC)


class Example(NamedTuple):
    """One moved customer, and all that happened to it."""

    move: Silence
    past: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Findings:
    """The figures of one run, and the story of one customer."""

    file: CustomerFile
    activated: int
    refused_by_quota: int
    sent: dict[str, int]
    skipped: dict[str, int]
    other: dict[str, int]
    moved: int
    cancelled: int
    started_at_move: int
    sent_just_before: int
    paid: int
    paused: int
    reactivated: int
    sent_after_quiet: int
    sent_to_inactive: int
    example: Example | None

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        figures = {name: value for name, value in vars(self).items() if name not in _NO_FIGURES}
        return {
            "imported": len(self.file.customers),
            "rejected": len(self.file.rejected),
            **figures,
            "rejections": [vars(row) for row in self.file.rejected],
        }


_NO_FIGURES = {"file", "example"}


def find(
    connection: Connection,
    file: CustomerFile,
    activation: Outcome,
    story: Story,
    delivered: Sequence[Delivered],
) -> Findings:
    """Count, once every process has ended."""
    silences = demo_reads.silences(connection, ACCOUNT)
    moves = [one for one in silences if one.kind == _MOVE]
    states = Counter[str]()
    rules = Counter[str]()
    for tally in demo_reads.tallies(connection, ACCOUNT):
        states[tally.state] += tally.sends
        rules[tally.rule] += tally.sends if tally.state == "skipped" else 0
    hushes = list(_hushes(file, silences, _ahead(connection)))
    inactive = _never_active(file, story)
    return Findings(
        file=file,
        activated=activation.applied,
        refused_by_quota=sum(line.code == "active_limit" for line in activation.refusals),
        sent={name.value: sum(m.channel is name for m in delivered) for name in Channel},
        skipped={rule: count for rule, count in rules.items() if count},
        other={state: states[state] for state in ("failed", "unknown")},
        moved=len(moves),
        cancelled=sum(one.cancelled for one in moves),
        started_at_move=sum(one.started for one in moves),
        sent_just_before=_sent_just_before(connection, story, moves),
        paid=len({one.customer for one in silences if one.kind == _PAYMENT}),
        paused=len({one.customer for one in silences if one.kind == _PAUSE}),
        reactivated=int(story.reactivated is not None),
        sent_after_quiet=len(after_quiet(delivered, hushes)),
        sent_to_inactive=len(after_quiet(delivered, [inactive])),
        example=_example(connection, story, moves),
    )


def _ahead(connection: Connection) -> timedelta:
    """How far the database's clock is ahead of the one that dates the files; mostly the same."""
    before = datetime.now(UTC)
    there = demo_reads.clock(connection)
    after = datetime.now(UTC)
    return timedelta(0) if before <= there <= after else there - before


def _hushes(file: CustomerFile, silences: Iterable[Silence], ahead: timedelta) -> Iterable[Hush]:
    addresses = {row.customer: _addresses(file, {row.customer}) for row in file.customers}
    for one in silences:
        assert one.quiet_at is not None, "the demo waits until all are quiet"
        ended = one.ended_at - ahead if one.ended_at else None
        yield Hush(addresses[one.customer], one.quiet_at - ahead, ended)


def _never_active(file: CustomerFile, story: Story) -> Hush:
    names = {row.customer for row in file.customers} - story.invoices.keys()
    return Hush(_addresses(file, names), NEVER)


def _addresses(file: CustomerFile, names: set[str]) -> frozenset[str]:
    profiles = [row.profile for row in file.customers if row.customer in names]
    return frozenset(same(to) for one in profiles for to in (one.email, one.phone) if to)


def _sent_just_before(connection: Connection, story: Story, moves: Sequence[Silence]) -> int:
    """Moved customers whose due reminder had started, and was settled, before their move."""
    open_then = {one.customer for one in moves if one.started}
    ledger = demo_reads.sends_of(connection, ACCOUNT, list(story.moved))
    return sum(
        one.state == "sent"
        and one.business_at == story.moved[one.customer]
        and one.customer not in open_then
        for one in ledger
    )


def _example(connection: Connection, story: Story, moves: Sequence[Silence]) -> Example | None:
    """The story of a moved customer: of one whose send was in progress at the move, if any was."""
    stayed = [one for one in moves if one.customer != story.reactivated]
    if not stayed:
        return None
    best = max(stayed, key=lambda one: (one.started, story.moved[one.customer]))
    return Example(best, reports.timeline(connection, ACCOUNT, best.customer))
