"""SIGTERM: a process finishes what is open, and starts nothing more."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from acceptance.guarded import Guarded
from acceptance.mail_server import MailServer
from acceptance.restartable import IMMEDIATE, RestartablePostgres
from acceptance.stage import Stage, active, assign, move, set_up
from acceptance.supervisor import Supervisor
from acceptance.test_kill_every_process import Fire, Run, Shop, burn, finish, judge, load
from patience import until
from warm import WarmLayby

from config.machine_time import Deadline
from ops.servers import private_servers
from workers.consuming import STOP_WITHIN_MILLISECONDS


def test_delivery_told_to_stop_settles_all_that_it_has_handed_over(
    stage: Stage, tmp_path: Path
) -> None:
    """Nothing of it is unknown; the rest waits for the next process."""
    customers = [f"c-{n}" for n in range(30)]
    with MailServer(tmp_path, stage.environ, hold="DATA") as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?connections=10&starttls=never"
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active(*customers), assign("a", *customers))
            until(lambda: mail.held == 10, "as many hand-overs are open as there may be")
            with supervisor.kept_away("delivery"):
                deadline = Deadline.after(STOP_WITHIN_MILLISECONDS / 1000)
                supervisor.send("delivery", signal.SIGTERM)
                until(lambda: '"stopping"' in supervisor.log("delivery"), "it was told")
                mail.release()
                until(lambda: ("delivery", 0) in supervisor.endings, "it has ended well", 40)
                assert not deadline.passed
                assert len(mail.mails()) == 10
                assert _states(stage) == {"sent": 10}
                assert stage.one("SELECT count(*) FROM started") == 0
            until(lambda: _states(stage) == {"sent": 30}, "the next process goes on")
    assert len({one.key for one in mail.mails()}) == len(mail.mails()) == 30


def test_every_process_told_to_stop_while_idle_ends_at_once_and_well(stage: Stage) -> None:
    """The Procfile's own programs, each started anew."""
    with stage.supervisor(Guarded).start() as supervisor:
        for kind in supervisor.kinds:
            until(partial(supervisor.runs, kind), f"{kind} runs")
        deadline = Deadline.after(10)
    assert not deadline.passed
    assert sorted(supervisor.endings) == [(kind, 0) for kind in sorted(supervisor.kinds)]


class RollingRestart(Fire):
    """Each kind of process is told to stop and replaced, in the middle of the run."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.open_at_kills = 0

    def points(self, sends: int) -> Iterator[tuple[int, Callable[[], None]]]:
        kinds = self._supervisor.kinds
        for number, kind in enumerate(kinds, 1):
            at = sends * number * 6 // 10 // len(kinds)  # to 60 %: who is moved gets no more
            yield at, partial(self._replace, kind)

    def _replace(self, kind: str) -> None:
        with self._supervisor.killed(kind, signal.SIGTERM):
            pass


@pytest.mark.soak
def test_rolling_restart_under_load_loses_and_doubles_nothing_and_makes_no_unknown(
    stage: Stage, tmp_path: Path
) -> None:
    run = Run(customers=150, steps=4, moved=30)
    customers = [f"c-{number}" for number in range(run.customers)]
    with MailServer(tmp_path, stage.environ) as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?connections=4&starttls=never"
        shop = Shop(stage, run, customers)
        with stage.supervisor() as supervisor:
            rolling = RollingRestart(supervisor)
            supervisor.start()
            load(stage, run, customers)
            burn(run, mail, shop, rolling)
            assert sorted(supervisor.endings) == [(kind, 0) for kind in sorted(supervisor.kinds)]
            finish(stage, shop)
        judge(stage, run, mail.mails(), shop, rolling)


@pytest.mark.soak
def test_processes_told_to_stop_while_the_database_is_away_end_and_lose_nothing(
    home: Path, source: str, tmp_path: Path, warm: WarmLayby
) -> None:
    """What was handed over is settled once the database is back, in the time that there is."""
    customers = [f"c-{n}" for n in range(10)]
    with (
        RestartablePostgres(home, source) as postgres,
        private_servers(home, source=source, database_url=postgres.url) as servers,
        ExitStack() as away,
    ):
        stage = Stage(servers.database_url, servers.redis_url, tmp_path, warm)
        assert stage.layby("migrate").returncode == 0
        with MailServer(tmp_path, stage.environ, hold="DATA") as mail:
            stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?connections=10&starttls=never"
            with stage.supervisor().start() as supervisor:
                stage.publish(*set_up(), *active(*customers), assign("a", *customers))
                until(lambda: mail.held == 10, "all hand-overs are open")
                for kind in supervisor.kinds:
                    away.enter_context(supervisor.kept_away(kind))
                postgres.end(IMMEDIATE)
                stage.publish(move("m", "c-0"))
                for kind in supervisor.kinds:
                    supervisor.send(kind, signal.SIGTERM)
                others = {(kind, 0) for kind in supervisor.kinds if kind != "delivery"}
                until(lambda: set(supervisor.endings) == others, "all but delivery have ended", 40)
                mail.release()
                until(lambda: '"transaction_again"' in supervisor.log("delivery"), "it tries")
                postgres.begin()
                until(lambda: ("delivery", 0) in supervisor.endings, "it has settled", 40)
                assert _states(stage) == {"sent": 10}
                assert stage.one("SELECT count(*) FROM started") == 0
                away.close()
                until(lambda: stage.states("m") == ["applied"], "the move is there for the next")


def test_second_signal_ends_a_process_at_once(stage: Stage, tmp_path: Path) -> None:
    """What it had handed over is left for the rescue."""
    with MailServer(tmp_path, stage.environ, hold="DATA") as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?starttls=never"
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active("c-1"), assign("a", "c-1"))
            until(lambda: mail.held == 1, "the hand-over is open")
            with supervisor.kept_away("delivery"):
                supervisor.send("delivery", signal.SIGTERM)
                until(lambda: '"stopping"' in supervisor.log("delivery"), "it was told")
                supervisor.send("delivery", signal.SIGTERM)
                ended = ("delivery", -signal.SIGTERM)
                until(lambda: ended in supervisor.endings, "it has ended at once")
                assert stage.one("SELECT count(*) FROM started") == 1


def _states(stage: Stage) -> dict[str, int]:
    return dict(stage.rows("SELECT state, count(*) FROM sends GROUP BY state"))
