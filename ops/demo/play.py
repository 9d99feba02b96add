"""The play: set up, import, activate, then travel from one due moment to the next."""

import json
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from domain.profile import Profile
from ops.customer_file import CustomerFile
from ops.demo.progress import Counts, Progress
from ops.demo.story import BEGINS, BILLING_RUN, SCHEDULE, Deed, Invoice, Story, assignment
from ops.demo.stream import ACCOUNT, Stream
from ops.demo.watch import Watch
from ops.screen import UserError
from storage.database import Engine
from storage.demo_reads import Coming, coming, tallies
from storage.outcomes import Outcome, read_outcome

ACTIVE_LIMIT = 250
_TOGETHER = timedelta(hours=6)
"""The clock travels so far at once: a step may start late, if its window is still open."""

_BREATH_SECONDS = 0.002
"""Between two commands of a crowd, so that they meet the deliveries that the clock set going."""


class Play:
    """Publishes, watches and tells; everything goes through the queue."""

    def __init__(
        self, engine: Engine, stream: Stream, watch: Watch, progress: Progress, examples: Path
    ) -> None:
        self._engine = engine
        self._stream = stream
        self._watch = watch
        self._progress = progress
        self._examples = examples

    def set_up(self) -> None:
        """Publish the account on its test clock, the templates and the schedule."""
        self._publish(
            "put_account",
            name="Fernhill Energy",
            active_limit=ACTIVE_LIMIT,
            zone="Europe/London",
            country="GB",
            language="en",
            email_from="Fernhill Energy <billing@fernhill.example>",
            sms_from="Fernhill",
            test_clock=BEGINS,
        )
        for path in sorted((self._examples / "templates").glob("*.json")):
            self._publish("put_template", template=path.stem, definition=_json(path))
        definition = _json(self._examples / "schedule.json")
        self._publish("put_schedule", schedule=SCHEDULE, definition=definition)

    def add(self, file: CustomerFile) -> None:
        """Publish every row that could be read, and wait until all are in reserve."""
        for row in file.customers:
            profile = row.profile.model_dump(exclude_none=True, exclude_unset=True)
            self._publish("add_customer", customers=[row.customer], profile=profile)
        self._watch.until_rest()

    def activate(self, file: CustomerFile) -> Outcome:
        """Ask for all to be active; the plan has room for some."""
        names = [row.customer for row in file.customers]
        command = self._publish("activate", customers=names)
        self._watch.until_rest()
        with self._engine.connect() as connection:
            outcome = read_outcome(connection, ACCOUNT, command)
        assert outcome is not None, "it was taken in"
        return outcome

    def begin(self, file: CustomerFile, left_out: Iterable[str]) -> Story:
        """Put the active ones on the schedule, each by the day its invoice is due."""
        missing = set(left_out)
        rows = [row for row in file.customers if row.customer not in missing]
        story = Story({row.customer: _invoice(row.customer, row.profile) for row in rows})
        for day in sorted({invoice.due_date for invoice in story.invoices.values()}):
            here = [name for name, invoice in story.invoices.items() if invoice.due_date == day]
            self._do(assignment(here, BILLING_RUN, day))
        self._watch.until_rest()
        return story

    def travel(self, story: Story) -> None:
        """Go from one due moment to the next, until nothing is to come."""
        while ahead := self._coming():
            due = [one for one in ahead if one.due_at <= ahead[0].due_at + _TOGETHER]
            now = max(due[-1].due_at, BEGINS)
            deeds = story.until(now, due)
            # The clock and what happens travel together: nobody waits for anybody.
            self._publish("put_account", source="clock", test_clock=now)
            self._progress.travelled(len(due), deeds)
            for deed in deeds:
                self._do(deed)
                time.sleep(_BREATH_SECONDS)
            self._watch.until_rest()
            self._progress.arrived(now, self._counts(story))
        self._watch.until_quiet()

    def _coming(self) -> list[Coming]:
        with self._engine.connect() as connection:
            return coming(connection, ACCOUNT)

    def _counts(self, story: Story) -> Counts:
        with self._engine.connect() as connection:
            found = tallies(connection, ACCOUNT)
        sent = {one.channel: one.sends for one in found if one.state == "sent"}
        return Counts(sent.get("email", 0), sent.get("sms", 0), len(story.paid), len(story.moved))

    def _publish(self, kind: str, source: str = "billing", **fields: Any) -> str:
        return self._stream.publish(kind, source=source, **fields)

    def _do(self, deed: Deed) -> None:
        self._stream.publish(deed.kind, source=deed.source, **deed.fields)


def _invoice(customer: str, profile: Profile) -> Invoice:
    values = {name: str(value) for name, value in profile.values.items()}
    try:
        due_date = date.fromisoformat(values["due_date"])
        return Invoice(customer, values["amount"], values["currency"], due_date)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"Customer {customer} has no use in the demo: {error}. Its file needs the columns "
            "amount, currency and due_date (as in 2027-03-05)."
        ) from None


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
