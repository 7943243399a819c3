"""The fenced blocks of the documents, and what of a session is typed and what is shown.

What each kind of block promises is told in docs/testing.md.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("clients/*/README.md")),
        ROOT / "properties/README.md",
    )
}

KINDS = {
    "console": "a session: run, and what it prints is compared",
    "sh": "commands that want root, systemd, a registry or minutes: their form is looked at",
    "python": "run against a daemon",
    "js": "the same, by Node",
    "yaml": "a job file, or a file of another program",
    "toml": "settings",
    "json": "a body or an answer",
    "ini": "a unit of systemd",
    "text": "what nobody types: drawings, and lines of logs",
    "{toctree}": "the contents of the site",
}

_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
# Where a command may stand: at the beginning, after an operator, or after what starts another one.
_CALL = re.compile(
    r"(?:^|[|;&(]|(?<=\s)(?:--|--rm|-i|sudo|exec|python[\d.]*|\w+=\S*)(?=\s))"
    r"[ \t]*(?:\S*/)?kala-trio(?:\.pyz)?(?=\s)",
    re.MULTILINE,
)
_NAME = re.compile(r"# (\S+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: on which page it stands, in which line it begins, and what it holds."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def file(self) -> str:
        """The name of the file that it is, by its first line, or nothing."""
        named = _NAME.match(self.text)
        return named[1] if named else ""

    def __str__(self) -> str:
        """Say where it stands."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Step:
    """A command of a session, and what is shown of its answer."""

    command: str
    shown: str


def blocks_of(page: str, text: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[2], dedent(found[3]))
        for found in _FENCE.finditer(text)
    ]


def steps_of(session: str) -> Iterator[Step]:
    """Yield the commands of a session.

    A command begins with ``$`` and goes on, on further lines, until its quotes and here-documents
    are closed. ``^C``, alone on its line, is one too.
    """
    lines = session.splitlines()
    while lines:
        first = lines.pop(0)
        assert first.startswith("$ ") or first == "^C", f"no command: {first!r}"
        command = first.removeprefix("$ ")
        while not _is_whole(command):
            command += f"\n{lines.pop(0)}"
        shown = []
        while lines and not (lines[0].startswith("$ ") or lines[0] == "^C"):
            shown.append(lines.pop(0))
        yield Step(command, "\n".join(shown))


def _is_whole(command: str) -> bool:
    if here := re.search(r"<<-?'?(\w+)'?", command):
        return command.endswith(f"\n{here[1]}")
    try:
        shlex.split(command)
    except ValueError:  # an open quotation, or a backslash at the end
        return False
    return True


def commands_in(script: str) -> Iterator[list[str]]:
    """Yield the words of each call of ``kala-trio`` in a script, what calls it left out."""
    script = script.replace("\\\n", " ")
    for call in _CALL.finditer(script):
        lexer = shlex.shlex(script[call.end() :], posix=True, punctuation_chars="();<>|&\n")
        lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
        yield list(takewhile(lambda word: word[0] not in "();<>|&\n#", lexer))


BLOCKS = [block for page, path in PAGES.items() for block in blocks_of(page, path.read_text())]
