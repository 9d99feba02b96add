"""What Layby is told from outside: environment variables, read once and passed down."""

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)

PREFIX = "LAYBY_"
DATABASE_SCHEMES = ("postgresql://", "postgres://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


_PORTS = 65_535

_OF_CLIENTS = ("LAYBY_URL", "LAYBY_TOKEN")
"""What docs/http.md and examples/http tell HTTP clients to set, perhaps in the very same shell."""

# In every pod beside a Service called layby, or layby-web (its "service links").
_OF_KUBERNETES = re.compile(
    r"LAYBY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """A setting is wrong; the message names each one and says what to do."""


class Settings(BaseModel):
    """Every setting of every process. None means: use the private servers in `home`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path | None = None
    # URLs can hold a password.
    database_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    email_url: str = Field(default="file://outbox", repr=False)
    sms_url: str = Field(default="file://outbox", repr=False)
    secret_key: SecretStr | None = None
    servers: str = "any"
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    """0: any free one, told in the log."""
    # None: for ever.
    keep_commands: timedelta | None = timedelta(days=90)
    keep_ledger: timedelta | None = None
    keep_journal: timedelta | None = None

    @field_validator("keep_commands", "keep_ledger", "keep_journal", mode="before")
    @classmethod
    def _keeps_for_days(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return None if given == "forever" else _days(given)

    @field_validator("database_url")
    @classmethod
    def _database_is_postgresql(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(DATABASE_SCHEMES):
            raise ValueError("must start with postgresql://, as in postgresql://user@host/layby")
        return url

    @field_validator("redis_url")
    @classmethod
    def _broker_is_redis(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(REDIS_SCHEMES):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return url

    @field_validator("servers")
    @classmethod
    def _servers_is_a_known_source(cls, source: str) -> str:
        if source not in ("any", "machine", "wheels"):
            raise ValueError("must be any, machine (its own binaries) or wheels")
        return source

    @field_validator("http_host")
    @classmethod
    def _host_is_a_name_or_an_address(cls, host: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", host) or host.count(":") == 1:
            raise ValueError("must be an address or a name alone, as in 127.0.0.1, :: or localhost")
        return host

    @field_validator("http_port", mode="before")
    @classmethod
    def _port_is_a_number(cls, port: str | int) -> int:
        if _ADDRESS_OF_A_SERVICE.match(str(port)):
            raise ValueError(
                "was set by Kubernetes, for a Service called layby-http: give that another name, "
                "or the pod `enableServiceLinks: false`"
            )
        if not re.fullmatch(r"\d{1,5}", str(port)) or int(port) > _PORTS:
            raise ValueError("must be a number from 0 (any free port) to 65535")
        return int(port)

    @field_validator("secret_key")
    @classmethod
    def _secret_is_long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 32:  # noqa: PLR2004 - 128 bits in hex
            raise ValueError("must be at least 32 characters: openssl rand -hex 32")
        return key


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check all settings; raises SettingsError that names every mistake at once."""
    mistakes = [_unknown(name) for name in sorted(environ) if _is_unknown(name, environ[name])]
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name in _known() and value != ""
    }
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        mistakes += [
            f"{PREFIX}{str(problem['loc'][0]).upper()} {_reason(problem['msg'])}."
            for problem in error.errors()
        ]
        raise SettingsError("\n".join(mistakes)) from None
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def _days(given: str) -> timedelta:
    try:
        # Pydantic would also read a bare number, as seconds.
        kept = _DURATION.validate_python(given) if given.startswith("P") else timedelta(0)
    except ValidationError:
        kept = timedelta(0)
    if kept < timedelta(days=1):
        raise ValueError("must be an ISO 8601 duration of a day or more, as P90D, or forever")
    return kept


_DURATION = TypeAdapter(timedelta)


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def _known() -> list[str]:
    return [PREFIX + field.upper() for field in Settings.model_fields]


def _is_unknown(name: str, value: str) -> bool:
    if not name.startswith(PREFIX) or name in _known() or name in _OF_CLIENTS:
        return False
    # LAYBY_TEST_… is the test suite's own.
    return not name.startswith("LAYBY_TEST_") and not _is_of_kubernetes(name, value)


def _is_of_kubernetes(name: str, value: str) -> bool:
    if not _OF_KUBERNETES.fullmatch(name):
        return False
    # LAYBY_PORT=9000 is a person's mistake.
    said_by_hand = name.endswith("_PORT") and not _ADDRESS_OF_A_SERVICE.match(value)
    return not said_by_hand or name.endswith(("_SERVICE_PORT", "_TCP_PORT", "_UDP_PORT"))


def _unknown(name: str) -> str:
    # Without the prefix, which would make all of them alike.
    short = [known.removeprefix(PREFIX) for known in _known()]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1, cutoff=0.7)
    known = ", ".join(_known())
    hint = f"Did you mean {PREFIX}{near[0]}?" if near else f"Known settings: {known}."
    return f"{name} is no setting of Layby. {hint}"
