"""The stream's intake, one reading at a time, on a real Redis."""

import json
from typing import Any

import pytest
import redis
from harness import Layby

from workers import intake as intake_
from workers.broker import RedisBell, make_broker
from workers.intake import GROUP, STREAM, Intake


@pytest.fixture
def intake(layby: Layby, redis_client: redis.Redis) -> Intake:
    bell = RedisBell(make_broker(redis_client))
    return Intake(redis_client, layby.engine, bell, "first")


def publish(client: redis.Redis, **command: Any) -> None:
    client.xadd(STREAM, {"command": json.dumps({"account": "acme", **command})})


def states(layby: Layby) -> dict[str, str]:
    return dict(layby.rows("SELECT command, state FROM commands ORDER BY seq"))


def test_what_is_taken_in_leaves_the_stream(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    publish(redis_client, id="1", kind="pause", customers=["ann"])
    assert intake.read_once() == 1
    assert states(layby) == {"1": "accepted"}
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.xpending(STREAM, GROUP)["pending"] == 0


def test_what_a_dead_reader_left_is_taken_in_first_and_in_order(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    publish(redis_client, id="1", kind="pause", customers=["ann"])
    redis_client.xgroup_create(STREAM, GROUP, id="0")
    redis_client.xreadgroup(GROUP, "dead", {STREAM: ">"})
    publish(redis_client, id="2", kind="resume", customers=["ann"])
    assert intake.read_once() == 2
    assert list(states(layby)) == ["1", "2"]


def test_what_several_dead_readers_left_is_taken_in_before_what_is_new(
    layby: Layby, redis_client: redis.Redis, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each dies with what it has read, and with the database away a living one reads as often."""
    monkeypatch.setattr(intake_, "_READ_AT_MOST", 2)
    for number in "1234567":
        publish(redis_client, id=number, kind="pause", customers=["ann"])
    redis_client.xgroup_create(STREAM, GROUP, id="0")
    for reader in ("dead", "dead too"):
        redis_client.xreadgroup(GROUP, reader, {STREAM: ">"}, count=2)
    while redis_client.xlen(STREAM):
        intake.read_once()
    assert "".join(states(layby)) == "1234567"


@pytest.mark.parametrize("left", [0, 1, 2, 3, 5])
def test_no_more_is_read_at_once_than_may_be_held(
    layby: Layby,
    redis_client: redis.Redis,
    intake: Intake,
    monkeypatch: pytest.MonkeyPatch,
    left: int,
) -> None:
    """However long entries are: up to so many bytes and the entry that exceeds them, in order."""
    monkeypatch.setattr(intake_, "_READ_BYTES", 1000)
    for number in "12345":
        publish(redis_client, id=number, kind="pause", customers=["ann"], reason="r" * 600)
    redis_client.xgroup_create(STREAM, GROUP, id="0")
    if left:
        redis_client.xreadgroup(GROUP, "dead", {STREAM: ">"}, count=left)
    assert [intake.read_once() for _ in range(3)] == [2, 2, 1]
    assert "".join(states(layby)) == "12345"


def test_entries_deleted_since_they_were_read_are_passed(
    layby: Layby, redis_client: redis.Redis, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody's XDEL or XTRIM, while a dead reader had them."""
    monkeypatch.setattr(intake_, "_READ_AT_MOST", 2)
    for number in "123456":
        publish(redis_client, id=number, kind="pause", customers=["ann"])
    redis_client.xgroup_create(STREAM, GROUP, id="0")
    reply: Any = redis_client.xreadgroup(GROUP, "dead", {STREAM: ">"}, count=4)
    ((_, read),) = reply
    redis_client.xdel(STREAM, *[entry for entry, _ in read[:3]])
    while redis_client.xlen(STREAM):
        intake.read_once()
    assert "".join(states(layby)) == "456"


def test_what_a_removed_consumer_had_read_is_taken_in_and_in_order(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    """To its group it is delivered, and left with nobody."""
    redis_client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    publish(redis_client, id="1", kind="pause", customers=["ann"])
    redis_client.xreadgroup(GROUP, "gone", {STREAM: ">"})
    redis_client.xgroup_delconsumer(STREAM, GROUP, "gone")
    publish(redis_client, id="2", kind="resume", customers=["ann"])
    redis_client.xreadgroup(GROUP, "dead", {STREAM: ">"})
    publish(redis_client, id="3", kind="pause", customers=["ann"])
    assert intake.read_once() == 3
    assert list(states(layby)) == ["1", "2", "3"]
    assert redis_client.xlen(STREAM) == 0


def test_what_was_published_before_a_group_that_begins_behind_it_is_taken_in(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    publish(redis_client, id="1", kind="pause", customers=["ann"])
    redis_client.xgroup_create(STREAM, GROUP, id="$")
    assert intake.read_once() == 1
    assert list(states(layby)) == ["1"]


def test_what_comes_twice_is_accepted_once(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    for _ in range(3):
        publish(redis_client, id="1", kind="pause", customers=["ann"])
    intake.read_once()
    assert states(layby) == {"1": "accepted"}


def test_a_redis_that_lost_everything_goes_on(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    publish(redis_client, id="1", kind="pause", customers=["ann"])
    intake.read_once()
    redis_client.flushall()
    publish(redis_client, id="2", kind="pause", customers=["ann"])
    intake.read_once()
    assert states(layby) == {"1": "accepted", "2": "accepted"}


@pytest.mark.parametrize(
    "entry",
    [
        {"command": b"\xff\xfe"},
        {"command": b"not json"},
        {"command": b"[1, 2]"},
        {"command": b'"\\ud800"'},
        {"command": b'{"id": "\\u0000", "account": "\\ud800", "kind": 7}'},
        {"command": b""},
        {"other": b"\x00"},
        {"command": b"x" * 1_000_001},
        {"command": b"[" * 100_000},
    ],
)
def test_what_cannot_be_read_is_kept_with_the_reason_and_holds_up_nothing(
    layby: Layby, redis_client: redis.Redis, intake: Intake, entry: dict[Any, Any]
) -> None:
    redis_client.xadd(STREAM, entry)
    publish(redis_client, id="next", kind="pause", customers=["ann"])
    while redis_client.xlen(STREAM):
        intake.read_once()
    (kept, after) = layby.rows("SELECT state, problem FROM commands ORDER BY seq")
    assert kept[0] == "quarantined"
    assert kept[1]
    assert after[0] == "accepted"


def test_what_the_database_cannot_keep_is_set_aside_alone(
    layby: Layby, redis_client: redis.Redis, intake: Intake
) -> None:
    """The batch is one transaction; whatever spoils it must not come back for ever."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'spoilt'; END $$;
            CREATE TRIGGER spoil BEFORE INSERT ON commands FOR EACH ROW
            WHEN (NEW.command = '2' AND NEW.state = 'accepted') EXECUTE FUNCTION spoil();
            """
        )
    for number in "123":
        publish(redis_client, id=number, kind="pause", customers=["ann"])
    while redis_client.xlen(STREAM):
        intake.read_once()
    kept = states(layby)
    assert {kept.pop("1"), kept.pop("3")} == {"accepted"}
    assert list(kept.values()) == ["quarantined"]
    assert "spoilt" in layby.one("SELECT problem FROM commands WHERE state = 'quarantined'")
