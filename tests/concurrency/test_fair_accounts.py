"""G8: an account waits for one turn of each other one, however much those have due.

Real worker threads of dramatiq on a real Redis; the channel writes down who is handed over.
"""

import asyncio
import threading
from collections.abc import Iterator

import dramatiq
import pytest
import redis
from backlog import a_thousand_accounts, another_account, make_due
from concurrency.interleave import until
from harness import KEY, Layby
from sqlalchemy import text

from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result
from scheduler.ticks import ring
from workers import lifecycle, turns
from workers.actors import declare_delivery, declare_lifecycle
from workers.broker import LIFECYCLE, RedisBell, make_broker
from workers.consumer import WokenBroker
from workers.consuming import consuming
from workers.delivery import Delivery
from workers.desk import Desk

BACKLOG = 20_000


class Recorder:
    """A provider that takes everything at once and writes down whose it was."""

    name = "recorder"
    capacity = 50

    def __init__(self) -> None:
        self.accounts: list[str] = []
        self.open = threading.Event()
        """Until it is set, a hand-over hangs."""
        self.open.set()

    async def hand_over(self, message: Message, _: Deadline) -> Result:
        self.accounts.append(message.recipient.removesuffix("@example.org"))
        if not self.open.is_set():
            await asyncio.to_thread(self.open.wait)
        return Result(Answer.ACCEPTED, "taken")

    async def check(self) -> str:
        return "ready"

    async def close(self) -> None:
        pass


@pytest.fixture
def broker(redis_client: redis.Redis) -> WokenBroker:
    return make_broker(redis_client)


@pytest.fixture
def bell(broker: WokenBroker) -> RedisBell:
    return RedisBell(broker)


@pytest.fixture
def channels() -> dict[Channel, Recorder]:
    return {channel: Recorder() for channel in Channel}


@pytest.fixture
def delivering(
    layby: Layby,
    broker: WokenBroker,
    bell: RedisBell,
    channels: dict[Channel, Recorder],
) -> Iterator[Delivery]:
    desks = {channel: Desk(adapter) for channel, adapter in channels.items()}
    delivery = Delivery(layby.engine, desks, desks, KEY, "test")
    declare_delivery(broker, bell, delivery)
    yield delivery
    for desk in desks.values():
        desk.close()


def handed_before(accounts: list[str], since: int, account: str, number: int) -> int:
    """How many of others' were handed over before an account's last one."""
    assert accounts[since:].count(account) == number
    last = len(accounts) - 1 - accounts[::-1].index(account)
    return last + 1 - since - number


@pytest.mark.usefixtures("delivering")
def test_a_backlog_of_another_account_delays_a_hundred_sends_by_two_turns_at_most(
    layby: Layby,
    broker: WokenBroker,
    bell: RedisBell,
    channels: dict[Channel, Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The turn that is under way, and the one whose ring came before; on one thread, exactly."""
    monkeypatch.setattr(turns, "TURN_SENDS", 200)
    for account in ("big", "small"):
        another_account(layby, account)
    make_due(layby.engine, "big", BACKLOG)
    make_due(layby.engine, "small", 100)
    accounts = channels[Channel.EMAIL].accounts
    with consuming(broker, ["email"], threads=1):
        bell.due("big", "email")
        until(lambda: len(accounts) > 0, "big is served")
        bell.due("big", "email")
        bell.due("small", "email")
        rung_at = len(accounts)
        until(lambda: accounts.count("small") == 100, "small is served")
    assert handed_before(accounts, rung_at, "small", 100) <= 2 * 200


@pytest.mark.usefixtures("delivering")
def test_a_provider_that_hangs_holds_up_neither_another_channel_nor_all_threads_of_its_own(
    layby: Layby,
    broker: WokenBroker,
    bell: RedisBell,
    channels: dict[Channel, Recorder],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All that email has is open for one account; sms of the same and of another goes out."""
    for account in ("big", "small"):
        another_account(layby, account)
        make_due(layby.engine, account, 10, prefix="s", schedule="texting", channel="sms")
    make_due(layby.engine, "big", 500)
    email, sms = channels[Channel.EMAIL], channels[Channel.SMS]
    email.open.clear()
    with consuming(broker, ["email", "sms"]):
        for hung in range(1, 6):
            bell.due("big", "email")
            until(lambda: not waiting_rings(broker, "email"), f"ring {hung} is answered")
        for account in ("big", "small"):
            bell.due(account, "sms")
        until(lambda: layby.one("SELECT count(*) FROM sends WHERE channel = 'sms'") == 20, "sms")
        assert layby.one("SELECT count(*) FROM sends WHERE channel = 'email'") == 0
        email.open.set()
    assert set(sms.accounts) == {"+33612345678"}
    assert "of the same type twice" not in caplog.text


def waiting_rings(broker: WokenBroker, queue: str) -> int:
    return int(broker.client.llen(f"layby:{queue}"))


def test_a_flood_of_commands_delays_another_accounts_one_by_two_turns_at_most(
    layby: Layby,
    broker: WokenBroker,
    bell: RedisBell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "TURN_CHUNKS", 2)
    for account in ("big", "small"):
        another_account(layby, account)
    flood(layby, "big", 20_000)
    flood(layby, "small", 1)
    declare_lifecycle(broker, bell, layby.engine)
    with consuming(broker, [LIFECYCLE], threads=1):
        bell.waiting("big")
        until(lambda: applied(layby, "big") > 0, "big is served")
        bell.waiting("big")
        bell.waiting("small")
        before = applied(layby, "big")
        until(lambda: applied(layby, "small") == 1, "small is served")
    ahead = layby.one(
        "SELECT count(*) FROM commands WHERE account = 'big' AND command LIKE 'flood-%' "
        "AND done_at < (SELECT max(done_at) FROM commands WHERE account = 'small')"
    )
    assert ahead - before <= 2 * 2 * lifecycle.CHUNK


def flood(layby: Layby, account: str, number: int) -> None:
    """Commands that wait, one a customer; none of them is there, so each is refused."""
    with layby.engine.begin() as connection:
        connection.execute(
            text(
                """
                WITH flood AS (
                    INSERT INTO commands (account, command, kind, body, digest, door, state,
                                          targets)
                    SELECT :account, 'flood-' || n, 'pause',
                           jsonb_build_object('id', 'flood-' || n, 'kind', 'pause',
                               'account', CAST(:account AS text),
                               'customers', jsonb_build_array('n-' || n)),
                           :account || n, 'test', 'accepted', 1
                    FROM generate_series(1, :number) AS n RETURNING account, command, seq
                )
                INSERT INTO command_targets (account, customer, seq)
                SELECT account, 'n-' || split_part(command, '-', 2), seq FROM flood
                """
            ),
            {"account": account, "number": number},
        )


def applied(layby: Layby, account: str) -> int:
    count: int = layby.one(
        "SELECT count(*) FROM commands WHERE account = :account AND command LIKE 'flood-%' "
        "AND done_at IS NOT NULL",
        account=account,
    )
    return count


def test_a_thousand_accounts_have_one_turn_each_in_a_round(
    layby: Layby, broker: WokenBroker, bell: RedisBell
) -> None:
    """Though each was rung for twice: the rings had waited longer than one lives."""
    a_thousand_accounts(layby)
    begun: list[str] = []

    def serve(account: str, channel: str, ring: int) -> None:
        if not bell.idle(f"{channel}:{account}", ring):
            bell.answered(f"{channel}:{account}")
            begun.append(account)

    for _ in range(2):
        assert ring(layby.engine, bell) == (1000, 1000)
        for key in broker.client.keys("layby:ring:*"):
            broker.client.delete(key)
    dramatiq.actor(actor_name="email", queue_name="email", broker=broker)(serve)
    with consuming(broker, ["email"]):
        until(lambda: not broker.do_qsize("email"), "all rings are answered")
    assert sorted(begun) == [f"account-{n:04}" for n in range(1000)]
