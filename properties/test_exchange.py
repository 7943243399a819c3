"""An HTTP exchange: what is asked arrives, and whatever a server answers is bounded."""

import gzip
from contextlib import suppress

import h11
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.definition import Remote
from kala_trio.core.url import Target, method_of, parse_url
from kala_trio.runner.connection import NotAnswered
from kala_trio.runner.exchange import MOST_OF_A_BODY, MOST_REDIRECTS, Client
from properties.remotes import remotes

MOST_READ = 512 * 1024
MOST_EVENTS = 10_000
PLAIN = Remote("http://a/")


class Server:
    """One that is reached through memory: it reads requests, and answers each with given bytes."""

    def __init__(self, *answers: bytes, piece: int = 1 << 20) -> None:
        """Send each answer in pieces of that many bytes."""
        self.answers = list(answers)
        self.requests: list[tuple[Target, h11.Request, bytes]] = []
        self.kept = b""
        self._piece = piece
        self._nursery: trio.Nursery
        self.sent = 0

    async def connect(self, target: Target) -> trio.abc.Stream:
        """Accept a connection."""
        client, server = trio.testing.lockstep_stream_pair()
        self._nursery.start_soon(self._serve, target, server)
        return client

    async def _serve(self, target: Target, stream: trio.abc.Stream) -> None:
        http = h11.Connection(h11.SERVER)
        head, body = None, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        assert head
        self.requests.append((target, head, body))
        answer = self.answers.pop(0)
        with suppress(trio.BrokenResourceError):  # the client has had enough
            for start in range(0, len(answer), self._piece):
                await stream.send_all(piece := answer[start : start + self._piece])
                self.sent += len(piece)
        await stream.aclose()

    def ask(self, remote: Remote, headers: list[tuple[str, str]] | None = None) -> int:
        """Let a client ask, and return the status."""

        async def ask() -> int:
            async with trio.open_nursery() as self._nursery:
                return await Client(self.connect).ask(remote, headers or [], self.keep)

        try:
            return trio.run(ask)
        except BaseExceptionGroup as group:
            matching, others = group.split(NotAnswered)
            assert matching
            assert not others
            raise NotAnswered(str(matching.exceptions[0])) from group

    def keep(self, data: bytes) -> None:
        """Keep what the body holds."""
        self.kept += data


@given(remotes)
def test_what_is_accepted_is_what_the_server_is_asked(remote: Remote) -> None:
    """Q1: method, target, headers and body arrive as they were written, and once."""
    headers = [(name, value) for name, values in remote.headers for value in values]
    server = Server(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert server.ask(remote, headers) == 204
    ((target, head, body),) = server.requests
    assert target == parse_url(remote.url)
    assert (head.method.decode(), head.target.decode()) == (method_of(remote), target.path)
    assert body.decode() == remote.body
    found = [(name.decode(), value.decode()) for name, value in head.headers]
    for name, _ in remote.headers:
        wanted = [value for other, value in headers if other == name]
        own = [value for other, value in found if other == name.lower()]
        assert own == (wanted or own)
    assert [value for name, value in found if name == "host"] == [target.place]


_LINES = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 302 \r\n", b"\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Location: http://b/\r\n", b"Location: //[\r\n", b"a: b\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"),
    *(
        b"Location: \xff\r\n",
        gzip.compress(b"abc"),
        b"HTTP/1.1 101 Up\r\n\r\n",
        b"\0",
        b"Upgrade: a\r\n",
    ),
]
answers = st.lists(st.sampled_from(_LINES) | st.binary(max_size=8), max_size=8).map(b"".join)


@given(st.lists(answers, min_size=2, max_size=2), st.integers(1, 50), st.booleans())
def test_whatever_a_server_sends_there_is_a_status_or_a_reason(
    sent: list[bytes], piece: int, follow: bool
) -> None:
    """Q2, Q5."""
    server = Server(*sent, *[b""] * MOST_REDIRECTS, piece=piece)
    with suppress(NotAnswered):
        assert 100 <= server.ask(replace(PLAIN, follow_redirects=follow)) <= 999


def with_body(body: bytes, how: str) -> bytes:
    """Return an answer that has this body, delimited and coded in that way."""
    if how == "gzip":
        body = gzip.compress(body)
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body
    if how == "chunked":
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]) if part
        )
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    length = b"Content-Length: %d\r\n" % len(body) if how == "length" else b""
    return b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\n" + length + b"\r\n" + body


@given(st.binary(max_size=200), st.sampled_from(["gzip", "chunked", "length", "close"]), st.data())
def test_a_body_is_kept_as_it_was_meant_however_it_is_sent(
    body: bytes, how: str, data: st.DataObject
) -> None:
    """Q5."""
    server = Server(with_body(body, how), piece=data.draw(st.integers(1, 300)))
    assert server.ask(PLAIN) == 200
    assert server.kept == body


@pytest.mark.parametrize("how", ["gzip", "chunked", "length", "close"])
def test_of_a_long_body_the_beginning_is_kept_and_little_more_is_read(how: str) -> None:
    """Q5: 64 MB behind 64 KB of gzip, too."""
    body = bytes(range(256)) * 1024 * (256 if how == "gzip" else 8)
    server = Server(with_body(body, how), piece=1024)
    assert server.ask(PLAIN) == 200
    assert server.kept == body[:MOST_OF_A_BODY]
    assert server.sent <= MOST_OF_A_BODY + 16 * 1024


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 100 \r\n\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 1_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000,
        b"a" * 1_000_000,
    ],
)
def test_an_answer_without_end_is_read_no_further_than_is_of_use(sent: bytes) -> None:
    """Q5."""
    server = Server(sent, piece=1024)
    with pytest.raises(NotAnswered):
        server.ask(PLAIN)
    assert server.sent <= MOST_READ + 16 * 1024


def test_a_body_in_the_least_of_chunks_is_read_until_enough_was_sent() -> None:
    """Q5: the status counts, though less of the body is kept."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = Server(head + b"1\r\na\r\n" * 200_000, piece=1024)
    assert server.ask(PLAIN) == 200
    assert server.kept == b"a" * len(server.kept)
    assert len(server.kept) <= MOST_EVENTS
    assert server.sent <= MOST_READ + 16 * 1024


def test_a_body_that_is_not_what_it_says_is_no_answer() -> None:
    """Q2."""
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nhello")
    with pytest.raises(NotAnswered, match="says that it is gzip"):
        server.ask(PLAIN)


async def test_an_answer_counts_though_the_server_did_not_take_all_of_the_request() -> None:
    """Q2: one that wants no more closes its side."""
    client, server = trio.testing.memory_stream_pair()
    await server.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    await server.aclose()

    async def connect(_: Target) -> trio.abc.Stream:
        return client

    assert await Client(connect).ask(PLAIN, [], lambda _: None) == 413


def test_a_body_that_never_grows_is_read_until_enough_was_sent() -> None:
    """Q5: gzip may hold blocks of nothing, without end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    server = Server(head + gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 400_000, piece=1024)
    assert server.ask(PLAIN) == 200
    assert server.kept == b""
    assert server.sent <= MOST_READ + 16 * 1024


def redirect(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 9999\r\n\r\n".encode()


DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
FOLLOWING = Remote("https://a/b/c?d", "POST", body="x", follow_redirects=True)
SECRETS = [("Authorization", "s"), ("Cookie", "s"), ("Content-Type", "text/plain"), ("X", "y")]


@given(st.sampled_from([301, 302, 303, 307, 308]), st.sampled_from(["GET", "HEAD", "POST", "PUT"]))
def test_a_redirect_is_followed_with_the_method_that_its_status_asks_for(
    status: int, method: str
) -> None:
    """Q4: and nothing of the body of the redirect itself is waited for."""
    server = Server(redirect(status, "../e?f"), DONE)
    assert server.ask(replace(FOLLOWING, method=method), SECRETS) == 200
    _, (target, head, body) = server.requests
    assert target == parse_url("https://a/e?f")
    becomes_get = (status == 303 and method != "HEAD") or (status < 303 and method == "POST")
    assert head.method == (b"GET" if becomes_get else method.encode())
    assert body == (b"" if becomes_get else b"x")
    names = {name for name, _ in head.headers}
    assert {b"authorization", b"cookie", b"x"} <= names
    assert (b"content-type" in names) == (not becomes_get)


@pytest.mark.parametrize("elsewhere", ["https://b/", "//a:8443/", "https://b.a/ü ?é"])
def test_what_a_redirect_to_another_server_gets_holds_no_secret(elsewhere: str) -> None:
    """Q4."""
    server = Server(redirect(307, elsewhere), DONE)
    assert server.ask(FOLLOWING, [*SECRETS, ("Host", "inner")]) == 200
    (_, first, _), (target, second, _) = server.requests
    assert dict(first.headers)[b"host"] == b"inner"
    names = dict(second.headers)
    assert names[b"host"] == target.place.encode()
    assert not {b"authorization", b"cookie"} & names.keys()
    assert names[b"x"] == b"y"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://a/", "not safe"),
        ("file:///etc/passwd", "no URL"),
        ("https://user:s3cret@a/", "no URL"),
        ("https://[", "no URL"),
        ("https://a/" + "b" * 3000, "no URL"),
    ],
)
def test_a_redirect_to_where_nobody_should_go_is_not_followed(location: str, words: str) -> None:
    """Q4."""
    server = Server(redirect(302, location), DONE)
    with pytest.raises(NotAnswered, match=words) as caught:
        server.ask(FOLLOWING)
    assert "s3cret" not in str(caught.value)
    assert len(server.requests) == 1


def test_redirects_in_a_circle_come_to_an_end() -> None:
    """Q4."""
    server = Server(*[redirect(302, "/b/c?d")] * 50)
    with pytest.raises(NotAnswered, match="more than 10 times"):
        server.ask(FOLLOWING)
    assert len(server.requests) == MOST_REDIRECTS + 1


def test_a_redirect_is_an_answer_like_any_other_unless_it_is_to_be_followed() -> None:
    """Q4."""
    answer = b"HTTP/1.1 302 x\r\nLocation: https://b/\r\nContent-Length: 2\r\n\r\nhi"
    server = Server(answer)
    assert server.ask(replace(FOLLOWING, follow_redirects=False)) == 302
    assert server.kept == b"hi"
