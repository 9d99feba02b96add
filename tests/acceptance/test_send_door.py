"""`layby send`: commands from a file or a pipe, and what became of them."""

import json
from pathlib import Path

import pytest
from acceptance.mail_server import MailServer
from acceptance.stage import Stage, active, as_json, assign, command, move, set_up
from patience import until


def as_lines(*commands: dict[str, object]) -> str:
    return "\n".join(as_json(one).decode() for one in commands) + "\n"


def test_commands_sent_from_a_file_or_a_pipe_are_waited_for(stage: Stage, tmp_path: Path) -> None:
    """Exit status 0 says that all of it is done; the outcomes are on standard output."""
    file = tmp_path / "set-up.jsonl"
    file.write_text(as_lines(*set_up()), encoding="utf-8")
    with stage.supervisor().start("lifecycle"):
        from_file = stage.layby("send", str(file), "--wait", "done", "--json")
        assert from_file.returncode == 0, from_file.stderr
        assert {one["state"] for one in json.loads(from_file.stdout)} == {"applied"}
        piped = stage.layby("send", "-", "--wait", "done", "--json", typed=as_lines(*active("c-1")))
        assert piped.returncode == 0, piped.stderr
        outcome = json.loads(piped.stdout)
        assert (outcome["id"], outcome["state"], outcome["applied"]) == ("add-c-1", "applied", 1)
        again = stage.layby("send", "-", "--wait", "done", typed=as_lines(*active("c-1")))
        assert again.returncode == 0, again.stderr
    assert stage.one("SELECT count(*) FROM journal WHERE event = 'customer_added'") == 1


def test_send_that_waits_for_quiet_returns_once_nothing_is_in_progress(
    stage: Stage, tmp_path: Path
) -> None:
    """A message is under way when the move comes: quiet is reported after it has ended."""
    with MailServer(tmp_path, stage.environ, hold="DATA") as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?starttls=never"
        with stage.supervisor().start():
            stage.publish(*set_up(["PT0S", "PT1S"]), *active("c-1"), assign("a", "c-1"))
            until(lambda: mail.held == 1, "a message is under way")
            typed = as_lines(move("hush", "c-1"))
            early = stage.layby("send", "-", "--wait", "quiet", "--timeout", "0.5", typed=typed)
            assert early.returncode == 1
            assert "Not quiet after 0.5 seconds: hush" in early.stderr
            mail.release()
            late = stage.layby("send", "-", "--wait", "quiet", "--json", typed=typed)
            assert late.returncode == 0, late.stderr
    outcome = json.loads(late.stdout)
    assert (outcome["state"], outcome["started"], outcome["unknown"]) == ("applied", 1, 0)
    assert outcome["quiet_at"] is not None
    assert len(mail.mails()) == 1


def test_refused_command_ends_with_status_1_and_says_why(stage: Stage) -> None:
    """A script can tell by the exit status alone."""
    with stage.supervisor().start("lifecycle"):
        unknown = as_lines(*set_up(), move("nobody", "c-404"))
        refused = stage.layby("send", "-", "--wait", "done", typed=unknown)
    assert refused.returncode == 1
    assert "c-404" in refused.stdout
    assert "Traceback" not in refused.stderr


def test_one_unreadable_line_keeps_all_from_being_sent(stage: Stage) -> None:
    """All or none: a half-sent file is nobody's wish."""
    broken = as_lines(*set_up()) + '{"id": "x", "account": "acme", "kind": "explode"}\n'
    done = stage.layby("send", "-", typed=broken)
    assert done.returncode == 1
    assert f"Line {len(set_up()) + 1} is no command, and nothing was sent" in done.stderr
    assert stage.one("SELECT count(*) FROM commands") == 0


@pytest.mark.parametrize("typed", ["\n\n", '"text"'])
def test_input_without_a_command_is_refused_in_words(stage: Stage, typed: str) -> None:
    done = stage.layby("send", "-", typed=typed)
    assert done.returncode == 1
    assert "command" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_ends_with_status_2(stage: Stage) -> None:
    assert stage.layby("send", "-", "--wait", "forever").returncode == 2
    assert stage.layby("send").returncode == 2
    assert stage.layby("sned", "-").returncode == 2


def test_file_that_cannot_be_read_ends_with_status_1(stage: Stage, tmp_path: Path) -> None:
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"reason": "pay\xe9"}')
    for file in (str(tmp_path / "missing.json"), str(tmp_path), str(latin)):
        done = stage.layby("send", file)
        assert done.returncode == 1
        assert f"Cannot read {file}" in done.stderr.replace("\n", "")


def test_send_without_a_wait_only_makes_the_command_ours(stage: Stage) -> None:
    """Nobody applies it here; a process that starts later does."""
    done = stage.layby("send", "-", "--json", typed=as_lines(command("p", "put_account")))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "accepted"
