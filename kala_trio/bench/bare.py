"""The least that an answer costs: Hypercorn with an application that does nothing."""

import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypercorn.trio
import trio
from hypercorn import Config


async def nothing(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the body, and answer without one."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def bare_hypercorn() -> Iterator[int]:
    """Run it in a process of its own to the end of the block; gives the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", "kala_trio.bench.bare", str(listener.fileno())]
        with subprocess.Popen(command, pass_fds=[listener.fileno()]) as process:
            try:
                _await_answer(port)
                yield port
            finally:
                process.kill()


def _await_answer(port: int) -> None:
    """Wait until it serves, so that its start is not taken for its slowness."""
    with socket.create_connection(("127.0.0.1", port)) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while first.recv(4096):
            pass


def main() -> None:
    """Serve until killed, on the socket that was handed down."""
    config = Config()
    config.bind = [f"fd://{sys.argv[1]}"]
    config.backlog = 4096
    config.loglevel = "WARNING"
    config.include_server_header = False
    trio.run(hypercorn.trio.serve, nothing, config)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
