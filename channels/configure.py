"""Adapters from the settings LAYBY_EMAIL_URL and LAYBY_SMS_URL."""

from collections.abc import Callable

from channels.in_order import ProvidersInOrder
from channels.maildir import file_email
from channels.protocol import ChannelAdapter, ChannelError
from channels.sms_lines import file_sms
from channels.smtp import smtp_email
from channels.url import ChannelUrl, read_url
from domain.message import Channel

_SCHEMES: dict[Channel, dict[str, Callable[[ChannelUrl], ChannelAdapter]]] = {
    Channel.EMAIL: {"file": file_email, "smtp": smtp_email, "smtps": smtp_email},
    Channel.SMS: {"file": file_sms},
}


def channel_from_urls(urls: str, channel: Channel) -> ChannelAdapter:
    """One adapter for the whole setting: what delivery hands messages to."""
    adapters = channels_from_urls(urls, channel)
    return adapters[0] if len(adapters) == 1 else ProvidersInOrder(adapters)


def channels_from_urls(urls: str, channel: Channel) -> list[ChannelAdapter]:
    """One adapter for each comma-separated URL, in their order.

    Opens no connection and makes no folder. Raises ChannelError, without credentials, for the
    first URL that is wrong.
    """
    schemes = _SCHEMES[channel]
    setting = f"LAYBY_{channel.upper()}_URL"
    given = [url.strip() for url in urls.split(",")]
    if not all(given):
        raise ChannelError(
            f"{setting} is empty, or has a comma too many. Write one URL, as in file://outbox, or "
            "several with a comma between."
        )
    read = [
        read_url(url, f"URL {number} of {setting}", schemes) for number, url in enumerate(given, 1)
    ]
    return [schemes[url.scheme](url) for url in read]
