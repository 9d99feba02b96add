"""Bulk commands, one after another: lists and filters resolved, imports, all or none."""

from datetime import timedelta
from typing import Any

import pytest
from harness import Layby, numbered
from sqlalchemy import event

from domain.commands import ALL_OR_NONE_AT_MOST
from storage import outcomes, unapplied
from storage.audit import run_audit
from storage.outcomes import Outcome
from workers import resolving
from workers.bulk import apply_bulk
from workers.lifecycle import apply_to, apply_waiting

LIST = "customer,name,email,phone,country,zone,language,tier\n"


def codes(outcome: Outcome) -> dict[str | None, str]:
    return {line.customer: line.code for line in outcome.refusals}


def places(layby: Layby) -> dict[str, str]:
    return dict(layby.rows("SELECT customer, place FROM customers"))


def audit_is_clean(layby: Layby) -> bool:
    with layby.engine.connect() as connection:
        return not [(r.check.name, r.violations) for r in run_audit(connection) if r.found]


@pytest.fixture
def small(layby: Layby) -> Layby:
    """Lists of two and more are bulk here."""
    layby.bulk_from = 1
    return layby


# Lists.


def test_a_long_list_is_applied_by_the_bulk_worker_and_by_it_alone(layby: Layby) -> None:
    layby.set_up(active_limit=1000)
    names = list(numbered("c", 250))
    layby.must("add_customer", customers=names)
    move = layby.accept("activate", customers=[*names, "nobody"])
    seq = layby.one("SELECT seq FROM commands WHERE command = :id", id=move)
    resolving.resolve(layby.engine, layby.account, seq)
    apply_waiting(layby.engine, layby.account)
    assert layby.outcome(move).applied == 0
    apply_bulk(layby.engine, layby.account)
    outcome = layby.outcome(move)
    assert (outcome.state, outcome.targets, outcome.applied, outcome.refused) == (
        "partly",
        251,
        250,
        1,
    )
    assert codes(outcome) == {"nobody": "unknown_customer"}
    assert layby.one("SELECT active FROM counters") == 250
    assert audit_is_clean(layby)


def test_a_list_is_kept_as_targets_and_not_twice(small: Layby) -> None:
    small.set_up()
    add = small.must("add_customer", customers=["ann", "bob"], profile={"name": "A"})
    assert small.rows(
        "SELECT body ? 'customers', listed, resolved_at IS NOT NULL FROM commands "
        "WHERE command = :id",
        id=add.id,
    ) == [(False, None, True)]
    again = small.accept("add_customer", id=add.id, customers=["ann", "bob"], profile={"name": "A"})
    assert small.outcome(again).applied == 2
    small.accept("add_customer", id=add.id, customers=["ann", "bo"], profile={"name": "A"})
    assert small.one("SELECT count(*) FROM commands WHERE state = 'quarantined'") == 1


def test_a_list_is_resolved_in_chunks_from_where_it_stopped(
    small: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", 3)
    small.set_up()
    names = list(numbered("c", 7))
    add = small.accept("add_customer", customers=names)
    seq = small.one("SELECT seq FROM commands WHERE command = :id", id=add)
    steps = []
    while resolving.resolve_some(small.engine, small.account, seq):
        steps.append(small.one("SELECT count(*) FROM command_targets WHERE seq = :s", s=seq))
        assert audit_is_clean(small)
    assert steps == [3, 6]
    assert small.apply(add).applied == 7


def test_a_single_command_after_a_list_that_is_not_resolved_yet_comes_after_it(
    small: Layby,
) -> None:
    """No customer's commands overtake one another, whichever queue is served first."""
    small.set_up()
    add = small.accept("add_customer", customers=["ann", "bob"])
    other = small.accept("update_customer", customers=["ann", "bob"], profile={"name": "A"})
    activate = small.accept("activate", customers=["ann"])
    apply_waiting(small.engine, small.account)
    assert small.outcome(activate).state == "applied"
    assert [small.outcome(one).state for one in (add, other)] == ["accepted"] * 2
    apply_bulk(small.engine, small.account)
    assert [small.outcome(one).applied for one in (add, other)] == [2, 2]
    assert places(small) == {"ann": "active", "bob": "reserve"}
    assert audit_is_clean(small)


def test_set_up_comes_before_the_bulk_commands_that_follow_it(small: Layby) -> None:
    small.accept("put_account", active_limit=5)
    add = small.accept("add_customer", customers=["ann", "bob"])
    apply_bulk(small.engine, small.account)
    assert small.outcome(add).state == "applied"


def test_what_cannot_be_applied_of_a_bulk_command_is_set_aside_alone(small: Layby) -> None:
    small.set_up()
    names = list(numbered("c", 5))
    with spoilt(small, "customers", "INSERT", "NEW.customer = 'c-3'"):
        outcome = small.send(
            "import_customers", csv="id,name\n" + "".join(f"{n},N\n" for n in names)
        )
        assert (outcome.state, outcome.applied) == ("partly", 4)
        assert codes(outcome) == {"c-3": "cannot_apply"}
        assert audit_is_clean(small)
    with small.engine.begin() as connection:
        assert unapplied.replay(connection, small.account, outcome.id)
    assert small.apply(outcome.id).applied == 5
    assert audit_is_clean(small)


@pytest.mark.parametrize("customers", [list(numbered("c", 5)), {"place": "reserve"}])
def test_a_command_whose_targets_cannot_be_found_is_set_aside_and_others_go_on(
    small: Layby, monkeypatch: pytest.MonkeyPatch, customers: Any
) -> None:
    """In quarantine with its reason; a replay goes on where it stopped, and it is applied once."""
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", 2)
    small.set_up()
    small.add(*numbered("c", 5))
    with spoilt(small, "command_targets", "INSERT", "NEW.customer = 'c-4' AND NEW.bulk"):
        stuck = small.accept("update_customer", customers=customers, profile={"name": "New"})
        seq = small.one("SELECT seq FROM commands WHERE command = :id", id=stuck)
        assert resolving.resolve_some(small.engine, small.account, seq)
        apply_to(small.engine, small.account, ["c-1"])
        behind = small.accept("activate", customers=["c-1", "nobody"])
        for _ in range(2):
            apply_bulk(small.engine, small.account)
        assert small.outcome(behind).applied == 1
        outcome = small.outcome(stuck)
        assert (outcome.state, outcome.applied, outcome.done) == ("quarantined", 1, True)
        assert "spoilt" in outcome.refusals[-1].message
        assert "layby command replay" in outcome.refusals[-1].message
        assert audit_is_clean(small)
        assert small.accept("update_customer", id=stuck, customers=customers, profile={"name": "N"})
        assert small.outcome(stuck) == outcome, "what was begun under an id keeps it"
    with small.engine.begin() as connection:
        assert unapplied.replay(connection, small.account, stuck)
    whole = small.apply(stuck)
    assert (whole.state, whole.applied, whole.refusals) == ("applied", 5, [])
    assert small.one("SELECT count(*) FROM customers WHERE name = 'New'") == 5
    assert audit_is_clean(small)


def test_what_asks_for_all_or_none_and_cannot_be_resolved_holds_up_nobody(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bob")
    with spoilt(layby, "command_targets", "INSERT", "NEW.bulk"):
        both = layby.accept("activate", customers={"place": "reserve"}, all_or_none=True)
        apply_bulk(layby.engine, layby.account)
        assert layby.outcome(both).state == "quarantined"
        assert layby.send("activate", customers=["ann"]).state == "applied"
    with layby.engine.begin() as connection:
        assert unapplied.replay(connection, layby.account, both)
    assert layby.apply(both).applied == 1
    assert audit_is_clean(layby)


# Filters.


def test_a_filter_takes_those_who_fit_where_the_command_changes_something(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.add("cid", "dan")
    layby.must("activate", customers=["cid"])
    outcome = layby.must("move_to_directory", customers={"schedule": "dunning"})
    assert (outcome.targets, outcome.cancelled) == (2, 2)
    assert places(layby) == {
        "ann": "archived",
        "bob": "archived",
        "cid": "active",
        "dan": "reserve",
    }
    assert audit_is_clean(layby)


def test_a_filter_of_nobody_is_applied_to_nobody(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.must("pause", customers={"status": "late"})
    assert (outcome.targets, outcome.applied) == (0, 0)
    assert audit_is_clean(layby)


def test_a_filter_for_an_account_that_is_not_there_is_refused(layby: Layby) -> None:
    outcome = layby.send("pause", customers={"status": "late"})
    assert outcome.state == "refused"
    assert "Create it with put_account" in outcome.refusals[0].message
    assert audit_is_clean(layby)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"place": "reserve"}, {"res", "new"}),
        ({"place": "archived"}, {"arc"}),
        ({"status": "late"}, {"lat"}),
        ({"status": "on_track", "schedule": "dunning"}, {"due"}),
        ({"schedule": "unknown"}, set()),
        ({"idle_for": "P10D"}, {"res", "arc", "lat", "due"}),
        ({"idle_for": "P10D", "place": "active"}, {"lat", "due"}),
        ({"idle_for": "P12D"}, set()),
    ],
)
def test_conditions_of_a_filter_all_hold(
    layby: Layby, asked: dict[str, Any], found: set[str]
) -> None:
    layby.set_up()
    layby.add("res", "arc", "lat", "pay", "act")
    layby.must("activate", customers=["arc", "lat", "pay"])
    layby.must("move_to_directory", customers=["arc"])
    layby.on_schedule("due")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE slots SET status = 'late' WHERE customer = 'lat'")
    layby.travel(timedelta(days=5))
    layby.must("record", customers=["pay"], fact={"fact": "payment", "full": False})
    layby.must("activate", customers=["act"])
    layby.must("add_customer", customers=["new"])
    layby.travel(timedelta(days=6))
    layby.must("update_customer", customers=asked, profile={"language": "fr"})
    chosen = layby.rows("SELECT customer FROM customers WHERE language = 'fr'")
    assert {name for (name,) in chosen} == found


def test_a_filter_is_resolved_in_chunks_from_where_it_stopped(
    layby: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", 3)
    layby.set_up()
    layby.add(*numbered("c", 7))
    layby.must("activate", customers=["c-1", "c-4"])
    purge = layby.accept("purge", customers={"place": "reserve"})
    seq = layby.one("SELECT seq FROM commands WHERE command = :id", id=purge)
    assert resolving.resolve_some(layby.engine, layby.account, seq)
    # One that it has not come to yet, one that it has passed, one of those it has taken.
    layby.accept("add_customer", customers=["c-9", "c-0"])
    apply_to(layby.engine, layby.account, ["c-9", "c-0", "c-2"])
    assert layby.outcome(purge).state == "accepted"
    assert audit_is_clean(layby)
    assert layby.apply(purge).targets == 6
    assert places(layby) == {"c-0": "reserve", "c-1": "active", "c-4": "active"}
    assert audit_is_clean(layby)


def test_who_fits_no_longer_when_its_turn_comes_is_refused(layby: Layby) -> None:
    """A payment between the look and the turn: who has paid is not archived as idle."""
    layby.set_up()
    layby.add("ann", "bob", "cid", "dan")
    layby.must("activate", customers=["ann", "bob", "cid", "dan"])
    layby.travel(timedelta(days=200))
    asked = {"idle_for": "P180D", "place": "active", "status": "on_track"}
    move = layby.accept("move_to_directory", customers=asked)
    seq = layby.one("SELECT seq FROM commands WHERE command = :id", id=move)
    resolving.resolve(layby.engine, layby.account, seq)
    layby.bulk_from = 100
    with layby.engine.begin() as connection:  # what single commands have come to meanwhile
        connection.exec_driver_sql(
            f"""
            INSERT INTO facts (account, customer, kind, data, seq, business_at)
            VALUES ('acme', 'ann', 'payment', '{{}}', {seq}, '{layby.now}');
            UPDATE slots SET status = 'disputed' WHERE customer = 'bob'
            """
        )
    outcome = layby.apply(move)
    assert codes(outcome) == {"ann": "no_longer_matches", "bob": "no_longer_matches"}
    assert outcome.applied == 2
    assert "it fitted the filter, and does not any more (place, status, idle_for)" in (
        outcome.refusals[0].message
    )


# Imports.


def test_an_import_adds_each_row_to_reserve_and_refuses_the_bad_ones(layby: Layby) -> None:
    layby.set_up()
    layby.add("old")
    outcome = layby.send(
        "import_customers",
        csv="\ufeff"
        + LIST.replace(",", ";")
        + "c-1;Ann;ann@EXAMPLE.org;06 12 34 56 78;fr;Europe/Paris;fr;gold\r\n"
        + 'c-2;"Bob; the elder";bob@secret@;;;;;\r\n'
        + ";No Id;;;;;;\r\n"
        + "c-1;Twice;;;;;;\r\n"
        + "old;There;;;;;;\r\n"
        + "c-3;Cid\r\n"
        + "c-4;Dan;;;;;;\r\n",
    )
    assert (outcome.state, outcome.targets, outcome.applied, outcome.refused) == ("partly", 7, 2, 5)
    said = {line.customer: (line.code, line.message) for line in outcome.refusals}
    assert set(said) == {"c-2", "row 4", "row 5", "old", "row 7"}
    assert said["c-2"][0] == "bad_row"
    assert said["c-2"][1].startswith("Row 3: email: is not an email address")
    assert said["row 4"][1].startswith("Row 4: the id is missing.")
    assert said["row 5"][1].startswith("Row 5: the id is already on line 2.")
    assert said["old"][0] == "already_exists"
    assert said["old"][1].startswith("Row 6: Cannot import customer old: it is in reserve already")
    assert said["row 7"][1].startswith("Row 7: has 2 fields, and the header names 8.")
    assert layby.rows(
        'SELECT place, name, email, phone, country, zone, "values" FROM customers '
        "WHERE customer = 'c-1'"
    ) == [
        (
            "reserve",
            "Ann",
            "ann@example.org",
            "+33612345678",
            "FR",
            "Europe/Paris",
            {"tier": "gold"},
        )
    ]
    assert layby.one("SELECT directory FROM counters") == 3
    assert audit_is_clean(layby)


def test_nothing_of_an_imports_rows_is_kept_once_it_is_applied(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.send("import_customers", csv="id,email\nc-1,ann@x.example\nc-2,bad@secret@\n")
    assert outcome.applied == 1
    kept = layby.one(
        "SELECT (SELECT string_agg(c::text, '') FROM commands c) "
        "|| (SELECT string_agg(t::text, '') FROM command_targets t) "
        "|| (SELECT string_agg(j::text, '') FROM journal j)"
    )
    assert "ann@" not in kept
    assert "secret" not in kept
    layby.must("purge", customers=["c-1"])
    assert layby.rows("SELECT customer FROM customers") == []


def test_a_purge_leaves_no_row_that_could_not_be_applied(layby: Layby) -> None:
    layby.set_up()
    with spoilt(layby, "customers", "INSERT", "NEW.name = 'Ann'"):
        outcome = layby.send("import_customers", csv="id,name\nc-1,Ann\n")
        assert codes(outcome) == {"c-1": "cannot_apply"}
    layby.add("c-1")
    layby.must("purge", customers=["c-1"])
    assert layby.one("SELECT count(*) FROM command_targets WHERE payload IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("name,email\nAnn,a@example.org\n", "has no column id"),
        ("id,emial\nc-1,a@example.org\n", "Column 2 looks like email"),
        ("id\n", "It has a header, and no row"),
        ('id,name\nc-1,"never closed\n', "is not a CSV from line 2 on"),
        (" \n", "It is empty"),
    ],
)
def test_a_list_that_is_none_is_refused_whole_in_words(layby: Layby, csv: str, says: str) -> None:
    layby.set_up()
    outcome = layby.send("import_customers", csv=csv)
    assert outcome.state == "refused"
    assert says in outcome.refusals[0].message
    assert layby.one("SELECT count(*) FROM command_targets WHERE state = 'waiting'") == 0
    assert audit_is_clean(layby)


def test_an_import_of_nothing_but_bad_rows_is_refused_at_once(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.outcome(layby.accept("import_customers", csv="id,name\n!,A\n,B\n"))
    assert (outcome.state, outcome.refused) == ("refused", 2)
    assert audit_is_clean(layby)


def test_rows_of_a_file_in_parts_are_called_as_in_the_whole_file(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.send("import_customers", csv="id,name\n!,A\n", first_row=5001)
    assert codes(outcome) == {"row 5001": "bad_row"}


def test_a_command_after_an_import_comes_after_it(layby: Layby) -> None:
    layby.set_up()
    layby.accept("import_customers", csv="id,name\nc-1,Ann\nc-2,Bob\n")
    activate = layby.accept("activate", customers=["c-2"])
    apply_waiting(layby.engine, layby.account)
    assert layby.outcome(activate).state == "applied"
    assert places(layby) == {"c-2": "active"}


def test_an_import_takes_those_that_the_directory_has_room_for(layby: Layby) -> None:
    layby.set_up()
    layby.must("put_account", directory_limit=2)
    outcome = layby.send("import_customers", csv="id\nc-1\nc-2\nc-3\n")
    assert codes(outcome) == {"c-3": "directory_limit"}
    assert outcome.refusals[0].message.startswith("Row 4: Cannot import customer c-3: all 2 places")


# All or none.


ALL_OR_NONE = {"all_or_none": True}


def test_all_or_none_takes_nobody_where_one_has_no_room(layby: Layby) -> None:
    layby.set_up(active_limit=2)
    layby.add("ann", "bob", "cid")
    outcome = layby.send("activate", customers=["ann", "bob", "cid"], **ALL_OR_NONE)
    assert (outcome.state, set(codes(outcome).values())) == ("refused", {"active_limit"})
    assert layby.must("activate", customers=["ann", "bob"], **ALL_OR_NONE).applied == 2
    assert audit_is_clean(layby)


def test_all_or_none_takes_nobody_where_one_is_refused_for_any_reason(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bob")
    outcome = layby.send("activate", customers=["ann", "bob", "nobody"], **ALL_OR_NONE)
    assert codes(outcome) == {"ann": "not_all", "bob": "not_all", "nobody": "unknown_customer"}
    assert "another customer is refused" in outcome.refusals[0].message
    assert set(places(layby).values()) == {"reserve"}


def test_all_or_none_of_an_import_wants_every_row_good(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.send("import_customers", csv="id,email\nc-1,\n!,\n", **ALL_OR_NONE)
    assert codes(outcome) == {"c-1": "not_all", "row 3": "bad_row"}
    outcome = layby.send("import_customers", csv="id,email\nc-1,\nc-2,@@\n", **ALL_OR_NONE)
    assert codes(outcome) == {"c-1": "not_all", "c-2": "bad_row"}
    layby.must("put_account", directory_limit=1)
    outcome = layby.send("import_customers", csv="id,email\nc-1,\nc-2,\n", **ALL_OR_NONE)
    assert codes(outcome) == {"c-1": "directory_limit", "c-2": "directory_limit"}
    assert places(layby) == {}
    assert audit_is_clean(layby)


def test_all_or_none_waits_for_what_came_before_it_for_each_of_its_customers(small: Layby) -> None:
    """Whichever of them is rung for; earlier and later commands keep their order."""
    small.set_up(active_limit=2)
    first = small.accept("add_customer", customers=["ann"])
    second = small.accept("import_customers", csv="id\nbob\ncid\n")
    all_ = small.accept("activate", customers=["ann", "bob"], **ALL_OR_NONE)
    last = small.accept("move_to_directory", customers=["ann"])
    apply_to(small.engine, small.account, ["ann"])
    assert [small.outcome(one).state for one in (first, all_, last)] == ["applied"] * 3
    assert places(small) == {"ann": "archived", "bob": "active"}
    assert small.apply(second).applied == 2
    assert audit_is_clean(small)


def test_all_or_none_that_cannot_be_applied_is_set_aside_whole(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bad", "cid")
    with spoilt(layby, "slots", "INSERT", "NEW.customer = 'bad'"):
        outcome = layby.send("activate", customers=["ann", "bad", "cid"], **ALL_OR_NONE)
        assert set(codes(outcome).values()) == {"cannot_apply"}
        assert set(places(layby).values()) == {"reserve"}
    with layby.engine.begin() as connection:
        assert unapplied.replay(connection, layby.account, outcome.id)
    assert layby.apply(outcome.id).applied == 3


def test_all_or_none_of_a_filter_that_finds_too_many_is_refused_whole(
    layby: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    layby.set_up()
    layby.add("ann", "bob", "cid")
    monkeypatch.setattr("domain.commands.ALL_OR_NONE_AT_MOST", 2)
    outcome = layby.send("activate", customers={"place": "reserve"}, **ALL_OR_NONE)
    assert (outcome.state, set(codes(outcome).values())) == ("refused", {"too_many"})
    assert "at most 2, and these are 3" in outcome.refusals[0].message
    assert set(places(layby).values()) == {"reserve"}
    assert audit_is_clean(layby)


def test_all_or_none_of_too_many_is_refused_in_words(layby: Layby) -> None:
    layby.set_up()
    too_many = list(numbered("c", ALL_OR_NONE_AT_MOST + 1))
    outcome = layby.outcome(layby.accept("activate", customers=too_many, **ALL_OR_NONE))
    assert outcome.state == "quarantined"
    assert "at most 5,000, and these are 5,001" in outcome.refusals[0].message
    csv = "id\n" + "\n".join(too_many)
    outcome = layby.outcome(layby.accept("import_customers", csv=csv, **ALL_OR_NONE))
    assert outcome.state == "refused"
    assert "at most 5,000, and these are 5,001" in outcome.refusals[0].message


# Outcomes.


def test_refusals_in_an_outcome_are_bounded_and_all_of_them_can_be_paged(layby: Layby) -> None:
    layby.set_up()
    outcome = layby.send("pause", customers=list(numbered("nobody", 250)))
    assert (outcome.refused, len(outcome.refusals)) == (250, 100)
    with layby.engine.connect() as connection:
        after, seen = "", []
        while page := outcomes.read_refusals(connection, layby.account, outcome.id, after, 90):
            seen += page
            after = str(page[-1].customer)
    assert len({line.customer for line in seen}) == len(seen) == 250


def test_progress_is_read_from_the_commands_row_alone(small: Layby) -> None:
    small.set_up()
    add = small.accept("add_customer", customers=["ann", "bob"])
    apply_to(small.engine, small.account, ["ann"])
    with small.engine.connect() as connection:
        (before,) = outcomes.read_progress(connection, [(small.account, add)])
    assert (before.done, before.bulk, before.resolved) == (False, True, False)
    small.apply(add)
    with small.engine.connect() as connection:
        (after,) = outcomes.read_progress(connection, [(small.account, add)])
    assert (after.done, after.resolved, after.decided, after.targets) == (True, True, 2, 2)


def test_a_bulk_chunk_is_a_fixed_number_of_statements(layby: Layby) -> None:
    """However many customers: what grows with them is rows, not round trips."""
    layby.set_up(active_limit=1000)
    names = list(numbered("c", 200))
    layby.must(
        "import_customers", csv="id,email\n" + "".join(f"{n},{n}@x.example\n" for n in names)
    )
    layby.must("activate", customers=names)
    layby.must("assign_schedule", customers=names, schedule="dunning")
    layby.accept("move_to_directory", customers=names)
    counted: list[str] = []
    event.listen(layby.engine, "before_cursor_execute", lambda *a: counted.append(a[2]))
    apply_bulk(layby.engine, layby.account)
    assert layby.one("SELECT count(*) FROM pending") == 0
    # 2 to resolve, 13 for each of two chunks, 3 to look at what waits, before each and at the end.
    assert len(counted) <= 48, len(counted)


class spoilt:  # noqa: N801 - reads as a statement
    """A trigger that spoils what the engine writes, until the block ends."""

    def __init__(self, layby: Layby, table: str, what: str, when: str) -> None:
        self._layby, self._table = layby, table
        self._sql = f"""
            CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'spoilt'; END $$;
            CREATE TRIGGER spoil BEFORE {what} ON {table} FOR EACH ROW WHEN ({when})
            EXECUTE FUNCTION spoil()
        """

    def __enter__(self) -> None:
        with self._layby.engine.begin() as connection:
            connection.exec_driver_sql(self._sql)

    def __exit__(self, *_: object) -> None:
        with self._layby.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TRIGGER spoil ON {self._table}")
