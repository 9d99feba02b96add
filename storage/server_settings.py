"""What takes a guarantee away without a word: settings of the server and role, and of tables."""

from sqlalchemy import Connection, text

_WEAKENING = {
    "fsync": (
        "off",
        "when the machine loses power the database may be damaged, or forget who was silenced",
    ),
    "full_page_writes": ("off", "when the machine loses power the database may be damaged"),
    "synchronous_commit": (
        "off",
        "a crash of the server may undo a move that was told as applied, and repeat a message",
    ),
    "zero_damaged_pages": ("on", "rows of a damaged page vanish, silences among them"),
    "ignore_checksum_failure": ("on", "damaged pages are read as if they were whole"),
}
"""Which value is wrong, and what it does."""

_CURE = {"synchronous_commit": "Run layby migrate, as this role: it sets it in this database"}

_LIMITS = ("statement_timeout", "transaction_timeout")
_SHORT_MILLISECONDS = 60_000


def weakened(connection: Connection) -> list[str]:
    """What is set so that a guarantee does not hold, for this role in this database."""
    settings = _settings(connection, list(_WEAKENING))
    return [
        f"{name} is {bad}: {consequence}. "
        + _CURE.get(name, f"Turn it {'on' if bad == 'off' else 'off'}")
        + "."
        for name, (bad, consequence) in _WEAKENING.items()
        if settings.get(name) == bad
    ] + [*_unlogged(connection), *_hidden(connection)]


def hurried(connection: Connection) -> list[str]:
    """Which time limits are so short that an import or a filter may not meet them."""
    return [
        f"{name} is {int(setting) / 1000:g} s: a command that takes longer is tried again for some "
        "minutes, and then set aside. Give this role none, or one of minutes."
        for name, setting in _settings(connection, list(_LIMITS)).items()
        if 0 < int(setting) < _SHORT_MILLISECONDS
    ]


def _settings(connection: Connection, names: list[str]) -> dict[str, str]:
    """Those of these that this server has; times in milliseconds."""
    rows = connection.execute(
        text(
            "SELECT name, setting FROM pg_settings "
            "WHERE name = ANY(CAST(:names AS text[])) ORDER BY name"
        ),
        {"names": names},
    )
    return {row.name: row.setting for row in rows}


_OURS = "relnamespace = CAST(current_schema() AS regnamespace) AND relkind IN ('r', 'p')"


def _unlogged(connection: Connection) -> list[str]:
    rows = connection.execute(
        text(f"SELECT relname FROM pg_class WHERE {_OURS} AND relpersistence = 'u' ORDER BY 1")
    )
    return [
        f"The table {name} is unlogged: a crash of the server empties it. "
        f"ALTER TABLE {name} SET LOGGED."
        for name in rows.scalars()
    ]


def _hidden(connection: Connection) -> list[str]:
    """An audit does not see what is hidden either."""
    rows = connection.execute(
        text(f"SELECT relname FROM pg_class WHERE {_OURS} AND row_security_active(oid) ORDER BY 1")
    )
    return [
        f"Row security hides rows of the table {name} from this role: what it can't see it neither "
        f"sends nor silences. ALTER TABLE {name} DISABLE ROW LEVEL SECURITY."
        for name in rows.scalars()
    ]
