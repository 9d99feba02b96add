"""SIGTERM: a process finishes what is open, and starts nothing more."""

import signal
from pathlib import Path

from mail_server import MailServer
from patience import until
from stage import Stage, active, assign, set_up

from config.machine_time import Deadline
from ops.processes import STOP_WITHIN_MILLISECONDS


def test_delivery_told_to_stop_settles_all_that_it_has_handed_over(
    stage: Stage, tmp_path: Path
) -> None:
    """Nothing of it is unknown; the rest waits for the next process."""
    customers = [f"c-{n}" for n in range(30)]
    with MailServer(tmp_path, stage.environ, hold="DATA") as mail:
        stage.environ["LAYBY_EMAIL_URL"] = f"{mail.url}?connections=10&starttls=never"
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active(*customers), assign("a", *customers))
            until(lambda: mail.held == 10, "as many hand-overs are open as there may be")
            with supervisor.kept_away("delivery"):
                deadline = Deadline.after(STOP_WITHIN_MILLISECONDS / 1000)
                supervisor.send("delivery", signal.SIGTERM)
                until(lambda: '"stopping"' in supervisor.log("delivery"), "it was told")
                mail.release()
                until(lambda: ("delivery", 0) in supervisor.endings, "it has ended well", 40)
                assert not deadline.passed
                assert len(mail.mails()) == 10
                assert _states(stage) == {"sent": 10}
                assert stage.one("SELECT count(*) FROM started") == 0
            until(lambda: _states(stage) == {"sent": 30}, "the next process goes on")
    assert len({one.key for one in mail.mails()}) == len(mail.mails()) == 30


def test_every_process_told_to_stop_while_idle_ends_at_once_and_well(stage: Stage) -> None:
    with stage.supervisor().start() as supervisor:
        for kind in supervisor.kinds:
            until(lambda kind=kind: '"started"' in supervisor.log(kind), f"{kind} runs")
        deadline = Deadline.after(10)
    assert not deadline.passed
    assert sorted(supervisor.endings) == [(kind, 0) for kind in sorted(supervisor.kinds)]


def _states(stage: Stage) -> dict[str, int]:
    return dict(stage.rows("SELECT state, count(*) FROM sends GROUP BY state"))
