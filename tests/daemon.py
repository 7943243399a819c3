"""A real daemon for tests: the installed command, a database of its own, and any free port."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""How many seconds until something that must happen is given up on; no claim about speed."""


class Daemon:
    """A running daemon, its address and the means to end it."""

    def __init__(self, db: Path, *flags: str, wrapper: tuple[str, ...] = ()) -> None:
        """Start it and wait for its first line."""
        self.db = db
        self.process = subprocess.Popen(
            [*wrapper, *command(db, *flags)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self.process.stderr
        self.first_line = self.process.stderr.readline()
        assert "http://" in self.first_line, self.first_line + self.process.stderr.read()
        self.url = self.first_line.split()[2].rstrip(",")

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Return the status and the text of an answer; ``path`` is that under ``/api/v1``."""
        asked = urllib.request.Request(f"{self.url}/api/v1{path}", body, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def get(self, path: str) -> Any:
        """Return the JSON of a path that must be there."""
        status, text = self.request("GET", path)
        assert status == 200, text
        return json.loads(text)

    def create(self, **fields: object) -> str:
        """Create a job, which must be accepted, and return its id."""
        body = json.dumps({"name": "job"} | fields).encode()
        status, text = self.request("POST", "/job/", body)
        assert status == 201, text
        job_id: str = json.loads(text)["id"]
        return job_id

    def job(self, job_id: str) -> Any:
        """Return a job."""
        return self.get(f"/job/{job_id}/")["job"]

    def runs(self, job_id: str) -> Any:
        """Return a job's runs, newest first."""
        return self.get(f"/job/runs/{job_id}/")["runs"]

    def outcomes(self, job_id: str) -> list[str | None]:
        """Return how a job's runs ended, oldest first; None for one in progress."""
        return [run["outcome"] for run in reversed(self.runs(job_id))]

    def output(self, run_id: str) -> str:
        """Return what a run has written so far."""
        status, text = self.request("GET", f"/run/output/{run_id}/")
        assert status == 200, text
        return text

    def web_process(self) -> int:
        """Return the process id of the web process."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        (web,) = (
            pid for pid in children if b"web.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        return web

    def says(self, words: str) -> str:
        """Wait for a line on standard error that holds ``words``, and return it."""
        patience = threading.Timer(PATIENCE, self.process.kill)
        patience.start()
        try:
            assert self.process.stderr
            return next(line for line in self.process.stderr if words in line)
        finally:
            patience.cancel()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit status and all of standard error but its first line."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


def command(db: Path, *flags: str) -> list[str]:
    """Return the command that runs a daemon on any free port."""
    return [sys.executable, "-m", "kala_trio", "run", "--port=0", f"--db={db}", *flags]


@contextmanager
def running(db: Path, *flags: str, wrapper: tuple[str, ...] = ()) -> Iterator[Daemon]:
    """Run a daemon until the block ends, killing it if the block did not end it."""
    daemon = Daemon(db, *flags, wrapper=wrapper)
    with daemon.process:
        try:
            yield daemon
        finally:
            if daemon.process.returncode is None:
                daemon.process.kill()


def refusal(db: Path, wrapper: tuple[str, ...] = ()) -> str:
    """Return the one sentence of a daemon that can't start, and ends with status 1."""
    done = subprocess.run(
        [*wrapper, *command(db)], stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("kala-trio: database: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def eventually(condition: Callable[[], T]) -> T:
    """Return the first true value of ``condition``, for what no event tells of."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)
    return value


def fifo(directory: Path, name: str = "fifo") -> Path:
    """Make a FIFO: reading it waits until a job has written to it and closed it."""
    path = directory / name
    os.mkfifo(path)
    return path
