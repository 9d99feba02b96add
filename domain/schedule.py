"""A schedule: what is sent, when, counted from what. A version of it never changes."""

from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    field_serializer,
    model_serializer,
    model_validator,
)

from domain.calendar import Holidays
from domain.contact import Zone
from domain.repeat import MOST_SENDS, Repeat, Repeated
from domain.step import Step
from domain.window import Window

ScheduleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]


A_CALENDAR, NONE_AT_ALL = "a calendar", "none at all"
Observed = Annotated[
    Annotated[Holidays, Tag(A_CALENDAR)] | Annotated[Literal["none"], Tag(NONE_AT_ALL)],
    Discriminator(lambda given: NONE_AT_ALL if isinstance(given, str) else A_CALENDAR),
]


class AnchorKind(StrEnum):
    """What a schedule counts from."""

    DUE_DATE = "due_date"
    """A calendar day of the customer's; every step has a local time of day."""
    ASSIGNED_AT = "assigned_at"
    """The moment of the assignment; steps without a time of day count from it exactly."""


class Ends(StrEnum):
    """A fact that ends a customer's run through a schedule."""

    PAID = "paid"


class Holds(StrEnum):
    """A fact that holds a customer's run through a schedule, for as long as it stands."""

    PROMISED = "promised"
    DISPUTED = "disputed"
    REPLIED = "replied"


class Turn(NamedTuple):
    """What a cursor points at: a step, and how often it has come before."""

    round: int
    step: int


_SAID_IF_SET = frozenset({"repeat", "holidays"})


class Schedule(BaseModel):
    """The definition that `put_schedule` brings.

    A *cursor* counts the sends of a run from 0. Without a `repeat` it is the number of the step;
    with one it goes on through the rounds, and `turn` says which step it points at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: AnchorKind
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=200)]
    repeat: Repeat | None = None
    window: Window = Window()
    holidays: Observed | None = None
    """None: the account's calendar. Else its own, and the account's own days; or none at all."""
    zone: Zone | None = None
    """For customers whose own zone is not known; None: the account's."""
    ends: frozenset[Ends] = frozenset({Ends.PAID})
    holds: frozenset[Holds] = frozenset(Holds)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Plans are kept by the schedule: hashed once, not field by field at each look-up.
        return hash(self.model_dump_json())

    @cached_property
    def length(self) -> int:
        """How many sends a run through it has: the cursor at which it is complete."""
        return len(self.steps) + (0 if self.repeat is None else self._again * self.repeat.rounds)

    @cached_property
    def by_days(self) -> bool:
        """Whether every step has a time of day."""
        return all(step.at is not None for step in self.steps)

    @cached_property
    def in_order(self) -> bool:
        """Its sends come in their order by themselves, whatever is closed: see `due_at`."""
        return all(step.at is None for step in self.steps) and (
            self.repeat is None
            or self.repeat.of is Repeated.LAST
            or not self.repeat.interval.months
        )

    @cached_property
    def _again(self) -> int:
        """How many of the steps come again."""
        repeats_all = self.repeat is not None and self.repeat.of is Repeated.ALL
        return len(self.steps) if repeats_all else 1

    def turn(self, cursor: int) -> Turn:
        """The step that a cursor points at, and its round."""
        if self.repeat is None:
            return Turn(0, cursor)
        once = len(self.steps) - self._again
        if cursor < once:
            return Turn(0, cursor)
        round_, step = divmod(cursor - once, self._again)
        return Turn(round_, once + step)

    def step_at(self, cursor: int) -> Step:
        return self.steps[cursor if self.repeat is None else self.turn(cursor).step]

    def steps_from(self, cursor: int) -> tuple[Step, ...]:
        """Each step that is still to come, whatever its round."""
        until = min(cursor + len(self.steps), self.length)
        return tuple(self.step_at(each) for each in range(cursor, until))

    @field_serializer("ends", "holds")
    def _in_order(self, facts: frozenset[StrEnum]) -> list[StrEnum]:
        return sorted(facts)

    @model_serializer(mode="wrap")
    def _as_short_as_ever(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # As in Step: what is not used is not there.
        fields: dict[str, Any] = written(self)
        return {
            name: value
            for name, value in fields.items()
            if (value is not None or name not in _SAID_IF_SET)
            and not (name == "holds" and self.holds == frozenset(Holds))
        }

    @model_validator(mode="after")
    def _steps_do_not_contradict(self) -> Self:
        for number, step in enumerate(self.steps, 1):
            self._check_hour(number, step)
        for number, (before, after) in enumerate(zip(self.steps, self.steps[1:], strict=False), 2):
            _check_order(number, before, after)
        _check_names(self.steps)
        if self.repeat is not None:
            self._check_repeat(self.repeat)
        return self

    def _check_hour(self, number: int, step: Step) -> None:
        if step.at is None and self.anchor is AnchorKind.DUE_DATE:
            raise ValueError(f"step {number} has no time of day, and a due date has none either")
        opens, until = self.window.opens, self.window.until
        if step.at is not None and (step.at < opens or (until is not None and step.at >= until)):
            closes = "24:00" if until is None else f"{until:%H:%M}"
            raise ValueError(
                f"step {number} is at {step.at:%H:%M}, outside the window from {opens:%H:%M} to "
                f"{closes}: it could never be sent on time"
            )

    def _check_repeat(self, repeat: Repeat) -> None:
        if self.length > MOST_SENDS:
            raise ValueError(
                f"comes to {self.length:,} sends with its repeat, and {MOST_SENDS:,} is the limit: "
                "repeat less often"
            )
        again, every = self.steps[-self._again :], repeat.interval.span
        if every % timedelta(days=1) and any(step.at is not None for step in again):
            raise ValueError(
                f"repeats every {repeat.every} what has a time of day: give whole days, such as P7D"
            )
        if every and again[-1].bounds[0] > again[0].bounds[1] + every:
            raise ValueError(
                f"repeats every {repeat.every}, before its last step has come: repeat less often, "
                "or only the last step"
            )


def _check_order(number: int, before: Step, after: Step) -> None:
    same_day = before.bounds == after.bounds and before.at is not None and after.at is not None
    if after.bounds[1] < before.bounds[0] or (same_day and after.at < before.at):  # type: ignore[operator] # both are set on the same day
        raise ValueError(f"step {number} comes before step {number - 1}: list them in time order")
    if (*after.moment, after.channel) == (*before.moment, before.channel):
        raise ValueError(f"step {number} repeats step {number - 1}: same moment, same channel")


def _check_names(steps: tuple[Step, ...]) -> None:
    first: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        if step.name is not None and first.setdefault(step.name, number) != number:
            raise ValueError(
                f"step {number} has the name of step {first[step.name]}: give each its own, so "
                "that a newer version knows them again"
            )
