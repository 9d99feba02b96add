"""The main promise under fire: everything that can be killed is, in the middle of a long run."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psycopg
import pytest
from acceptance.mail_server import Mail, MailServer
from acceptance.raw_redis import RawRedis
from acceptance.restartable import FAST, IMMEDIATE, RestartablePostgres
from acceptance.stage import Stage, active, assign, move, set_up
from acceptance.supervisor import Supervisor
from patience import until
from warm import WarmLayby

from ops.servers import private_servers

STALLED_AFTER_SECONDS = 60
"""Longer than a lease: what a killed process left is rescued by then, and all else has gone on."""


class Run(NamedTuple):
    """How large a run is."""

    customers: int
    steps: int
    moved: int

    @property
    def sends(self) -> int:
        return self.customers * self.steps


class Shop:
    """Publishes moves all along, and each again until its outcome appears: the stream's contract.

    It is not Python as far as Redis can tell. A FLUSHALL takes what nobody took in yet, so only
    the inbox says what is done with.
    """

    def __init__(self, stage: Stage, run: Run, customers: list[str]) -> None:
        self._stage = stage
        chosen = Random(2).sample(customers, run.moved)
        # Some one by one, some in lists.
        self._waiting: list[dict[str, Any]] = []
        while chosen:
            size = 1 if len(self._waiting) % 3 else 4
            self._waiting.append(move(f"move-{len(self._waiting)}", *chosen[:size]))
            chosen = chosen[size:]
        self.published: dict[str, dict[str, Any]] = {}
        self._every = max(1, run.sends // 2 // len(self._waiting))
        self._next_at = run.sends // 10

    @property
    def moved(self) -> set[str]:
        return {name for one in self.published.values() for name in one["customers"]}

    def go_on(self, received: int) -> None:
        """Publish what is due at this point of the run."""
        while self._waiting and received >= self._next_at:
            one = self._waiting.pop(0)
            self.published[one["id"]] = one
            self._stage.publish(one)
            self._next_at += self._every

    def insist(self) -> bool:
        """Publish again what has no outcome yet; True: there is nothing such."""
        states = self._stage.states(*self.published)
        lost = [
            one
            for one, state in zip(self.published.values(), states, strict=True)
            if state in (None, "accepted")
        ]
        self._stage.publish(*lost)
        return not lost


class Fire:
    """What is broken, and when: by how many messages the SMTP server has received."""

    def __init__(self, stage: Stage, supervisor: Supervisor, postgres: RestartablePostgres) -> None:
        self._stage = stage
        self._supervisor = supervisor
        self._postgres = postgres
        self.open_at_kills = 0
        """Hand-overs that were open when a delivery process was killed."""

    def points(self, sends: int) -> Iterator[tuple[int, Callable[[], None]]]:
        acts = (
            lambda: self.kill("intake"),
            lambda: self.kill("scheduler"),
            self.kill_delivery,
            self.kill_delivery,
            self.flush,
            lambda: self.restart_postgres(FAST),
            lambda: self.kill("lifecycle"),
            lambda: self.restart_postgres(IMMEDIATE),
        )
        for number, act in enumerate(acts, 3):
            yield sends * number * 6 // 100, act  # from 18 % to 60 %

    def kill(self, kind: str) -> None:
        with self._supervisor.killed(kind):
            pass

    def kill_delivery(self) -> None:
        with (
            self._supervisor.killed("delivery") as pid,
            psycopg.connect(self._stage.database_url) as connection,
        ):
            # Whatever statement the dead process had sent last is waited for here.
            connection.execute("LOCK TABLE started IN SHARE MODE")
            (found,) = connection.execute(
                "SELECT count(*) FROM started WHERE worker LIKE %s", [f"%/{pid}"]
            )
            self.open_at_kills += found[0]

    def flush(self) -> None:
        with RawRedis(self._stage.redis_url) as redis:
            redis.flush_all()

    def restart_postgres(self, how: Any) -> None:
        self._postgres.end(how)
        self._postgres.begin()


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(Run(customers=500, steps=4, moved=100), id="2,000 sends"),
        pytest.param(
            Run(customers=4000, steps=5, moved=800), id="20,000 sends", marks=pytest.mark.soak
        ),
    ],
)
def test_kill_of_everything_in_the_middle_of_a_run_loses_and_doubles_nothing(
    run: Run, home: Path, source: str, tmp_path: Path, warm: WarmLayby
) -> None:
    """G1, G4, G5, G7, judged from what the SMTP server received.

    Each kind of process is killed with `kill -9`, Redis loses all that it knows, PostgreSQL is
    restarted and crashed, while customers are moved to the directory through the stream.
    """
    customers = [f"c-{number}" for number in range(run.customers)]
    with (
        RestartablePostgres(home, source) as postgres,
        private_servers(home, source=source, database_url=postgres.url) as servers,
    ):
        stage = Stage(servers.database_url, servers.redis_url, tmp_path, warm)
        assert stage.layby("migrate").returncode == 0
        with MailServer(tmp_path, stage.environ) as mail:
            stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?connections=20&starttls=never"
            shop = Shop(stage, run, customers)
            with stage.supervisor() as supervisor:
                fire = Fire(stage, supervisor, postgres)
                supervisor.start()
                load(stage, run, customers)
                burn(run, mail, shop, fire)
                finish(stage, shop)
            judge(stage, run, mail.mails(), shop, fire)


def load(stage: Stage, run: Run, customers: list[str]) -> None:
    """Bring everybody in through the stream, one command each, and start the schedules."""
    stage.publish(*set_up(f"PT{step}S" for step in range(run.steps)), *active(*customers))
    taken_in = "SELECT count(*) FROM slots"
    until(lambda: stage.one(taken_in) == run.customers, "everybody is active", 120)
    lists = [customers[n : n + 500] for n in range(0, len(customers), 500)]
    stage.publish(*(assign(f"assign-{n}", *names) for n, names in enumerate(lists)))


def burn(run: Run, mail: MailServer, shop: Shop, fire: Fire) -> None:
    """Go through the points at which something breaks; moves go on between and after them."""
    for at, act in [*fire.points(run.sends), (run.sends * 7 // 10, lambda: None)]:
        reached = 0
        while reached < at:
            before = reached
            reached = until(
                partial(_more, mail, before),
                f"more than {before} of {run.sends} received",
                STALLED_AFTER_SECONDS,
            )
            shop.go_on(reached)
        act()


def _more(mail: MailServer, than: int) -> int:
    received = len(mail.mails())
    return received if received > than else 0


def finish(stage: Stage, shop: Shop) -> None:
    """Every command has its outcome, every silence is seen quiet, and nothing is left to do."""
    until(shop.insist, "every move has its outcome", STALLED_AFTER_SECONDS)
    open_work = """
        SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM started)
             + (SELECT count(*) FROM commands WHERE state = 'accepted')
             + (SELECT count(*) FROM command_targets WHERE open IS NOT NULL AND quiet_at IS NULL)
    """
    until(lambda: stage.one(open_work) == 0, "nothing is left to do", 2 * STALLED_AFTER_SECONDS)
    # What came twice, or long after, has one outcome.
    stage.publish(*shop.published.values())
    with RawRedis(stage.redis_url) as redis:
        until(lambda: redis.stream_length() == 0, "the stream is taken in")


def judge(stage: Stage, run: Run, mails: list[Mail], shop: Shop, fire: Fire) -> None:
    ledger: dict[tuple[str, int], str] = {}
    for customer, step, state in stage.rows("SELECT customer, step, state FROM sends"):
        assert (customer, step) not in ledger, "a step has one outcome"
        ledger[customer, step] = state
    judge_nothing_is_missing(stage, run, ledger, shop.moved)
    judge_what_was_received(ledger, mails)
    judge_silence(stage, mails, shop)
    judge_commands(stage, run, shop)
    unknown = Counter(ledger.values())["unknown"]
    assert unknown <= fire.open_at_kills, "no more is unknown than was open at the kills"
    audit = stage.layby("audit")
    assert audit.returncode == 0, audit.stdout


def judge_nothing_is_missing(
    stage: Stage, run: Run, ledger: dict[tuple[str, int], str], moved: set[str]
) -> None:
    """Steps have outcomes from the first to the last, or up to the one that a move ended at."""
    reached = stage.rows("SELECT customer, step, end_reason FROM enrolments")
    assert len(reached) == run.customers
    for customer, step, reason in reached:
        outcomes = [ledger.get((customer, n)) for n in range(run.steps)]
        due = run.steps if reason == "completed" else step + 1
        assert None not in outcomes[:due], (customer, outcomes)
        assert outcomes[due:] == [None] * (run.steps - due), (customer, outcomes)
        assert "cancelled" not in outcomes or customer in moved
    assert set(ledger.values()) <= {"sent", "cancelled", "unknown"}
    assert "cancelled" in ledger.values(), "the moves came in the middle"


def judge_what_was_received(ledger: dict[tuple[str, int], str], mails: list[Mail]) -> None:
    """Each message once; each sent step received; nothing else but what is unknown."""
    assert len({mail.key for mail in mails}) == len(mails)
    received = [_step_of(mail) for mail in mails]
    assert len(set(received)) == len(received)
    sent = {step for step, state in ledger.items() if state == "sent"}
    assert sent <= set(received)
    assert {ledger.get(step) for step in set(received) - sent} <= {"unknown"}


def _step_of(mail: Mail) -> tuple[str, int]:
    words = mail.subject.split()  # Reminder 3 for c-17
    customer = mail.recipient.partition("@")[0]
    assert words[3] == customer
    return customer, int(words[1])


def judge_silence(stage: Stage, mails: list[Mail], shop: Shop) -> None:
    """Nobody who was moved received anything after the move was reported quiet."""
    quiet = dict(
        stage.rows(
            "SELECT customer, extract(epoch FROM quiet_at)::float8 FROM command_targets "
            "WHERE open IS NOT NULL"
        )
    )
    assert set(quiet) == shop.moved
    late = [mail for mail in mails if mail.received_at > quiet.get(_step_of(mail)[0], float("inf"))]
    assert late == []


def judge_commands(stage: Stage, run: Run, shop: Shop) -> None:
    """Each command was applied once, to all its customers, however often it came."""
    assert stage.rows("SELECT DISTINCT state FROM commands") == [("applied",)]
    assert stage.one("SELECT count(*) FROM commands WHERE applied <> targets") == 0
    doubled = "SELECT seq, customer, count(*) FROM journal GROUP BY 1, 2 HAVING count(*) > 1"
    assert stage.rows(doubled) == []
    events = dict(stage.rows("SELECT event, count(*) FROM journal GROUP BY event"))
    assert events["customer_added"] == events["schedule_assigned"] == run.customers
    assert events["customer_moved"] == len(shop.moved) == run.moved
