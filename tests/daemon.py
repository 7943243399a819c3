"""A real daemon for tests: the installed command, a database of its own, and any free port."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kala_trio.bench.service import PATIENCE, PROGRAM, Service, command

__all__ = ["FUTURE", "PATIENCE", "Daemon", "eventually", "fifo", "is_running", "refusal", "running"]

FUTURE = "R/2099-01-01T00:00:00Z/P1D"
"""A schedule for jobs that don't run by themselves while a test goes on."""

T = TypeVar("T")


class Daemon(Service):
    """A running daemon, asked in JSON."""

    def create(self, **fields: object) -> str:
        """Create a job, which must be accepted, and return its id."""
        body = json.dumps({"name": "job"} | fields).encode()
        status, text = self.request("POST", "/job/", body)
        assert status == 201, text
        job_id: str = json.loads(text)["id"]
        return job_id

    def post(self, path: str) -> None:
        """Ask for what is answered with nothing, which must be done."""
        status, text = self.request("POST", path)
        assert status == 204, text

    def job(self, job_id: str) -> Any:
        """Return a job, without its version, which is about the others' changes."""
        job = self.get(f"/job/{job_id}/")["job"]
        del job["version"]
        return job

    def runs(self, job_id: str) -> Any:
        """Return a job's runs, newest first."""
        entries = self.get(f"/job/runs/{job_id}/")["runs"]
        return [each for each in entries if each["outcome"] != "missed"]

    def outcomes(self, job_id: str) -> list[str | None]:
        """Return how a job's runs ended, oldest first; None for one in progress."""
        return [run["outcome"] for run in reversed(self.runs(job_id))]

    def output(self, run_id: str) -> str:
        """Return what a run has written so far."""
        status, text = self.request("GET", f"/run/output/{run_id}/")
        assert status == 200, text
        return text

    def says(self, words: str) -> str:
        """Wait for a line on standard error that holds ``words``, and return it."""
        patience = threading.Timer(PATIENCE, self.process.kill)
        patience.start()
        try:
            assert self.process.stderr
            return next(line for line in self.process.stderr if words in line)
        finally:
            patience.cancel()


@contextmanager
def running(
    db: Path, *flags: str, wrapper: tuple[str, ...] = (), program: Sequence[str] = PROGRAM
) -> Iterator[Daemon]:
    """Run a daemon until the block ends, killing it if the block did not end it."""
    with Daemon(db, *flags, wrapper=wrapper, program=program) as daemon:
        yield daemon


def refusal(db: Path, *flags: str, status: int = 1, wrapper: tuple[str, ...] = ()) -> str:
    """Return the one sentence of a daemon that can't start, and ends with ``status``."""
    words = [*wrapper, *command(db, *flags)]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("kala-trio: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("kala-trio: ")


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


def is_running(pid: int) -> bool:
    """Tell whether a process is there, and more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
