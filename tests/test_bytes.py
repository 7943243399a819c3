"""Any bytes on a real socket, in any pieces: each request has one answer.

What is a request, and what is none, is told by h11 as a server would read it, on its own.
"""

import itertools
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h11
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, running

EXAMPLES = 300
LARGEST_HEAD = 64 * 1024
MOST_GROWTH = 40.0  # MB
JOB = json.dumps({"name": "a", "command": "true", "schedule": FUTURE}).encode()
GET = b"GET /api/v1/stats/ HTTP/1.1\r\nHost: localhost\r\n"
LAST = b"GET /api/v1/stats/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""What follows on all that is drawn: whoever takes it for a part of something else answers less."""

TOLD = {501, 505}
"""Statuses above 500 that say what is not spoken here: a transfer coding, or another HTTP."""

METHODS = [b"GET", b"GET", b"POST", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"PATCH", b"TRACE"]
METHODS += [b"CONNECT", b"BREW", b"head", b"GET\0", b"G\xc3\x9cT", b"", b"PRI", b"M" * 300]
TARGETS = [
    b"/api/v1/stats/",
    b"/api/v1/job/",
    b"/api/v1/job",
    b"/webui/",
    b"/static/kala.css",
    b"/",
]
TARGETS += [
    b"/api/v1/job/%00/",
    b"/api/v1/job/%ff/",
    b"/api/v1/job/\0/",
    b"/\xff",
    b"*",
    b"?",
    b"//",
]
TARGETS += [b"http://localhost/api/v1/job/", b"localhost:80", b"/" + b"a" * 8_500, b"/a b", b"/#"]
TARGETS += [
    b"/api/v1/run/?limit=%ff&%00=&&=",
    b"/api/v1/run/x/output/?tail=9",
    b"/webui/new/",
    b"/%",
]
TARGETS += [b"/static/..%2f..%2fworker.py", b"/api/v1/openapi.json", b"/api/v1/job/start/x/"]
VERSIONS = [b"HTTP/1.1"] * 6 + [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.10",
    b"http/1.1",
    b"",
]
HEADERS = [
    *(
        b"Host: localhost",
        b"Host: evil.example",
        b"Host: [::1",
        b"Host:",
        b"Host: \xff",
        b"X: a\0b",
    ),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade, HTTP2-Settings"),
    *(b"Upgrade: h2c", b"Upgrade: websocket", b"HTTP2-Settings: AAM", b"HTTP2-Settings: \xff"),
    *(b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Extensions: \xff"),
    *(b"Expect: 100-continue", b"Expect: \xff", b"Content-Length: 5", b"Content-Length: -1"),
    *(b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length: " + b"9" * 40),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: "),
    *(b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding : chunked", b"\tfolded: a"),
    *(
        b"Transfer-Encoding:\x0bchunked",
        b"X: a\r\n b",
        b"X : a",
        b": a",
        b"X",
        b"X: " + b"a" * 9_000,
    ),
    *(
        b"Content-Type: \xff; charset=\xff",
        b"Content-Type: multipart/form-data; boundary=",
        b"TE: a",
    ),
    *(
        b'Cookie: \xff="; kala_trio_token=\xff',
        b"Authorization: Bearer \xff",
        b"Origin: http://[::1",
    ),
    *(b"If-Match: \xff", b"Idempotency-Key: \xff", b"Range: bytes=9-1", b"X-HTTP-Method: DELETE"),
]
BODIES = [
    b"",
    b"abcde",
    b"5\r\nabcde\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"-1\r\n\r\n",
    b"5;a=b\r\nabcde\r\n",
]
BODIES += [
    b"ffffffffffffffff\r\na",
    b"5\nabcde\n0\n\n",
    b"0\r\nX: a\r\n\r\n",
    b"0\r\n\0: a\r\n\r\n",
    b"\0" * 99,
]
OTHER_PROTOCOLS = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    bytes.fromhex("16030100c8010000c40303") + bytes(200),  # a ClientHello
    *(b"GET /\r\n", b"SSH-2.0-x\r\n", b"\r\n\r\n", b"\0" * 64, b"EHLO a\r\n", b"\xff\xfe\r\n\r\n"),
]
ODD = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\xff",
    b"\x0b",
    b"0\r\n\r\n",
    LAST,
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw a request that is nearly one."""
    method, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS))
    line = b" ".join([method, target, draw(st.sampled_from(VERSIONS))])
    usual = draw(st.sampled_from([[b"Host: localhost"]] * 5 + [[]]))
    headers = usual + draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    return b"\r\n".join([line, *headers, b"", draw(st.sampled_from(BODIES))])


@st.composite
def creates(draw: st.DrawFn) -> bytes:
    """Draw a request for a job that is well framed, so that what hides in it or behind is found."""
    if draw(st.booleans()):
        framed = b"Content-Length: %d\r\n\r\n%b" % (len(JOB), JOB)
    else:
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(JOB), JOB)
    return b"POST /api/v1/job/ HTTP/1.1\r\nHost: localhost\r\n" + framed


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """Draw a request in which something was inserted, left out or doubled."""
    text = draw(requests() | creates())
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 20)))
    middle = draw(st.sampled_from([b"", text[start:end] * 2, *ODD]))
    return text[:start] + middle + text[end:]


conversations = st.lists(
    requests() | creates() | edited() | st.sampled_from(OTHER_PROTOCOLS), min_size=1, max_size=3
).map(b"".join)


class Reading(NamedTuple):
    """What a server sees in bytes.

    The requests, by their methods; what is none counts as one, too: it is refused. Whether all of
    the last one is there, and whether the server hangs up after it.
    """

    methods: list[bytes]
    is_whole: bool
    is_over: bool


def read_as_a_server(data: bytes) -> Reading:
    """Return what h11 makes of bytes, where it answers each request as soon as it is there."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
    server.receive_data(data)
    methods: list[bytes] = []
    while True:
        try:
            event = server.next_event()
        except h11.RemoteProtocolError:
            is_new = server.our_state is h11.IDLE
            return Reading([*methods, b"GET"] if is_new else methods, is_whole=True, is_over=True)
        if isinstance(event, h11.Request):
            methods.append(event.method)
            if not event.method.isupper():
                return Reading(methods, is_whole=True, is_over=True)
        elif event is h11.NEED_DATA:
            return Reading(methods, is_whole=server.their_state is not h11.SEND_BODY, is_over=False)
        elif isinstance(event, h11.EndOfMessage):
            server.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            if server.our_state is not h11.DONE:
                return Reading(methods, is_whole=True, is_over=True)
            server.start_next_cycle()


class Answers:
    """What comes back, as h11 reads it for a client that has sent requests with these methods."""

    def __init__(self, methods: list[bytes]) -> None:
        """Begin with none."""
        self.statuses: list[int] = []
        self._methods = methods
        self._client = h11.Connection(h11.CLIENT)
        self._is_asked = False

    @property
    def are_all(self) -> bool:
        """Whether each request has its answer."""
        return len(self.statuses) == len(self._methods)

    def receive(self, data: bytes) -> None:
        """Read on; an answer that is none, or that nobody asked for, raises RemoteProtocolError."""
        assert not self.are_all, "one answer too many"
        self._client.receive_data(data)
        while True:
            if not self._is_asked and not self.are_all:
                method = self._methods[len(self.statuses)]
                self._client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
                self._client.send(h11.EndOfMessage())
                self._is_asked = True
            event = self._client.next_event()
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                self.statuses.append(self._status)
                self._is_asked = False
                if self._client.our_state is h11.DONE and self._client.their_state is h11.DONE:
                    self._client.start_next_cycle()
                else:
                    assert not self._client.trailing_data[0], "something after the last answer"
                    return
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                assert not (self.are_all and self._client.trailing_data[0]), "one answer too many"
                return


def talk(port: int, pieces: list[bytes], reading: Reading) -> tuple[list[int], bool]:
    """Send the pieces; return the statuses of the answers, and whether the server hung up early.

    Who hangs up on a client that still sends may take from it what was not read yet.
    """
    answers, was_cut = Answers(reading.methods), False
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                stream.sendall(piece)
            while reading.is_over or not answers.are_all:
                if not (data := stream.recv(1 << 16)):
                    break
                answers.receive(data)
        except (ConnectionResetError, BrokenPipeError):
            was_cut = True
    return answers.statuses, was_cut


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Run a daemon that has nothing to tell in the end but that it was stopped."""
    with running(tmp_path / "kala.db") as daemon:
        yield daemon
        status, errors = daemon.end()
        assert status == 0
        assert [line for line in errors.splitlines() if "SIGTERM: stopping" not in line] == []


def jobs(daemon: Daemon) -> int:
    """Return how many there are, which is to say that it is well."""
    count: int = daemon.get("/stats/")["Stats"]["Jobs"]
    return count


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces of ``data`` between places that are taken modulo its length."""
    ends = sorted({place % len(data) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def test_each_request_has_one_answer_whatever_bytes_come(daemon: Daemon) -> None:
    """None is a bug's, none too many; a job is made for each 201, and nothing else is changed."""
    there = jobs(daemon)
    web = daemon.web_process()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(conversations, st.lists(st.integers(0, 10**6), max_size=3))
    # Each of these has ended the web process, or hung it, or was answered with two answers in one.
    @example(GET + b"Upgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AAM\r\n\r\n", [])
    @example(
        GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: \xff\r\n\r\n", []
    )
    @example(GET + b"Connection: close\r\n\r\nX", [])
    @example(GET.replace(b"GET", b"head") + b"\r\n", [])
    @example(GET + b"Origin: http://[::1\r\n\r\n", [])
    @example(GET.replace(b"/", b"?", 1) + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", [])
    def converse(data: bytes, places: list[int]) -> None:
        nonlocal there
        reading = read_as_a_server(data + LAST)
        statuses, was_cut = talk(daemon.port, cut(data + LAST, places), reading)
        assert all(status < 500 or status in TOLD for status in statuses)
        now = jobs(daemon)
        if not was_cut:
            assert len(statuses) >= len(reading.methods) - (not reading.is_whole)
            assert now == there + statuses.count(201)
        there = now
        assert daemon.web_process() == web

    converse()
    size, opened = daemon.memory(), descriptors(web)
    converse()  # the same once more, for which it needs nothing that it did not have
    # A look may fall on connections that were just opened: to clients, or to the database.
    eventually(lambda: descriptors(web) <= opened + 8)
    assert daemon.memory() < size + MOST_GROWTH
