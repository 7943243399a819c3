"""A real daemon on a database of its own: started, asked, looked at, and killed."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kala_trio.core.errors import CannotStart

_PATIENCE = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


class Service:
    """A running daemon; ``start_up`` is how long its first answer took, in seconds."""

    def __init__(self, db: Path, *flags: str, port: int = 0) -> None:
        """Start it, and wait for its first answer."""
        self.db = db
        began = time.monotonic()
        command = [sys.executable, "-m", "kala_trio", "run", f"--port={port}", f"--db={db}"]
        self.process = subprocess.Popen(
            [*command, *flags], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        first_line = self.process.stderr.readline()
        if "http://" not in first_line:
            raise CannotStart(f"the daemon to measure did not start: {first_line.strip()}")
        self.port = int(first_line.split()[2].rstrip(",").rpartition(":")[2])
        self.get("/stats/")
        self.start_up = time.monotonic() - began

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return the status and the body of an answer; ``path`` is that under ``/api/v1``."""
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        asked = urllib.request.Request(url, body, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=_PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> bytes:
        """Return the answer to a path that must be there."""
        status, answer = self.request("GET", path)
        if status != 200:
            raise CannotStart(f"GET {path} was answered with {status}: {answer[:200]!r}")
        return answer

    def memory(self) -> float:
        """Return the resident memory of both processes, in MB."""
        kib = 0
        for pid in (self.process.pid, self._web()):
            status = Path(f"/proc/{pid}/status").read_text()
            kib += int(status.partition("VmRSS:")[2].split()[0])
        return kib * 1024 / 1e6

    def cpu(self) -> float:
        """Return what both processes, and the attempts that ended, used of processors, in s."""
        ticks = 0
        for pid in (self.process.pid, self._web()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / _TICK

    def kill(self) -> None:
        """End it as a power cut would."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has."""
        self.process.send_signal(number)
        self.process.communicate(timeout=_PATIENCE)

    def _web(self) -> int:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        (web,) = (pid for pid in children if b"web.worker" in _command_line(pid))
        return web


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # an attempt that has ended meanwhile
        return b""


@contextmanager
def running(db: Path, *flags: str, port: int = 0) -> Iterator[Service]:
    """Run a daemon until the block ends, killing it if the block did not end it."""
    service = Service(db, *flags, port=port)
    with service.process:
        try:
            yield service
        finally:
            if service.process.returncode is None:
                service.kill()
