"""Logs hold ids, never people."""

import json
import logging
import sys

import pytest
import structlog

from config.logs import configure_logs, exception_in_words
from storage.database import Engine


def in_words(error: Exception) -> str:
    try:
        raise error
    except type(error) as raised:
        return exception_in_words((type(raised), raised, raised.__traceback__))


def test_of_an_exception_and_its_causes_only_the_first_lines_are_logged() -> None:
    error = RuntimeError("Failing row\nDETAIL: ann@secret.example")
    error.__cause__ = ValueError("the cause\nann@secret.example")
    words = in_words(error)
    assert "RuntimeError: Failing row" in words
    assert "ValueError: the cause" in words
    assert "ann@secret.example" not in words


def test_what_the_database_says_of_values_is_not_logged(engine: Engine) -> None:
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO slots (account, customer, activated_at) VALUES ('a', %s, now())",
                ("ann@secret.example",),
            )
    except Exception:  # noqa: BLE001 - whatever it is, it must not show the value
        error_type, error, trace = sys.exc_info()
    assert error is not None
    assert error_type is not None
    words = exception_in_words((error_type, error, trace))
    assert "ForeignKeyViolation" in words
    assert "ann@secret.example" not in words


@pytest.mark.parametrize("readable", [True, False])
def test_libraries_log_in_the_same_form(
    capsys: pytest.CaptureFixture[str], *, readable: bool
) -> None:
    before = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure_logs("before")  # as `main` does, before a process knows how it is to log
        configure_logs("test", readable=readable)
        structlog.get_logger().info("ours", send=1)
        logging.getLogger("theirs").warning("of %s", "them")
    finally:
        logging.getLogger().handlers, level = before
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    lines = capsys.readouterr().err.splitlines()
    if readable:
        assert "ours" in lines[0]
        assert "of them" in lines[1]
        assert "process=" not in "".join(lines)
    else:
        assert [json.loads(line)["event"] for line in lines] == ["ours", "of them"]
        assert {json.loads(line)["process"] for line in lines} == {"test"}
