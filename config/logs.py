"""Structured logs: one JSON object a line on standard error. Never of people: ids only."""

import logging
import sys
import traceback
from types import TracebackType

import structlog

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure_logs(process: str, *, readable: bool = False) -> None:
    """Set up logging of a process; `readable` is for a terminal."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(exception_in_words),
    ]
    last = _for_a_terminal() if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if not readable:
        structlog.contextvars.bind_contextvars(process=process)
    _route_standard_logging(shared, last)


def exception_in_words(exc_info: ExcInfo) -> str:
    """Where it was raised, and of each message the first line: the others can hold values.

    PostgreSQL's DETAIL shows rows, SQLAlchemy shows parameters, tracebacks can show locals.
    """
    words: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        words += traceback.format_tb(error.__traceback__)
        message = str(error).split("\n", 1)[0]
        words.append(f"{type(error).__module__}.{type(error).__name__}: {message}\n")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(words)


def _for_a_terminal() -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=0,
        pad_level=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _route_standard_logging(
    shared: list[structlog.typing.Processor], last: structlog.typing.Processor
) -> None:
    """What libraries log comes out in the same form; only what is out of the ordinary."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
