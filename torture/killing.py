"""The torturer: it starts a daemon, kills it at any instant, starts it again, and ends it well."""

import http.client
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from torture.clients import PATIENCE, Api, Client, NotAsked
from torture.jobs import FAR, Commands, Fields, steady
from torture.ledgers import (
    DATABASE,
    LOG,
    MARKS,
    Ended,
    Killed,
    Ledgers,
    Started,
    read_asks,
    read_marks,
    read_store,
)

_CLIENTS = 4
_GRACE = "PT1S"
_YOUNG = 0.25  # how many of the daemons are killed before they can have answered
_SHORT = 0.1  # how many seconds the others live after their first answer, on average, at least


class Plan(Struct, frozen=True):
    """How often to kill, in about how many seconds; all that is drawn follows from ``seed``."""

    seed: int
    kills: int
    seconds: float


class Torture:
    """One torture, which keeps all in ``directory``; ``restarts``: seconds to each first answer."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        """Have a plan; nothing happens before ``run``."""
        self.restarts: list[float] = []
        self._plan = plan
        self._directory = directory
        self._marks = directory / MARKS
        self._command = Commands(self._marks)
        self._draw = random.Random(plan.seed)
        self._port = _free_port()
        self._api = Api(self._port, directory)
        self._daemon: subprocess.Popen[bytes]
        self._started_at = 0.0

    def run(self) -> Ledgers:
        """Torture to the end, and return the ledgers; no process is left, however it ends.

        Raises AssertionError where a daemon ended by itself, or did not do what it must.
        """
        self._start()
        try:
            self._first_answer()
            jobs = list(steady(self._create, self._command))
            with self._clients(jobs):
                self._kill_again_and_again()
                self._first_answer()
            return self._end()
        finally:
            self._daemon.kill()
            self._daemon.wait()
            self._cut(1)

    def _create(self, fields: Fields) -> str:
        created = self._api.create(fields)
        assert created.is_done, created
        return created.job_id

    @contextmanager
    def _clients(self, jobs: list[str]) -> Iterator[None]:
        stop = threading.Event()
        with ThreadPoolExecutor(_CLIENTS) as threads:
            seeds = [self._draw.random() for _ in range(_CLIENTS)]
            clients = [
                Client(self._api, random.Random(seed), self._command, jobs) for seed in seeds
            ]
            ends = [threads.submit(client.run, stop) for client in clients]
            try:
                yield
            finally:
                stop.set()
        for end in ends:
            end.result()

    def _kill_again_and_again(self) -> None:
        """Kill at instants of all kinds, before the daemon that was started answers among them."""
        end = time.monotonic() + self._plan.seconds
        for left in range(self._plan.kills, 0, -1):
            share = max(0.0, end - time.monotonic()) / left
            takes = self.restarts[-1]
            if self._draw.random() < _YOUNG:
                time.sleep(self._draw.uniform(0, takes))
            else:
                self._first_answer()
                time.sleep(self._draw.uniform(0, 2 * max(_SHORT, share - takes)))
            self._kill()
            if self._draw.random() < 0.3:
                self._cut(0.5)
            self._start()

    def _start(self) -> None:
        words = [sys.executable, "-m", "kala_trio", "run", f"--port={self._port}"]
        words += [f"--db={self._directory / DATABASE}", f"--grace={_GRACE}"]
        self._started_at = time.monotonic()
        with (self._directory / LOG).open("ab") as log:
            self._daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)

    def _first_answer(self) -> None:
        """Wait until the daemon answers, and note how long that took from its start."""
        deadline = self._started_at + PATIENCE
        while True:
            with suppress(NotAsked, OSError, http.client.HTTPException):
                # The web process of a dead daemon may still answer, but not this.
                status, _ = self._api.request("POST", "/job/start/nobody/")
                if status == 404:
                    break
            self._is_alive()
            assert time.monotonic() < deadline, "the daemon does not answer"
            time.sleep(0.01)
        self.restarts.append(time.monotonic() - self._started_at)

    def _await_address(self) -> None:
        """Wait until the web process, which may be starting, has seen that its daemon is gone."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                socket.create_server(("127.0.0.1", self._port)).close()
                return
            assert time.monotonic() < deadline, "the web process outlives its daemon"
            time.sleep(0.01)

    def _is_alive(self) -> None:
        status = self._daemon.poll()
        assert status is None, f"the daemon ended by itself, with status {status}; see {LOG}"

    def _kill(self) -> None:
        began = time.time_ns() // 1000
        self._is_alive()
        self._daemon.kill()
        self._daemon.wait()
        self._await_address()
        self._mark(f"killed {began} {time.time_ns() // 1000}")

    def _cut(self, share: float) -> None:
        """Kill some of the attempts that go on though their daemon is dead."""
        marks = read_marks(self._directory)
        ended = {(each.run_id, each.number) for each in marks if isinstance(each, Ended)}
        started = [each for each in marks if isinstance(each, Started)]
        for mark in started:
            is_in_progress = (mark.run_id, mark.number) not in ended
            if is_in_progress and self._draw.random() < share and _kill_group(mark):
                self._mark(f"cut {mark.run_id} {mark.number}")

    def _mark(self, line: str) -> None:
        ledger = os.open(self._marks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(ledger, f"{line}\n".encode())
        os.close(ledger)

    def _end(self) -> Ledgers:
        """Wait for the orphans, look at the clock a last time, and stop the daemon."""
        deadline = time.monotonic() + PATIENCE
        while self._has_orphans():
            assert time.monotonic() < deadline, "orphans are not given up"
            time.sleep(0.1)
        self._create({"command": "true", "schedule": FAR})
        self._daemon.terminate()
        status = self._daemon.wait(PATIENCE)
        return Ledgers(
            read_asks(self._directory),
            read_marks(self._directory),
            read_store(self._directory),
            status,
            (self._directory / LOG).read_text(),
        )

    def _has_orphans(self) -> bool:
        """Tell whether an attempt of a daemon that was killed is in progress."""
        kills = [mark.over for mark in read_marks(self._directory) if isinstance(mark, Killed)]
        attempts = read_store(self._directory).attempts
        return any(each.result is None and each.started_at <= max(kills) for each in attempts)


def _kill_group(attempt: Started) -> bool:
    """Kill an attempt's process group, and tell whether it was there to be killed."""
    variable = f"KALA_TRIO_RUN_ID={attempt.run_id}".encode()
    try:
        pidfd = os.pidfd_open(attempt.pid)
    except OSError:  # its number may mean a thread by now
        return False
    try:
        # By now the number may mean another process, which is none of our business.
        if variable not in Path(f"/proc/{attempt.pid}/environ").read_bytes().split(b"\0"):
            return False
        os.killpg(attempt.pid, signal.SIGKILL)
        select.select([pidfd], [], [])
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(pidfd)


def _free_port() -> int:
    """Return a port that the system gives to no client, which would then connect to itself."""
    clients = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    while True:
        port = random.randrange(1024, max(2048, int(clients[0])))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
