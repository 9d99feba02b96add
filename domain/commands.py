"""The commands: one model each, the same through every door."""

import json
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from domain.calendar import Holidays
from domain.contact import Country, Email, Language, Zone, normal_number
from domain.customer_filter import Filter
from domain.facts import Fact, Reference
from domain.journey import Kind, Place, changed_in
from domain.json_text import BOM, is_utf8, said_twice
from domain.message import Channel
from domain.mistakes import A_FILTER, A_LIST, in_words, path_in_words
from domain.moments import Day, Moment
from domain.profile import Name, Profile, Values
from domain.quota import DIRECTORY_TIMES_ACTIVE
from domain.rules import Rules
from domain.schedule import Schedule, ScheduleName
from domain.suppression import (
    Aim,
    Recipient,
    normal_domain,
    of_address,
    of_domain,
    of_number,
)
from domain.template import Template, TemplateName

MAX_BYTES = 16_000_000
"""The longest command accepted, as JSON: 100,000 customers by their UUIDs take 4 MB, and 100,000
rows of an import 12 MB."""

BULK_FROM = 100
"""A command that lists more customers than this is bulk; so is an import, and one with a filter."""

ALL_OR_NONE_AT_MOST = 5_000
"""As many customers are held in one transaction at most: the others of the account wait for it."""

AHEAD_ALLOWED = timedelta(minutes=5)
"""A command issued further ahead of our clock than this is refused: its order can't be known."""

Id = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@+/=-]{0,199}$"),
]
AccountId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
LONGEST_LINE = 500
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_LINE)]


class Envelope(BaseModel):
    """What every command carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    account: AccountId
    kind: Kind
    issued_at: Moment | None = None
    source: Line | None = None
    reason: Line | None = None


Listed = Annotated[tuple[Id, ...], Field(min_length=1)]
Customers = Annotated[
    Annotated[Listed, Tag(A_LIST)] | Annotated[Filter, Tag(A_FILTER)],
    Discriminator(lambda given: A_FILTER if isinstance(given, (dict, Filter)) else A_LIST),
]


class CustomerCommand(Envelope):
    """A command for one customer, a list or a filter; each is applied or refused on its own."""

    customers: Customers

    @field_validator("customers")
    @classmethod
    def _each_once(cls, customers: tuple[str, ...] | Filter) -> tuple[str, ...] | Filter:
        return tuple(dict.fromkeys(customers)) if isinstance(customers, tuple) else customers

    @model_validator(mode="after")
    def _filter_can_match(self) -> Self:
        if isinstance(self.customers, Filter):
            places = changed_in(self.kind)
            if self.customers.place is not None and self.customers.place not in places:
                raise ValueError(
                    f"{self.kind.value} changes nothing for customers in {self.customers.place}, "
                    f"only in {' and '.join(sorted(places))}: correct the filter's place"
                )
        return self


class AllOrNone(Envelope):
    """A command that can ask to be applied to all of its customers or to none."""

    all_or_none: bool = False

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        customers = getattr(self, "customers", ())
        if self.all_or_none and isinstance(customers, tuple):
            refuse_too_many(len(customers))
        return self


def refuse_too_many(customers: int) -> None:
    """All or none is one transaction, and that has a bound; raises ValueError."""
    if customers > ALL_OR_NONE_AT_MOST:
        raise ValueError(
            f"all_or_none holds all of its customers at once, at most {ALL_OR_NONE_AT_MOST:,}, and "
            f"these are {customers:,}: leave it out, or send several commands"
        )


class PutAccount(Envelope):
    """Create an account or change its plan and settings; what is left out stays as it is."""

    kind: Literal[Kind.PUT_ACCOUNT]
    active_limit: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    directory_limit: Annotated[int, Field(ge=0, le=500_000_000)] | None = None
    zone: Zone | None = None
    country: Country | None = None
    holidays: Holidays | None = None
    """For schedules that bring none; its days, for all but those that heed none."""
    language: Language | None = None
    name: Name | None = None
    email_from: Annotated[str, StringConstraints(max_length=320)] | None = None
    sms_from: Annotated[str, StringConstraints(max_length=20)] | None = None
    rules: Rules | None = None
    """What the account's messages keep to. Each rule given is changed; the others stay."""
    test_clock: Moment | None = None
    """Makes a new account a test account; later, travels forward. A live account has none."""

    @model_validator(mode="after")
    def _directory_follows_active(self) -> Self:
        if self.active_limit is not None and self.directory_limit is None:
            limit = self.active_limit * DIRECTORY_TIMES_ACTIVE
            object.__setattr__(self, "directory_limit", limit)
        return self

    @field_validator("email_from")
    @classmethod
    def _one_line(cls, sender: str | None) -> str | None:
        if sender is not None and ("@" not in sender or not sender.isprintable()):
            raise ValueError("must be an address, as in Acme <billing@acme.example>")
        return sender


class PutSchedule(Envelope):
    """Bring a schedule; the same name again makes a new version, for those assigned from then."""

    kind: Literal[Kind.PUT_SCHEDULE]
    schedule: ScheduleName
    definition: Schedule


class PutTemplate(Envelope):
    """Bring a template; the same name again makes a new version, for what starts from then."""

    kind: Literal[Kind.PUT_TEMPLATE]
    template: TemplateName
    definition: Template


class AddCustomer(CustomerCommand, AllOrNone):
    """Add to reserve, or straight to active for a single one."""

    kind: Literal[Kind.ADD_CUSTOMER]
    customers: Listed
    profile: Profile = Profile()
    place: Literal[Place.RESERVE, Place.ACTIVE] = Place.RESERVE

    @model_validator(mode="after")
    def _only_one_straight_to_active(self) -> Self:
        if self.place is Place.ACTIVE and len(self.customers) > 1:
            raise ValueError(
                "only a single customer is added as active: add to reserve, then activate"
            )
        return self


class UpdateCustomer(CustomerCommand):
    """Change the given details and leave the others."""

    kind: Literal[Kind.UPDATE_CUSTOMER]
    profile: Profile


class ImportCustomers(AllOrNone):
    """Add to reserve, each row of a CSV a customer; a row that can't be is refused alone."""

    kind: Literal[Kind.IMPORT_CUSTOMERS]
    csv: Annotated[str, Field(min_length=1)]
    """The first line names the columns: `customer` (or `id`), and any of name, email, phone,
    country, zone, language; others become values for templates. Comma, semicolon or tab."""
    first_row: Annotated[int, Field(ge=2)] = 2
    """What the line after the header is called, for a file that comes in parts."""


class Activate(CustomerCommand, AllOrNone):
    """Reserve to active, on no schedule yet."""

    kind: Literal[Kind.ACTIVATE]


class Reactivate(CustomerCommand, AllOrNone):
    """Archived to active, with nothing left of the earlier time: no schedule, no pause."""

    kind: Literal[Kind.REACTIVATE]


class IfFull(StrEnum):
    PAUSE = "pause"
    REFUSE = "refuse"


class MoveToDirectory(CustomerCommand):
    """Active to archived: silence, at once. At a full directory the customer is paused instead."""

    kind: Literal[Kind.MOVE_TO_DIRECTORY]
    if_full: IfFull = IfFull.PAUSE


class Purge(CustomerCommand):
    """Remove from reserve for good."""

    kind: Literal[Kind.PURGE]


class Redact(CustomerCommand):
    """Erase the person for good, and leave what was sent, when and by which rule."""

    kind: Literal[Kind.REDACT]


class Pause(CustomerCommand):
    """Hold every schedule of an active customer; its place in each is kept."""

    kind: Literal[Kind.PAUSE]


class Resumed(StrEnum):
    """What a person can end. What facts hold, facts release."""

    PAUSED = "paused"
    REPLIED = "replied"


class Resume(CustomerCommand):
    """Go on where a pause, or a reply that a person has seen to, held.

    What has become too late by its step's rule is skipped.
    """

    kind: Literal[Kind.RESUME]
    hold: Resumed = Resumed.PAUSED
    reference: Reference | None = None
    """Of the replies; None: all of them."""

    @model_validator(mode="after")
    def _a_pause_has_no_reference(self) -> Self:
        if self.hold is Resumed.PAUSED and self.reference is not None:
            raise ValueError(
                "has a reference, and a pause holds every schedule: leave reference out, or give "
                '"hold": "replied"'
            )
        return self


class AssignSchedule(CustomerCommand):
    """Put on a schedule's newest version, once for each reference (an invoice, a booking)."""

    kind: Literal[Kind.ASSIGN_SCHEDULE]
    schedule: ScheduleName
    reference: Reference = ""
    due_date: Day | None = None
    values: Values = Field(default_factory=dict)


class RemoveFromSchedule(CustomerCommand):
    """Take off a schedule; with a reference, only that run of it."""

    kind: Literal[Kind.REMOVE_FROM_SCHEDULE]
    schedule: ScheduleName
    reference: Reference | None = None


class MoveToVersion(CustomerCommand):
    """Move from older versions of a schedule to its newest, where each run has come to."""

    kind: Literal[Kind.MOVE_TO_VERSION]
    schedule: ScheduleName
    from_version: Annotated[int, Field(ge=1)] | None = None
    """Only from this one; None: from any older one."""


class Record(CustomerCommand):
    """Record a fact that an upstream system knows."""

    kind: Literal[Kind.RECORD]
    fact: Fact


class ConsentCommand(CustomerCommand):
    """Who may be written to: customers, or whoever has an address, a number or a domain."""

    customers: Customers = ()
    """Or one of the next three."""
    address: Email | None = None
    number: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] | None = None
    """With its country code."""
    domain: (
        Annotated[str, StringConstraints(max_length=255), AfterValidator(normal_domain)] | None
    ) = None
    """The part of addresses after the @; subdomains are domains of their own."""
    channel: Channel | None = None
    """Without it, every one."""
    schedule: ScheduleName | None = None
    """Only this schedule's messages; without it, all of the account's."""

    @field_validator("number")
    @classmethod
    def _in_e164(cls, number: str | None) -> str | None:
        return None if number is None else normal_number(number, None)

    @model_validator(mode="after")
    def _of_one_of_them(self) -> Self:
        named = bool(self.customers) + len([one for one in self._recipients() if one is not None])
        if named != 1:
            raise ValueError(
                f"needs one of `customers`, `address`, `number` and `domain`, not {named or 'none'}"
            )
        if self.channel is not None and self.channel not in self.aim.channels:
            (only,) = self.aim.channels
            raise ValueError(
                f"gives {self.aim.article}, which only {only.value} reaches, and the channel "
                f"{self.channel.value}: leave `channel` out"
            )
        return self

    def _recipients(self) -> tuple[Recipient | None, ...]:
        return (
            None if self.address is None else of_address(self.address),
            None if self.number is None else of_number(self.number),
            None if self.domain is None else of_domain(self.domain),
        )

    @property
    def recipient(self) -> Recipient | None:
        """Of whom it is, if not of customers."""
        return next((one for one in self._recipients() if one is not None), None)

    @property
    def names_an_address(self) -> bool:
        """Or a number: what is said of it is kept by its hash, so the body need not keep it."""
        return self.aim in (Aim.ADDRESS, Aim.NUMBER)

    @property
    def aim(self) -> Aim:
        return Aim.CUSTOMER if self.recipient is None else self.recipient.aim

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Which it is about."""
        return self.aim.channels if self.channel is None else (self.channel,)


class SilencingWord(ConsentCommand):
    """Nothing that it forbids is sent any more, until its own kind of word lifts it."""


class LiftingWord(ConsentCommand):
    """Lifts what its own kind has silenced, nothing else. What was cancelled stays cancelled."""


class Block(SilencingWord):
    """By a person of the account: no message any more. Lifted by `unblock` only."""

    kind: Literal[Kind.BLOCK]


class Unblock(LiftingWord):
    """It was not spam."""

    kind: Literal[Kind.UNBLOCK]


class OptOut(SilencingWord):
    """The customer's own word (STOP, one-click unsubscribe). Lifted by `opt_in` only."""

    kind: Literal[Kind.OPT_OUT]


class Consent(BaseModel):
    """That the customer agreed, for whoever must show it (GDPR, article 7(1))."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[Line, StringConstraints(min_length=1)]
    """Where: the keyword START, a form and its wording, a call."""
    at: Moment


class OptIn(LiftingWord):
    """The customer wants messages again."""

    kind: Literal[Kind.OPT_IN]
    consent: Consent


class Suppress(SilencingWord):
    """The provider's word: a complaint, or nobody is there. Lifted by `unsuppress` only."""

    kind: Literal[Kind.SUPPRESS]


class Unsuppress(LiftingWord):
    """It reaches somebody after all."""

    kind: Literal[Kind.UNSUPPRESS]


Command = (
    PutAccount
    | PutSchedule
    | PutTemplate
    | AddCustomer
    | ImportCustomers
    | UpdateCustomer
    | Activate
    | Reactivate
    | MoveToDirectory
    | Purge
    | Pause
    | Resume
    | AssignSchedule
    | RemoveFromSchedule
    | MoveToVersion
    | Record
    | Block
    | Unblock
    | OptOut
    | OptIn
    | Suppress
    | Unsuppress
    | Redact
)


class CommandState(StrEnum):
    """How far a command is."""

    ACCEPTED = "accepted"
    """Ours: its inbox row is committed. Not, or not wholly, applied yet."""
    APPLIED = "applied"
    PARTLY = "partly"
    """Applied to some customers, refused or superseded for the others."""
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    """A silencing command issued later was applied before it; it changed nothing."""
    QUARANTINED = "quarantined"
    """Can't be read or applied; kept with its reason, and can be replayed."""


class UnreadableCommandError(Exception):
    """Not a command; the message says what is wrong with each field."""


@cache
def adapter() -> TypeAdapter[Command]:
    """The validator of all commands; also the source of docs/commands.schema.json."""
    return TypeAdapter(Annotated[Command, Field(discriminator="kind")])


def read_command(raw: str | bytes) -> Command:
    """Parse one JSON command; raises UnreadableCommandError."""
    given = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    given = given.removeprefix(BOM)
    if len(given) > MAX_BYTES:
        raise UnreadableCommandError(
            f"It is {len(given):,} bytes long, and {MAX_BYTES:,} is the limit. Send several "
            "commands."
        )
    try:
        command = adapter().validate_json(given)
    except ValidationError as error:
        raise UnreadableCommandError(in_words(error) if is_utf8(given) else _NOT_UTF_8) from None
    twice = said_twice(given)
    if twice is not None:
        raise UnreadableCommandError(
            f"{path_in_words((twice,))}is given twice, and it can't be known which is meant"
        )
    if b"\\u0000" in given:
        _refuse_nul(json.loads(given))
    return command


_NOT_UTF_8 = "It is not in UTF-8, as JSON is: write it so"


def kept_body(command: Command, *, bulk: bool) -> dict[str, Any]:
    """What the inbox keeps of a command, without the customers that it keeps as targets."""
    body: dict[str, Any] = command.model_dump(mode="json", exclude_unset=True)
    if bulk:
        body.pop("csv", None)
        if isinstance(body.get("customers"), list):
            del body["customers"]
    return body


def read_kept(body: dict[str, Any], *, bulk: bool) -> Command:
    """A command that the inbox keeps; whom it is for, its targets say."""
    if bulk and not body.keys() & {"customers", *_RECIPIENTS}:
        imports = body.get("kind") == Kind.IMPORT_CUSTOMERS
        body = {**body, **({"csv": _IN_TARGETS} if imports else {"customers": [_IN_TARGETS]})}
    return adapter().validate_python(body)


_IN_TARGETS = "see-the-targets"
_RECIPIENTS = ("address", "number", "domain")


def _refuse_nul(given: object) -> None:
    path = next(_paths_of_nul((), given), None)
    if path is not None:
        raise UnreadableCommandError(
            f"{path_in_words(path)}has a NUL character (\\u0000), which the database can't keep"
        )


def _paths_of_nul(path: tuple[int | str, ...], given: object) -> Iterator[tuple[int | str, ...]]:
    match given:
        case str() if "\0" in given:
            yield path
        case dict():
            for name, value in given.items():
                yield from _paths_of_nul((*path, name), value)
        case list():
            for number, value in enumerate(given):
                yield from _paths_of_nul((*path, number), value)
