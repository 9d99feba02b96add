"""How much of the ledger the audit of kill switches reads: what can have broken one."""

from harness import Layby
from plans import listen, nodes_of
from unit.storage.test_audit_history import audit, execute, found

from domain.switch import Scope, Switch
from storage.audit import CheckResult
from workers import switches

NAME = "started_while_switched_off"

OF_JANUARY_2020 = """
CREATE TABLE sends_202001 PARTITION OF sends FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z');
INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                   business_at, settled_at, send, token)
SELECT 'acme', n, 0, 'old', 'email', 'sent', '', moment, moment, moment, n, gen_random_uuid()
FROM generate_series(1001, 2000) n, (SELECT timestamptz '2020-01-10Z' AS moment) AS old;
ANALYZE sends
"""


def pause_email(layby: Layby) -> None:
    switches.pause(layby.engine, Switch(Scope.CHANNEL, "email"), source="test")


def result_of(layby: Layby) -> CheckResult:
    return next(result for result in audit(layby) if result.check.name == NAME)


def test_months_that_were_over_before_the_first_pause_are_not_read(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    execute(layby, OF_JANUARY_2020)
    assert result_of(layby).checked == 0, "nothing was ever paused"
    pause_email(layby)
    said = listen(layby.engine)
    result = result_of(layby)
    said[:] = [one for one in said if one[0].startswith("SET ") or "began while" in one[0]]
    loops = {
        node["Relation Name"]: node["Actual Loops"]
        for node in nodes_of(layby.engine, said)
        if node.get("Relation Name", "").startswith("sends_")
    }
    assert loops.pop("sends_202001", 0) == 0
    assert any(loops.values()), "a check that looks at nothing proves nothing"
    assert result.checked == 1


def test_send_that_began_while_paused_is_found_though_its_clock_was_hours_behind(
    layby: Layby,
) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    pause_email(layby)
    execute(layby, "UPDATE sends SET send = 987654, settled_at = settled_at - interval '23 hours'")
    assert found(layby) == {NAME: ["ann"]}
    switches.resume(layby.engine, Switch(Scope.CHANNEL, "email"), source="test")
    execute(layby, "UPDATE journal SET data = data || '{\"send\": 987654}' WHERE data ? 'send'")
    assert found(layby) == {NAME: ["ann"]}
