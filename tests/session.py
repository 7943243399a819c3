"""A page of the documents, carried out: its commands in a shell, beside a real daemon.

What lies outside of a page's own directory by its text, ``/srv/backup.sh`` say, lies below it here.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from tests.blocks import ROOT, Step, steps_of
from tests.daemon import PATIENCE, Daemon, eventually, running

_ADDRESS = "127.0.0.1:8000"
_HOME = "home/ada"
_ELSEWHERE = re.compile(
    r"(?<![\w./:-])/(srv|opt|backups|etc/kala-trio|var/lib/kala-trio|home/ada)\b"
)
# What needs a registry: the tests have such an environment already.
_INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q . && "
_READS = re.compile(
    r"curl (?!.*( -d| --data| -X| -T))"
    r"|kala-trio (job (list|show)|runs|show|logs|missed|notices|stats)"
)
_QUESTION = re.compile(r"(\[y/N\]: )(\w+)$", re.MULTILINE)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOKEN = re.compile(r"\bkt_[\w-]+")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:\d\d)?")
_DURATION = re.compile(
    r'\b\d+\.\d+ (?=m?s\b)|(?<=xecution_duration":)\d+|(?<=xecutionDuration":)\d+'
)
_NEAR = timedelta(days=40)


@dataclass(frozen=True)
class _Line:
    text: str
    times: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> Self:
        """Return what is to be the same in a line, and the instants that may differ."""
        for pattern, word in ((_UUID, "<id>"), (_TOKEN, "<token>"), (_DURATION, "<duration>")):
            line = pattern.sub(word, line)
        text = re.sub(r"[ \t]{2,}", "  ", _TIME.sub("<time>", line)).rstrip()
        return cls(text, tuple(_TIME.findall(line)))

    def shows(self, real: Self, now: datetime) -> bool:
        if "…" in self.text:
            parts = ".*".join(map(re.escape, self.text.split("…")))
            return bool(re.fullmatch(parts, real.text))
        return self.text == real.text and all(
            shown == told or _is_near(told, now)
            for shown, told in zip(self.times, real.times, strict=True)
        )


def agrees(shown: str, real: str, now: datetime) -> bool:
    """Tell whether what was printed is what is shown.

    A line ``…`` stands for any lines, and ``…`` within one for anything on it. Ids, tokens,
    durations and the width of columns may differ, and instants if the real one is near ``now``:
    others follow from what was asked.
    """

    def agree(shown: list[_Line], real: list[_Line]) -> bool:
        if not shown:
            return not real
        if shown[0].text.strip() == "…":
            return any(agree(shown[1:], real[skipped:]) for skipped in range(len(real) + 1))
        return bool(real) and shown[0].shows(real[0], now) and agree(shown[1:], real[1:])

    return agree(*([_Line.of(line) for line in text.splitlines()] for text in (shown, real)))


def _is_near(text: str, now: datetime) -> bool:
    at = datetime.fromisoformat(text)
    return abs((at if at.tzinfo else at.replace(tzinfo=UTC)) - now) < _NEAR


class Session:
    """A directory, a shell whose variables and directory stay, and the daemon of a page."""

    def __init__(self, place: Path, stack: ExitStack, *, starts_daemon: bool = False) -> None:
        """Begin in a home of its own below ``place``; what was started ends with ``stack``.

        With ``starts_daemon`` it has a ``kala-trio run`` of its own, before it asks a daemon.
        """
        self._starts_daemon = starts_daemon
        self.place = place / _HOME
        self.outside = place
        self._stack = stack
        self._ids: dict[str, str] = {}
        self._daemon: Daemon | None = None
        self._variables = place / "variables"
        for directory in (_HOME, "srv", "backups", "var/lib/kala-trio", "opt/kala-trio"):
            (place / directory).mkdir(parents=True)
        bin_of_tests = Path(sys.executable).parent
        (place / "opt/kala-trio/bin").symlink_to(bin_of_tests)
        (self.place / ".venv").symlink_to(bin_of_tests.parent)
        (place / "srv/backup.sh").write_text("echo backed up\n")
        (self.place / ".curlrc").write_text("silent\nshow-error\n")
        inherited = {name: value for name, value in os.environ.items() if "KALA_TRIO" not in name}
        self.environment = inherited | {
            "HOME": str(self.place),
            "XDG_DATA_HOME": str(self.place / ".local/share"),
            "PATH": f"{bin_of_tests}:{inherited['PATH']}",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def write(self, name: str, text: str) -> None:
        """Make the file that a block shows."""
        (self.place / name).write_text(self.led_here(text))

    def led_here(self, text: str) -> str:
        """Return a text whose addresses, paths and ids are those of this session."""
        text = _ELSEWHERE.sub(lambda found: f"{self.outside}{found[0]}", text)
        for shown, real in self._ids.items():
            text = text.replace(shown, real)
        if _ADDRESS in text:
            text = text.replace(_ADDRESS, f"127.0.0.1:{self.daemon.port}")
        return text

    def led_back(self, text: str) -> str:
        """Return a text whose addresses and paths are those that pages show."""
        if self._daemon:
            text = text.replace(f"127.0.0.1:{self._daemon.port}", _ADDRESS)
        return text.replace(str(self.outside), "")

    @property
    def daemon(self) -> Daemon:
        """The daemon of the page, which is started when it is first wanted."""
        if not self._daemon:
            assert not self._starts_daemon, "a page that starts a daemon has not done so yet"
            self.environment["KALA_TRIO_DB"] = str(self.outside / "var/lib/kala-trio/kala.db")
            self._daemon = self.start([])
        return self._daemon

    def start(self, flags: list[str]) -> Daemon:
        """Start a daemon, as ``kala-trio run`` with these flags does, but for its port.

        A second one has the port of the first.
        """
        if self._daemon:
            flags = [*flags, f"--port={self._daemon.port}"]
        environment = (f"{name}={value}" for name, value in self.environment.items())
        usual = self.place / ".local/share/kala-trio/kala.db"
        db = Path(self.environment.get("KALA_TRIO_DB", usual))
        wrapper = ("env", "-i", "-C", str(self.place), *environment)
        self._daemon = self._stack.enter_context(running(db, *flags, wrapper=wrapper))
        self.environment["KALA_TRIO_API"] = self._daemon.url
        return self._daemon

    def carry_out(self, block: str) -> None:
        """Do what a session shows, and see that it is answered as it shows.

        Raises:
            AssertionError: it is not.
        """
        for step in steps_of(block):
            if step.command == "^C":
                self._interrupt(step)
            elif re.search(r"(^|/)kala-trio run\b", command := step.command.removeprefix(_INSTALL)):
                self._run(command, step)
            else:
                self._ask(step)

    def _interrupt(self, step: Step) -> None:
        status, said = self.daemon.end(signal.SIGINT)
        assert status == 0, said
        assert agrees(step.shown, self.led_back(said), datetime.now(UTC)), said

    def _run(self, command: str, step: Step) -> None:
        words = shlex.split(self.led_here(re.sub(r" (--port|-p)[ =]\d+", "", command)))
        daemon = self.start(words[2:])
        first = self.led_back(daemon.first_line)
        assert agrees(step.shown, first, datetime.now(UTC)), f"{command}\n{first}"

    def _ask(self, step: Step) -> None:
        if not self._starts_daemon:
            assert self.daemon
        command = self.led_here(step.command)
        answer = _QUESTION.search(step.shown)
        shown = _QUESTION.sub(r"\1", step.shown)
        said = ""

        def is_done() -> bool:
            nonlocal said
            said = self._typed(command, answer[2] if answer else "")
            return agrees(shown, self.led_back(said), datetime.now(UTC))

        # Who looks too early, when a run has not ended say, looks again.
        if not is_done():
            try:
                assert _READS.match(step.command)
                eventually(is_done)
            except AssertionError:
                told = f"$ {step.command}\n{self.led_back(said)}"
                raise AssertionError(f"{told}\nis what happens; it shows\n{shown}") from None
        self._learn(step.shown, said)

    def _learn(self, shown: str, said: str) -> None:
        """Know from now on which id, or token, stands for which."""
        for pattern in (_UUID, _TOKEN):
            old, new = pattern.findall(shown), pattern.findall(said)
            if len(old) == len(new):
                self._ids |= dict(zip(old, new, strict=True))

    def _typed(self, command: str, answer: str) -> str:
        """Return what a command prints; its variables and its directory stay for the next."""
        script = f"""set -a
            test -e {self._variables} && . {self._variables} && cd "$PWD"
            (exit ${{status:-0}})
            eval {shlex.quote(command)}
            status=$?
            export -p >{self._variables}"""
        with _keyboard(answer) as keyboard:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.place,
                env=self.environment,
                stdin=keyboard,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        return done.stdout


@contextmanager
def _keyboard(answer: str) -> Iterator[int]:
    """Yield a standard input: that of a terminal at which ``answer`` was typed, or nothing."""
    if not answer:
        yield subprocess.DEVNULL
        return
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def node_modules(place: Path) -> None:
    """Let scripts in a directory import the client for Node by its name."""
    (place / "node_modules").mkdir()
    (place / "node_modules/kala-trio").symlink_to(ROOT / "clients/node")
