"""A real daemon whose wall clock is set by hours, and one that stands still for a while."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon, eventually, running

HOUR = timedelta(hours=1)


class SetClock:
    """The wall clock of a daemon and its jobs, and no one else's."""

    def __init__(self, directory: Path) -> None:
        """Build what stands between them and the system; it shows the true time at first."""
        source, library = Path(__file__).with_name("set_clock.c"), directory / "set_clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        self._offset = directory / "offset"
        self.wrapper = ("env", f"LD_PRELOAD={library}", f"SET_CLOCK={self._offset}")
        self._offset.write_bytes(bytes(8))

    def set(self, offset: timedelta) -> None:
        """Let it be off by so much."""
        with self._offset.open("r+b") as file:
            file.write(round(offset.total_seconds()).to_bytes(8, sys.byteorder, signed=True))


@pytest.fixture
def clock(tmp_path: Path) -> SetClock:
    """Return a clock to run a daemon with, which some machines can't have."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler to build a wall clock that can be set")
    clock = SetClock(tmp_path)
    clock.set(30 * HOUR)
    words = [*clock.wrapper, sys.executable, "-c", "import time; print(time.time())"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    clock.set(timedelta())
    if not shown or float(shown) - datetime.now(UTC).timestamp() < HOUR.total_seconds():
        pytest.skip("this Python reads its wall clock where it can't be set for it alone")
    return clock


def occurrences(daemon: Daemon, job: str) -> list[int]:
    """Return the numbers of the occurrences that ran, oldest first."""
    return [run["trigger"]["occurrence"] for run in reversed(daemon.runs(job))]


def missed(daemon: Daemon, job: str) -> list[tuple[Any, ...]]:
    """Return what a job missed, newest first."""
    records = daemon.get(f"/job/missed/{job}/")["missed"]
    return [(each["cause"], each["reason"], each["count"]) for each in records]


def test_a_clock_set_by_hours_forward_and_back_doubles_and_loses_nothing(
    tmp_path: Path, clock: SetClock
) -> None:
    """L5, L8, C6: each occurrence is run once or missed on record, by the one wall clock it has."""
    start = datetime.now(UTC) + HOUR / 2
    with running(tmp_path / "kala.db", wrapper=clock.wrapper) as daemon:
        hourly = daemon.create(command="true", schedule=f"R/{start.isoformat()}/PT1H")

        clock.set(3 * HOUR)
        eventually(lambda: daemon.outcomes(hourly) == ["succeeded"])
        assert occurrences(daemon, hourly) == [2]
        assert missed(daemon, hourly) == [("occurrence", "late", 2)]

        clock.set(timedelta())
        assert daemon.job(hourly)["next_run_at"] == wire(start + 3 * HOUR)
        # What is asked for while the clock is behind happens at once, as of the latest instant that
        # was seen; what is due after that waits for the clock.
        now_and_later = daemon.create(command="true", schedule="R1//PT1S")
        eventually(lambda: daemon.outcomes(now_and_later) == ["succeeded"])
        seen = datetime.fromisoformat(daemon.runs(hourly)[0]["started_at"])
        assert datetime.fromisoformat(daemon.job(now_and_later)["next_run_at"]) > seen

        clock.set(3 * HOUR)
        eventually(lambda: daemon.job(now_and_later)["is_done"])
        assert occurrences(daemon, now_and_later) == [0, 1]
        assert occurrences(daemon, hourly) == [2]
        assert missed(daemon, hourly) == [("occurrence", "late", 2)]

        clock.set(4 * HOUR)
        eventually(lambda: daemon.outcomes(hourly) == ["succeeded", "succeeded"])
        assert occurrences(daemon, hourly) == [2, 3]
        assert missed(daemon, hourly) == [("occurrence", "late", 2)]

        clock.set(-3 * HOUR)
        status, errors = daemon.end()
        assert (status, errors.count("\n")) == (0, 1), errors

    with running(tmp_path / "kala.db", wrapper=clock.wrapper) as daemon:
        assert daemon.request("POST", f"/job/start/{hourly}/") == (204, "")
        eventually(lambda: daemon.outcomes(hourly) == ["succeeded"] * 3)
        assert occurrences(daemon, hourly) == [2, 3, None]
        assert missed(daemon, hourly) == [("occurrence", "late", 2)]


def wire(instant: datetime) -> str:
    """Write an instant as the API does."""
    return instant.isoformat().replace("+00:00", "Z")


def test_a_daemon_that_stood_still_is_as_one_that_was_down_and_answers_all_that_came(
    tmp_path: Path,
) -> None:
    """L4, L5, L8: the latest occurrence runs, the older ones are missed as late."""
    with running(tmp_path / "kala.db") as daemon, ThreadPoolExecutor() as clients:
        other = daemon.create(command="true", schedule="R/2099-01-01T00:00:00Z/P1D")
        start = datetime.now(UTC) + timedelta(seconds=15)
        job = daemon.create(command="true", schedule=f"R9/{start.isoformat()}/PT0.1S")
        both = daemon.process.pid, daemon.web_process()
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        read = clients.submit(daemon.get, f"/job/{other}/")
        started = clients.submit(daemon.request, "POST", f"/job/start/{other}/")
        eventually(lambda: datetime.now(UTC) > start + timedelta(seconds=1))
        assert not read.done()
        assert not started.done()
        for pid in both:
            os.kill(pid, signal.SIGCONT)
        assert read.result()["job"]["id"] == other
        assert started.result() == (204, "")
        eventually(lambda: daemon.job(job)["is_done"])
        assert occurrences(daemon, job) == [9]
        assert missed(daemon, job) == [("occurrence", "late", 9)]
        eventually(lambda: daemon.outcomes(other) == ["succeeded"])


def test_a_stop_of_a_daemon_that_stands_still_is_heeded_when_it_goes_on(tmp_path: Path) -> None:
    """C4, L4: what fell due meanwhile waits for the next start."""
    with running(tmp_path / "kala.db") as daemon:
        start = datetime.now(UTC) + timedelta(seconds=15)
        job = daemon.create(command="true", schedule=f"R9/{start.isoformat()}/PT0.1S")
        daemon.process.send_signal(signal.SIGSTOP)
        eventually(lambda: datetime.now(UTC) > start + timedelta(seconds=1))
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGCONT)
        assert daemon.process.wait(PATIENCE) == 0
    with running(tmp_path / "kala.db") as daemon:
        eventually(lambda: daemon.job(job)["is_done"])
        runs, misses = occurrences(daemon, job), missed(daemon, job)
        assert runs == [9]
        assert sum(count for _, _, count in misses) == 9
        assert {reason for _, reason, _ in misses} <= {"late", "downtime"}
