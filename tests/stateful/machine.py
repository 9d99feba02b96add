"""The machine: any commands, starts, answers, rescues and crashes, one after another.

After every step the tables must hold the invariants and say what the model says.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import count, repeat
from typing import Any

from concurrency.interleave import CrashedError, lost_acknowledgement
from concurrency.invariants import broken
from concurrency.parts import FakeClock, Taken, answer, apply_for, start, started
from harness import START as OPENED_AT
from harness import TEMPLATES, Layby
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event
from stateful.model import DEFINITIONS, LEASE_SECONDS, QUEUES, Line, Model, Order, Run, Said, Told

from domain.commands import BULK_FROM
from domain.message import Answer, Channel
from domain.switch import Scope, Switch
from scheduler.ticks import Watch, sweep
from storage.audit import run_audit
from storage.database import Connection, DatabaseError
from workers import switches
from workers.bulk import apply_bulk
from workers.lifecycle import apply_waiting
from workers.resolving import resolve, resolve_some

NAMES = [f"c{n}" for n in range(1, 5)]
ANSWERS = [
    Answer.ACCEPTED,
    Answer.TEMPORARY,
    Answer.PERMANENT,
    Answer.UNKNOWN,
    Answer.NOT_HANDED_OVER,
]
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
WRITES = (
    *("UPDATE command_targets t", "UPDATE pending p"),
    *("DELETE FROM pending", "DELETE FROM started"),
)
references = st.sampled_from(["", "i-1"])
any_number = st.integers(0, 1000)
issued_days = st.none() | st.none() | st.integers(0, 3)
dies_at = st.none() | st.none() | st.integers(0, 16)
dies_later = st.none() | st.integers(0, 40)
at_once = st.sampled_from([True, True, False])
channels = st.sampled_from(list(Channel))
_numbers = count(1)

AT_ONCE = 2
"""Customers that the bulk worker resolves and applies in one transaction here."""

UNRESOLVED = "SELECT seq FROM commands WHERE bulk AND resolved_at IS NULL"

BYSTANDER = "bystander"
OTHERS = " UNION ALL ".join(
    f"SELECT '{table}', CAST(t AS text) FROM {table} t WHERE account = '{BYSTANDER}' "
    "OR (account = :account AND customer <> ALL(CAST(:names AS text[])))"
    for table in (
        *("customers", "slots", "enrolments", "pending", "started", "sends", "facts"),
        *("command_targets", "journal"),
    )
)
"""All rows that belong to a customer, but for those named."""

ISSUED = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


CommandStrategy = st.SearchStrategy[tuple[str, dict[str, Any]]]


def _with(
    kind: str,
    *,
    optional: dict[str, st.SearchStrategy[Any]] | None = None,
    **fields: st.SearchStrategy[Any],
) -> CommandStrategy:
    return st.tuples(st.just(kind), st.fixed_dictionaries(fields, optional=optional or {}))


PROFILE = {
    "phone": st.just("+80012345678"),
    "zone": st.sampled_from(["Asia/Tokyo", "America/New_York"]),
}
SILENCES = st.one_of(
    _with("move_to_directory", optional={"if_full": st.sampled_from(["pause", "refuse"])}),
    _with("pause"),
)
ENDS_OF_SILENCE = st.one_of(_with("activate"), _with("reactivate"), _with("resume"))
UPDATES = _with("update_customer", profile=st.fixed_dictionaries({}, optional=PROFILE).filter(bool))
PROFILES = st.one_of(
    _with(
        "add_customer",
        profile=st.fixed_dictionaries({"email": st.just("a@example.org")}, optional=PROFILE),
    ),
    UPDATES,
    UPDATES,
    _with("purge"),
)
CHANNEL = {"channel": channels.map(str)}
CONSENT = st.just({"source": "START", "at": "2020-01-01T00:00:00Z"})
WORDS = st.one_of(_with("block", optional=CHANNEL), _with("opt_out", optional=CHANNEL))
LIFTS = st.one_of(
    _with("unblock", optional=CHANNEL), _with("opt_in", optional=CHANNEL, consent=CONSENT)
)
ASSIGNMENTS = st.one_of(
    _with("assign_schedule", schedule=st.just("calls"), optional={"reference": references}),
    _with(
        "assign_schedule",
        schedule=st.just("bill"),
        due_date=st.integers(-1, 2),
        optional={"reference": references},
    ),
)
ENDS_OF_SCHEDULES = st.one_of(
    _with(
        "remove_from_schedule",
        schedule=st.sampled_from(["calls", "bill"]),
        optional={"reference": references},
    ),
    _with(
        "record",
        fact=st.fixed_dictionaries(
            {"fact": st.just("payment")}, optional={"full": st.booleans(), "reference": references}
        ),
    ),
)


Act = tuple[str, dict[str, Any]]


def _act(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


def _commands(*kinds: CommandStrategy) -> list[st.SearchStrategy[Act]]:
    return [
        _act(
            "command",
            command=kind,
            customers=names,
            issued=issued_days,
            at_once=at_once,
            bulk=st.booleans(),
        )
        for kind in kinds
    ]


def _filters(**of: CommandStrategy) -> list[st.SearchStrategy[Act]]:
    """A command for whom it can change something, or who is on a schedule."""
    asked = {
        "any": {"schedule": "calls"},
        "active": {"place": "active"},
        "reserve": {"place": "reserve"},
        "archived": {"place": "archived"},
    }
    return [
        _act("filter_", command=kind, asked=st.just(asked[where]), at_once=at_once)
        for where, kind in of.items()
    ]


START = _act("start", channel=channels, dies_at=dies_at)
SETTLE = _act(
    "settle",
    which=st.lists(any_number, min_size=1, max_size=3),
    with_=st.sampled_from(ANSWERS),
    dies_at=dies_at,
)
SWITCH = _act(
    "switch", switched=st.sampled_from(["hello", "hello", "email", "sms", "account", *QUEUES])
)
TRAVEL = _act("travel", hours=st.sampled_from([0.1, 1, 24, 25, 72]))
ACTS = st.one_of(
    *_commands(SILENCES, SILENCES, ENDS_OF_SILENCE, PROFILES, ASSIGNMENTS, ENDS_OF_SCHEDULES),
    *_commands(WORDS, LIFTS, LIFTS),
    *(START, START, START, SETTLE, SETTLE, SETTLE, TRAVEL, TRAVEL),
    *_filters(
        any=SILENCES,
        active=st.one_of(SILENCES, UPDATES, ENDS_OF_SCHEDULES),
        reserve=st.one_of(_with("activate"), _with("purge")),
        archived=_with("reactivate"),
    ),
    _act("settle_late_or_again", which=any_number, with_=st.sampled_from(ANSWERS)),
    _act("rescue", seconds=st.sampled_from([0, 20, LEASE_SECONDS + 1])),
    _act("sweep"),
    *(SWITCH, SWITCH, SWITCH),
    _act("ring"),
    _act("resolve", dies_at=dies_at),
    *(_act("resolve_step"), _act("bulk_turn", dies_at=dies_later)),
    _act("ring_for_some", which=any_number, dies_at=dies_at),
    _act("acknowledgement_is_lost", which=any_number),
    _act("put_plan", active=st.integers(0, 4), directory=st.integers(0, 5), at_once=st.booleans()),
    _act("put_schedule", schedule=st.sampled_from(list(DEFINITIONS)), variant=st.integers(0, 1)),
)
"""What can happen next, the frequent more than once.

One rule draws from them all: of many rules Hypothesis takes some out of each example, and too few
examples would be left with a whole reminder in them.
"""


class JourneyMachine(RuleBasedStateMachine):
    """One fresh account of one database, and what the model expects of it."""

    def __init__(self, layby: Layby, clock: FakeClock) -> None:
        super().__init__()
        self.layby, self.clock = layby, clock
        self.account = layby.account = f"account-{next(_numbers)}"
        layby.now = OPENED_AT
        self.watch = Watch()
        self.seen: dict[int, float] = {}
        self.over: dict[int, Taken] = {}
        self.received = count()
        self.plans: list[tuple[int, int]] = []
        self.model = Model(OPENED_AT, 3, 4)

    @initialize()
    def open_the_account(self) -> None:
        layby = self.layby
        if not layby.rows("SELECT 1 FROM accounts WHERE account = :other", other=BYSTANDER):
            open_the_bystander(layby)
        layby.account = self.account
        layby.must(
            "put_account",
            active_limit=3,
            directory_limit=4,
            email_from="Acme <billing@acme.example>",
            sms_from="Acme",
            test_clock=OPENED_AT,
            # The model sends what is late at once; tests/unit/workers/test_policy.py has the rule.
            rules={"apart": False},
        )
        for name, definition in TEMPLATES.items():
            layby.must("put_template", template=name, definition=definition)
        for schedule in DEFINITIONS:
            self.put_schedule(schedule, 0)
        profile = {"email": "a@example.org", "phone": "+80012345678"}
        *active, reserved = NAMES
        for name in active:
            self.do("add_customer", [name], {"profile": profile, "place": "active"})
            self.do("assign_schedule", [name], {"schedule": "calls"})
        self.do("add_customer", [reserved], {"profile": profile})

    @rule(act=ACTS)
    def act(self, act: Act) -> None:
        name, arguments = act
        getattr(self, name)(**arguments)

    # Commands.

    def ring_for_some(self, which: int, dies_at: int | None) -> None:
        names = self.some_waiting(which)
        with suppress(CrashedError):
            self.crashing(dies_at, lambda: apply_for(self.layby, *names))
            self.model.apply(names)

    def resolve(self, dies_at: int | None) -> None:
        """Lists and filters become targets, the oldest first."""
        seqs = sorted(self.rows(UNRESOLVED))
        self._resolving(dies_at, lambda: [self._resolve(seq) for (seq,) in seqs])
        assert dies_at is not None or self.model.unresolved is None

    def _resolve(self, seq: int) -> None:
        resolve(self.layby.engine, self.account, seq)

    def resolve_step(self) -> None:
        """One chunk of the oldest."""
        engine, account = self.layby.engine, self.account
        for (seq,) in sorted(self.rows(UNRESOLVED))[:1]:
            self._resolving(None, partial(resolve_some, engine, account, seq))

    def _resolving(self, dies_at: int | None, work: Callable[[], object]) -> None:
        for _ in range(self.dying(dies_at, work, "UPDATE commands SET resolved_to")):
            told = self.model.unresolved
            assert told is not None
            self.model.resolve_some(told, AT_ONCE)

    def bulk_turn(self, dies_at: int | None) -> None:
        """The bulk worker's turn, which it may not live to the end of: chunks are done or not."""
        if self.plans:
            self.ring()
            return
        self.resolve(None)
        chunks = self.model.chunks(AT_ONCE)
        applied = self.dying(
            dies_at, lambda: apply_bulk(self.layby.engine, self.account), "UPDATE command_targets t"
        )
        for chunk in chunks:
            if applied and self.model.applies(chunk):
                self.model.apply(chunk)
                applied -= 1
        assert not applied

    def filter_(
        self, command: tuple[str, dict[str, Any]], asked: dict[str, str], *, at_once: bool
    ) -> None:
        kind, fields = command
        told = Told(
            self.layby.accept(kind, customers=asked, **fields),
            kind,
            fields,
            (1, next(self.received)),
            [],
            asked,
            bulk=True,
            resolved=False,
        )
        self.model.accept(told)
        if at_once:
            self.bulk_turn(None)

    def ring(self) -> None:
        """For all that waits in the account: set-up first, single commands, bulk ones."""
        apply_waiting(self.layby.engine, self.account)
        apply_bulk(self.layby.engine, self.account)
        self.all_applied()

    def acknowledgement_is_lost(self, which: int) -> None:
        names = self.some_waiting(which)
        if not self.model.applies(names):
            return
        lost = lost_acknowledgement(self.layby.engine, "UPDATE command_targets t")
        with lost, suppress(DatabaseError):
            apply_for(self.layby, *names)
        self.model.apply(names)
        apply_for(self.layby, *names)

    def put_plan(self, active: int, directory: int, *, at_once: bool) -> None:
        self.layby.accept("put_account", active_limit=active, directory_limit=directory)
        self.plans.append((active, directory))
        if at_once:
            self.ring()

    def put_schedule(self, schedule: str, variant: int) -> None:
        self.let_set_up_through()
        definition = DEFINITIONS[schedule][variant]
        self.layby.must("put_schedule", schedule=schedule, definition=definition.as_json())
        self.model.put_schedule(schedule, definition)
        self.all_applied()

    def travel(self, hours: float) -> None:
        self.let_set_up_through()
        self.layby.travel(timedelta(hours=hours))
        self.model.now = self.layby.now
        self.all_applied()

    # Sends.

    def start(self, channel: Channel, dies_at: int | None) -> None:
        handed = {}
        with suppress(CrashedError):
            self.crashing(
                dies_at, lambda: handed.update(start(self.layby.engine, self.account, channel))
            )
            begun = self.model.start(channel.value)
            self.number(begun)
            assert set(handed) == {run.send for run in begun}

    def settle(self, which: list[int], with_: Answer, dies_at: int | None) -> None:
        opens = self.some_started(which)
        with suppress(CrashedError):
            self.crashing(dies_at, lambda: answer(self.layby.engine, opens, with_))
            self.settled(opens, with_)

    def settle_late_or_again(self, which: int, with_: Answer) -> None:
        over = list(self.over.values())
        late = [over[which % len(over)]] if over else []
        answer(self.layby.engine, late, with_)
        self.settled(late, with_)

    def rescue(self, seconds: int) -> None:
        self.clock.now_seconds += seconds
        opens = {one.send: one for one in started(self.layby.engine, self.account)}
        now = self.clock.now_seconds
        self.seen = {send: self.seen.get(send, now) for send in opens}
        self.watch.rescue(self.layby.engine)
        overdue = [opens[send] for send, at in self.seen.items() if now - at > LEASE_SECONDS]
        self.settled(overdue, Answer.UNKNOWN)

    def sweep(self) -> None:
        sweep(self.layby.engine)
        for line, quiet in self.lines().values():
            assert line.open is None or quiet is not bool(line.open & self.model.started)

    def switch(self, switched: str) -> None:
        """What an operator pauses, or resumes if it is paused."""
        switch = self.named(switched)
        if switched in self.model.paused:
            switches.resume(self.layby.engine, switch, over=timedelta(0))
            self.model.resume_switch(switched)
        else:
            paused = switches.pause(self.layby.engine, switch)
            assert paused.in_progress == self.in_progress(switched)
            self.model.pause_switch(switched)

    def named(self, switched: str) -> Switch:
        if switched in QUEUES:
            return Switch(Scope.QUEUE, switched)
        scope = {"hello": Scope.TEMPLATE, "account": Scope.ACCOUNT}.get(switched, Scope.CHANNEL)
        return Switch(scope, self.account if scope is Scope.ACCOUNT else switched, self.account)

    def let_set_up_through(self) -> None:
        if "lifecycle" in self.model.paused:
            self.switch("lifecycle")

    def in_progress(self, name: str) -> int:
        opens = [run for run in self.model.runs if run.send is not None]
        of = {"hello": "email"}.get(name, name)
        return sum(of in ("account", self.channel_of(run)) for run in opens)

    def channel_of(self, run: Run) -> str:
        assert run.send is not None
        return run.definition.steps[self.model.attempts[run.send].step].channel

    # What must hold.

    @invariant()
    def guarantees_hold(self) -> None:
        assert broken(self.layby.engine, self.account) == {}

    @invariant()
    def tables_say_what_the_model_says(self) -> None:
        model = self.model
        assert self.people() == {
            name: (p.place, p.paused, p.kept, p.zone) for name, p in model.people.items()
        }
        runs, keys = self.runs()
        assert runs == {key: _told_of(run) for key, run in self.keyed()}
        key_of = {model.runs.index(run): key for key, run in self.keyed()}
        assert self.ledger(keys) == {
            (key_of[run], step): outcome for (run, step), outcome in model.ledger.items()
        }
        assert {at: line for at, (line, _) in self.lines().items()} == model.lines
        assert self.said() == {one: beside for one, (_, beside) in model.said.items()}

    def teardown(self) -> None:
        """All comes to rest: what is started settles, what is rung for is applied, all is quiet."""
        for queue in self.model.paused & set(QUEUES):
            self.switch(queue)  # of all accounts, and there is another example to come
        self.ring()
        opens = started(self.layby.engine, self.account)
        answer(self.layby.engine, opens, Answer.ACCEPTED)
        self.settled(opens, Answer.ACCEPTED)
        self.sweep()
        self.guarantees_hold()
        if self.model.people:
            self.tables_say_what_the_model_says()
        assert all(quiet for line, quiet in self.lines().values() if line.open is not None)
        with self.layby.engine.connect() as connection:
            assert [one for one in run_audit(connection, self.account) if one.found] == []

    # The parts of a step.

    def command(
        self,
        command: tuple[str, dict[str, Any]],
        customers: list[str],
        issued: int | None,
        *,
        at_once: bool,
        bulk: bool,
    ) -> None:
        """Accept a command, and apply it unless its bell is to ring later."""
        told = self.accept(*_for(command, customers, self.model.now), issued, bulk=bulk)
        if at_once:
            if told.bulk:
                self.resolve(None)
            self.apply(set(told.waiting))

    def do(
        self,
        kind: str,
        customers: list[str],
        fields: dict[str, Any],
        issued: int | None = None,
    ) -> None:
        self.apply(set(self.accept(kind, customers, fields, issued).waiting))

    def accept(
        self,
        kind: str,
        customers: list[str],
        fields: dict[str, Any],
        issued: int | None = None,
        *,
        bulk: bool = False,
    ) -> Told:
        """Lists of two and more are bulk where the test says so."""
        order: Order = (1, next(self.received)) if issued is None else (0, issued)
        extra = {} if issued is None else {"issued_at": ISSUED + timedelta(days=issued)}
        self.layby.bulk_from, bulk = (1, len(customers) > 1) if bulk else (BULK_FROM, False)
        command = self.layby.accept(kind, customers=customers, **fields, **extra)
        told = Told(command, kind, fields, order, list(customers), bulk=bulk, resolved=not bulk)
        told.listed = list(customers)
        self.model.accept(told)
        return told

    def apply(self, names: set[str]) -> None:
        """Apply what waits for these; every row of anybody else stays as it is."""
        before = self.rows_of_others(names)
        apply_for(self.layby, *names)
        self.model.apply(names)
        assert self.rows_of_others(names) == before

    def rows_of_others(self, names: set[str]) -> set[tuple[Any, ...]]:
        """Of the account's other customers, and of one of the same name in another account."""
        return set(self.layby.rows(OTHERS, account=self.account, names=sorted(names)))

    def all_applied(self) -> None:
        model = self.model
        if "lifecycle" in model.paused:
            return
        for plan in self.plans:
            model.active_limit, model.directory_limit = plan
        self.plans.clear()
        model.apply(model.waiting_singly)
        while "bulk" not in model.paused and (told := model.unresolved):
            model.resolve_some(told, AT_ONCE)
        for chunk in model.chunks(AT_ONCE):
            model.apply(chunk)

    def some_waiting(self, which: int) -> set[str]:
        """Whom one of the waiting commands waits for; none, if none does."""
        reached = [{n for n in told.waiting if told.waits_for(n)} for told in self.model.told]
        waiting = [names for names in reached if names]
        return waiting[which % len(waiting)] if waiting else set()

    def some_started(self, which: list[int]) -> list[Taken]:
        opens = started(self.layby.engine, self.account)
        chosen = {number % len(opens) for number in which if opens}
        return [opens[number] for number in chosen]

    def settled(self, opens: list[Taken], with_: Answer) -> None:
        for one in opens:
            self.model.settle(one.send, with_.value)
            self.over[one.send] = one

    def number(self, begun: list[Run]) -> None:
        keys = dict(self.keyed())
        _, enrolments = self.runs()
        for enrolment, send in self.rows("SELECT enrolment, send FROM started"):
            run = keys[enrolments[enrolment]]
            if run.send is None:
                assert run in begun
                self.model.number(run, send)
        assert all(run.send is not None for run in begun)

    def crashing(self, statement: int | None, work: Callable[[], object]) -> None:
        """Do this, but the process ends before the n-th statement, unless it is done by then."""
        left = repeat(1) if statement is None else count(statement, -1)
        with (
            self.watched(WRITES) as committed,
            self.before_each(lambda: not committed and next(left) == 0),
        ):
            work()

    def dying(self, statement: int | None, work: Callable[[], object], writes: str) -> int:
        """Do this, but the process ends before the n-th statement, whatever it has committed.

        Returns how many transactions that wrote this were committed.
        """
        left = repeat(1) if statement is None else count(statement, -1)
        with self.watched((writes,)) as committed:
            with suppress(CrashedError), self.before_each(lambda: next(left) == 0):
                work()
            return len(committed)

    @contextmanager
    def before_each(self, ends: Callable[[], bool]) -> Iterator[None]:
        """Before each statement the process may end."""

        def crash(*_: object) -> None:
            if ends():
                raise CrashedError

        event.listen(self.layby.engine, "before_cursor_execute", crash)
        try:
            yield
        finally:
            event.remove(self.layby.engine, "before_cursor_execute", crash)

    @contextmanager
    def watched(self, marks: Sequence[str]) -> Iterator[list[Connection]]:
        """The transactions that wrote something like this, and were committed."""
        written: list[Connection] = []
        committed: list[Connection] = []

        def writes(connection: Connection, _: object, sql: str, *__: object) -> None:
            if any(mark in sql for mark in marks):
                written.append(connection)

        def commits(_: Connection) -> None:
            committed.extend(written[:1])
            written.clear()

        engine = self.layby.engine
        event.listen(engine, "before_cursor_execute", writes)
        event.listen(engine, "commit", commits)
        try:
            yield committed
        finally:
            event.remove(engine, "before_cursor_execute", writes)
            event.remove(engine, "commit", commits)

    # What the tables say.

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        narrowed = f"SELECT * FROM ({sql.replace('SELECT ', 'SELECT account, ', 1)}) AS all_of_them"
        return [
            row[1:]
            for row in self.layby.rows(narrowed + " WHERE account = :account", account=self.account)
        ]

    def people(self) -> dict[str, tuple[Any, ...]]:
        rows = self.rows(
            "SELECT customer, place, paused_at IS NOT NULL AS paused, kept, zone "
            "FROM customers LEFT JOIN (SELECT account, customer, paused_at FROM slots) AS s "
            "USING (account, customer)"
        )
        return {name: tuple(rest) for name, *rest in rows}

    def said(self) -> dict[Said, str | None]:
        rows = self.rows("SELECT kind, aim, channel, target, customer FROM suppressions")
        return {
            Said(kind, aim, target if aim == "customer" else None, channel): beside
            for kind, aim, channel, target, beside in rows
        }

    def keyed(self) -> list[tuple[tuple[str, str, str, int], Run]]:
        nth: dict[tuple[str, str, str], int] = defaultdict(int)
        keyed = []
        for run in self.model.runs:
            key = (run.customer, run.schedule, run.reference)
            keyed.append(((*key, nth[key]), run))
            nth[key] += 1
        return keyed

    def runs(self) -> tuple[dict[tuple[str, str, str, int], tuple[Any, ...]], dict[int, Any]]:
        nth: dict[tuple[str, str, str], int] = defaultdict(int)
        runs, keys = {}, {}
        for enrolment, customer, schedule, reference, *rest in sorted(
            self.rows(
                "SELECT enrolment, e.customer, e.schedule, e.reference, e.version, e.step, "
                "held IS NOT NULL AS is_held, end_reason, send, "
                "p.planned_at, p.due_at, p.attempts, p.deferred "
                "FROM enrolments e LEFT JOIN pending p USING (account, enrolment) "
                "LEFT JOIN (SELECT account, enrolment, send FROM started) AS s "
                "USING (account, enrolment)"
            )
        ):
            key = (customer, schedule, reference)
            runs[*key, nth[key]] = tuple(rest)
            keys[enrolment] = (*key, nth[key])
            nth[key] += 1
        return runs, keys

    def ledger(self, keys: dict[int, Any]) -> dict[tuple[Any, int], tuple[str, str, int | None]]:
        return {
            (keys[enrolment], step): (state, rule, send)
            for enrolment, step, state, rule, send in self.rows(
                "SELECT enrolment, step, state, rule, send FROM sends"
            )
        }

    def lines(self) -> dict[tuple[str, str], tuple[Line, bool]]:
        rows = self.rows(
            "SELECT command, customer, t.state, cancelled, open, quiet_at IS NOT NULL AS quiet "
            "FROM command_targets t JOIN commands c USING (account, seq)"
        )
        return {
            (command, customer): (
                Line(state, cancelled, None if opened is None else frozenset(opened)),
                quiet,
            )
            for command, customer, state, cancelled, opened, quiet in rows
            if state != "waiting"
        }


def open_the_bystander(layby: Layby) -> None:
    """An account that no command is for, with a customer of a name that others have too."""
    layby.account = BYSTANDER
    layby.set_up()
    layby.on_schedule(NAMES[0])


def _for(
    command: tuple[str, dict[str, Any]], customers: list[str], now: datetime
) -> tuple[str, list[str], dict[str, Any]]:
    kind, fields = command
    if "due_date" in fields:
        day = now.date() + timedelta(days=fields["due_date"])
        fields = {**fields, "due_date": day}
    return kind, sorted(customers), fields


def _told_of(run: Run) -> tuple[Any, ...]:
    plan = (run.planned_at, run.due_at, run.attempts, run.deferred)
    if run.where != "pending":
        plan = (None, None, None, None)
    return (run.version, run.step, run.held, run.ended, run.send, *plan)
