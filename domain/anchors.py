"""What a schedule counts from once a fact has moved it."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.calendar import NO_HOLIDAYS, Calendar
from domain.opening import moment
from domain.planning import Anchor, due_at
from domain.schedule import Schedule


def after_part_payment(
    schedule: Schedule,
    step: int,
    anchor: Anchor,
    zone: ZoneInfo,
    paid_at: datetime,
    *,
    calendar: Calendar = NO_HOLIDAYS,
    in_progress: bool = False,
) -> Anchor:
    """The anchor that the coming steps count from after a payment in part.

    The distance from the last step to the next one counts anew from the payment, and all further
    ones follow: the cursor stays, so that no step is repeated or left out, and nothing comes
    earlier than it would have. Before the first step, the anchor itself stands for the last one.
    `in_progress`: the present step is being sent, and is the last one.
    """
    last = step if in_progress else step - 1
    since = (
        due_at(schedule, last, anchor, zone, calendar) if last >= 0 else _beginning(anchor, zone)
    )
    if isinstance(anchor, datetime):
        return anchor + max(timedelta(0), paid_at - since)
    days = paid_at.astimezone(zone).date() - since.astimezone(zone).date()
    return anchor + max(timedelta(0), days)


def _beginning(anchor: Anchor, zone: ZoneInfo) -> datetime:
    if isinstance(anchor, datetime):
        return anchor
    return moment(datetime.combine(anchor, time()), zone)
