"""Bearer tokens: made, shown once, and recognised. `layby_<public id>_<secret>` (RFC 6750).

The secret is 256 random bits, so a plain fast hash of it can't be guessed back; keyed with the
installation's key, a hash can't be planted either by somebody who can write to the table only.
"""

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from typing import NamedTuple

from domain.access import INSTALLATION, Role, reaches
from storage import tokens
from storage.database import Connection
from storage.tokens import Known, Token

PREFIX = "layby"
_FORM = re.compile(rf"{PREFIX}_([a-z0-9]{{16}})_([A-Za-z0-9_-]{{43}})", re.ASCII)


class Caller(NamedTuple):
    """Who a request is from."""

    account: str
    """Empty: the whole installation."""
    token: str
    """The token's public id."""
    role: Role

    def reaches(self, account: str) -> bool:
        return reaches(self.account, account)

    @property
    def is_installation(self) -> bool:
        return self.account == INSTALLATION


class UnknownTokenError(Exception):
    """No good token; the message says what to do, and nothing of what was given."""


def make_token(
    connection: Connection,
    key: bytes,
    *,
    account: str,
    role: Role,
    label: str,
    made_by: str,
    life: timedelta,
) -> tuple[Token, str]:
    """A new token, and what its holder sends: kept nowhere, so shown now or never."""
    name, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    kept = tokens.add_token(
        connection,
        account=account,
        token=name,
        secret_hash=_hash(key, secret),
        role=role.value,
        label=label,
        made_by=made_by,
        life=life,
    )
    return kept, f"{PREFIX}_{name}_{secret}"


def recognise(connection: Connection, key: bytes, given: str) -> Caller:
    """Who holds this token; raises UnknownTokenError."""
    form = _FORM.fullmatch(given)
    known = tokens.find_token(connection, form[1]) if form else None
    # Compared whether there is such a token or not, so that the time taken does not tell.
    good = hmac.compare_digest(
        known.secret_hash if known else _NOBODYS, _hash(key, form[2] if form else "")
    )
    if form is None or known is None or not good:
        raise UnknownTokenError(
            "The token is not known here. Ask an admin for one: layby token create"
        )
    _refuse_ended(known)
    if not known.used_today:
        tokens.mark_used(connection, known.account, form[1])
    return Caller(known.account, form[1], Role(known.role))


_NOBODYS = "0" * 64


def _refuse_ended(known: Known) -> None:
    if known.revoked or known.expired:
        ended = "was revoked" if known.revoked else "has expired"
        raise UnknownTokenError(
            f"The token {ended}. Ask an admin for a new one: layby token create"
        )


def _hash(key: bytes, secret: str) -> str:
    return hmac.new(key, b"token " + secret.encode(), hashlib.sha256).hexdigest()
