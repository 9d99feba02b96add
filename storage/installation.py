"""Which secret key belongs to this database."""

import hashlib
import hmac

from sqlalchemy import Connection, Engine, text


class WrongKeyError(Exception):
    """The process's key is not the one that this database's hashes were made with."""


def check_key(connection: Connection, key: bytes) -> None:
    """Remember the first key's fingerprint; raise WrongKeyError for any other key."""
    connection.execute(
        text(
            "INSERT INTO installation (one, key_fingerprint) VALUES (true, :fingerprint) "
            "ON CONFLICT (one) DO NOTHING"
        ),
        {"fingerprint": _fingerprint(key)},
    )
    known = connection.execute(text("SELECT key_fingerprint FROM installation")).scalar_one()
    if not hmac.compare_digest(known, _fingerprint(key)):
        raise WrongKeyError(
            "LAYBY_SECRET_KEY is not the key that this database was used with: recipients could "
            "not be recognised. Set the same key on every process."
        )


def recipient_hash(key: bytes, recipient: str) -> str:
    """A keyed hash by which a recipient is recognised without being stored (RFC 2104)."""
    return hmac.digest(key, recipient.encode(), "sha256").hex()


def use_key(engine: Engine, key: bytes) -> None:
    """From here on, what is hashed over this engine's connections is keyed with this.

    The key belongs to the database as its address does: whoever is handed a connection can look a
    recipient up, and nobody can with another key.
    """
    engine.update_execution_options(layby_key=key)


def hashed(connection: Connection, recipient: str) -> str:
    """`recipient_hash` with the key of the connection's database."""
    key: bytes = connection.get_execution_options()["layby_key"]
    return recipient_hash(key, recipient)


def _fingerprint(key: bytes) -> str:
    return hmac.new(key, b"layby installation", hashlib.sha256).hexdigest()
