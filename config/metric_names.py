"""The names under which Layby is measured: a contract with whoever has dashboards and alerts."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric's name, and in a line what it counts."""

    name: str
    help: str


SENDS_DUE = Metric("layby_sends_due", "Sends that are due and not started.")
SENDS_NEXT_HOUR = Metric(
    "layby_sends_next_hour", "Sends that will be due within an hour, in business time."
)
SENDS_STARTED = Metric("layby_sends_started", "Sends handed over, or about to be.")
OLDEST_DUE = Metric(
    "layby_oldest_due_age_seconds", "How long the oldest due send has been due, in business time."
)
COMMANDS_WAITING = Metric("layby_commands_waiting", "Commands accepted and not applied yet.")
OLDEST_COMMAND = Metric("layby_oldest_command_age_seconds", "Age of the oldest waiting command.")
SENDS_UNKNOWN = Metric("layby_sends_unknown", "Sends of which there is no word.")
COMMANDS_QUARANTINED = Metric("layby_commands_quarantined", "Commands that could not be read.")
HTTP_REQUESTS = Metric("layby_http_requests", "Requests answered by this process.")
HTTP_WAITERS = Metric("layby_http_waiters", "Requests of this process that wait for an outcome.")
