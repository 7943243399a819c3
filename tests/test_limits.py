"""A system that has no process or thread to spare: requests are told so, and it passes."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import FUTURE, eventually, running

# A user who is nobody: limits of processes do not hold for root.
USER = 54321
NONE = ("prlimit", "--nproc=0:")
AT_REST = 2  # threads: the loop, and what writes the log


@pytest.fixture
def user() -> tuple[str, ...]:
    """Return what a command is run with to run as an ordinary user."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit to set limits with")
    if os.geteuid():
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("limits do not hold for root, and there is no setpriv to be another user")
    # It may read this Python, wherever root keeps it.
    reading = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *reading)


@pytest.fixture
def path(user: tuple[str, ...]) -> Iterator[Path]:
    """Return a path for a database of that user."""
    directory = Path(tempfile.mkdtemp())
    if user:
        os.chown(directory, USER, USER)
    yield directory / "kala.db"
    shutil.rmtree(directory)


@contextmanager
def no_more_processes(user: tuple[str, ...], pid: int) -> Iterator[None]:
    """Let a process start no process and no thread until the block ends."""
    subprocess.run([*user, *NONE, f"--pid={pid}"], check=True)
    try:
        yield
    finally:
        allow_processes(user, pid)


def allow_processes(user: tuple[str, ...], pid: int) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limit = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
    subprocess.run([*user, "prlimit", f"--nproc={limit}:", f"--pid={pid}"], check=True)


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_a_commit_without_a_thread_to_spare_is_a_503_and_passes(
    path: Path, user: tuple[str, ...]
) -> None:
    with running(path, wrapper=user) as daemon:
        kept = daemon.create(command="true", schedule=FUTURE)
        with no_more_processes(user, daemon.process.pid):
            # The thread of the last commit stays for a while, in case there is another.
            eventually(lambda: threads(daemon.process.pid) == AT_REST)
            status, text = daemon.request("POST", f"/job/start/{kept}/")
            assert status == 503
            assert "no thread to spare" in text
            assert daemon.runs(kept) == []
        eventually(lambda: daemon.request("POST", f"/job/start/{kept}/")[0] == 204)
        eventually(lambda: daemon.outcomes(kept) == ["succeeded"])
        status, errors = daemon.end()
    assert status == 0
    assert "Traceback" not in errors
    assert len(errors.splitlines()) < 6


def test_a_read_without_a_thread_to_spare_is_a_503_and_passes(
    path: Path, user: tuple[str, ...]
) -> None:
    with running(path, wrapper=user) as daemon:
        daemon.get("/stats/")
        web = daemon.web_process()
        with no_more_processes(user, web):
            eventually(lambda: threads(web) == AT_REST)
            status, text = daemon.request("GET", "/stats/")
            assert status == 503
            assert "no thread to spare" in text
        daemon.get("/stats/")
        assert "Traceback" not in daemon.end()[1]


def test_a_web_process_that_can_not_be_started_is_started_once_it_can(
    path: Path, user: tuple[str, ...]
) -> None:
    with running(path, wrapper=(*user, *NONE)) as daemon:
        assert daemon.says("web process could not be started")
        allow_processes(user, daemon.process.pid)
        daemon.get("/stats/")
        status, errors = daemon.end()
    assert status == 0
    assert "Traceback" not in errors
