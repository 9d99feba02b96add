"""A worker that stands still: suspended, swapped out, or stopped by a debugger.

What can't be had is said where G1 is documented: a process frozen between its last look at the
deadline and the last byte to the provider sends that byte when it wakes. Here it is frozen anywhere
before that look.
"""

import json
import signal
from pathlib import Path

from acceptance.mail_server import MailServer
from acceptance.stage import Stage, active, assign, move, set_up
from patience import until

from config.machine_time import machine_seconds

IDLE_IN_TRANSACTION_SECONDS = 2
"""What the database allows a role that Layby has migrated with."""


def test_worker_frozen_while_it_starts_sends_does_not_hold_up_a_move(
    stage: Stage, tmp_path: Path
) -> None:
    """The database ends its transaction; when it wakes, what it held is not its own any more."""
    # The timeout belongs to role and database, and a copy of a database has none.
    assert stage.layby("migrate").returncode == 0
    with MailServer(tmp_path, stage.environ) as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?starttls=never"
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active("c-1", "c-2"))
            until(lambda: stage.states("add-c-2") == ["applied"], "the customers are there")
            # Templates are read in the start, under the slots' locks, and by nobody else here.
            with stage.locked("template_versions", "ACCESS EXCLUSIVE"):
                stage.publish(assign("a", "c-1", "c-2"))
                until(lambda: _waiting_for_a_lock(stage) == 1, "a start is half done")
                supervisor.send("delivery", signal.SIGSTOP)
            began = machine_seconds()
            stage.publish(move("m", "c-1"))
            until(lambda: stage.states("m") == ["applied"], "the move is applied")
            assert machine_seconds() - began < IDLE_IN_TRANSACTION_SECONDS + 3
            supervisor.send("delivery", signal.SIGCONT)
            until(lambda: len(_outcomes(stage)) == 2, "both steps have their outcome", 40)
            assert _outcomes(stage) == {"c-1": "cancelled", "c-2": "sent"}
    assert [one.recipient for one in mail.mails()] == ["c-2@example.org"]


def test_worker_frozen_before_the_final_dot_sends_nothing_once_quiet_is_reported(
    stage: Stage, tmp_path: Path
) -> None:
    """The lease ends, an outside tick rescues the send as unknown, and only then is it quiet.

    The worker wakes past its deadline and resets the connection: its message never goes out.
    """
    with MailServer(tmp_path, stage.environ, hold="RCPT") as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?starttls=never"
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active("c-1"), assign("a", "c-1"))
            until(lambda: mail.held == 1, "a message is all but sent")
            with supervisor.killed("scheduler", signal.SIGTERM):
                supervisor.send("delivery", signal.SIGSTOP)
                stage.publish(move("m", "c-1"))
                until(lambda: stage.states("m") == ["applied"], "the move is applied")
                assert stage.one(QUIET) is None
                ticked = json.loads(stage.layby("tick", "--json").stdout)
                assert (ticked["rescued"], ticked["quiet"]) == (1, 1)
                assert stage.one(QUIET) is not None
                assert _outcomes(stage) == {"c-1": "unknown"}
                mail.release()
                supervisor.send("delivery", signal.SIGCONT)
                # The worker's own word, which comes late: it held the message back.
                until(lambda: _outcomes(stage) == {"c-1": "failed"}, "the worker has woken")
    assert mail.mails() == []


QUIET = "SELECT quiet_at FROM command_targets WHERE open IS NOT NULL"


def _outcomes(stage: Stage) -> dict[str, str]:
    return dict(stage.rows("SELECT customer, state FROM sends"))


def _waiting_for_a_lock(stage: Stage) -> int:
    waiting: int = stage.one(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return waiting
