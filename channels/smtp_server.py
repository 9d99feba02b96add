"""An smtp:// or smtps:// URL, read: where the server is and how to talk to it."""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from channels.url import ChannelUrl, read_options

_DEFAULT_PORTS = {"smtp": 587, "smtps": 465}


class StartTls(StrEnum):
    """When to encrypt a connection that began in the clear."""

    AUTO = "auto"
    REQUIRE = "require"
    NEVER = "never"


class SmtpOptions(BaseModel):
    """What may follow the `?` of an smtp:// or smtps:// URL."""

    model_config = ConfigDict(frozen=True)

    connections: int = Field(default=20, ge=1, le=1000)
    starttls: StartTls = StartTls.AUTO
    ca: Path | None = None
    connect_timeout: float = Field(default=10, gt=0, le=300, allow_inf_nan=False)
    idle: float = Field(default=60, ge=0, le=3600, allow_inf_nan=False)
    hello: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:\[\]-]+$")


@dataclass(frozen=True)
class SmtpServer:
    """Where and how to connect."""

    name: str
    host: str
    port: int
    implicit_tls: bool
    tls: ssl.SSLContext
    options: SmtpOptions
    user: str | None = field(repr=False)
    password: str = field(repr=False)


def read_server(url: ChannelUrl) -> SmtpServer:
    """Read the URL and the certificates that it trusts; raises ChannelError."""
    if not url.host:
        raise url.refuse("it names no host. Write smtp://mail.example.com:587.")
    if url.path.strip("/"):
        raise url.refuse("it has a path after its host. In a user name or password write / as %2F.")
    if url.port == 0:
        raise url.refuse("its port must be a number from 1 to 65535.")
    try:
        url.host.encode("idna")
    except UnicodeError:
        raise url.refuse("its host can't be a name in DNS. Correct it.") from None
    if url.user is not None and not (url.user and url.password):
        raise url.refuse("it has a user name without a password, or the reverse. Give both.")
    options = read_options(url, SmtpOptions)
    if url.scheme == "smtps" and "starttls" in options.model_fields_set:
        raise url.refuse("smtps:// encrypts from the start. Leave starttls out, or use smtp://.")
    port = url.port or _DEFAULT_PORTS[url.scheme]
    host = f"[{url.host}]" if ":" in url.host else url.host
    return SmtpServer(
        name=f"{url.scheme}://{host}:{port}",
        host=url.host,
        port=port,
        implicit_tls=url.scheme == "smtps",
        tls=_trust(url, options.ca),
        options=options,
        user=url.user,
        password=url.password or "",
    )


def _trust(url: ChannelUrl, ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca and ca.expanduser())
    except OSError as error:
        raise url.refuse(
            f"its ca file {ca} can't be read as PEM certificates ({error.strerror or error.args})."
        ) from None
