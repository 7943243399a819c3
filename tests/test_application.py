"""How a request is answered, as Hypercorn sees it: at once, or while its body still comes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from quart import request
from trio.testing import MockClock

from kala_trio.web.application import Application

LATE = 5.0  # seconds of a clock that does not tick, but jumps


class Exchange:
    """A request to ``/echo/``, or to ``/deaf/``, which reads no body."""

    def __init__(self, path: str) -> None:
        """Begin with the head alone."""
        self.done: list[str] = []
        self.sent: list[Any] = []
        self._path = path
        self._body, self._parts = trio.open_memory_channel[Any](10)

    def part(self, body: bytes, *, more: bool) -> None:
        """Have a part of the body arrive; the last one says that there are no more."""
        self._body.send_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        """Have the client go away."""
        self._body.send_nowait({"type": "http.disconnect"})

    def answer(self) -> tuple[int, bytes]:
        """Return the status and the body, which came in one part if it was sent in one."""
        start, *parts = self.sent
        assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]
        return start["status"], b"".join(part["body"] for part in parts)

    async def run(self) -> None:
        """Have it answered, however that ends."""
        app = Application(__name__)
        app.config["MAX_CONTENT_LENGTH"] = 8

        @app.post("/echo/")
        async def echo() -> bytes:
            body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
            self.done.append("echo")
            return body

        @app.post("/deaf/")
        async def deaf() -> bytes:
            self.done.append("deaf")
            return b"deaf"

        scope: Any = {
            "type": "http",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")],
        }
        await app(scope, self._parts.receive, self._send)

    async def _send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(message)


@asynccontextmanager
async def asked(path: str) -> AsyncIterator[Exchange]:
    """Make a request, and wait until it is over."""
    exchange = Exchange(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        yield exchange


@pytest.mark.parametrize("late", [0.0, LATE])
async def test_a_body_is_read_whole_however_late_its_parts_come(
    autojump_clock: trio.abc.Clock, late: float
) -> None:
    async with asked("/echo/") as exchange:
        exchange.part(b"abc", more=True)
        await trio.sleep(late)
        exchange.part(b"def", more=True)
        await trio.sleep(late)
        exchange.part(b"", more=False)
    assert exchange.answer() == (200, b"abcdef")


async def test_an_answer_to_what_came_at_once_is_sent_in_two_messages(
    autojump_clock: MockClock,
) -> None:
    """As few as there can be: each is a write of its own."""
    async with asked("/echo/") as exchange:
        exchange.part(b"abc", more=False)
    assert [message["type"] for message in exchange.sent] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_what_reads_no_body_is_done_before_it_comes(autojump_clock: trio.abc.Clock) -> None:
    async with asked("/deaf/") as exchange:
        await trio.sleep(LATE)
        assert exchange.answer() == (200, b"deaf")


@pytest.mark.parametrize("late", [0.0, LATE])
async def test_whoever_leaves_in_the_middle_of_a_body_has_asked_for_nothing(
    autojump_clock: trio.abc.Clock, late: float
) -> None:
    async with asked("/echo/") as exchange:
        exchange.part(b"abc", more=True)
        await trio.sleep(late)
        exchange.disconnect()
    assert exchange.done == exchange.sent == []


@pytest.mark.parametrize("late", [0.0, LATE])
async def test_a_body_of_unknown_length_that_becomes_too_large_is_refused(
    autojump_clock: trio.abc.Clock, late: float
) -> None:
    async with asked("/echo/") as exchange:
        exchange.part(b"12345678", more=True)
        await trio.sleep(late)
        exchange.part(b"9", more=True)
        exchange.part(b"", more=False)
    assert exchange.answer()[0] == 413
    assert exchange.done == []
