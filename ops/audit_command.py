"""`layby audit`: the guarantees, checked on the database as it is."""

from collections import defaultdict
from typing import Any

import typer

from config.settings import read_settings
from ops.installation import open_installation
from ops.named import check_there
from ops.screen import Account, Json, screen
from storage.audit import CheckResult, run_audit

_TITLES = {
    "G1": "Silence",
    "G2": "Atomic",
    "G3": "By schema",
    "G4": "No duplicates",
    "G5": "Nothing lost",
    "G6": "Quotas",
    "G7": "Commands",
    "bookkeeping": "Rows that belong together",
}


def audit(account: Account = None, json: Json = False) -> None:
    """Check the guarantees on the database, busy or not; exit status 1 when one is broken."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        results = run_audit(connection, account)
        check_there(connection, account, ())
    if json:
        screen.json(as_data(results))
    else:
        _print(results)
    if any(result.broken for result in results):
        raise typer.Exit(1)


def as_data(results: list[CheckResult]) -> dict[str, Any]:
    """For programs. A check of severity `warning` never makes it not ok."""
    return {
        "ok": not any(result.broken for result in results),
        "checks": [
            {
                "guarantee": result.check.guarantee,
                "name": result.check.name,
                "question": result.check.question,
                "severity": "warning" if result.check.warning else "violation",
                "checked": result.checked,
                "over": result.check.over,
                "found": result.found,
                "violations": [violation._asdict() for violation in result.violations],
                "remedy": result.check.remedy,
            }
            for result in results
        ],
    }


def _print(results: list[CheckResult]) -> None:
    by_guarantee: dict[str, list[CheckResult]] = defaultdict(list)
    for result in results:
        by_guarantee[result.check.guarantee].append(result)
    for guarantee, title in _TITLES.items():
        screen.say(f"{guarantee}  {title}" if guarantee.startswith("G") else title)
        for result in by_guarantee[guarantee]:
            _print_one(result)
    screen.say(in_words(results))


def _print_one(result: CheckResult) -> None:
    check = result.check
    mark = "ok" if not result.found else "BROKEN" if result.broken else "warning"
    screen.say(f"  {mark:8}{check.question}  ({result.checked:,} {check.over})")
    for account, customer, detail in result.violations:
        who = " ".join(name for name in (account, customer) if name)
        screen.say(f"          {who}: {detail}" if who else f"          {detail}")
    if result.found > len(result.violations):
        screen.say(f"          and {result.found - len(result.violations):,} more")
    if result.found:
        screen.say(f"          What to do: {check.remedy}")


def in_words(results: list[CheckResult]) -> str:
    """The last line: what it came to."""
    broken = [result for result in results if result.broken]
    warnings = sum(result.found for result in results if result.check.warning)
    told = f" {warnings:,} warnings: see above." if warnings else ""
    if not broken:
        return f"Every guarantee holds: {len(results)} questions, no violation.{told}"
    found = sum(result.found for result in broken)
    guarantees = ", ".join(sorted({result.check.guarantee for result in broken}))
    return f"{found:,} violations in {len(broken)} of {len(results)} checks: {guarantees}.{told}"
