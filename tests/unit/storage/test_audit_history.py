"""A busy history by the engine's own means: everybody that the audit's tests break something of."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from harness import TEMPLATES, Layby, numbered
from sqlalchemy import event

from domain.message import Answer, Channel, Result
from domain.switch import Scope, Switch
from storage import rescues, silence, starts
from storage.audit import CHECKS, CheckResult, run_audit
from storage.database import connect
from workers import switches
from workers.settling import settle_open


def audit(layby: Layby, account: str | None = None) -> list[CheckResult]:
    with layby.engine.connect() as connection:
        return run_audit(connection, account)


def found(layby: Layby, account: str | None = None) -> dict[str, list[str | None]]:
    """Whom each check that found something is about."""
    return {
        result.check.name: [violation.customer for violation in result.violations]
        for result in audit(layby, account)
        if result.found
    }


def execute(layby: Layby, sql: str) -> None:
    """Do by hand what the engine would not."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def start(layby: Layby, customer: str) -> None:
    """Begin a customer's pending send and leave it in progress."""
    channel = Channel(layby.one("SELECT channel FROM pending WHERE customer = :c", c=customer))
    with layby.engine.begin() as connection:
        later = layby.now + timedelta(days=365)  # due or not
        due = starts.lock_due(connection, layby.account, channel, later, 1000)
        starts.take(
            connection,
            layby.account,
            [
                starts.Start(held, "a hash", ("hello", 1, "{}"))
                for held in due
                if held.customer == customer
            ],
            token=uuid4(),
            now=layby.now,
            lease_seconds=30,
            worker="test",
        )


def settle(layby: Layby, customer: str, answer: Answer) -> None:
    """Give a send in progress its answer."""
    token = layby.one("SELECT token FROM started WHERE customer = :c", c=customer)
    with layby.engine.connect() as connection:
        taken = [one for one in rescues.open_starts(connection) if one.token == token]
    settle_open(layby.engine, taken, Result(answer, "as the test says"))


def sweep(layby: Layby) -> None:
    with layby.engine.begin() as connection:
        silence.sweep_quiet(connection)


def live_through(layby: Layby) -> None:
    """Everything that can become of a customer and a send, and some of it still going on."""
    layby.set_up()
    _pause_and_resume(layby)
    _complete(layby)
    _park(layby)
    _end_and_pause(layby)
    _settle(layby)
    _leave_in_progress(layby)
    _be_silenced(layby)
    _owe(layby)
    _be_many(layby)
    _be_refused(layby)
    sweep(layby)
    layby.accept("move_to_directory", customers=["ann"])
    layby.accept("pause", customers={"status": "late"})
    layby.accept("import_customers", csv="id,name\nimi,Imi\n!,Nobody\n")
    execute(layby, """SELECT layby_submit('{"id": "sql", "account": "acme", "kind": "pause"}')""")


def _pause_and_resume(layby: Layby) -> None:
    """Operators pause, and one thing stays paused that nobody uses."""
    unused = TEMPLATES["nudge"]
    layby.must("put_template", template="unused", definition=unused)
    switches.pause(layby.engine, Switch(Scope.TEMPLATE, "unused", layby.account), source="test")
    for switch in (Switch(Scope.CHANNEL, "email"), Switch(Scope.QUEUE, "lifecycle")):
        switches.pause(layby.engine, switch, source="test")
        switches.resume(layby.engine, switch, source="test")


def _complete(layby: Layby) -> None:
    layby.on_schedule("carl")
    for _ in range(3):
        layby.deliver()
        layby.travel(timedelta(days=1, hours=1))
    layby.travel(timedelta(days=1))
    layby.deliver()
    assert [state for _, state, _ in layby.ledger("carl")] == ["sent"] * 3


def _park(layby: Layby) -> None:
    layby.add("ray", "pia")
    layby.must("purge", customers=["pia"])
    layby.on_schedule("ann", "max", "rea", "abe")
    layby.must("remove_from_schedule", customers=["abe"], schedule="dunning")
    layby.deliver()
    layby.must("move_to_directory", customers=["max", "rea"])
    layby.must("move_to_directory", customers=["max"])
    layby.must("reactivate", customers=["rea"])
    layby.must("assign_schedule", customers=["rea"], schedule="dunning")
    layby.on_schedule("dot")
    layby.must("move_to_directory", customers=["dot"])
    layby.must("redact", customers=["dot"])


def _end_and_pause(layby: Layby) -> None:
    layby.on_schedule("pat", "pam", "rex", "rob")
    layby.must("record", customers=["pat"], fact={"fact": "payment"})
    layby.must("pause", customers=["pam", "rex"])
    layby.must("resume", customers=["rex"])
    layby.must("assign_schedule", customers=["pam"], schedule="dunning", reference="inv-2")
    start(layby, "rob")
    layby.must("remove_from_schedule", customers=["rob"], schedule="dunning")
    settle(layby, "rob", Answer.NOT_HANDED_OVER)


def _be_silenced(layby: Layby) -> None:
    """Blocked and opted out, in part and in full, before and after a send began; and lifted."""
    phones = {"bo": "+33612345670", "ute": "+33612345671", "gus": "+33612345672"}
    for customer, phone in phones.items():
        layby.add(customer, phone=phone)
    layby.must("activate", customers=list(phones))
    layby.must("assign_schedule", customers=list(phones), schedule="dunning")
    start(layby, "bo")
    layby.must("block", customers=["bo"])
    layby.must("opt_out", customers=["ute"], channel="email")
    layby.must("block", customers=["gus"], schedule="dunning")
    layby.must("unblock", customers=["gus"])
    layby.must("opt_out", customers=["gus"])
    consent = {"source": "START", "at": layby.now}
    layby.must("opt_in", number=phones["gus"], consent=consent)
    layby.must("block", domain="spam.example")
    layby.must("suppress", customers=["gus"])
    layby.must("unsuppress", customers=["gus"])
    layby.must("suppress", customers=["ute"], channel="sms")


def _settle(layby: Layby) -> None:
    layby.on_schedule("una", "tim", "fay", "flo", "zoe")
    for customer, answer in (
        ("una", Answer.UNKNOWN),
        ("tim", Answer.TEMPORARY),
        ("fay", Answer.PERMANENT),
    ):
        start(layby, customer)
        settle(layby, customer, answer)
    start(layby, "flo")
    layby.must("move_to_directory", customers=["flo"])
    settle(layby, "flo", Answer.TEMPORARY)
    start(layby, "zoe")
    layby.must("pause", customers=["zoe"])
    settle(layby, "zoe", Answer.TEMPORARY)


def _leave_in_progress(layby: Layby) -> None:
    layby.on_schedule("sam", "ida", "pip")
    for customer in ("sam", "ida", "pip"):
        start(layby, customer)
    layby.must("move_to_directory", customers=["ida"])
    layby.must("pause", customers=["pip"])


def _owe(layby: Layby) -> None:
    """Of Ned's debts one is paid in part, one disputed, one promised; Liv's is over and late."""
    layby.add("ned", "liv")
    layby.must("activate", customers=["ned", "liv"])
    for number in ("1", "2", "3"):
        layby.must(
            "assign_schedule", customers=["ned"], schedule="dunning", reference=f"inv-{number}"
        )
    layby.must("assign_schedule", customers=["liv"], schedule="dunning")

    def fact(*customers: str, **of: str) -> None:
        layby.must("record", customers=list(customers), fact=of)

    fact("ned", fact="invoice", reference="inv-1", amount="120.00", currency="EUR")
    fact("ned", fact="payment", reference="inv-1", amount="50.00", currency="EUR")
    fact("ned", fact="dispute", reference="inv-2")
    fact("ned", fact="promise", reference="inv-3", until="2150-01-01")
    fact("ned", fact="interaction", direction="inbound", reference="inv-2")
    fact("liv", fact="promise", until=f"{layby.now:%Y-%m-%d}")
    layby.travel(timedelta(days=1))
    assert layby.one("SELECT status FROM slots WHERE customer = 'liv'") == "late"


def _be_many(layby: Layby) -> None:
    layby.bulk_from = 1
    layby.must("add_customer", customers=["bea", "ben"])
    layby.bulk_from = 100
    layby.must("activate", customers=["bea", "ben"], all_or_none=True)


def _be_refused(layby: Layby) -> None:
    assert layby.send("pause", customers=["abe", "ray"]).state == "partly"
    old = "2025-01-01T00:00:00Z"
    assert layby.send("resume", customers=["abe"], issued_at=old).state == "superseded"
    assert layby.send("dance", customers=["abe"]).state == "quarantined"
    layby.on_schedule("dan")
    start(layby, "dan")
    directory = layby.one("SELECT directory FROM counters")
    layby.must("put_account", directory_limit=directory)
    assert layby.send("move_to_directory", customers=["dan"]).started == 1


def test_busy_history_keeps_every_guarantee(layby: Layby) -> None:
    live_through(layby)
    results = audit(layby)
    assert [(r.check.name, r.violations) for r in results if r.found] == []
    assert [result.check for result in results] == list(CHECKS)
    assert all(result.checked for result in results), "a check that looks at nothing proves nothing"


def test_audit_of_a_database_at_work_finds_nothing(layby: Layby) -> None:
    """One snapshot shows each transaction whole or not at all."""
    names = list(numbered("c", 24))
    layby.set_up()
    layby.on_schedule(*names)

    def move_about() -> None:
        for first, second in zip(names[::2], names[1::2], strict=True):
            layby.must("pause", customers=[first, second])
            layby.must("move_to_directory", customers=[first])
            layby.must("resume", customers=[second])
            layby.must("reactivate", customers=[first])
            layby.must("assign_schedule", customers=[first], schedule="dunning")
            sweep(layby)

    audits = 0
    with ThreadPoolExecutor(2) as pool:
        at_work = [pool.submit(move_about), pool.submit(layby.deliver)]
        while not all(work.done() for work in at_work):
            assert found(layby) == {}
            audits += 1
    for work in at_work:
        work.result()
    assert audits
    assert found(layby) == {}


def test_audit_between_any_two_statements_of_the_engine_finds_nothing(
    layby: Layby, database_url: str
) -> None:
    """What belongs together is committed together: every moment in between is looked at."""
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid")
    auditor = connect(database_url, connections=1)
    wrong: list[CheckResult] = []

    def look(*_: object) -> None:
        with auditor.connect() as connection:
            wrong.extend(result for result in run_audit(connection) if result.found)

    event.listen(layby.engine, "before_cursor_execute", look)
    layby.must("pause", customers=["cid"])
    layby.deliver()
    layby.must("resume", customers=["cid"])
    start(layby, "cid")
    layby.must("move_to_directory", customers=["ann", "cid"])
    settle(layby, "cid", Answer.TEMPORARY)
    start(layby, "bob")
    settle(layby, "bob", Answer.TEMPORARY)
    sweep(layby)
    layby.must("reactivate", customers=["ann"])
    layby.must("record", customers=["bob"], fact={"fact": "payment"})
    event.remove(layby.engine, "before_cursor_execute", look)
    auditor.dispose()
    assert wrong == []
