"""The main job for real: `layby demo --json` with its own processes, and whether it could fail."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from harness import Layby, soon
from patience import until

from channels.configure import channel_from_urls
from domain.message import Channel, Message
from ops.customer_file import CustomerFile, CustomerRow, read_customer_file
from ops.demo import EXAMPLES
from ops.demo.borrowed import empty_redis, fresh_database
from ops.demo.findings import Findings, find
from ops.demo.outbox import Hush, after_quiet, read_outbox
from ops.demo.story import Invoice, Story
from ops.demo.stream import ACCOUNT
from ops.demo.watch import Logs
from ops.family import Family
from ops.screen import UserError
from ops.servers import Servers
from scheduler.ticks import sweep

LONG_AGO = datetime(2020, 2, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Not below pytest's own folder, which a private server's user could not enter.
    path = Path(tempfile.mkdtemp(prefix="layby-demo-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def figures(home: Path) -> dict[str, Any]:
    """What one run printed; it went through its own servers, whatever is set elsewhere."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LAYBY_")}
    environ |= {
        "LAYBY_HOME": str(home),
        "LAYBY_EMAIL_URL": "smtp://127.0.0.1:9",
        "LAYBY_SERVERS": os.environ.get("LAYBY_TEST_SERVERS", "any"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ops", "demo", "--json"],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return dict(json.loads(done.stdout))


def test_demo_counts_every_row_customer_and_message(figures: dict[str, Any]) -> None:
    lines = (EXAMPLES / "customers.csv").read_text("utf-8").splitlines()
    assert figures["imported"] + figures["rejected"] == len(lines) - 1
    assert figures["rejected"] == len(figures["rejections"]) > 0
    assert figures["activated"] == 250
    assert figures["activated"] + figures["refused_by_quota"] == figures["imported"]


def test_demo_counts_what_is_in_the_outbox(figures: dict[str, Any]) -> None:
    """Nothing leaves the machine, although LAYBY_EMAIL_URL names a server."""
    outbox = Path(figures["outbox"])
    mails = list((outbox / "email" / "new").iterdir())
    texts = (outbox / "sms.jsonl").read_text("utf-8").splitlines()
    assert figures["sent"] == {"email": len(mails), "sms": len(texts)}
    assert figures["other"] == {"failed": 0, "unknown": 0}


def test_demo_moves_customers_while_their_sends_are_due_and_they_hear_nothing_more(
    figures: dict[str, Any],
) -> None:
    assert figures["moved"] > 0
    assert figures["cancelled"] > 0
    assert figures["sent_after_quiet"] == 0
    assert figures["sent_to_inactive"] == 0
    assert figures["audit"] == "passed"
    raced = {name: figures[name] for name in ("moved", "started_at_move", "sent_just_before")}
    print(f"\nraces: {raced}, {figures['seconds']} seconds")  # noqa: T201 - luck, so only told


def test_demo_leaves_its_processes_and_servers_ended(figures: dict[str, Any], home: Path) -> None:
    assert figures
    assert not (home / "demo" / "postgres" / "postmaster.pid").exists()
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if str(home) in _read(path)]
    assert not left


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def hand_over(outbox: Path, channel: Channel, recipient: str) -> None:
    """Write a message as the real channel does."""

    async def write() -> None:
        adapter = channel_from_urls(f"file://{outbox}", channel)
        subject = "Late" if channel is Channel.EMAIL else None
        message = Message("k", channel, recipient, "Acme <a@acme.example>", subject, "Late", None)
        await adapter.hand_over(message, soon())

    asyncio.run(write())


@pytest.mark.parametrize("channel", list(Channel))
def test_message_that_comes_after_quiet_is_counted(layby: Layby, channel: Channel) -> None:
    """The count can fail: a message planted after the silence is found, by address and time."""
    before = planted(layby, None)
    assert before.moved == 1
    assert before.sent_after_quiet == 0
    recipient = "Ann.Late@example.org" if channel is Channel.EMAIL else "+33639980001"
    assert planted(layby, (channel, recipient)).sent_after_quiet == 1


def planted(layby: Layby, late: tuple[Channel, str] | None) -> Findings:
    """Move a customer whose first reminders went out, then let a late one slip through."""
    path = layby.outbox.parent / "one.csv"
    path.write_text("id,email,phone\nann,Ann.Late@Example.org,+33639980001\n")
    file = read_customer_file(path)
    if late is None:
        _move(layby, file.customers[0])
    else:
        hand_over(layby.outbox, *late)
    story = Story({"ann": Invoice("ann", "1", "EUR", date(2027, 3, 5))})
    story.moved["ann"] = layby.now
    with layby.engine.connect() as connection:
        activation = layby.outcome("cmd-6")
        return find(connection, file, activation, story, read_outbox(layby.outbox))


def _move(layby: Layby, row: CustomerRow) -> None:
    layby.account = ACCOUNT
    layby.set_up()
    profile = row.profile.model_dump(exclude_unset=True)
    layby.must("add_customer", customers=["ann"], profile=profile)
    assert layby.must("activate", customers=["ann"]).id == "cmd-6"
    layby.must("assign_schedule", customers=["ann"], schedule="dunning")
    layby.deliver()
    layby.must("move_to_directory", customers=["ann"])
    sweep(layby.engine)


def test_message_to_somebody_who_was_never_active_is_counted(layby: Layby) -> None:
    layby.account = ACCOUNT
    layby.set_up()
    layby.must("add_customer", customers=["ann"])
    command = layby.must("activate", customers=["ann"])
    path = layby.outbox.parent / "two.csv"
    path.write_text("id,email\nann,ann@example.org\nbob,bob@example.org\n")
    hand_over(layby.outbox, Channel.EMAIL, "bob@example.org")
    story = Story({"ann": Invoice("ann", "1", "EUR", date(2027, 3, 5))})
    file: CustomerFile = read_customer_file(path)
    with layby.engine.connect() as connection:
        found = find(connection, file, command, story, read_outbox(layby.outbox))
    assert found.sent_to_inactive == 1


def test_silence_counts_from_quiet_until_it_is_ended(tmp_path: Path) -> None:
    """A mail's own time decides: before quiet and after reactivation it may be there."""
    hand_over(tmp_path, Channel.EMAIL, "ann@example.org")
    (message,) = read_outbox(tmp_path)
    ann = frozenset({"ann@example.org"})
    at = message.at
    assert after_quiet([message], [Hush(ann, at - SECOND)])
    assert after_quiet([message], [Hush(ann, at - SECOND, at + SECOND)])
    assert not after_quiet([message], [Hush(ann, at + SECOND)])
    assert not after_quiet([message], [Hush(ann, at - 2 * SECOND, at - SECOND)])
    assert not after_quiet([message], [Hush(frozenset({"bob@example.org"}), at - SECOND)])


def test_mail_that_is_given_an_earlier_time_is_counted_all_the_same(tmp_path: Path) -> None:
    """The change of name that delivers it tells the time, not only the last byte."""
    hand_over(tmp_path, Channel.EMAIL, "ann@example.org")
    (file,) = (tmp_path / "email" / "new").iterdir()
    os.utime(file, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    (message,) = read_outbox(tmp_path)
    assert message.at > LONG_AGO + SECOND


def test_process_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    family = Family(["no-such-process"], dict(os.environ), logs)

    def ended() -> bool:
        logs.check()  # raises once it has
        return False

    try:
        with pytest.raises(UserError, match="The no-such-process process ended with status 2"):
            until(ended, "the process has ended")
    finally:
        family.stop()
    assert "no-such-process" in (tmp_path / "no-such-process.log").read_text()


def test_database_of_somebody_else_is_never_dropped(servers: Servers) -> None:
    """The demo makes `layby_demo` anew, but only where it made it itself."""
    url = fresh_database(servers.database_url)
    assert fresh_database(servers.database_url) == url
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("COMMENT ON DATABASE layby_demo IS 'ours, of the demo team'")
        with pytest.raises(UserError, match="that the demo did not make"):
            fresh_database(servers.database_url)
        connection.execute("DROP DATABASE layby_demo WITH (FORCE)")


def test_numbered_redis_that_holds_anything_is_left_alone(
    servers: Servers, redis_client: redis.Redis
) -> None:
    redis_client.set("theirs", b"1")
    with empty_redis(servers.redis_url) as url:
        with redis.Redis.from_url(url) as own:
            own.set("layby:commands", b"x")
        with empty_redis(servers.redis_url) as second:
            assert second != url
    assert redis_client.get("theirs") == b"1"
    assert redis_client.get("layby:commands") is None
    with redis.Redis.from_url(url) as own:
        assert not own.dbsize()
