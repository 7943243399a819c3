"""One request again and again, over connections that are kept: a load from a process of its own.

    python -m benchmarks.load URL CONNECTIONS SECONDS < request

Where SECONDS is 0 it goes on until SIGTERM. Prints the answers a second, and how long they took.
"""

import json
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from msgspec import Struct


class Load(Struct, frozen=True):
    """What a load saw; times are in seconds."""

    answers: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Return the answers a second."""
        return self.answers / self.seconds


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def load(url: str, request: bytes, connections: int, seconds: float) -> Load:
    """Run a load to its end."""
    command = [sys.executable, "-m", "benchmarks.load", url, str(connections), str(seconds)]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True)
    return Load(**json.loads(done.stdout))


def main() -> None:
    """Load, and print what was seen."""
    url, connections, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    parts = urlsplit(url)
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda *ended: ends.append(len(ended)))
    request = sys.stdin.buffer.read()
    took: list[float] = []
    waiting: dict[int, tuple[socket.socket, bytearray, float]] = {}
    with ExitStack() as cleanup:
        poll = cleanup.enter_context(select.epoll())

        def ask(connection: socket.socket | None) -> None:
            if connection is None:
                connection = socket.create_connection((str(parts.hostname), parts.port or 80))
                cleanup.callback(connection.close)
                poll.register(connection, select.EPOLLIN)
            connection.sendall(request)
            waiting[connection.fileno()] = connection, bytearray(), time.perf_counter()

        for _ in range(connections):
            ask(None)
        began = time.perf_counter()
        deadline = began + seconds if seconds else float("inf")
        while time.perf_counter() < deadline and not ends:
            for descriptor, _ in poll.poll(0.1):
                connection, answer, asked = waiting[descriptor]
                received = connection.recv(1 << 20)
                answer += received
                if is_whole(answer):
                    assert answer.startswith(b"HTTP/1.1 2"), bytes(answer[:500])
                    took.append(time.perf_counter() - asked)
                    ask(connection)
                elif not received:  # Hypercorn ends a connection after a thousand answers
                    connection.close()
                    ask(None)
        seconds = time.perf_counter() - began
    took.sort()
    quantiles = {"p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}
    print(json.dumps({"answers": len(took), "seconds": seconds} | quantiles))


def is_whole(answer: bytearray) -> bool:
    """Tell whether all of an answer has come."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer[:end].lower().find(b"\r\ncontent-length:")
    length = int(answer[at + 17 : answer.find(b"\r\n", at + 2)]) if at >= 0 else 0
    return len(answer) >= end + 4 + length


if __name__ == "__main__":
    main()
