"""The programs that note when they start, and the loop that starts them at the least cost.

They are compiled where there is a C compiler. Elsewhere jobs run ``true``, the runs' ``started_at``
tells when, and the loop is one of ``os.posix_spawn``.
"""

import os
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

from msgspec import Struct

from kala_trio.bench.databases import started_at
from kala_trio.core.errors import CannotStart


class Loop(Struct, frozen=True):
    """What a loop that only starts and reaps took; instants and spans in seconds.

    ``starts`` are the instants at which the programs started, counted from the loop's beginning;
    ``cpu`` is the time that it and they used of processors.
    """

    took: float
    starts: tuple[float, ...]
    cpu: float


class Programs:
    """What the jobs run."""

    def __init__(self, directory: Path) -> None:
        """Compile into ``directory``, if this machine has a C compiler."""
        self._note = _compile("note", directory)
        self._spawn = _compile("spawn", directory)
        self.who_notes = (
            "the started program" if self._note else "the daemon, just before it starts a program"
        )

    def command(self, log: Path | None = None) -> list[str]:
        """Return a command that ends at once; with a ``log`` it notes there when it started."""
        if self._note is None:
            return [_true()]
        return [str(self._note), *([str(log)] if log else [])]

    def starts(self, db: Path, log: Path) -> Mapping[float, Sequence[float]]:
        """Return what started, by the instant at which it was due."""
        if self._note is None:
            return started_at(db)
        found: dict[float, list[float]] = defaultdict(list)
        if log.exists():
            for line in log.read_text().splitlines():
                due, at = line.split()
                found[_instant(due)].append(int(at) / 1e9)
        return found

    def loop(self, count: int, width: int, log: Path | None = None) -> Loop:
        """Start and reap so many programs, ``width`` at once, as a loop in C does it."""
        before = os.times()
        if self._spawn is None:
            took, starts = _python_loop(count, width)
        else:
            command = [str(self._spawn), str(count), str(width), *self.command(log)]
            environment = os.environ | {"KALA_TRIO_SCHEDULED_AT": "1970-01-01T00:00:00Z"}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )
            began, lasted = (int(word) / 1e9 for word in done.stdout.split())
            took = lasted
            noted = self.starts(log, log)[0.0] if log else []
            starts = [at - began for at in noted]
        after = os.times()
        cpu = sum(after[:4]) - sum(before[:4])
        return Loop(took, tuple(starts), cpu)


def _compile(name: str, directory: Path) -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source = directory / f"{name}.c"
    source.write_text(resources.files(__package__).joinpath(f"{name}.c").read_text())
    program = directory / name
    for how in (["-static"], []):  # without it where the C library is not there as an archive
        command = [compiler, "-O2", *how, "-o", str(program), str(source)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return program
    return None


def _true() -> str:
    found = shutil.which("true")
    if found is None:
        raise CannotStart("there is no program named true in PATH; install coreutils")
    return found


def _python_loop(count: int, width: int) -> tuple[float, list[float]]:
    program, running = _true(), 0
    began = time.time()
    starts = []
    for _ in range(count):
        if running == width:
            os.wait()
            running -= 1
        starts.append(time.time() - began)
        os.posix_spawn(program, [program], os.environ)
        running += 1
    for _ in range(running):
        os.wait()
    return time.time() - began, starts


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
