"""`layby check`: every setting, every server, every channel, before anything depends on them."""

import asyncio
import http.client
from collections.abc import Callable
from typing import Any

import typer

from channels.configure import channels_from_urls
from channels.protocol import ChannelError
from config.settings import Settings, SettingsError, read_settings
from domain.message import Channel
from ops.installation import home_of, open_servers, secret_key
from ops.screen import Json, screen
from ops.servers import Servers, ServersError
from storage import clock, server_settings
from storage.database import (
    DatabaseTooOldError,
    DatabaseUnreachableError,
    Engine,
    check_reachable,
    connect,
)
from storage.fence import UNREADABLE, read_fence
from storage.installation import WrongKeyError, check_key
from storage.schema import SchemaError, check_schema
from web.address import AddressError, listen, url_of
from workers import redis_settings
from workers.broker import (
    BrokerTooOldError,
    BrokerUnreachableError,
    check_redis,
    connect_redis_impatiently,
)
from workers.fence import Fence, FencedError

_KNOWN = (
    SettingsError,
    ServersError,
    DatabaseTooOldError,
    DatabaseUnreachableError,
    SchemaError,
    WrongKeyError,
    BrokerTooOldError,
    BrokerUnreachableError,
    ChannelError,
    AddressError,
    FencedError,
)


def check(json: Json = False) -> None:
    """Validate all settings, and try what they name; nothing is sent."""
    settings = read_settings()
    report = _Report()
    report.add("home", lambda: str(home_of(settings)))
    report.add("retention", lambda: _retention(settings))
    try:
        with open_servers(settings) as servers:
            _check_servers(report, settings, servers)
    except ServersError as error:
        report.failed("servers", str(error))
    report.add("http", lambda: door_result(settings))
    for channel, urls in ((Channel.EMAIL, settings.email_url), (Channel.SMS, settings.sms_url)):
        _check_channel(report, channel, urls)
    screen.table(json, report.rows, none="")
    if report.broken:
        raise typer.Exit(1)


class _Report:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @property
    def broken(self) -> bool:
        return any(row["result"] == "broken" for row in self.rows)

    def add(self, what: str, look: Callable[[], str]) -> None:
        try:
            self.rows.append({"what": what, "result": "ok", "detail": look()})
        except _KNOWN as error:
            self.failed(what, str(error))

    def failed(self, what: str, why: str) -> None:
        self.rows.append({"what": what, "result": "broken", "detail": why})

    def weighed(self, what: str, broken: list[str], warned: list[str]) -> None:
        """What was found to be wrong, each in a row, and what is worth a word."""
        found = [("broken", one) for one in broken] + [("warning", one) for one in warned]
        for result, detail in found or [("ok", "as it should be")]:
            self.rows.append({"what": what, "result": result, "detail": detail})


def _retention(settings: Settings) -> str:
    kept = {
        "commands": settings.keep_commands,
        "ledger": settings.keep_ledger,
        "journal": settings.keep_journal,
    }
    return ", ".join(
        f"{what} {'for ever' if time is None else f'{time.days} days'}"
        for what, time in kept.items()
    )


def _check_servers(report: _Report, settings: Settings, servers: Servers) -> None:
    said = servers.said.splitlines()
    engine = connect(servers.database_url, connections=1)
    try:
        report.add("database", lambda: f"PostgreSQL {check_reachable(engine)} ({said[0]})")
        if report.broken:
            return
        if settings.database_url is None:
            from storage.migrate import migrate  # noqa: PLC0415 - alembic costs a tenth of a start

            migrate(engine)
        report.add("schema", lambda: _schema(engine))
        if not report.broken:
            report.add("secret key", lambda: _key(engine, settings))
        schema_is_there = not report.broken
        _check_redis(report, servers.redis_url, said[-1])
        if schema_is_there:
            _check_database_settings(report, engine)
            report.add("restore", lambda: _fence(engine, servers))
    finally:
        engine.dispose()


def _check_database_settings(report: _Report, engine: Engine) -> None:
    with engine.connect() as connection:
        broken = server_settings.weakened(connection)
        report.weighed("database settings", broken, server_settings.hurried(connection))
        until = clock.distrusted_until(connection)
        waits = [] if until is None else [f"Retention waits: {clock.distrusted(until)}."]
        report.weighed("clock", [], waits)


def _check_redis(report: _Report, url: str, said: str) -> None:
    try:
        version = check_redis(url)
    except _KNOWN as error:
        report.failed("redis", str(error))
        return
    report.rows.append({"what": "redis", "result": "ok", "detail": f"{version} ({said})"})
    with connect_redis_impatiently(url) as client:
        broken = redis_settings.weakened(client)
        report.weighed("redis settings", broken, redis_settings.forgetful(client))


def _schema(engine: Engine) -> str:
    with engine.connect() as connection:
        check_schema(connection)
    return "as this version needs it"


def _key(engine: Engine, settings: Settings) -> str:
    key = secret_key(settings)
    with engine.begin() as connection:
        check_key(connection, key)
    return "the one that this database was used with"


def door_result(settings: Settings) -> str:
    """Free to listen at; or taken by a `layby web`, which then runs already."""
    try:
        with listen(settings.http_host, settings.http_port) as bound:
            return f"{url_of(bound)} is free" if settings.http_port else "any free port"
    except AddressError:
        if not _answers(settings.http_host, settings.http_port):
            raise
        return f"layby web answers at port {settings.http_port}"


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read() == b'{"status":"ok"}'
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _fence(engine: Engine, servers: Servers) -> str:
    """Whether the database was exchanged; a look notices it, and then deliveries hold."""
    Fence(engine, servers.redis_url).check()
    with engine.begin() as connection:
        here = read_fence(connection).here
    if here == UNREADABLE:
        return (
            "the server does not tell which one it is (pg_control_system): a failover is not "
            "noticed. After one, run: layby restore-fence"
        )
    return "this is the database that sends were started on"


def _check_channel(report: _Report, channel: Channel, urls: str) -> None:
    try:
        adapters = channels_from_urls(urls, channel)
    except ChannelError as error:
        report.failed(channel.value, str(error))
        return
    for adapter in adapters:
        report.add(channel.value, lambda one=adapter: f"{one.name}: {asyncio.run(one.check())}")  # type: ignore[misc]
