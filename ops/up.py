"""`layby up`: private servers and every process in one terminal."""

import signal
import threading
from typing import Annotated

import typer

from config.settings import Settings, read_settings
from ops.family import Family, environment
from ops.installation import Installation, home_of, open_installation
from ops.processes import PROCESSES
from ops.sample import load_sample
from ops.screen import screen
from ops.servers import Servers
from web.address import listen, url_of


def up(
    sample: Annotated[
        bool, typer.Option("--sample", help="Load a small sample account, if it is not there.")
    ] = False,
) -> None:
    """Run everything here until Ctrl-C: servers, unless they are set, and one of each process."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    settings = read_settings()
    with open_installation(settings) as installation:
        screen.note(f"{installation.servers.said}\nData: {home_of(settings)}")
        url = _door(settings)
        family = Family(list(PROCESSES), environment(installation), _print, "--readable")
        try:
            if sample:
                _sample(installation)
            screen.note(_ways_in(settings, installation.servers))
            screen.note(f"Layby is up, and answers at {url}. Ctrl-C ends it; the data stays.")
            while not stopping.wait(_LOOK_SECONDS):
                see_to(installation.servers)
        finally:
            screen.note("Finishing what is open …")
            family.stop()


_LOOK_SECONDS = 1.0
"""How often it is looked whether the servers still run."""


def see_to(servers: Servers) -> None:
    """Start again what has ended by itself, and what ended with another `up` that ran it."""
    for said in servers.start_what_ended():
        screen.note(f"{said} had ended, and is started again.")
    for said in servers.take_over():
        screen.note(f"{said} had ended with the process that ran it, and is run here from now on.")


def _ways_in(settings: Settings, servers: Servers) -> str:
    """How other programs reach private servers: nobody could guess where their sockets are."""
    ways = []
    if settings.database_url is None:
        ways.append(f"psql '{servers.database_url}'")
    if settings.redis_url is None:
        ways.append(f"redis-cli -s {servers.redis_url.removeprefix('unix://')}")
    return f"Other programs get in by: {'  or  '.join(ways)}" if ways else ""


def _door(settings: Settings) -> str:
    """Where the web process will answer; raises AddressError before anything is started."""
    with listen(settings.http_host, settings.http_port) as bound:
        return url_of(bound) if settings.http_port else "the address that web tells"


def _sample(installation: Installation) -> None:
    screen.note(load_sample(installation))


def _print(process: str, line: str) -> None:
    screen.note(f"{process:>9} │ {line}")
