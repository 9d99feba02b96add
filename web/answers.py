"""What is answered: one model for each, the source of the OpenAPI document."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from domain.access import Role
from domain.forecast import Outlook
from domain.journey import Place, Status
from domain.message import Channel
from domain.suppression import Aim, SuppressionKind


class CustomerLine(BaseModel):
    """A customer in a list; no personal data."""

    account: str
    customer: str
    place: Place
    status: Status | None = Field(description="Of active customers only.")
    paused: bool
    redacted: bool = Field(description="Who this was is erased; what was done is kept.")
    schedules: int = Field(description="How many schedules the customer is on.")
    next_send: datetime | None


class CustomerPage(BaseModel):
    customers: list[CustomerLine]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


class Coming(BaseModel):
    """A live schedule of a customer, and its next send or why there is none."""

    schedule: str
    version: int
    reference: str
    step: int
    steps: int
    held: str | None = Field(description="All that holds it: paused, promised, disputed, replied.")
    held_until: datetime | None = Field(description="Of a promise: when it goes on by itself.")
    due_at: datetime | None = Field(description="null: held, or in progress.")
    planned_at: datetime | None
    channel: str | None
    attempts: int | None


class Suppressed(BaseModel):
    """Why a customer is not written to; never by which address, number or domain."""

    kind: SuppressionKind
    channel: Channel
    schedule: str | None = Field(description="null: all messages of the account.")
    by: Aim = Field(description="Of the customer as such, or of a recipient that it has now.")
    since: datetime
    command: str | None
    source: str | None = Field(description="Who sent that command.")


class CustomerDetail(BaseModel):
    """Where a customer is and what comes; no personal data."""

    account: str
    customer: str
    place: Place
    status: Status | None
    paused_at: datetime | None
    activated_at: datetime | None
    zone: str
    language: str
    has_email: bool
    has_phone: bool
    redacted_at: datetime | None = Field(
        description="Since when nothing is kept of who this was; null: it is not redacted."
    )
    suppressions: list[Suppressed] = Field(description="None: it may be written to.")
    coming: list[Coming]


class Event(BaseModel):
    """One thing that happened, or was decided not to happen."""

    recorded_at: datetime
    business_at: datetime
    event: str = Field(description="customer_moved, send_sent, send_skipped, …")
    data: dict[str, Any]
    command: str | None
    source: str | None
    reason: str | None


class Timeline(BaseModel):
    account: str
    customer: str
    events: list[Event] = Field(description="The oldest first.")
    before: str | None = Field(
        description="`before` of the page with what came earlier; null: this begins at the first."
    )


class PutOffBy(BaseModel):
    """How long a rule would keep a send back."""

    rule: str
    since: datetime
    until: datetime


class ComingSend(BaseModel):
    """A send that would go out, or would not, and why."""

    customer: str
    schedule: str
    version: int
    reference: str
    step: int
    steps: int
    outlook: Outlook
    at: datetime | None = Field(
        description="When it would be decided; of `put_off` and `held`, until when. "
        "null: nobody knows."
    )
    local: datetime | None = Field(description="The same on the customer's wall.")
    zone: str
    planned_at: datetime | None = Field(description="By the schedule; null: it is held.")
    channel: Channel
    template: str
    rule: str | None = Field(description="Which would block it, or holds it.")
    reason: str | None
    fallback: str | None = Field(description="It is the fallback: the rule that closed the first.")
    put_off: list[PutOffBy]


class Forecast(BaseModel):
    account: str
    now: datetime = Field(description="The account's own time: of a test account, its clock.")
    until: datetime
    assumes: str
    sends: list[ComingSend] = Field(description="Customer by customer, each in order of time.")
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


class Queue(BaseModel):
    account: str
    queue: str = Field(description="`email`, `sms`, or `lifecycle` for commands.")
    due: int
    oldest_due: datetime | None
    later: int = Field(description="At most 10,000, unless asked for exactly.")
    more: bool = Field(description="Whether there are more than `later` says.")
    started: int


class Queues(BaseModel):
    queues: list[Queue] = Field(description="Those with anything in them.")


class Ticked(BaseModel):
    rung: int = Field(description="Queues with something due that were rung for.")
    rescued: int = Field(description="Sends without word past their deadline, now `unknown`.")
    quiet: int = Field(description="Silences that were seen to have become quiet.")


class Healthy(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    database: Literal["ok"] = "ok"
    schema_: Literal["ok"] = Field(default="ok", alias="schema")
    redis: Literal["ok"] = "ok"


class TokenLine(BaseModel):
    """A token, without its secret."""

    token: str = Field(description="Its public id.")
    account: str | None = Field(description="null: the whole installation.")
    role: Role
    label: str
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_on: date | None


class NewToken(TokenLine):
    secret: str = Field(description="What goes after `Bearer`. Shown now and never again.")


class Tokens(BaseModel):
    tokens: list[TokenLine] = Field(description="The newest first.")
