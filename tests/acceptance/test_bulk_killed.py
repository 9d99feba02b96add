"""`kill -9` of the bulk process in the middle of a bulk move; and an import from the shell."""

import csv
import json
from functools import partial
from pathlib import Path

from acceptance.stage import Stage, command, move, set_up
from patience import until

MOVED = 600


def test_bulk_move_goes_on_after_its_process_is_killed_and_moves_each_customer_once(
    stage: Stage,
) -> None:
    """Resumed where it stopped, twice; each customer has one line, and single moves go through.

    A first step is due for everybody, paused until a part is moved; the bulk queue is paused when
    its process comes back the second time.
    """
    names = [f"c-{number:04d}" for number in range(MOVED)]
    rows = "".join(f"{name},{name}@example.org\n" for name in names)
    with stage.supervisor() as supervisor:
        supervisor.start("lifecycle", "bulk", "intake", "scheduler", "delivery")
        stage.publish(*set_up(["PT0S", "P1D"]))
        until(lambda: stage.states("schedule") == ["applied"], "there is a schedule")
        assert stage.layby("pause", "channel", "email", "--account", "acme").returncode == 0
        stage.publish(
            command("import", "import_customers", csv="id,email\n" + rows),
            command("activate", "activate", customers=names),
            command("assign", "assign_schedule", customers=names, schedule="reminders"),
        )
        until(lambda: stage.states("assign") == ["applied"], "everybody is on a schedule", 120)
        stage.publish(command("bulk", "move_to_directory", customers={"schedule": "reminders"}))
        for part in (4, 2):
            until(partial(_more_moved, stage, MOVED // part), f"1/{part} is moved", 60)
            with supervisor.killed("bulk"):
                assert _moved(stage) < MOVED, "it was killed in the middle"
                stage.publish(move(f"single-{part}", names[-part]))
                until(partial(stage.all_are, "applied", f"single-{part}"), "one is moved")
                _switch_while_it_is_gone(stage, part)
                left = _moved(stage)
        until(lambda: supervisor.log("bulk").count('"started"') == 3, "it is back")
        assert _moved(stage) == left, "its queue is paused"
        assert stage.layby("resume", "queue", "bulk").returncode == 0
        until(lambda: stage.states("bulk")[0] not in (None, "accepted"), "all are moved", 120)
        until(lambda: stage.one("SELECT count(*) FROM started") == 0, "all are quiet")
    lines = stage.one(
        "SELECT count(*) FROM command_targets t JOIN commands c USING (account, seq) "
        "WHERE c.command = 'bulk' AND t.state <> 'waiting'"
    )
    assert lines == MOVED
    journaled = "SELECT customer, count(*) FROM journal WHERE event = 'customer_moved' GROUP BY 1"
    assert dict(stage.rows(journaled)) == dict.fromkeys(names, 1)
    assert stage.one("SELECT count(*) FROM pending") == 0
    outcomes = dict(stage.rows("SELECT state, count(*) FROM sends WHERE step = 0 GROUP BY 1"))
    assert set(outcomes) == {"sent", "cancelled"}, "some heard it, and the others were moved"
    assert sum(outcomes.values()) == MOVED
    assert len(list((stage.folder / "outbox").glob("email/new/*"))) == outcomes["sent"]
    audit = stage.layby("audit")
    assert audit.returncode == 0, audit.stdout


def _switch_while_it_is_gone(stage: Stage, part: int) -> None:
    if part == 4:
        assert stage.one("SELECT count(*) FROM sends WHERE state = 'sent'") == 0
        paused = ("channel", "email", "--account", "acme")
        switched = stage.layby("resume", *paused, "--over", "PT0S")
    else:
        switched = stage.layby("pause", "queue", "bulk")
    assert switched.returncode == 0, switched.stderr


def _moved(stage: Stage) -> int:
    return int(stage.one("SELECT coalesce(max(applied), 0) FROM commands WHERE command = 'bulk'"))


def _more_moved(stage: Stage, than: int) -> bool:
    return _moved(stage) > than


def test_import_tells_what_it_refused_and_writes_it_to_be_corrected(
    stage: Stage, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "people.csv", tmp_path / "rejects.csv"
    file.write_text(
        "Customer;E-Mail;Tier\nc-1;a@example.org;gold\nc-2;b@@example.org;\n;none@example.org;\n"
        "c-1;again@example.org;\n",
        encoding="utf-8-sig",
    )
    with stage.supervisor().start("lifecycle", "bulk"):
        unknown = stage.layby("import", str(file), "--account", "nowhere")
        assert unknown.returncode == 1
        assert "no account" in unknown.stderr
        stage.layby(
            *("send", "-", "--wait", "done"),
            typed="\n".join(map(json.dumps, set_up())),
        )
        done = stage.layby("import", str(file), "--rejects", str(rejects))
        again = stage.layby("import", str(file), "--json")
    assert done.returncode == 1
    assert "1 of 4 applied" in done.stdout
    assert "Row 3: email: is not an email address" in done.stdout
    assert "b@@" not in done.stdout + done.stderr
    written = list(csv.reader(rejects.read_text("utf-8").splitlines()))
    assert written[0] == ["Customer", "E-Mail", "Tier", "refused_because"]
    assert [row[:2] for row in written[1:]] == [
        ["c-2", "b@@example.org"],
        ["", "none@example.org"],
        ["c-1", "again@example.org"],
    ]
    assert json.loads(again.stdout)["applied"] == 1, "the same file is the same command"
    assert stage.one("SELECT count(*) FROM customers") == 1


def test_import_of_what_is_no_list_says_what_to_do(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,emial\nAnn,a@example.org\n")
    refused = stage.layby("import", str(file))
    assert refused.returncode == 1
    assert "has no column id" in refused.stderr.replace("\n", " ")


def test_send_waits_for_a_bulk_command_and_every_refusal_can_be_read(stage: Stage) -> None:
    names = [f"nobody-{number}" for number in range(150)]
    commands = [*set_up(), move("all", *names)]
    with stage.supervisor().start("lifecycle", "bulk"):
        typed = "\n".join(map(json.dumps, commands))
        done = stage.layby("send", "-", "--wait", "quiet", typed=typed)
    assert done.returncode == 1
    assert "and 140 more: layby command show all --refusals" in done.stdout
    told = stage.layby("command", "show", "all", "--refusals", "--json")
    assert {line["customer"] for line in json.loads(told.stdout)} == set(names)
