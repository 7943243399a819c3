"""What the API answers, in tables and words for people."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from kala_trio.printable import printable

NEVER = "0001-01-01T00:00:00Z"
"""How the API says that there is no such time."""

_COLOURS = {
    **dict.fromkeys(("succeeded", "delivered"), "green"),
    **dict.fromkeys(("failed", "timed_out", "lost", "failing", "given up"), "red"),
    **dict.fromkeys(("running", "waiting"), "cyan"),
    **dict.fromkeys(("missed", "stopped", "cancelled", "disabled"), "yellow"),
}
_COLOUR = r"\x1b\[[0-9;:]{0,40}m"
# Of what a terminal would not merely show: colours and ends of lines as they are, and others.
_HIDDEN = re.compile(rf"({_COLOUR}|[\n\r\t]+)|[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BEGUN = re.compile(r"\x1b(?:\[[0-9;:]{0,40})?\Z")
_TWICE = {"metadata", "stats", "type"}  # what is shown by other keys, or by other commands
_NOTHING: tuple[object, ...] = ("", None, [], False, 0, NEVER)


def say_json(value: object) -> None:
    """Print JSON on a line of its own."""
    click.echo(msgspec.json.encode(value))


def say_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below their heads."""
    for line in table(heads, rows):
        click.echo(line)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows below their heads as lines, each column as wide as it has to be."""
    lines = [[*map(printable, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    for number, line in enumerate(([*heads], *lines)):
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        cells = [*padded[:-1], line[-1]]
        styled = (
            map(_coloured, cells) if number else (click.style(each, bold=True) for each in cells)
        )
        yield "  ".join(styled)


def say_keys(keys: dict[str, Any]) -> None:
    """Print what is not empty, each key on a line."""
    told = {key: _plain(value) for key, value in keys.items() if key not in _TWICE}
    told = {key: printable(text) for key, text in told.items() if text}
    width = max(map(len, told), default=0)
    for key, text in told.items():
        click.echo(f"{click.style(key.ljust(width), bold=True)}  {_coloured(text)}")


def local(instant: object) -> str:
    """Return an instant of the API as a clock here shows it; a dash where it is never."""
    if not isinstance(instant, str) or instant == NEVER:
        return "-"
    return datetime.fromisoformat(instant).astimezone().isoformat(" ", "seconds")


def elapsed(start: str | None, end: str | None) -> str:
    """Return how long something took."""
    if start is None or end is None:
        return "-"
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds:.3f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _plain(value: object) -> str:
    """Return a value in words, and nothing for one that says nothing."""
    match value:
        case _ if value in _NOTHING:
            return ""
        case str():
            return local(value) if _is_instant(value) else value
        case dict():
            parts = ((key, _plain(each)) for key, each in value.items())
            return ", ".join(f"{key}={text}" for key, text in parts if text)
        case list():
            return ", ".join(map(_plain, value))
        case _:
            return msgspec.json.encode(value).decode()


def _is_instant(text: str) -> bool:
    if not text.endswith("Z"):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell.strip())
    return click.style(cell, fg=colour) if colour else cell


def for_terminal(parts: Iterable[bytes]) -> Iterator[str]:
    """Yield what a run has written, as it comes, with nothing that does more than colour it.

    What would move the cursor, or speak to the terminal, is shown as in a text of Python.
    """
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    kept = ""
    for part in parts:
        text = kept + decode(part)
        kept = match[0] if (match := _BEGUN.search(text)) else ""
        yield _HIDDEN.sub(_shown, text.removesuffix(kept))
    if kept:
        yield _HIDDEN.sub(_shown, kept)


def _shown(match: re.Match[str]) -> str:
    return match[1] or printable(match[0])
