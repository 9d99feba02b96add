"""A database that has forgotten what went out: held, fenced, and nothing of it is sent twice.

The backup is a copy of the database, taken before the sends that it will not know of. That it is
another database is what gives it away here; tests/acceptance/test_restored_backup.py has the rest.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from concurrency.interleave import Interleaving, planted
from concurrency.parts import answer, start, started
from databases import Databases
from harness import Layby

from domain.message import Answer
from ops.servers import Servers
from storage import fence, restored
from storage.audit import run_audit
from storage.database import Engine
from workers import restoring
from workers.fence import BEHIND, EXCHANGED, Fence, FencedError
from workers.restoring import begin_fencing, fence_sends, lift_fence

# Three steps that are due at once, and one that is not.
SCHEDULE: dict[str, Any] = {
    "anchor": "assigned_at",
    "steps": [
        {"offset": "-PT3H", "channel": "email", "template": "hello"},
        {"offset": "-PT2H", "channel": "sms", "template": "nudge"},
        {"offset": "-PT1H", "channel": "email", "template": "hello"},
        {"offset": "P1D", "channel": "email", "template": "hello"},
    ],
}
THREE_UNKNOWN = [(step, "unknown", "restored") for step in range(3)]

Backup = Callable[[], Layby]


@pytest.fixture(scope="module")
def template(
    databases: Databases, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Ann and Bob in a live account, each with a send due now: what each test begins with."""
    with databases.copy(template) as new:
        with Layby(new.shared, tmp_path_factory.mktemp("outbox")) as layby:
            layby.set_up(schedule=SCHEDULE)
            layby.must("put_account", rules={"apart": False})  # all three at once
            with new.shared.begin() as connection:
                connection.exec_driver_sql("UPDATE accounts SET test_now = NULL")
            layby.on_schedule("ann", "bob")
        new.shared.dispose()
        yield new.name


@pytest.fixture
def live(engine: Engine, tmp_path: Path) -> Iterator[Layby]:
    """The account on its server, which sends may start on."""
    with engine.begin() as connection:
        fence.read_fence(connection)
    with Layby(engine, tmp_path / "outbox", first=100) as layby:
        layby.delivery.desks = layby.delivery.test_desks
        yield layby


@pytest.fixture
def backup(databases: Databases, live: Layby, tmp_path: Path) -> Iterator[Backup]:
    """Takes a backup, which is restored by the time that it is asked for."""
    with ExitStack() as restored:
        yield lambda: restored.enter_context(restored_copy(databases, live, tmp_path))


@contextmanager
def restored_copy(databases: Databases, live: Layby, folder: Path) -> Iterator[Layby]:
    live.engine.dispose()
    assert live.engine.url.database is not None
    with (
        databases.copy(live.engine.url.database) as restored,
        Layby(restored.shared, folder / "outbox", first=200) as copy,
    ):
        copy.delivery.desks = copy.delivery.test_desks
        yield copy


@pytest.fixture
def watch(servers: Servers, redis_client: redis.Redis) -> Callable[[Layby], Fence]:  # noqa: ARG001 - empties Redis first
    return lambda layby: Fence(layby.engine, servers.redis_url)


Watch = Callable[[Layby], Fence]


def received(layby: Layby) -> int:
    """How many messages the outbox got, which is the same for the lost and the restored one."""
    return len(layby.mails()) + len(layby.texts())


def fenced(layby: Layby, watch: Watch) -> None:
    fence_sends(layby.engine, watch(layby), begin_fencing(layby.engine, None))


def violations(layby: Layby) -> list[str]:
    with layby.engine.connect() as connection:
        return [one.check.name for one in run_audit(connection) if one.found]


def test_what_went_out_after_the_backup_does_not_go_out_again(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    copy = backup()
    live.deliver()
    assert received(live) == 6
    start(copy.engine, copy.account)
    assert copy.one("SELECT count(*) FROM started") == 0, "nothing starts, even if nobody looks"
    with pytest.raises(FencedError, match=r"another server.*run: layby restore-fence"):
        watch(copy).check()
    fenced(copy, watch)
    assert copy.ledger("ann") == copy.ledger("bob") == THREE_UNKNOWN
    assert watch(copy).look() is None
    start(copy.engine, copy.account)
    copy.deliver()
    assert received(copy) == 6
    assert copy.rows("SELECT step, due_at > now() FROM pending") == [(3, True), (3, True)]
    assert violations(copy) == []


def test_restored_database_that_did_not_ask_would_send_again(live: Layby, backup: Backup) -> None:
    """Planted: the start does not ask whether it may."""
    copy = backup()
    live.deliver()
    with planted(copy.engine, "AND layby_may_send(%(seen)s)", ""):
        copy.deliver()
    assert received(copy) == 12


def test_send_started_before_the_backup_is_unknown_and_goes_on(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    start(live.engine, live.account, room=1)
    copy = backup()
    fenced(copy, watch)
    assert copy.one("SELECT count(*) FROM started") == 0
    assert copy.ledger("ann") == copy.ledger("bob") == THREE_UNKNOWN
    assert violations(copy) == []


def test_only_what_was_due_by_the_given_moment_is_unknown(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    """The rest is sent once the fence is lifted, apart from what may have gone out."""
    copy = backup()
    copy.must("put_account", rules={"apart": True})
    until = live.one("SELECT now() - interval '90 minutes'")
    fence_sends(copy.engine, watch(copy), begin_fencing(copy.engine, until))
    assert copy.ledger("ann") == THREE_UNKNOWN[:2]
    copy.deliver()
    assert copy.rows("SELECT DISTINCT step, deferred FROM pending") == [(2, "apart")]
    copy.must("put_account", rules={"apart": False})
    with copy.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pending SET due_at = planned_at")
    copy.deliver()
    assert [state for _, state, _ in copy.ledger("ann")] == ["unknown", "unknown", "sent"]


def test_deferred_and_retried_sends_count_by_their_planned_moment(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    with live.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE pending SET due_at = now() + interval '1 hour', attempts = 2"
        )
    copy = backup()
    fenced(copy, watch)
    assert copy.ledger("ann") == THREE_UNKNOWN


def test_paused_customers_and_test_accounts_are_left_alone(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    live.must("pause", customers=["bob"])
    copy = backup()
    with copy.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO accounts (account, test_now) VALUES ('lab', now()); "
            "INSERT INTO started (account, token, enrolment, slot, customer, step, channel, "
            "planned_at, attempts, template, template_version, recipient_hash, decision, "
            "business_at, lease_seconds, worker) "
            "VALUES ('lab', gen_random_uuid(), 1, 1, 'x', 0, 'email', now(), 1, 'hello', 1, '', "
            "'{}', now(), 30, 'test')"
        )
    fenced(copy, watch)
    assert copy.ledger("ann") == THREE_UNKNOWN
    assert copy.ledger("bob") == []
    assert copy.rows("SELECT account FROM started") == [("lab",)]


def test_fencing_that_was_interrupted_goes_on_where_it_stopped_and_holds_until_then(
    backup: Backup, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backup()
    until = begin_fencing(copy.engine, None)
    monkeypatch.setattr(restoring, "CHUNK", 1)
    write_off = restored.write_off

    def breaks_on_the_second(*names: Any, **more: Any) -> None:
        if copy.rows("SELECT 1 FROM sends"):
            raise ConnectionAbortedError
        write_off(*names, **more)

    with monkeypatch.context() as patch:
        patch.setattr(restored, "write_off", breaks_on_the_second)
        with pytest.raises(ConnectionAbortedError):
            fence_sends(copy.engine, watch(copy), until)
    assert watch(copy).look() == "layby restore-fence is under way"
    assert start(copy.engine, copy.account) == {}
    assert begin_fencing(copy.engine, None) == until, "what is due since then did not go out"
    fence_sends(copy.engine, watch(copy), until)
    assert copy.ledger("ann") == copy.ledger("bob") == THREE_UNKNOWN
    assert violations(copy) == []


def test_unknown_of_a_restore_is_resolved_by_its_number(
    live: Layby, backup: Backup, watch: Watch
) -> None:
    copy = backup()
    live.deliver()
    fenced(copy, watch)
    numbers = [row[0] for row in copy.rows("SELECT send FROM sends")]
    given = live.one("SELECT max(send) FROM sends")
    assert len(set(numbers)) == 6
    assert min(numbers) > given, "no number that was given after the backup is given again"
    assert copy.one("SELECT count(*) FROM sends WHERE token IS NULL") == 0


def test_move_during_the_fencing_and_the_fence_wait_for_one_another(
    live: Layby, watch: Watch, between: Interleaving
) -> None:
    """Whichever is first takes the pending send out; the other finds nothing."""
    command = live.accept("move_to_directory", customers=["ann"])
    until = begin_fencing(live.engine, None)
    move = between.stopped(lambda: live.apply(command), having="DELETE FROM slots")
    fencing = between.waiting(lambda: fence_sends(live.engine, watch(live), until), for_=move)
    move.go().result()
    fencing.result()
    assert live.ledger("ann") == [(0, "cancelled", "moved")]
    assert live.ledger("bob") == THREE_UNKNOWN
    assert violations(live) == []


def test_start_that_was_first_is_written_off_and_its_late_word_counts(
    live: Layby, watch: Watch, between: Interleaving
) -> None:
    """The fence is there for a database that is not restored, too."""
    starting = between.stopped(
        lambda: start(live.engine, live.account, room=1), having="INSERT INTO started"
    )
    until = begin_fencing(live.engine, None)
    fencing = between.waiting(
        lambda: fence_sends(live.engine, watch(live), until),
        for_=starting,
        stop_having="INSERT INTO sends",
    )
    starting.go().result()
    opens = started(live.engine, live.account)
    fencing.go().result()
    assert live.ledger("ann") == THREE_UNKNOWN
    answer(live.engine, opens, Answer.ACCEPTED)
    assert live.ledger("ann")[0] == (0, "sent", "accepted")
    assert violations(live) == []


def test_database_behind_what_was_seen_is_held_and_never_catches_up(
    live: Layby, watch: Watch
) -> None:
    """A copy of the files is on the same server, but its epoch is an old one."""
    first = watch(live)
    for _ in range(5):
        first.beat()
    with live.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE upkeep SET epoch = 2")
    assert live.one("SELECT layby_may_send(:seen)", seen=first.seen) is False
    anew = watch(live)
    for _ in range(5):
        anew.beat()
    assert live.one("SELECT epoch FROM upkeep") == 2
    assert anew.look() == BEHIND
    assert watch(live).look() == BEHIND, "noticed once, it holds for everyone"
    assert live.one("SELECT layby_may_send(0)") is False
    lift_fence(live.engine, anew)
    assert watch(live).look() is None
    assert live.one("SELECT epoch FROM upkeep") > first.seen
    anew.beat()
    live.deliver()
    assert received(live) == 6


def test_process_remembers_the_epoch_where_redis_has_lost_it(
    live: Layby, watch: Watch, redis_client: redis.Redis
) -> None:
    process = watch(live)
    process.beat()
    process.beat()
    with live.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE upkeep SET epoch = 1")
    redis_client.flushall()
    assert process.look() == BEHIND


def test_server_that_does_not_tell_which_it_is_stays_the_same(live: Layby, watch: Watch) -> None:
    with live.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION layby_server() RETURNS text LANGUAGE sql "
            "AS $$ SELECT 'unreadable' $$"
        )
    assert watch(live).look() == EXCHANGED, "it told before"
    lift_fence(live.engine, watch(live))
    assert watch(live).look() is None
