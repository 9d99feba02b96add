"""The stream, for producers in any language: what is published is ours once, and never lost."""

import json

import redis
from acceptance.raw_redis import RawRedis
from acceptance.stage import Stage, active, as_json, command, move, set_up
from patience import until

BY_HAND = (
    b"*5\r\n$4\r\nXADD\r\n$14\r\nlayby:commands\r\n$1\r\n*\r\n$7\r\ncommand\r\n"
    b'$87\r\n{"id": "by-hand", "account": "acme", "kind": "move_to_directory", "customers": '
    b'["c-1"]}\r\n'
)

UNREADABLE: dict[str, list[bytes]] = {
    "no field": [b"comand", b'{"id": "typo"}'],
    "not JSON": [b"command", b"{'id': 'single quotes'}"],
    "not an object": [b"command", b"[1, 2]"],
    "not UTF-8": [b"command", b'{"id": "latin", "account": "acme", "reason": "pay\xe9"}'],
    "unknown kind": [b"command", b'{"id": "u-1", "account": "acme", "kind": "explode"}'],
    "a field missing": [b"command", b'{"id": "m-1", "account": "acme", "kind": "pause"}'],
    "a field too many": [
        b"command",
        as_json(command("f-1", "pause", customers=["c-1"], colour="red")),
    ],
    "huge": [b"command", as_json(command("huge", "pause", customers=["c" * 1_000_000]))],
    "a NUL": [b"command", b'{"id": "nul\x00", "account": "acme"}'],
    "nested too deeply": [b"command", b"[" * 100_000],
}


def test_command_of_a_producer_that_is_not_python_is_applied(stage: Stage) -> None:
    """The door is XADD and JSON, and nothing else: here are the very bytes."""
    with stage.supervisor().start("intake", "lifecycle"), RawRedis(stage.redis_url) as producer:
        stage.publish(*set_up(), *active("c-1"))
        producer.send(BY_HAND)
        until(lambda: stage.states("by-hand") == ["applied"], "the command is applied")
        until(lambda: producer.stream_length() == 0, "it is acknowledged")
    assert stage.one("SELECT place FROM customers WHERE customer = 'c-1'") == "archived"


def test_command_published_again_has_one_outcome(stage: Stage) -> None:
    """Producers publish until they see an outcome: before, during and after."""
    again = [move("again", "c-1")] * 3
    with stage.supervisor().start("intake", "lifecycle"), RawRedis(stage.redis_url) as producer:
        stage.publish(*set_up(), *active("c-1"), *again)
        until(lambda: stage.states("again") == ["applied"], "the command is applied")
        stage.publish(*again)
        until(lambda: producer.stream_length() == 0, "all of it is taken in")
    assert stage.one("SELECT count(*) FROM commands WHERE command LIKE 'again%%'") == 1
    assert stage.one("SELECT count(*) FROM journal WHERE event = 'customer_moved'") == 1


def test_entry_that_cannot_be_read_is_kept_with_its_reason_and_strands_nobody(
    stage: Stage,
) -> None:
    """Each is quarantined and shown to operators; the command behind them is applied."""
    with stage.supervisor().start("intake", "lifecycle"), RawRedis(stage.redis_url) as producer:
        stage.publish(*set_up(), *active("c-1"))
        producer.add(UNREADABLE.values())
        stage.publish(move("behind", "c-1"))
        until(lambda: stage.states("behind") == ["applied"], "the command behind is applied")
        assert producer.stream_length() == 0
    shown = stage.layby("command", "list", "--state", "quarantined", "--json")
    assert shown.returncode == 0, shown.stderr
    kept = json.loads(shown.stdout)
    assert len(kept) == len(UNREADABLE)
    assert all(one["refusals"][0]["message"] for one in kept)
    assert {"u-1", "m-1", "f-1"} <= {one["id"] for one in kept}


def test_reader_killed_before_it_commits_leaves_its_entries_to_the_next(
    stage: Stage, redis_client: redis.Redis
) -> None:
    """An entry is acknowledged after its inbox row is committed, never before."""
    with stage.supervisor().start("intake", "lifecycle") as supervisor:
        stage.publish(*set_up(), *active("c-1"))
        until(lambda: stage.states("add-c-1") == ["applied"], "the customer is there")
        with stage.locked("commands", "EXCLUSIVE"):
            stage.publish(move("held", "c-1"))
            until(lambda: _read_but_not_acknowledged(redis_client) == 1, "the entry is read")
            with supervisor.killed("intake"):
                pass
        until(lambda: stage.states("held") == ["applied"], "the next reader took it in")


def test_reader_killed_between_commit_and_acknowledge_leaves_one_outcome(
    stage: Stage, redis_client: redis.Redis
) -> None:
    """What comes twice is accepted once, by its id; the bell that was not rung, a tick rings."""
    with stage.supervisor().start("intake", "lifecycle", "scheduler") as supervisor:
        stage.publish(*set_up(), *active("c-1"))
        until(lambda: stage.states("add-c-1") == ["applied"], "the customer is there")
        with stage.locked("commands", "EXCLUSIVE"):
            stage.publish(move("twice", "c-1"))
            until(lambda: _read_but_not_acknowledged(redis_client) == 1, "the entry is read")
            # From here on Redis answers no write: the acknowledgement will hang.
            redis_client.client_pause(60_000, all=False)
        until(lambda: stage.states("twice") != [None], "the inbox row is committed")
        with supervisor.killed("intake"):
            assert redis_client.xlen("layby:commands") == 1
            redis_client.client_unpause()
        until(lambda: redis_client.xlen("layby:commands") == 0, "the next reader read it again")
        until(lambda: stage.states("twice") == ["applied"], "the command is applied")
    assert stage.one("SELECT count(*) FROM commands WHERE command LIKE 'twice%%'") == 1
    assert stage.one("SELECT count(*) FROM journal WHERE event = 'customer_moved'") == 1


def _read_but_not_acknowledged(client: redis.Redis) -> int:
    return int(client.xpending("layby:commands", "layby")["pending"])


def test_quarantined_command_is_replayed_once_it_can_be_read(stage: Stage) -> None:
    """Nothing that was accepted is dropped: after an upgrade, operators replay it."""
    with stage.supervisor().start("intake", "lifecycle"):
        stage.publish(*set_up(), *active("c-1"), command("r-1", "park", customers=["c-1"]))
        until(lambda: stage.states("r-1") == ["quarantined"], "the command is quarantined")
        too_early = stage.layby("command", "replay", "r-1")
        assert too_early.returncode == 1
        assert "still can't be read" in too_early.stderr
        # What an upgrade that knows the kind would do.
        stage.rows(
            "UPDATE commands SET raw = replace(raw, 'park', 'move_to_directory') "
            "WHERE command = 'r-1' RETURNING 1"
        )
        replayed = stage.layby("command", "replay", "r-1", "--json")
        assert replayed.returncode == 0, replayed.stderr
        assert json.loads(replayed.stdout)["state"] == "applied"
        assert stage.layby("command", "replay", "r-1").returncode == 1
    assert stage.one("SELECT place FROM customers WHERE customer = 'c-1'") == "archived"


def test_corrected_command_takes_the_place_of_the_quarantined_one(stage: Stage) -> None:
    """A producer that corrects its mistake may keep the id: nothing was done under it."""
    with stage.supervisor().start("intake", "lifecycle"):
        stage.publish(*set_up(), *active("c-1"), command("c-me", "pause", customer="c-1"))
        until(lambda: stage.states("c-me") == ["quarantined"], "the command is quarantined")
        stage.publish(command("c-me", "pause", customers=["c-1"]))
        until(lambda: stage.states("c-me") == ["applied"], "the corrected one is applied")
    shown = stage.layby("command", "list", "--state", "quarantined", "--json")
    assert json.loads(shown.stdout) == []
