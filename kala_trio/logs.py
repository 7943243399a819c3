"""What is logged, and how a line looks: text for people, JSON for machines.

A job's name or command may hold whatever its owner wants. So in a line of text nothing stands that
moves a cursor or begins another line; what a traceback needs more lines for is indented.
"""

import io
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, redirect_stderr
from enum import StrEnum
from typing import Any

import structlog

from kala_trio.lines import Lines
from kala_trio.printable import printable
from kala_trio.threads import needing_a_thread

_Event = MutableMapping[str, Any]


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class Log:
    """Where the lines of a process go; ``dropped`` counts those that nobody has read in time."""

    def __init__(self, lines: Lines, render: Callable[[_Event], str]) -> None:
        """Write to ``lines``."""
        self._lines = lines
        self._render = render

    @property
    def dropped(self) -> int:
        """How many lines were dropped."""
        return self._lines.dropped

    def say(self, text: str, **fields: object) -> None:
        """Write a line whatever the level; as text it is nothing but ``text``."""
        self._lines.put(self._render(_plain(text, "info") | fields))


@contextmanager
def logged(log_format: LogFormat, *, verbose: bool) -> Iterator[Log]:
    """Have all that is logged, and written to ``sys.stderr``, go there without waiting for it.

    Raises Unavailable where the system has no thread to spare.
    """
    render = _RENDERERS[log_format]
    descriptor = sys.stderr.fileno() if sys.stderr else None
    lines = Lines(descriptor, lambda lost: render(_lost(lost)))
    handler = _Handler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _, __, event: render(event),
            ],
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                _STAMP,
                structlog.processors.format_exc_info,
            ],
        )
    )
    root = logging.getLogger()
    before = root.level
    with ExitStack() as cleanup:
        with needing_a_thread():
            cleanup.enter_context(lines)
        cleanup.callback(root.setLevel, before)
        root.setLevel(logging.INFO if verbose else logging.WARNING)
        cleanup.callback(root.removeHandler, handler)
        root.addHandler(handler)
        cleanup.enter_context(redirect_stderr(_Stream(lines, render)))
        yield Log(lines, render)


class _Handler(logging.Handler):
    """Hands formatted records on."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put(self.format(record))
        except Exception:  # a bug in a line must not be one of who logs
            self.handleError(record)


class _Stream(io.TextIOBase):
    """Stands in for standard error, for what is written there without a logger."""

    def __init__(self, lines: Lines, render: Callable[[_Event], str]) -> None:
        self._lines = lines
        self._render = render
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What others take it to be written in."""
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._lines.put(self._render(_plain(line, "error")))
        return len(text)


def _plain(text: str, level: str) -> dict[str, Any]:
    return {"event": text, "level": level, "plain": True, **_now()}


def _lost(lines: int) -> _Event:
    problem = f"{lines} lines of the log were dropped, since nobody read them in time"
    return {"event": problem, "level": "warning", "dropped": lines, **_now()}


def _now() -> _Event:
    return _STAMP(None, "", {})


def _as_text(event: _Event) -> str:
    text = printable(str(event.pop("event")))
    if event.pop("plain", False):
        return text
    head = f"{event.pop('timestamp', '')} {event.pop('level', 'warning').upper()} {text}"
    event.pop("logger", None)
    trace = event.pop("exception", "")
    fields = "".join(f" {name}={_word(value)}" for name, value in event.items())
    return "\n    ".join([head + fields, *map(printable, trace.splitlines())])


def _word(value: object) -> str:
    text = printable(str(value))
    if text and not set(text) & {" ", '"', "="}:
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _as_json(event: _Event) -> str:
    event.pop("plain", None)
    return str(_JSON(None, "", event))


_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
_JSON = structlog.processors.JSONRenderer(default=str)
_RENDERERS: dict[LogFormat, Callable[[_Event], str]] = {
    LogFormat.TEXT: _as_text,
    LogFormat.JSON: _as_json,
}
