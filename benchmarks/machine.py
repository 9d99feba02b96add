"""What the figures were measured on."""

import os
import platform
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.figure import Figure
from ops.servers import Servers


def machine(servers: Servers, *, quick: bool) -> Figure:
    """The machine, in the shape of a figure: its cores."""
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        fsync = connection.execute("SHOW fsync").fetchone()
    assert row is not None
    assert fsync == ("on",), "a figure without it says nothing"
    more: dict[str, Any] = {
        "python": platform.python_version(),
        "postgresql": str(row[0]).split(" ", 1)[0],
        "servers": servers.said.splitlines(),
        "system": f"{platform.system()} {platform.machine()}",
        "fsync": "on",
        "size": "quick" if quick else "full",
        "measured_at": datetime.now(UTC).date().isoformat(),
    }
    return Figure(os.cpu_count() or 1, "cores", more=more)
