"""The manual pages, made of what the commands say of themselves: ``python -m release.man DIR``."""

import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from kala_trio import __version__
from kala_trio.cli import main
from kala_trio.settings import default_db

_ANYBODYS_DB = "~/.local/share/kala-trio/kala.db"
_EXIT_STATUS = "Exit status:"
_EXAMPLE = "\b\n"  # how click is told to leave the lines of a paragraph as they are


def write(directory: Path) -> None:
    """Write a page for the program and for each of its commands.

    They are dated by the environment's ``SOURCE_DATE_EPOCH``, or else today.
    """
    directory.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).timestamp()
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", now)), UTC).date()
    for context in _contexts(click.Context(main, info_name="kala-trio")):
        (directory / f"{_page_of(context)}.1").write_text(page(context, day.isoformat()))


def page(context: click.Context, day: str) -> str:
    """Return the page of a command, in man(7)."""
    command, name = context.command, _page_of(context)
    told = inspect.cleandoc(command.help or "").partition("\f")[0]
    paragraphs = re.split(r"\n\s*\n", told)
    statuses = [each for each in paragraphs if each.startswith(_EXIT_STATUS)]
    title = paragraphs[0].partition(":")[0].rstrip(".")
    lines = [
        f'.TH "{_escaped(name.upper())}" 1 {day} "kala\\-trio {__version__}" "User Commands"',
        *(".SH NAME", f"{_escaped(name)} \\- {_escaped(title[0].lower() + title[1:])}"),
        *(".SH SYNOPSIS", f".B {_escaped(context.command_path)}"),
        *_text(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_joined(each for each in paragraphs if each not in statuses),
        *_options(context),
    ]
    if children := [*_children(context)]:
        lines.append(".SH COMMANDS")
        for child in children:
            lines += [".TP", f".BR {_escaped(_page_of(child))} (1)"]
            lines += _text(child.command.get_short_help_str(limit=200))
    if statuses:
        lines.append(".SH EXIT STATUS")
        lines += _joined(each.removeprefix(_EXIT_STATUS).strip() for each in statuses)
    if context.parent:
        lines += [".SH SEE ALSO", f".BR {_escaped(_page_of(context.parent))} (1)"]
    return "\n".join(lines) + "\n"


def _options(context: click.Context) -> Iterator[str]:
    yield ".SH OPTIONS"
    for each in context.command.get_params(context):
        record = each.get_help_record(context)
        if record and isinstance(each, click.Option):
            flags, told = record
            yield ".TP"
            yield re.sub(r"(?<![\w-])(--?[\w-]+)", r"\\fB\1\\fR", flags).replace("-", r"\-")
            yield from _text(told.replace(str(default_db()), _ANYBODYS_DB))


def _children(context: click.Context) -> Iterator[click.Context]:
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            if command := context.command.get_command(context, name):
                yield click.Context(command, parent=context, info_name=name)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    for child in _children(context):
        yield from _contexts(child)


def _page_of(context: click.Context) -> str:
    names = [context.info_name or ""]
    while context.parent:
        context = context.parent
        names.append(context.info_name or "")
    return "-".join(reversed(names))


def _joined(paragraphs: Iterator[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        if paragraph.startswith(_EXAMPLE):
            lines = textwrap.dedent(paragraph.removeprefix(_EXAMPLE)).splitlines()
            yield from (".nf", *map(_escaped, lines), ".fi")
        else:
            yield from _text(paragraph)


def _text(text: str) -> Iterator[str]:
    wrapped = textwrap.wrap(" ".join(text.split()), 72, break_on_hyphens=False)
    yield from map(_escaped, wrapped)


def _escaped(line: str) -> str:
    escaped = line.replace("\\", "\\e").replace("-", r"\-")
    # At the beginning of a line these would make a request of it.
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    write(Path(sys.argv[1]))
