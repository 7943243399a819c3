"""Hypercorn as the web process has it, with an application that does nothing: what is the limit.

python -m benchmarks.bare SOCKET_FD
"""

import sys

import hypercorn.trio
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from kala_trio.web.worker import config_for

BODY = b'{"id":"00000000-0000-4000-8000-000000000000"}\n'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer 201 to whatever is asked."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY, "more_body": False})


if __name__ == "__main__":
    trio.run(hypercorn.trio.serve, app, config_for(int(sys.argv[1])))
