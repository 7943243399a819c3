"""Many connections that ask for one page again and again: python -m benchmarks.flood URL COUNT."""

import signal
import sys
import time
from urllib.parse import urlsplit

import trio


async def main(url: str, connections: int) -> None:
    """Flood until SIGTERM, then print how many answers came a second."""
    parts = urlsplit(url)
    asked = f"GET /api/v1/stats/ HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    answers = 0

    async def connection() -> None:
        nonlocal answers
        while True:
            stream = await trio.open_tcp_stream(str(parts.hostname), parts.port or 80)
            async with stream:
                try:
                    while True:
                        await stream.send_all(asked)
                        if not await stream.receive_some(65536):
                            break
                        answers += 1
                except trio.BrokenResourceError:
                    pass

    began = time.monotonic()
    with trio.open_signal_receiver(signal.SIGTERM) as stop:
        async with trio.open_nursery() as nursery:
            for _ in range(connections):
                nursery.start_soon(connection)
            print("flooding", flush=True)
            await anext(stop)
            nursery.cancel_scope.cancel()
    print(f"{answers / (time.monotonic() - began):.0f} answers a second")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
