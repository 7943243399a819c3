"""Whether runs are late because of clients that hold connections, and what those cost.

    python -m benchmarks.crowding [--seconds 30] [--connections 1000] [--lists 200]

A job is due twice a second: with no other client; beside connections that say nothing, that drip,
and that ask for a large list and never read it. What is closed is opened anew at once. At last
some clients leave many large lists unread, and the memory of the web process is looked at.
"""

import json
import resource
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from kala_trio.bench.service import Service, running

LIST = b"GET /api/v1/job/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
DRIP = b"GET / HTTP/1.1\r\nA: "
# A round over all connections, in seconds.
_ROUND = 0.5
_ESTABLISHED = 1  # by the first byte of Linux's tcp_info


class Clients:
    """Connections that are held open; each says ``first``, and ``then`` in each round."""

    def __init__(self, port: int, count: int, first: bytes, then: bytes) -> None:
        """Open them."""
        self._port = port
        self._first = first
        self._then = then
        self._open = [self._connect() for _ in range(count)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def close(self) -> None:
        """Close them."""
        self._over.set()
        self._thread.join()
        for each in self._open:
            each.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        connection.sendall(self._first)
        return connection

    def _hold(self) -> None:
        while not self._over.wait(_ROUND):
            for place, each in enumerate(self._open):
                if each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED:
                    with suppress(OSError):
                        each.sendall(self._then)
                else:
                    each.close()
                    self._open[place] = self._connect()


@contextmanager
def held(service: Service, count: int, first: bytes = b"", then: bytes = b"") -> Iterator[Clients]:
    """Hold connections to the end of the block."""
    clients = Clients(service.port, count, first, then)
    try:
        yield clients
    finally:
        clients.close()


@click.command()
@click.option("--seconds", default=30, help="How long each measurement takes.")
@click.option("--connections", default=1_000, help="How many are held.")
@click.option("--lists", default=200, help="How many large lists are left unread.")
def main(seconds: int, connections: int, lists: int) -> None:
    """Measure, and print a line for each."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| beside | late p50 | p99 | max | an answer p50 | max | web process |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "k.db") as service:
        fill(service, 500, 100)
        measure(service, "nothing", seconds)
        for name, first, then in (
            ("say nothing", b"", b""),
            ("drip", DRIP, b"a"),
            ("never read", LIST, b""),
        ):
            with held(service, connections, first, then):
                measure(service, f"{connections:,} that {name}", seconds)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "k.db") as service:
        fill(service, 500, 10_000)
        _, answer = service.request("GET", "/job/")
        before = resident(service)
        with held(service, lists, LIST):
            service.request("GET", "/job/")
            time.sleep(5)
            meanwhile = resident(service)
        print(f"\n{lists} unread lists of {len(answer) / 1e6:.1f} MB: the web process has")
        print(f"{before:.0f} MB before, and {meanwhile:.0f} MB meanwhile")


def fill(service: Service, count: int, size: int) -> None:
    """Create jobs with so much text each."""
    jobs = [{"name": "a", "command": "true", "stdin": "x" * size, "disabled": True}] * count
    for part in range(0, count, 50):
        service.request("POST", "/job/bulk/", json.dumps(jobs[part : part + 50]).encode())


def measure(service: Service, name: str, seconds: int) -> None:
    """Print how late the runs of a job are, and how long a client waits meanwhile."""
    count = 2 * seconds
    start = (datetime.now(UTC) + timedelta(seconds=3)).isoformat(timespec="seconds")[:-6] + "Z"
    probe = {"name": "probe", "command": "true", "schedule": f"R{count - 1}/{start}/PT0.5S"}
    job = json.loads(service.request("POST", "/job/", json.dumps(probe).encode())[1])["id"]
    answers = []
    while True:
        began = time.monotonic()
        is_done = service.get(f"/job/{job}/")["job"]["is_done"]
        answers.append((time.monotonic() - began) * 1000)
        if is_done:
            break
        time.sleep(0.2)
    late = sorted(
        (_instant(run["started_at"]) - _instant(run["trigger"]["scheduled_at"])) * 1000
        for run in service.get(f"/job/runs/{job}/")["runs"]
        if run["outcome"] != "missed"
    )
    print(
        f"| {name} | {statistics.median(late):.1f} ms | {late[len(late) * 99 // 100]:.1f} ms "
        f"| {late[-1]:.1f} ms | {statistics.median(answers):.0f} ms | {max(answers):.0f} ms "
        f"| {resident(service):.0f} MB |",
        flush=True,
    )


def resident(service: Service) -> float:
    """Return the memory of the web process, in MB."""
    status = Path(f"/proc/{service.web_process()}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
