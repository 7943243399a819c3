"""Clients that each ask again as soon as they are answered: raw sockets, in a process of its own.

It says at the end how many answers came, and how long they took; see ``Load``.
"""

import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec
from msgspec import Struct

from kala_trio.bench.figures import quantile
from kala_trio.core.errors import CannotStart

# How many seconds a first answer is waited for, on a machine that is that slow.
_PATIENCE = 60.0


class Order(Struct, frozen=True):
    """What to ask, of which port, through how many connections, and for how many seconds."""

    port: int
    connections: int
    seconds: float
    method: str
    path: str
    body: str = ""


class Load(Struct, frozen=True):
    """What became of it: answers by their status, spans in seconds, ``cpu`` the clients' own."""

    statuses: dict[str, int]
    took: float
    p50: float
    p99: float
    longest: float
    cpu: float

    @property
    def rate(self) -> float:
        """Successful answers a second."""
        good = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        return good / self.took


def ask(order: Order) -> Load:
    """Ask to the end of the order's seconds.

    Raises:
        CannotStart: there was an answer that was no success, or none at all.
    """
    with _started(order) as process:
        return _result(process)


@contextmanager
def asking(order: Order) -> Iterator[Callable[[], Load]]:
    """Ask until the block ends, at most; call what it gives to end it sooner, and to learn more."""
    with _started(order) as process:

        def end() -> Load:
            process.terminate()
            return _result(process)

        try:
            yield end
        finally:
            process.kill()


def _started(order: Order) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "kala_trio.bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    process.stdin.flush()
    process.stdout.readline()  # all are connected
    return process


def _result(process: "subprocess.Popen[bytes]") -> Load:
    written, _ = process.communicate()
    load = msgspec.json.decode(written, type=Load)
    if bad := {status: n for status, n in load.statuses.items() if not status.startswith("2")}:
        raise CannotStart(f"requests of the load were answered with {bad}")
    if not load.statuses:
        raise CannotStart(f"no request of the load was answered within {load.took:.1f} s")
    return load


class _Client:
    """One connection, and what is known of its answer so far."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked_at = 0.0
        self.received = b""
        self.last = False  # Hypercorn closes a connection after a thousand answers

    def ask(self, request: bytes) -> None:
        self.received = b""
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> str | None:
        """Take in what has arrived; return the status once the answer is whole, "" if cut off."""
        arrived = self.socket.recv(1 << 18)
        self.received += arrived
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if separator:
            head = head.lower()
            self.last = b"\r\nconnection: close" in head
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            if len(body) >= int(length or 0):
                return head[9:12].decode()
        return None if arrived else ""


def _is_over(order: Order, passed: float, is_answered: bool) -> bool:
    return passed >= order.seconds and (is_answered or passed > _PATIENCE)


def _run(order: Order) -> Load:
    body = order.body.encode()
    request = (
        f"{order.method} {order.path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    ending = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGTERM, end)
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:

        def connect() -> None:
            client = _Client(order.port)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask(request)

        def heed(client: _Client) -> bool:
            """Take in what has arrived; tell whether the connection can still be used."""
            try:
                status = client.answered()
                if status is None:
                    return True
                statuses[status or "cut off"] += 1
                if not status:
                    return False
                latencies.append(time.perf_counter() - client.asked_at)
                if not client.last:
                    client.ask(request)
                return not client.last
            except OSError:
                statuses["cut off"] += 1
                return False

        for _ in range(order.connections):
            connect()
        print(flush=True)  # noqa: T201 - this is how it says that it has begun
        began = time.perf_counter()
        while not (ending or _is_over(order, time.perf_counter() - began, bool(statuses))):
            for key, _ in selector.select(0.1):
                if not heed(key.data):
                    selector.unregister(key.fileobj)
                    key.data.socket.close()
                    connect()
        took = time.perf_counter() - began
    latencies = latencies or [took]
    return Load(
        dict(statuses),
        took,
        quantile(latencies, 0.5),
        quantile(latencies, 0.99),
        max(latencies),
        time.process_time(),
    )


if __name__ == "__main__":
    result = _run(msgspec.json.decode(sys.stdin.readline(), type=Order))
    sys.stdout.buffer.write(msgspec.json.encode(result))
