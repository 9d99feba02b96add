"""Set-up commands: accounts, schedules and templates."""

import json

from domain.commands import (
    Command,
    CommandState,
    CustomerCommand,
    Envelope,
    PutAccount,
    PutSchedule,
    PutTemplate,
)
from storage import accounts, definitions, journal, switches, unapplied
from storage.accounts import Account
from storage.database import Connection
from storage.journal import Entry
from workers.rendering import RenderError, check_template


class SetupRefusedError(Exception):
    """A set-up command can't be applied as it is; the message says what to do."""


def apply(connection: Connection, account: str, seq: int) -> bool:
    """Apply one set-up command, if it is one and still waits; True: a test clock travelled."""
    command = unapplied.lock_setup(connection, account, seq)
    if command is None or not switches.lifecycle_runs(connection):
        return False
    try:
        entry = _apply(connection, command, seq)
    except SetupRefusedError as refusal:
        unapplied.finish_setup(connection, account, seq, CommandState.REFUSED, str(refusal))
        return False
    known = accounts.read_account(connection, account)
    assert known is not None, "put_account has made it, the others need it"
    journal.add(connection, account, [entry], known.now)
    unapplied.finish_setup(connection, account, seq, CommandState.APPLIED, None)
    return isinstance(command, PutAccount) and command.test_clock is not None


def _apply(connection: Connection, command: Command, seq: int) -> Entry:
    known = accounts.lock_account(connection, command.account)
    match command:
        case PutAccount():
            return _put_account(connection, command, known, seq)
        case PutSchedule() | PutTemplate() if known is None:
            raise SetupRefusedError(
                f"There is no account {command.account}. Create it with put_account, then send "
                "the command again under another id."
            )
        case PutSchedule():
            version = definitions.put_schedule(
                connection, command.account, command.schedule, command.definition
            )
            data = {"schedule": command.schedule, "version": version}
            return Entry(None, "schedule_put", data, seq)
        case PutTemplate():
            return _put_template(connection, command, seq)
        case _:
            assert not isinstance(command, CustomerCommand)
            raise AssertionError(f"{command.kind} is no set-up command")


def _put_account(
    connection: Connection, command: PutAccount, known: Account | None, seq: int
) -> Entry:
    if command.test_clock is not None and known is not None:
        if known.test_now is None:
            raise SetupRefusedError(
                f"Account {command.account} is live, and its clock can't be set. Make a test "
                "account of its own: test_clock in its first put_account."
            )
        if command.test_clock < known.test_now:
            raise SetupRefusedError(
                f"The test clock of {command.account} is at {known.test_now.isoformat()}, and "
                "travels forward only. Give a later moment, or make a new test account."
            )
    accounts.put_account(connection, command)
    accounts.put_plan(connection, command)
    changed = sorted(command.model_fields_set - set(Envelope.model_fields))
    data: dict[str, object] = {"changed": changed}
    if command.rules is not None:
        put = accounts.read_account(connection, command.account)
        assert put is not None, "it has just been put"
        data |= {"rules": json.loads(put.kept_rules), "rules_version": put.rules_version}
    return Entry(None, "account_put", data, seq)


def _put_template(connection: Connection, command: PutTemplate, seq: int) -> Entry:
    for language, text in command.definition.texts.items():
        try:
            check_template(text)
        except RenderError as error:
            raise SetupRefusedError(
                f"Template {command.template} can't be used: texts.{language}: {error}."
            ) from None
    version = definitions.put_template(
        connection, command.account, command.template, command.definition
    )
    data = {"template": command.template, "version": version}
    return Entry(None, "template_put", data, seq)
