"""The command line on a real database: what operators see, and the exit status."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from backlog import another_account, make_due
from concurrency.parts import start
from harness import KEY, START, Layby
from warm import WarmLayby

from domain.message import Answer, Result
from ops.fact_words import in_words
from ops.servers import Servers
from storage import rescues
from storage.reports import LATER_AT_MOST
from workers.settling import settle_open

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(database_url: str, servers: Servers, tmp_path: Path, warm: WarmLayby) -> Run:
    """Run `layby` as a person would, on this test's database."""

    def layby(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "LAYBY_DATABASE_URL": database_url,
            "LAYBY_REDIS_URL": servers.redis_url,
            "LAYBY_SECRET_KEY": KEY.decode(),
            "LAYBY_HOME": str(tmp_path / "home"),
            "LAYBY_HTTP_PORT": "0",
        }
        return warm.run(arguments, {**os.environ, **settings, **environ}, tmp_path)

    return layby


def test_customers_lists_where_everybody_is(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.add("bob")
    everybody = json.loads(run("customers", "--json").stdout)
    assert [(row["customer"], row["place"], row["schedules"]) for row in everybody] == [
        ("ann", "active", 1),
        ("bob", "reserve", 0),
    ]
    told = run("customers", "--place", "reserve")
    assert "bob" in told.stdout
    assert "ann" not in told.stdout


def test_explain_tells_what_happened_by_whom_what_did_not_and_what_comes(
    layby: Layby, run: Run
) -> None:
    layby.set_up()
    layby.must("add_customer", customers=["ann"], profile={"phone": "+33612345678"})
    layby.must("activate", customers=["ann"], source="crm", reason="signed")
    layby.must("assign_schedule", customers=["ann"], schedule="dunning")
    layby.deliver()
    told = run("explain", "ann").stdout
    assert "Customer ann of acme is active" in told
    assert "from crm: signed" in told
    assert "step 1 by email: skipped (reachable: the customer has no email address)" in told
    assert "dunning v1 step 2 of 3: will be due by sms" in told
    layby.must("move_to_directory", customers=["ann"])
    stop = layby.must("opt_out", number="+33612345678", source="sms")
    told = run("explain", "ann").stdout
    assert "step 2 by sms: cancelled (moved)" in told
    said = f"since Mon 2026-01-05 09:00 (command {stop.id} from sms)."
    assert f"Not written to: its number has opted out of sms, {said}" in told
    assert "only active customers get reminders" in told
    story = json.loads(run("explain", "ann", "--json").stdout)
    assert story["customer"]["place"] == "archived"
    assert story["coming"] == []
    assert [(one["kind"], one["by"]) for one in story["suppressions"]] == [("opted_out", "number")]


def test_explain_tells_what_was_put_off_by_which_rule_and_until_when(
    layby: Layby, run: Run
) -> None:
    """START is 08:00; what went out later tells why it was late."""
    layby.set_up()
    layby.must("put_account", rules={"no_send_hours": {"from": "07:00", "until": "09:30"}})
    layby.on_schedule("ann")
    layby.deliver()
    told = run("explain", "ann").stdout
    assert "step 1 by email: put off until Mon 2026-01-05 09:30 by no_send_hours" in told
    layby.travel(timedelta(hours=2))
    layby.deliver()
    told = run("explain", "ann").stdout
    assert told.index("put off until Mon 2026-01-05 09:30") < told.index("step 1 by email: sent")


def test_explain_tells_facts_and_what_holds_in_plain_words(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    for fact in (
        {"fact": "invoice", "reference": "i-1"},
        {"fact": "payment", "reference": "i-1", "full": False},
        {"fact": "promise", "until": "2026-01-05"},
        {"fact": "dispute", "reference": "i-1"},
        {"fact": "interaction", "direction": "inbound", "channel": "email"},
        {"fact": "interaction", "direction": "outbound"},
        {"fact": "note", "text": "away"},
        {"fact": "dispute", "reference": "i-1", "outcome": "rejected"},
    ):
        layby.must("record", customers=["ann"], fact=fact, source="crm")
    told = run("explain", "ann").stdout
    for words in (
        "invoice i-1 recorded (command",
        "paid in part for i-1",
        "promised to pay by 2026-01-05; 1 reminder taken out",
        "disputes i-1",
        "the customer got in touch by email; a person is to see to it",
        "a note was taken (command",
        "the dispute for i-1 is closed: it is owed",
        "step 1 of 3: held: promised, replied until Tue 2026-01-06 00:00",
        "from crm",
    ):
        assert words in told
    assert "away" not in told
    broken = in_words("promise_broken", {"reference": "i-1"})
    assert broken == "the promise for i-1 was not kept, and holds nothing any more"


def test_explain_tells_two_runs_of_one_schedule_apart(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    for reference in ("i-1", "i-2"):
        layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference=reference)
    layby.deliver()
    told = run("explain", "ann").stdout
    for reference in ("i-1", "i-2"):
        assert f"put on schedule dunning v1 for {reference}" in told
        assert f"dunning v1 step 1 for {reference} by email: sent" in told
    layby.must("remove_from_schedule", customers=["ann"], schedule="dunning", reference="i-2")
    assert "taken off schedule dunning for i-2" in run("explain", "ann").stdout


@pytest.mark.parametrize(
    "words",
    [
        *(("customers",), ("queues",), ("failed",), ("unknown", "list"), ("command", "list")),
        *(("switches",), ("audit",), ("forecast",), ("schedule", "list")),
    ],
)
def test_nothing_found_is_told_of_no_account_that_is_not_there(
    layby: Layby, run: Run, words: tuple[str, ...]
) -> None:
    """`failed --account amce` must not say that nothing failed."""
    layby.set_up()
    done = run(*words, "--account", "amce")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no account amce. There are: acme. Correct the name")
    assert run(*words, "--account", "acme").returncode == 0


def test_lists_of_several_accounts_name_them(layby: Layby, run: Run) -> None:
    layby.set_up()
    assert "acme" not in run("command", "list").stdout
    another_account(layby, "other")
    assert "acme  " in run("command", "list").stdout
    assert "There are several accounts: acme, other." in run("forecast").stderr


def test_a_command_with_many_refusals_does_not_hide_the_ones_beside_it(
    layby: Layby, run: Run
) -> None:
    layby.set_up()
    refused = layby.send("pause", customers=[f"c-{number}" for number in range(12)])
    told = run("command", "list").stdout
    assert told.count("there is no such customer") == 10
    assert f"  and 2 more: layby command show {refused.id} --refusals" in told
    everybody = run("command", "show", refused.id, "--refusals").stdout
    assert everybody.count("there is no such customer") == 12


def test_version_is_told(run: Run) -> None:
    assert run("--version").stdout == f"layby {version('layby')}\n"


def test_command_on_several_lines_is_told_where_it_is_wrong(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "command.json"
    file.write_text(
        '{"id": "m-1",\n "account": "acme", "kind": "pause",\n "customers": ["ann"],}\n'
    )
    assert "trailing comma at line 3 column" in run("send", str(file)).stderr
    file.write_bytes(b'{"id": "\xe9"}')
    assert run("send", str(file)).stderr == f"Cannot read {file}: it is not in UTF-8.\n"


def test_explain_says_so_where_there_is_no_such_customer(layby: Layby, run: Run) -> None:
    layby.set_up()
    told = run("explain", "nobody")
    assert told.returncode == 1
    assert told.stderr.strip() == "There is no customer nobody. See: layby customers"


def test_queues_tells_what_is_due_later_and_started(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.deliver()
    layby.on_schedule("cid")
    layby.accept("pause", customers=["cid"])
    rows = {row["queue"]: row for row in json.loads(run("queues", "--json").stdout)}
    assert (rows["email"]["due"], rows["email"]["later"]) == (1, 0)
    assert (rows["sms"]["due"], rows["sms"]["later"]) == (0, 2)
    assert rows["lifecycle"]["due"] == 1
    assert "intake" not in rows


def test_queues_tells_where_it_has_not_counted_to_the_end(layby: Layby, run: Run) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", LATER_AT_MOST + 1, at=START + timedelta(days=1))
    assert " 10000+ " in run("queues").stdout
    assert " 10001 " in run("queues", "--exact").stdout
    (row,) = json.loads(run("queues", "--json").stdout)
    assert (row["later"], row["more"]) == (LATER_AT_MOST, True)


def test_command_submitted_in_sql_is_counted_and_told_of_before_it_is_taken_in(
    layby: Layby, run: Run
) -> None:
    """Nobody has to know of the table to see what waits, and why it goes no further."""
    layby.set_up()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """SELECT layby_submit('{"id": "s-1", "account": "acme", "kind": "pause"}')"""
        )
    (row,) = json.loads(run("queues", "--json", "--account", "acme").stdout)
    assert (row["queue"], row["due"]) == ("intake", 1)
    assert row["oldest_due"] is not None
    told = run("command", "show", "s-1")
    assert told.returncode == 1
    assert "Command s-1 was submitted in SQL at" in told.stderr
    assert "Is an intake process running?" in told.stderr
    assert "There is no command s-2" in run("command", "show", "s-2").stderr


def test_failed_and_unknown_are_listed_and_an_unknown_is_resolved(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE customers SET email = 'not an address'")
    layby.deliver()
    (failed,) = json.loads(run("failed", "--json").stdout)
    assert (failed["customer"], failed["rule"]) == ("ann", "permanent")
    assert "not an address" not in failed["detail"]
    _leave_unknown(layby)
    (unknown,) = json.loads(run("unknown", "list", "--json").stdout)
    resolve = ("unknown", "resolve", "acme", str(unknown["send"]), "sent")
    assert run(*resolve).returncode == 0
    assert run(*resolve).returncode == 1
    assert run("unknown", "list").stdout.strip() == "There is word of every send."


def _leave_unknown(layby: Layby) -> None:
    """The next step starts, and nobody ever hears of it."""
    layby.travel(timedelta(days=1))
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            WITH taken AS (DELETE FROM pending RETURNING *)
            INSERT INTO started (account, token, enrolment, slot, customer, step, channel,
                                 planned_at, attempts, template, template_version, recipient_hash,
                                 decision, business_at, lease_seconds, worker)
            SELECT account, gen_random_uuid(), enrolment, slot, customer, step, channel, planned_at,
                   1, 'nudge', 1, '', '{}', now(), 30, 'gone' FROM taken
            """
        )
        open_ = rescues.open_starts(connection)
    settle_open(layby.engine, open_, Result(Answer.UNKNOWN, "no word"))


def test_check_finds_every_mistake(run: Run) -> None:
    good = json.loads(run("check", "--json").stdout)
    # What the tests run on is not durable, and that is said.
    assert {row["what"] for row in good if row["result"] != "ok"} <= {
        "database settings",
        "redis settings",
    }
    assert {row["what"] for row in good} == {
        "home",
        "retention",
        "clock",
        "database",
        "database settings",
        "schema",
        "secret key",
        "redis",
        "redis settings",
        "http",
        "restore",
        "email",
        "sms",
    }
    bad = run("check", "--json", LAYBY_EMAIL_URL="smpt://relay", LAYBY_SECRET_KEY="x" * 32)
    assert bad.returncode == 1
    broken = {row["what"] for row in json.loads(bad.stdout) if row["result"] == "broken"}
    assert broken >= {"email"}


def test_a_misspelt_setting_is_told_with_the_right_one(run: Run) -> None:
    told = run("customers", LAYBY_EMIAL_URL="file://x")
    assert told.returncode == 1
    assert "Did you mean LAYBY_EMAIL_URL?" in told.stderr
    assert "Traceback" not in told.stderr


def test_wrong_usage_has_a_status_of_its_own(run: Run) -> None:
    assert run("nonesuch").returncode == 2
    assert run("send").returncode == 2
    assert run("customers", "--place", "nowhere").returncode == 2


def test_what_is_paused_is_listed_explained_and_resumed(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    paused = run("pause", "template", "hello", "--account", "acme", "--reason", "typo", "--wait")
    assert paused.stdout.strip() == "Paused template hello of acme."
    assert "paused: template hello (typo)" in run("explain", "ann").stdout
    (row,) = json.loads(run("queues", "--json").stdout)
    assert (row["queue"], row["paused"]) == ("email", "template hello (typo)")
    (listed,) = json.loads(run("switches", "--json").stdout)
    assert (listed["scope"], listed["name"], listed["reason"]) == ("template", "hello", "typo")
    resumed = run("resume", "template", "hello", "-a", "acme", "--over", "PT1M", "--json")
    assert json.loads(resumed.stdout)["spread"] == 1
    assert run("switches").stdout.strip() == "Nothing is paused."
    again = run("resume", "template", "hello", "-a", "acme")
    assert (again.returncode, "it is not paused" in again.stderr) == (1, True)


def test_pausing_commands_warns_that_moves_wait(layby: Layby, run: Run) -> None:
    layby.set_up()
    assert "Moves will wait" in run("pause", "queue", "lifecycle").stdout
    assert run("resume", "queue", "lifecycle", "--over", "soon").returncode == 2
    assert run("pause", "queue", "lifecycel").returncode == 1


def test_pause_that_waits_says_what_is_still_in_progress(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    start(layby.engine, layby.account)
    told = run("pause", "account", "acme", "--wait", "--timeout", "0")
    assert told.returncode == 1
    assert "Sends still in progress after 0 seconds: 1." in told.stderr


def test_what_would_go_out_is_told_with_what_would_block_it(layby: Layby, run: Run) -> None:
    layby.set_up()
    layby.add("ann", phone=None)
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference="i-1")
    told = run("forecast", "--days", "2").stdout.splitlines()
    assert told[1].split() == [
        *("Mon", "2026-01-05", "08:00", "2026-01-05", "08:00", "ann", "dunning", "v1", "i-1"),
        *("1/3", "email", "hello"),
    ]
    assert "skipped by reachable: the customer has no telephone number" in told[3]
    assert told[-2] == "Until 2026-01-07 08:00 UTC: 1 sent, 1 skipped."
    answer = json.loads(run("forecast", "ann", "--json").stdout)
    assert answer["counts"] == {"sent": 2, "skipped": 1, "put_off": 0, "in_progress": 0, "held": 0}
    assert [(one["step"], one["rule"]) for one in answer["sends"]] == [
        *((1, None), (2, "reachable"), (3, None))
    ]
    for words, said in (
        (("forecast", "nobody"), "There is no customer nobody."),
        (("forecast", "--account", "nonesuch"), "There is no account nonesuch."),
        (("forecast", "--schedule", "rent"), "Account acme has no schedule rent."),
        (("schedule", "diff", "rent"), "Account acme has no schedule rent."),
        (("travel", "acme", "--to", "2026-01-04T08:00Z"), "travels forward only"),
    ):
        refused = run(*words)
        assert (refused.returncode, said in refused.stderr) == (1, True), (words, refused.stderr)
    assert run("travel", "acme").returncode == 2


def test_schedule_file_with_a_mistake_is_refused_with_its_line_and_nothing_is_sent(
    layby: Layby, run: Run, tmp_path: Path
) -> None:
    layby.set_up()
    (tmp_path / "rent.yaml").write_text("anchor: due_date\nsteps:\n  - {offset: P1D}\n")
    for words in (("apply", "rent.yaml"), ("preview", "rent.yaml")):
        refused = run("schedule", *words)
        assert refused.returncode == 1
        assert "rent.yaml, line 3: steps[0].channel: is missing" in refused.stderr
    good = (
        '{"anchor": "assigned_at", "steps": [{"offset": "P1D", "channel": "sms", "template": "t"}]}'
    )
    (tmp_path / "rent.json").write_text(good)
    nowhere = run("schedule", "preview", "rent.json", "--zone", "Europe/Pariss")
    assert (nowhere.returncode, "no zone Europe/Pariss" in nowhere.stderr) == (1, True)
    never = run("schedule", "preview", "rent.json", "--anchor", "9999-12-30T10:00")
    said = "--anchor is 9999-12-30T10:00, which is not between the years 1900 and 2199."
    assert (never.returncode, said in never.stderr) == (1, True)
    assert layby.one("SELECT count(*) FROM commands WHERE kind = 'put_schedule'") == 1
    (version,) = json.loads(run("schedule", "list", "--json").stdout)
    assert (version["schedule"], version["newest"], version["customers"]) == ("dunning", True, 0)
    assert "Nobody is on an older version" in run("schedule", "diff", "dunning").stdout
