"""One HTTP exchange over a connection, with bounds on all that a server may send.

A server may be hostile, and this runs beside the scheduler: it is read from in small pieces, each
of which lets everybody else go first, and no longer than is of use.
"""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from urllib.parse import quote, urljoin

import h11
import trio
from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.definition import Remote
from kala_trio.core.errors import Refused
from kala_trio.core.url import Target, method_of, parse_url
from kala_trio.runner.connection import NotAnswered

MOST_OF_A_BODY = 128 * 1024
"""How many bytes of an answer's body are kept; the rest is not read."""

LONGEST_HEAD = 16 * 1024
"""How many bytes status line and headers of an answer may have, about."""

MOST_REDIRECTS = 10
"""How many redirects are followed."""

# All that is read of one answer, whatever it is: interim answers, framing, compression; and of how
# many parts, since each chunk takes its time, even one of a byte.
_MOST = 512 * 1024
_MOST_EVENTS = 10_000
# What is parsed at one go: of the worst that fits in, for some milliseconds.
_PIECE = 2 * 1024
_BRIEF = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GZIP = frozenset({b"gzip", b"x-gzip"})
_ONLY_GZIP = 31  # what zlib is told, to read nothing else
# Not for another server than the one that they were meant for.
_CONFIDENTIAL = frozenset({"authorization", "cookie", "host", "proxy-authorization"})
_ALL_BUT_UNSAFE = "!#$%&'()*+,/:;=?@[]~"

Headers = Sequence[tuple[str, str]]


class Request(Struct, frozen=True):
    """What is asked of ``target``; ``headers`` are those beside what every request has.

    Some of it holds ``secrets``, perhaps.
    """

    method: str
    target: Target
    headers: Headers
    body: bytes
    secrets: Sequence[str] = ()


class _Turns:
    """Lets one exchange at a time do what takes its time, and the scheduler go between any two."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def next(self) -> None:
        async with self._lock:
            await trio.lowlevel.checkpoint()


class Client:
    """Makes requests, each over a connection of its own."""

    def __init__(self, connect: Callable[[Target], Awaitable[trio.abc.Stream]]) -> None:
        """Open connections by ``connect``, which raises NotAnswered if there is none."""
        self._connect = connect
        self._turns = _Turns()

    async def ask(
        self,
        remote: Remote,
        headers: Headers,
        keep: Callable[[bytes], None],
        secrets: Sequence[str] = (),
    ) -> int:
        """Send a request and return the status of its answer, whose body goes to ``keep``.

        That has arrived by then, but for what exceeds ``MOST_OF_A_BODY``. ``headers`` are all but
        those that tell how the request is sent; what holds one of ``secrets`` goes to no other
        server than the first.

        Raises:
            NotAnswered: no answer came, or half of one.
        """
        target, body = parse_url(remote.url), remote.body.encode()
        request = Request(method_of(remote), target, headers, body, secrets)
        for _ in range(MOST_REDIRECTS + 1):
            await self._turns.next()
            stream = await self._connect(request.target)
            try:
                conversation = _Conversation(request, stream, self._turns)
                await conversation.send()
                answer = await conversation.head()
                location = _location(answer) if remote.follow_redirects else None
                if location is None:
                    await conversation.body(answer, keep)
                    return answer.status_code
            except h11.ProtocolError as error:
                problem = f"{request.target.place} did not answer as HTTP asks: {_brief(error)}"
                raise NotAnswered(problem) from error
            except (trio.BrokenResourceError, OSError) as error:
                why = _brief(error.__cause__ or error)
                problem = f"the connection to {request.target.place} broke: {why}"
                raise NotAnswered(problem) from error
            finally:
                await trio.aclose_forcefully(stream)
            request = _redirected(request, answer.status_code, location)
        raise NotAnswered(f"was redirected more than {MOST_REDIRECTS} times; is it in a circle?")


def _brief(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


class _TooMuch(Exception):
    """More was sent than is read of any answer."""


class _Conversation:
    """A request and its answer on a connection of their own."""

    def __init__(self, request: Request, stream: trio.abc.Stream, turns: _Turns) -> None:
        self._request = request
        self._stream = stream
        self._turns = turns
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        self._received = 0
        self._events = 0

    async def send(self) -> None:
        """Send the request; a server that has had enough of it may have answered all the same."""
        request = self._request
        own = {name.lower() for name, _ in request.headers}
        usual = [
            ("Host", request.target.place),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            usual.append(("Content-Length", str(len(request.body))))
        headers = [each for each in usual if each[0].lower() not in own]
        events: list[h11.Event] = [
            h11.Request(
                method=request.method,
                target=request.target.path,
                headers=[*headers, *request.headers],
            )
        ]
        if request.body:
            events.append(h11.Data(data=request.body))
        data = b"".join(self._http.send(event) or b"" for event in [*events, h11.EndOfMessage()])
        with suppress(trio.BrokenResourceError):
            await self._stream.send_all(data)

    async def head(self) -> h11.Response:
        """Return the head of the answer, once all of it has arrived."""
        try:
            while not isinstance(event := await self._next(), h11.Response):
                pass
        except _TooMuch:
            place = self._request.target.place
            raise NotAnswered(f"{place} sent {self._received} bytes without an answer") from None
        return event

    async def body(self, answer: h11.Response, keep: Callable[[bytes], None]) -> None:
        """Pass on the body, decompressed, until it ends or enough of it is there."""
        room = MOST_OF_A_BODY
        coding = dict(answer.headers).get(b"content-encoding", b"").lower()
        inflate = zlib.decompressobj(_ONLY_GZIP).decompress if coding in _GZIP else None
        try:
            while room and not isinstance(event := await self._next(), h11.EndOfMessage):
                if isinstance(event, h11.Data):
                    data = bytes(event.data)
                    piece = inflate(data, room) if inflate else data[:room]
                    keep(piece)
                    room -= len(piece)
        except _TooMuch:
            pass
        except zlib.error as error:
            place = self._request.target.place
            raise NotAnswered(f"the body from {place} says that it is gzip: {error}") from error

    async def _next(self) -> h11.Event:
        self._events += 1
        if self._events > _MOST_EVENTS:
            raise _TooMuch
        while not isinstance(event := self._http.next_event(), h11.Event):
            data = await self._stream.receive_some(_PIECE)
            await self._turns.next()
            self._received += len(data)
            if self._received > _MOST:
                raise _TooMuch
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                place = self._request.target.place
                raise NotAnswered(f"{place} closed the connection without an answer")
            self._http.receive_data(bytes(data))
        return event


def _location(answer: h11.Response) -> bytes | None:
    """Return where an answer leads, if it is a redirect."""
    if answer.status_code not in _REDIRECTS:
        return None
    return dict(answer.headers).get(b"location")


def _redirected(request: Request, status: int, location: bytes) -> Request:
    """Return the request that a redirect asks for."""
    old = request.target
    # Servers write more into it than a URL may hold.
    reference = quote(location, safe=_ALL_BUT_UNSAFE)
    try:
        target = parse_url(urljoin(f"{old.origin}{old.path}", reference))
    except (Refused, ValueError) as error:
        problem = f"{old.place} redirects to what is no URL of http or https"
        raise NotAnswered(problem) from error
    if (old.scheme, target.scheme) == ("https", "http"):
        raise NotAnswered(f"{old.place} redirects from https to {target.origin}, which is not safe")
    method, body = request.method, request.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
    dropped = set[str]()
    if target.origin != old.origin:
        dropped = {*_CONFIDENTIAL} | {
            name.lower() for name, value in request.headers if _holds(request, value.encode())
        }
        if _holds(request, body):
            problem = f"{old.place} redirects to {target.origin}, for which the secret in the body"
            raise NotAnswered(f"{problem} is not meant")
    if not body:
        dropped |= {name.lower() for name, _ in request.headers if name[:8].lower() == "content-"}
    headers = [each for each in request.headers if each[0].lower() not in dropped]
    return replace(request, method=method, target=target, headers=headers, body=body)


def _holds(request: Request, text: bytes) -> bool:
    return any(secret.encode() in text for secret in request.secrets)
