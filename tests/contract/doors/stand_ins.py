"""For a machine without redis-cli or psql: programs of those names that do what the examples ask.

The shell reads the example's own words and hands them over; what is sent is theirs.
"""

import shutil
import sys
from pathlib import Path

import psycopg
from acceptance.raw_redis import RawRedis


def programs(folder: Path, redis_url: str) -> Path:
    """A folder for the PATH, with a stand-in for each program that is missing here."""
    folder.mkdir()
    # The client itself takes no address of a socket in a file.
    if shutil.which("redis-cli") is None or redis_url.startswith("unix:"):
        _write(folder / "redis-cli", "redis")
    if shutil.which("psql") is None:
        _write(folder / "psql", "sql")
    return folder


def _write(path: Path, name: str) -> None:
    tests = Path(__file__).parents[2]
    path.write_text(
        f"#!/bin/sh\nPYTHONPATH='{tests}' exec '{sys.executable}' '{__file__}' {name} \"$@\"\n"
    )
    path.chmod(0o755)


def redis_cli(words: list[str]) -> None:
    """What `redis-cli -u URL COMMAND WORD …` does."""
    assert words[0] == "-u", words
    encoded = [word.encode() for word in words[2:]]
    with RawRedis(words[1]) as connection:
        request = b"*%d\r\n" % len(encoded)
        request += b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        sys.stdout.write(connection.send(request) + "\n")


def psql(words: list[str]) -> None:
    """What `psql URL --quiet --single-transaction -c SQL …` does."""
    url, *options = words
    assert options[:2] == ["--quiet", "--single-transaction"], words
    assert options[2::2] == ["-c"] * (len(options[2:]) // 2), words
    with psycopg.connect(url) as connection:
        for statement in options[3::2]:
            connection.execute(statement.encode())


if __name__ == "__main__":
    {"redis": redis_cli, "sql": psql}[sys.argv[1]](sys.argv[2:])
