"""A channel's URL, read. No error shows a part of it that could be a credential."""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ValidationError

from channels.protocol import ChannelError

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class ChannelUrl:
    """One URL of a setting. `place` names it in errors: `URL 2 of LAYBY_EMAIL_URL`."""

    place: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    folder: str = field(repr=False)
    """Of a file:// URL, whose first name sits where others have their host, but keeps its case."""
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    def refuse(self, reason: str) -> ChannelError:
        return ChannelError(f"Cannot use {self.place}: {reason}")


def read_url(url: str, place: str, schemes: Collection[str]) -> ChannelUrl:
    """Take one URL apart; raises ChannelError unless its scheme is one of `schemes`."""
    known = ", ".join(f"{scheme}://" for scheme in schemes)
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", url, re.IGNORECASE)
    if not scheme:
        raise ChannelError(
            f"Cannot use {place}: it does not start with a scheme. Known here: {known}. "
            "A comma inside a user name or password is written %2C."
        )
    name = scheme[1].lower()
    if name not in schemes:
        near = difflib.get_close_matches(name, schemes, n=1)
        hint = f" Did you mean {near[0]}://?" if near else ""
        raise ChannelError(f"Cannot use {place}: its scheme is none of {known}.{hint}")
    try:
        parts = urlsplit(url)
        return _from_parts(parts, parts.port, place)
    except ValueError:
        raise ChannelError(
            f"Cannot use {place}: its port must be a number from 1 to 65535, and its host a name "
            "or an IP address (IPv6 in []). In a user name or password write / as %2F, @ as %40, "
            "[ as %5B."
        ) from None


def _from_parts(parts: SplitResult, port: int | None, place: str) -> ChannelUrl:
    if parts.fragment or "@" in parts.query:
        raise ChannelError(
            f"Cannot use {place}: it goes on after ? or # in a way that is no list of parameters. "
            "In a user name or password write ? as %3F and # as %23; elsewhere @ as %40."
        )
    return ChannelUrl(
        place,
        parts.scheme,
        parts.hostname or "",
        port,
        unquote(parts.path),
        parts.query,
        unquote(parts.netloc + parts.path),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def read_options(url: ChannelUrl, options: type[Options]) -> Options:
    """Read the parameters after `?` by a model that names each with its default."""
    given = parse_qsl(url.query, keep_blank_values=True)
    values = dict(given)
    if len(values) < len(given):
        raise url.refuse("it gives a parameter twice. Keep one of the two.")
    for name in values:
        if name not in options.model_fields:
            raise url.refuse(_unknown(name, list(options.model_fields)))
    try:
        return options.model_validate(values)
    except ValidationError as error:
        problems = (f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise url.refuse("; ".join(problems) + ". Correct it after the ?.") from None


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    return f"it has no parameter {name}. {hint}"
