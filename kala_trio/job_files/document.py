"""A YAML text as values that know their lines; what a plain word means is left to its reader.

YAML guesses: by its older version ``no`` is false and ``09:00`` a number. Here ``value_of`` is told
what is wanted in a place: where that is a text, the word stands for itself.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, get_args

import yaml
from msgspec import Struct

from kala_trio.core.errors import KalaTrioError

_NULL = {"", "~", "null"}
_FLAGS = {"true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LARGEST = 8 * 1024 * 1024


class Problem(Struct, frozen=True):
    """What is wrong at a line of a file, in a sentence."""

    path: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.sentence}"


class Mistakes(KalaTrioError):
    """Files can't be taken as they are: correct each place that is named."""

    def __init__(self, *problems: Problem) -> None:
        """Tell each of ``problems`` once, a line for each."""
        super().__init__("\n".join(dict.fromkeys(map(str, problems))))
        self.problems = problems


class Scalar(Struct, frozen=True):
    """A word or a text; ``is_plain`` where it has no quotes, so that it may mean something else."""

    line: int
    text: str
    is_plain: bool


class Listing(Struct, frozen=True):
    """A list."""

    line: int
    entries: list["Entry"]


class Table(Struct, frozen=True):
    """Names with what stands at each; the line of a name is in ``lines``."""

    line: int
    entries: dict[str, "Entry"]
    lines: dict[str, int]


Entry = Scalar | Listing | Table


class _Loader(yaml.BaseLoader):
    """Takes no value that refers to another: so none can be larger than its text."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "anchors and aliases (& and *) are not taken; write it out, or say under "
            problem += "defaults: what all jobs have"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def parse(text: str, path: str) -> Entry:
    """Return what a YAML text holds: one document, without anchors, aliases and tags.

    Raises:
        Mistakes: what is wrong, and where.
    """
    if len(text) > _LARGEST:
        raise Mistakes(Problem(path, 1, f"has more than {_LARGEST} characters; split it"))
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise Mistakes(_syntax(error, path)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sentence = f"a file must not have the character {chr(error.character)!a}"
        raise Mistakes(Problem(path, line, sentence)) from None
    except RecursionError:
        raise Mistakes(Problem(path, 1, "is nested too deeply")) from None
    if node is None:
        sentence = "is empty; for example jobs: {hello: {command: echo hello}}"
        raise Mistakes(Problem(path, 1, sentence))
    problems: list[Problem] = []
    entry = _entry(node, path, problems)
    if problems:
        raise Mistakes(*problems)
    return entry


def _syntax(error: yaml.MarkedYAMLError, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(filter(None, (error.context, error.problem)))
    if "'\\t'" in said:
        said = "a tab stands where YAML wants blanks"
    return Problem(path, mark.line + 1 if mark else 1, f"can't be read: {said}")


_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def _entry(node: yaml.Node, path: str, problems: list[Problem]) -> Entry:
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        problems.append(Problem(path, line, f"tags such as {node.tag!r} are not taken"))
    match node:
        case yaml.ScalarNode():
            return Scalar(line, _joined(node.value), node.style is None)
        case yaml.SequenceNode():
            return Listing(line, [_entry(each, path, problems) for each in node.value])
        case yaml.MappingNode():
            table = Table(line, {}, {})
            for key, value in node.value:
                at = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    problems.append(Problem(path, at, "a name must be a text"))
                    continue
                name = _joined(key.value)
                if name in table.entries:
                    first = table.lines[name]
                    sentence = f"{name[:120]}: is given twice, first in line {first}"
                    problems.append(Problem(path, at, sentence))
                table.entries[name] = _entry(value, path, problems)
                table.lines[name] = at
            return table
        case _:
            raise AssertionError(node)


def _joined(text: str) -> str:
    """Join the halves of a character that JSON writes as two escapes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def value_of(entry: Entry, hint: Any) -> object:
    """Return what JSON would have there, in a place for values of the type ``hint``.

    In a list of texts, say, each plain word is a text; ``null`` is nowhere one.
    """
    return _value(entry, _leaf(hint))


def _leaf(hint: Any) -> Any:
    """Return of what type the single values are in what is made of them."""
    while inner := [each for each in get_args(hint) if each is not Ellipsis]:
        hint = inner[-1]
    return hint


def _value(entry: Entry, leaf: Any) -> object:
    match entry:
        case Listing():
            return [_value(each, leaf) for each in entry.entries]
        case Table():
            return {name: _value(each, leaf) for name, each in entry.entries.items()}
        case Scalar(text=text, is_plain=False):
            return text
        case Scalar(text=text):
            return None if text in _NULL else _word(text, leaf)


def _word(text: str, leaf: Any) -> object:
    if isinstance(leaf, type) and issubclass(leaf, (str, StrEnum)):
        return text
    if text in _FLAGS:
        return _FLAGS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def lines_of(table: Table, within: str = "") -> Iterator[tuple[str, int]]:
    """Yield each name in a table with its line; what stands deeper as ``outer.inner``."""
    for name, entry in table.entries.items():
        yield f"{within}{name}", table.lines[name]
        if isinstance(entry, Table):
            yield from lines_of(entry, f"{within}{name}.")
