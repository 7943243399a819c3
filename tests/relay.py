"""A way to a daemon on which some exchanges break, for tests of those who ask."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from tests.daemon import PATIENCE, Daemon
from tests.website import Answer, Asked, Website, saying, website

BUSY = saying(503, b'{"error": "no"}')
"""The request does not arrive, as at a daemon that can't do it now."""
BUG = saying(500, b'{"error": "no"}')
"""The request does not arrive, as at a daemon that has a bug."""
STRANGE = saying(200, b'{"jobs": {"a": {}}, "next": null}')
"""The request does not arrive, and is answered with a job that has no keys."""


def CUT(_: BaseHTTPRequestHandler, __: Asked) -> None:  # noqa: N802 - one of the four
    """The request has arrived, and the connection breaks before the answer does."""


class Relay(NamedTuple):
    """Where it listens; of ``trouble`` each request meets the first that is left."""

    site: Website
    trouble: list[Answer]

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.site.url

    @property
    def asked(self) -> list[str]:
        """The requests that it got, in order."""
        return [f"{each.method} {each.path}" for each in self.site.asked]


@contextmanager
def relay(daemon: Daemon, *trouble: Answer) -> Iterator[Relay]:
    """Hand requests on to ``daemon`` until the block ends; the first ones meet this trouble."""
    left = [*trouble]

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        met = left.pop(0) if left else None
        if met and met is not CUT:
            met(handler, asked)
            return
        there = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
        there.request(asked.method, asked.path, asked.body, asked.headers)
        found = there.getresponse()
        body = found.read()
        there.close()
        if met is None:
            handler.send_response_only(found.status)
            for name, value in found.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

    with website(answer) as site:
        yield Relay(site, left)
