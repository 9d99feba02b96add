"""The machine: any commands, starts, answers, rescues and crashes, one after another.

After every step the tables must hold the invariants and say what the model says. Its parts, and
those of the model, are in tests/stateful/journey.
"""

from itertools import count

from concurrency.invariants import broken
from concurrency.parts import FakeClock, Taken, answer, started
from harness import START as OPENED_AT
from harness import TEMPLATES, Layby
from hypothesis.stateful import initialize, invariant, rule
from stateful.journey.acts import ACTS, NAMES, Act
from stateful.journey.commanding import Commanding
from stateful.journey.model import Model
from stateful.journey.parts import CAPS, DEFINITIONS, QUEUES
from stateful.journey.tables import BYSTANDER, told_of

from domain.message import Answer
from scheduler.ticks import Watch
from storage.audit import run_audit

_numbers = count(1)


class JourneyMachine(Commanding):
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
        )
        for name, definition in TEMPLATES.items():
            layby.must("put_template", template=name, definition=definition)
        self.put_rules(CAPS[0], None)
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
        assert runs == {key: told_of(run) for key, run in self.keyed()}
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


def open_the_bystander(layby: Layby) -> None:
    """An account that no command is for, with a customer of a name that others have too."""
    layby.account = BYSTANDER
    layby.set_up()
    layby.on_schedule(NAMES[0])
