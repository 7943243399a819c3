"""How long connections are waited for, over real sockets and under trio's virtual clock."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn
from unittest import mock

import pytest
import trio
from hypercorn import Config
from trio.testing import MockClock

from kala_trio.web.room import Bounds
from kala_trio.web.serving import Entrance, serve
from kala_trio.web.worker import hypercorn_config

LARGE = b"x" * 4_000_000
"""More than the kernel keeps for a client."""

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


class Place:
    """A server; ``answered`` notes the bodies of requests that came whole, ``left`` the others."""

    def __init__(self, listener: socket.socket) -> None:
        """Serve on ``listener``."""
        self.address = listener.getsockname()
        self.answered: list[bytes] = []
        self.left = 0
        self.clients: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        """Open a connection that keeps little of what was not read."""
        client = trio.socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        await client.connect(self.address)
        self.clients.append(trio.SocketStream(client))
        return self.clients[-1]

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with much, once the body is there; ``/closed`` at once, and with little."""
        if scope["path"] == "/closed":
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"no", "more_body": False})
            return
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body += message["body"]
        self.answered.append(body)
        headers = [(b"content-length", b"%d" % len(LARGE))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": LARGE, "more_body": False})


@asynccontextmanager
async def place(config: Config | None = None, **bounds: int) -> AsyncIterator[Place]:
    """Serve until the block ends."""
    ended = trio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = Place(listener)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                serve,
                there.answer,
                Entrance(listener.dup()),
                config or hypercorn_config(),
                Bounds(**bounds),
                ended.wait,
            )
            yield there
            for client in there.clients:
                client.socket.close()
            ended.set()


async def rest(client: trio.SocketStream) -> bytes:
    """Read to the end, or until it breaks off."""
    got = b""
    try:
        async for part in client:
            got += part
    except trio.BrokenResourceError:
        pass
    return got


async def test_a_bug_that_ends_one_connection_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = hypercorn_config()

    def fail(protocol: str) -> NoReturn:
        raise RuntimeError(protocol)

    async with place(config) as there:
        broken, other = await there.connect(), await there.connect()
        with mock.patch.object(config, "response_headers", fail):
            await broken.send_all(b"\0\r\n\r\n")
            assert await rest(broken) == b""
        await other.send_all(b"GET /closed HTTP/1.0\r\n\r\n")
        assert (await rest(other)).startswith(b"HTTP/1.1 403")
    assert [each.message for each in caplog.records] == ["a bug while a connection was served"]


async def test_who_says_nothing_or_not_all_of_a_head_is_sent_away_in_seconds(
    autojump_clock: MockClock,
) -> None:
    async with place() as there:
        silent, dripping = await there.connect(), await there.connect()
        began = trio.current_time()
        await until_it_breaks(dripping, b"G", pause=1)
        assert trio.current_time() - began < 10
        assert await rest(silent) == b""
        assert there.answered == []


async def test_a_head_that_is_not_whole_in_time_is_answered_with_408(
    autojump_clock: MockClock,
) -> None:
    async with place() as there:
        client = await there.connect()
        await client.send_all(b"GET /")
        head, _, body = (await rest(client)).partition(b"\r\n\r\n")
        assert trio.current_time() < 10
        assert head.startswith(b"HTTP/1.1 408 ")
        assert body.startswith(b'{"error":"the request did not come in time')


async def test_a_body_that_drips_is_given_up_and_one_that_is_slow_is_read_whole(
    autojump_clock: MockClock,
) -> None:
    part = b"y" * 65_536
    async with place() as there:
        dripping, slow = await there.connect(), await there.connect()
        await dripping.send_all(POST % 1_000)
        await slow.send_all(POST % (len(part) * 10))
        for _ in range(10):
            await trio.sleep(15)
            await slow.send_all(part)
            if not there.left:
                await dripping.send_all(b"y")
        assert (await rest(dripping)).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() < 200
        assert there.left == 1
        assert (await rest(slow)).endswith(LARGE)
        assert there.answered == [part * 10]


async def test_an_answer_that_is_not_read_is_given_up_and_one_that_is_read_slowly_is_not(
    autojump_clock: MockClock,
) -> None:
    async with place() as there:
        deaf, slow = await there.connect(), await there.connect()
        await deaf.send_all(GET)
        await slow.send_all(GET)
        got = b""
        while not got.endswith(LARGE[-65_536:]) or len(got) < len(LARGE):
            await trio.sleep(15)
            wanted = len(got) + 256 * 1024
            while len(got) < min(wanted, len(LARGE)):
                got += await slow.receive_some()
        assert len(await rest(deaf)) < len(LARGE)


async def test_the_connection_that_waits_longest_makes_room_for_a_new_one(
    autojump_clock: MockClock,
) -> None:
    async with place(in_all=2) as there:
        first, second = await there.connect(), await there.connect()
        await second.send_all(b"GET / HT")
        await trio.testing.wait_all_tasks_blocked()
        third = await there.connect()
        await third.send_all(GET)
        assert await rest(first) == b""
        assert trio.current_time() == 0
        await second.send_all(b"TP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await rest(second)).endswith(LARGE)


async def test_where_none_waits_a_new_connection_is_told_that_there_is_no_room(
    autojump_clock: MockClock,
) -> None:
    async with place(in_all=1) as there:
        busy = await there.connect()
        await busy.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        late = await there.connect()
        await late.send_all(GET)
        head, _, body = (await rest(late)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in head.lower()
        assert body == b'{"error":"too many connections are open; send it again in a while"}\n'
        assert (await rest(busy)).endswith(LARGE)


async def test_who_is_refused_while_he_still_sends_holds_nothing_for_long(
    autojump_clock: MockClock,
) -> None:
    """What was not taken of a body once kept such a connection open without end."""
    async with place() as there:
        client = await there.connect()
        await client.send_all((POST % 100_000_000).replace(b"/", b"/closed", 1))
        await until_it_breaks(client, b"y" * 1_000_000)


async def until_it_breaks(client: trio.SocketStream, data: bytes, pause: float = 0.0) -> None:
    """Send that again and again, for a minute at most."""
    began = trio.current_time()
    with suppress(trio.BrokenResourceError):
        while True:
            await client.send_all(data)
            await trio.sleep(pause)
            assert trio.current_time() - began < 60
