"""What a service manager is told, by a socket of its own, and what its children don't know."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from kala_trio.systemd import ServiceManager
from kala_trio.vitals import Vitals
from properties.well import WELL
from tests.daemon import PATIENCE, eventually, fifo, running
from tests.test_tls import NO_TERMINAL


class Listener:
    """A service manager's end of the protocol."""

    def __init__(self, name: str) -> None:
        """Listen; an @ stands for the zero of an abstract name."""
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name.replace("@", "\0", 1))
        self._socket.settimeout(PATIENCE)

    def heard(self) -> dict[str, str]:
        """Wait for the next message, and return its assignments."""
        lines = self._socket.recv(65536).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def heard_with(self, name: str) -> dict[str, str]:
        """Wait for a message that assigns to ``name``."""
        deadline = time.monotonic() + PATIENCE
        while name not in (message := self.heard()):
            assert time.monotonic() < deadline, f"{name} was never told"
        return message

    def waiting(self) -> list[dict[str, str]]:
        """Return what has arrived by now."""
        found = []
        self._socket.setblocking(False)
        try:
            while True:
                found.append(self.heard())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()


@contextmanager
def listening(name: str) -> Iterator[Listener]:
    """Listen until the block ends."""
    listener = Listener(name)
    try:
        yield listener
    finally:
        listener.close()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_daemon_tells_when_it_is_ready_how_it_is_and_that_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@kala-trio-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with listening(name) as listener, running(tmp_path / "kala.db", "--grace=PT7S") as daemon:
        assert listener.heard_with("READY") == {"READY": "1"}
        for _ in range(3):
            told = listener.heard_with("WATCHDOG")
        assert told["WATCHDOG"] == "1"
        daemon.create(command="true", schedule="R//PT1H")
        eventually(lambda: " 1 runs ended; next " in listener.heard_with("STATUS")["STATUS"])
        daemon.process.send_signal(signal.SIGTERM)
        stopping = listener.heard_with("STOPPING")
        assert stopping["EXTEND_TIMEOUT_USEC"] == "27000000"
        assert daemon.process.wait(PATIENCE) == 0


def test_a_reload_is_told_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is closed sends the same signal, so there must be none."""
    name = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with listening(name) as listener, running(tmp_path / "kala.db", wrapper=NO_TERMINAL) as daemon:
        listener.heard_with("READY")
        daemon.process.send_signal(signal.SIGHUP)
        assert int(listener.heard_with("RELOADING")["MONOTONIC_USEC"]) > 0
        assert listener.heard_with("READY") == {"READY": "1"}


def test_neither_a_job_nor_the_web_process_hears_of_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    for name in names:
        monkeypatch.setenv(name, "1")
    found = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        daemon.create(command=f"sh -c 'env > {found}'")
        environments = [found.read_text()]
        environments.append(Path(f"/proc/{daemon.web_process()}/environ").read_text())
    assert "PATH=" in environments[0]
    assert "PATH=" in environments[1]
    assert [name for name in names if name in "".join(environments)] == []


async def test_a_scheduler_that_is_stuck_shows_no_sign_of_life(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """One whose database only refuses does: to kill it would mend nothing, and end its jobs."""
    states = {
        "well": WELL,
        "the database cannot be written": replace(WELL, can_commit=False),
        "the database does not answer": replace(WELL, busy_for=11.0),
    }
    lived: dict[str, int] = {}
    with listening(str(tmp_path / "notify")) as listener:
        manager = ServiceManager(listener.name, watchdog=2.0)
        for what, vitals in states.items():
            with trio.move_on_after(9.5):
                await manager.keep_told(lambda vitals=vitals: vitals)  # type: ignore[misc]
            told = listener.waiting()
            assert len(told) == 10
            assert what == "well" or all(each["STATUS"].startswith(what) for each in told)
            lived[what] = sum("WATCHDOG" in each for each in told)
    assert [*lived.values()] == [10, 10, 0]


@pytest.mark.parametrize(
    ("vitals", "status"),
    [
        (WELL, "2 attempts in progress, 6 runs ended; next 2026-03-02 03:00:00 UTC"),
        (
            replace(WELL, next_wake=None),
            "2 attempts in progress, 6 runs ended; nothing is due",
        ),
        (replace(WELL, is_stopping=True), "stopping; 2 attempts in progress, 6 runs ended"),
    ],
)
async def test_the_status_says_what_is_in_progress_and_what_comes_next(
    autojump_clock: MockClock, tmp_path: Path, vitals: Vitals, status: str
) -> None:
    with listening(str(tmp_path / "notify")) as listener:
        with trio.move_on_after(1):
            await ServiceManager(listener.name).keep_told(lambda: vitals)
        assert [each["STATUS"] for each in listener.waiting()] == [status]


def test_a_service_manager_that_has_gone_is_no_trouble(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody")).ready()
    ServiceManager("\0").ready()
    ServiceManager("x" * 1000).ready()


def test_a_watchdog_that_is_meant_for_another_process_gets_no_sign() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}
    assert ServiceManager.of(environment) == ServiceManager("/x", 0.0)
    assert environment == {}
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "4000000"}
    environment["WATCHDOG_PID"] = str(os.getpid())
    assert ServiceManager.of(environment) == ServiceManager("/x", 4.0)
