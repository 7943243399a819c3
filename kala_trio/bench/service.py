"""A real daemon on a database of its own: started, asked, looked at, and ended."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from kala_trio.core.errors import CannotStart

PATIENCE = 120.0
"""How many seconds until something that must happen is given up on."""

PROGRAM = (sys.executable, "-m", "kala_trio")
"""kala-trio as it is installed here."""

_TICK = os.sysconf("SC_CLK_TCK")


class Service:
    """A running daemon, on any free port unless the flags name one."""

    def __init__(
        self,
        db: Path,
        *flags: str,
        wrapper: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Start it, and wait for its first line; ``wrapper`` is a command that starts it.

        Raises:
            CannotStart: it said something else.
        """
        self.db = db
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            [*wrapper, *command(db, *flags, program=program)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr
        self.first_line = self.process.stderr.readline()
        if ", database " not in self.first_line:
            self.process.kill()
            said = self.first_line + self.process.communicate()[1]
            raise CannotStart(f"the daemon did not start: {said.strip()}")
        self.url = self.first_line.split()[2].rstrip(",")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    @cached_property
    def start_up(self) -> float:
        """How long it took until its first answer, which is asked for at the first look; in s."""
        self.get("/stats/")
        return time.monotonic() - self._began

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        """Return the status and the text of an answer; ``path`` is that under ``/api/v1``.

        Of the names of ``headers`` underscores are sent as hyphens.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(f"{self.url}/api/v1{path}", body, named, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def get(self, path: str) -> Any:
        """Return the JSON of a path that must be there."""
        status, answer = self.request("GET", path)
        if status != 200:
            raise CannotStart(f"GET {path} was answered with {status}: {answer[:200]!r}")
        return json.loads(answer)

    def memory(self) -> float:
        """Return the resident memory of both processes, in MB."""
        kib = 0
        for pid in (self.process.pid, self.web_process()):
            status = Path(f"/proc/{pid}/status").read_text()
            kib += int(status.partition("VmRSS:")[2].split()[0])
        return kib * 1024 / 1e6

    def cpu(self) -> float:
        """Return what both processes, and the attempts that ended, used of processors, in s."""
        ticks = 0
        for pid in (self.process.pid, self.web_process()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / _TICK

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit status, and what it said after its first line."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        """Run until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, if the block did not end it."""
        with self.process:
            if self.process.returncode is None:
                self.process.kill()

    def web_process(self) -> int:
        """Return the process id of the web process."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in _read(task).split()]
        (web,) = (pid for pid in children if b"web.worker" in _read(Path(f"/proc/{pid}/cmdline")))
        return web


def _read(path: Path) -> bytes:
    """Read a file of ``/proc``; empty for a thread or an attempt that has ended meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def command(db: Path, *flags: str, program: Sequence[str] = PROGRAM) -> list[str]:
    """Return the command that runs a daemon, on any free port unless the flags name one."""
    return [*program, "run", "--port=0", f"--db={db}", *flags]


@contextmanager
def running(db: Path, *flags: str) -> Iterator[Service]:
    """Run a daemon that has answered once, until the block ends."""
    with Service(db, *flags) as service:
        assert service.start_up
        yield service
