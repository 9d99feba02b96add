"""What a suppression forbids, of whom, and what it leaves of a schedule."""

import pytest

from domain.consent import closes, closes_all
from domain.message import Channel
from domain.schedule import Schedule
from domain.suppression import (
    Aim,
    Suppression,
    SuppressionKind,
    normal_domain,
    recipients_of,
)

EMAIL, SMS = Channel.EMAIL, Channel.SMS
STEPS = Schedule.model_validate(
    {
        "anchor": "assigned_at",
        "steps": [
            {"offset": "PT0S", "channel": "email", "template": "hello"},
            {"offset": "P1D", "channel": "sms", "template": "nudge"},
        ],
    }
).steps


def suppression(
    channel: Channel = EMAIL, schedule: str = "", aim: Aim = Aim.CUSTOMER
) -> Suppression:
    return Suppression(SuppressionKind.BLOCKED, aim, channel, schedule)


@pytest.mark.parametrize(
    ("channel", "schedule", "forbids"),
    [
        (EMAIL, "", True),
        (EMAIL, "dunning", True),
        (EMAIL, "news", False),
        (SMS, "", False),
    ],
)
def test_suppression_forbids_its_channel_within_its_scope(
    channel: Channel, schedule: str, *, forbids: bool
) -> None:
    assert suppression(channel, schedule).forbids(EMAIL, "dunning") is forbids
    assert closes(STEPS[0], "dunning", [suppression(channel, schedule)]) is forbids


def test_schedule_is_closed_once_no_step_has_a_way_to_go() -> None:
    email, sms = suppression(EMAIL), suppression(SMS, "dunning")
    assert not closes_all(STEPS, "dunning", [email])
    assert closes_all(STEPS[:1], "dunning", [email])
    assert closes_all(STEPS, "dunning", [email, sms])
    assert not closes_all(STEPS, "news", [email, sms])


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (suppression(), "the customer is blocked for email"),
        (suppression(aim=Aim.DOMAIN), "its domain is blocked for email"),
        (suppression(SMS, "news", Aim.NUMBER), "its number is blocked for sms of schedule news"),
        (
            suppression()._replace(kind=SuppressionKind.OPTED_OUT),
            "the customer has opted out of email",
        ),
        (
            suppression(aim=Aim.ADDRESS)._replace(kind=SuppressionKind.SUPPRESSED),
            "its address is suppressed by the provider for email",
        ),
    ],
)
def test_reason_says_whose_word_it_is_and_of_what(one: Suppression, reason: str) -> None:
    assert one.reason == reason


@pytest.mark.parametrize(
    ("email", "phone", "values"),
    [
        (None, None, ()),
        (None, "+33612345678", ("+33612345678",)),
        ("Ann.B@example.org", None, ("ann.b@example.org", "example.org")),
        ('"a@b"@Example.org', "+1", ('"a@b"@example.org', "example.org", "+1")),
        ("İvan@example.org", None, ("İvan@example.org", "example.org")),
    ],
)
def test_recipients_are_recognised_without_regard_to_the_case_of_a_to_z(
    email: str | None, phone: str | None, values: tuple[str, ...]
) -> None:
    """As `lower(… COLLATE "C")` does it in the database's indexes."""
    assert tuple(one.value for one in recipients_of(email, phone)) == values


@pytest.mark.parametrize(
    ("given", "domain"), [("Spam.Example", "spam.example"), ("@bücher.example", "bücher.example")]
)
def test_domain_is_kept_as_addresses_have_it(given: str, domain: str) -> None:
    assert normal_domain(given) == domain


@pytest.mark.parametrize("given", ["", "@", "a b.example", "who@spam.example", "localhost"])
def test_what_is_no_domain_says_so(given: str) -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        normal_domain(given)
