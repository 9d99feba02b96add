"""What the gate is asked of a due send: the same when it starts and when it is foreseen."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.caps import Recent
from domain.decision import Facts
from domain.gate import command_waits
from domain.law import laws_for
from domain.message import Channel
from domain.places import places
from domain.planning import calendar_for, zone_of
from domain.schedule import Schedule
from domain.step import Step
from domain.suppression import Suppression
from domain.switch import Paused
from storage import suppressions
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import TemplateVersion
from storage.starts import CountBack, Due

_CLOCK_STEPS = timedelta(days=1)
"""As far as a database's clock is ever set."""


def count_back(account: Account, channel: Channel, together: int) -> CountBack | None:
    """Which messages are read that may count against a send; None: nothing counts them.

    `together`: how many of one customer's are decided on at once, each counting for the next.
    """
    counting = account.rules.counting[channel]
    if counting is None:
        return None
    since = account.now - counting.back
    each_from = max(counting.full_from - (together - 1), 1)
    if account.test_now is not None:
        return CountBack(since, None, None, each_from)
    # A live account's business time is the clock that the ledger is settled by, give or take a
    # step of it.
    return CountBack(since, since - _CLOCK_STEPS, account.now + _CLOCK_STEPS, each_from)


class Asking(NamedTuple):
    """What all sends of an account on one channel have in common."""

    account: Account
    channel: Channel
    templates: Mapping[str, TemplateVersion]
    """Of this channel, by name."""
    paused: Paused
    against: Mapping[str, Sequence[Suppression]]
    """Who may not be written to there: by customer."""

    def facts(self, due: Due, schedule: Schedule, planned: Step, now: datetime) -> Facts:
        """What is to be decided on, of a step as the schedule has it."""
        account, channel = self.account, self.channel
        rules, purposes = account.rules, account.rules.purposes
        step = planned.by(channel)
        return Facts(
            now=now,
            due_at=due.held.planned_at,
            schedule=schedule,
            step=step,
            zone=zone_of(due.zone, schedule, account.zone),
            recipient=due.recipient,
            template_exists=step.template in self.templates,
            sender=sender_of(account, channel),
            paused=self.paused.has_template(step.template),
            command_waits=due.command_waits
            and (self.paused.applies_not_all or due.held.deferred == command_waits.__name__),
            rules=rules,
            reference=due.reference,
            places=places(due.own_zone, due.phone, due.country) if rules.look_at_places else (),
            laws=laws_for(due.phone, due.country, channel, purposes) if purposes else (),
            recent=_kept(due) if due.recent else (),
            messages=due.messages,
            messaged_at=due.messaged_at,
            messaged_for=due.messaged_for,
            suppressions=self._suppressions(due) if self.against else (),
            calendar=calendar_for(schedule, account.holidays),
            fallback=planned.other_channel(channel),
            diverted_by=due.held.fallback,
        )

    def alike(self, due: Due) -> tuple[object, ...]:
        """Sends of which this is equal have equal facts, as far as a rule looks at them.

        But for messages that are told one by one (`recent`): those are each customer's own.
        """
        held, rules = due.held, self.account.rules
        return (
            due.schedule,
            due.version,
            held.step,
            held.planned_at,
            held.deferred,
            held.fallback,
            due.zone,
            due.recipient is None,
            due.command_waits,
            due.messaged_at,
            due.messaged_for,
            due.messages,
            (due.own_zone, due.phone, due.country) if rules.look_at_places else None,
            self._suppressions(due) if self.against else None,
        )

    def _suppressions(self, due: Due) -> tuple[Suppression, ...]:
        found = self.against.get(due.held.customer, ())
        return tuple(one for one in found if one.holds_for(due.schedule))


def _kept(due: Due) -> tuple[Recent, ...]:
    """The customer's messages in the tables, which are told only if they may fill a cap."""
    return tuple(
        Recent(datetime.fromisoformat(at), channel, reference)
        for at, channel, reference in due.recent or ()
    )


def suppressed(
    connection: Connection, account: Account, channel: Channel, due: Sequence[Due]
) -> dict[str, list[Suppression]]:
    """What stands against each customer and its recipient by this channel, as committed now.

    One statement more, and only in accounts that have suppressions: the key that recipients are
    hashed with is ours and not the database's.
    """
    if not any(one.any_suppressed for one in due):
        return {}
    by_email = channel is Channel.EMAIL
    reaches = {
        one.held.customer: suppressions.reach(
            connection,
            one.held.customer,
            one.recipient if by_email else None,
            None if by_email else one.recipient,
        )
        for one in due
    }
    found = suppressions.find(connection, account.account, reaches.values())
    return {customer: [one.suppression for one in ones] for customer, ones in found.items()}


def sender_of(account: Account, channel: Channel) -> str | None:
    """Who an account's messages come from; None: it has not said."""
    return account.email_from if channel is Channel.EMAIL else account.sms_from or account.name
