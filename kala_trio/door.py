"""Requests and answers, as frames over a stream: the only way from the web to the scheduler."""

import itertools
import logging
import math
import struct
from collections.abc import Awaitable, Callable
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, assert_never

import msgspec
import trio
from msgspec import Struct

from kala_trio.core.errors import (
    STOPPING,
    Conflict,
    KalaTrioError,
    NotFound,
    Outdated,
    Refused,
    Unanswered,
    Unavailable,
)
from kala_trio.core.messages import Request
from kala_trio.vitals import Vitals

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Struct)

_LENGTH = struct.Struct("!I")
_LONGEST = 16 * 1024 * 1024  # a list of the largest accepted body is far below
_READ = 64 * 1024
_OUTSTANDING = 256
# How long the last answers may take to get through the door, in seconds.
_PARTING = 8.0
# How often the scheduler shows how it is, and for how long its word holds, in seconds.
_PULSE = 1.0
_HOLDS = 5.0


class Ask(Struct, frozen=True):
    """A request, with a number that its answer will bear, and the name of a token, if any."""

    number: int
    request: Request
    who: str = ""


class Answer(Struct, frozen=True, tag=True):
    """Done, if ``error`` is empty; else the name of an error, and what it is made from."""

    number: int
    error: str = ""
    arguments: tuple[Any, ...] = ()


class Reload(Struct, frozen=True, tag=True):
    """Tells the web to load its certificate anew."""


class Farewell(Struct, frozen=True, tag=True):
    """The last frame of all: what has no answer by now was not carried out, and won't be."""


class Pulse(Struct, frozen=True, tag=True):
    """How the scheduler is: sent unasked, so that no flood of requests stands before it."""

    vitals: Vitals


_ToWeb = Answer | Pulse | Reload | Farewell


class Door:
    """The web's end."""

    def __init__(self, stream: trio.abc.Stream, load_anew: Callable[[], None]) -> None:
        """Talk over ``stream``, whose other end ``serve_door`` has; ``run`` must be running.

        ``load_anew`` is called for each ``Reload``.
        """
        self._stream = stream
        self._load_anew = load_anew
        self._numbers = itertools.count()
        self._waiting: dict[int, _Waiting] = {}
        self._outgoing, self._asks = trio.open_memory_channel[Ask](math.inf)
        self._open = True
        self._vitals: Vitals | None = None
        self._heard_at = -math.inf
        self._pulse = trio.Event()

    async def vitals(self) -> Vitals | None:
        """Return how the scheduler was a second ago; None if it shows no sign of life.

        Where this process stood still itself its news are old: the next are waited for.
        """
        if self._open and not self._is_heard():
            with trio.move_on_after(1.5 * _PULSE):
                await self._pulse.wait()
        return self._vitals if self._is_heard() else None

    def _is_heard(self) -> bool:
        return self._open and trio.current_time() < self._heard_at + _HOLDS

    async def ask(self, request: Request, who: str = "") -> None:
        """Have the scheduler carry out ``request`` for ``who``; return when that is durable.

        Raises:
            Refused, NotFound, Conflict, Outdated, Unavailable: as the scheduler raised it;
                Unavailable also when the scheduler is gone already.
            Unanswered: the scheduler went before it answered.
        """
        if not self._open:
            raise Unavailable(STOPPING)
        number = next(self._numbers)
        waiting = self._waiting[number] = _Waiting()
        try:
            self._outgoing.send_nowait(Ask(number, request, who))
            await waiting.answered.wait()
        finally:
            del self._waiting[number]
        if waiting.error:
            raise waiting.error

    async def run(self) -> None:
        """Carry requests and answers until the other end says farewell, or is gone."""
        error: KalaTrioError = Unanswered(
            "the scheduler has gone; look whether it took this before you repeat it"
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, self._stream, self._asks)
                frames = _Frames[_ToWeb](self._stream, _ToWeb)
                while not isinstance(frame := await frames.receive(), Farewell | None):
                    self._take_in(frame)
                if isinstance(frame, Farewell):
                    error = Unavailable(STOPPING)
                nursery.cancel_scope.cancel()
        finally:
            self._open = False
            for waiting in self._waiting.values():
                waiting.answer(error)

    def _take_in(self, frame: Answer | Pulse | Reload) -> None:
        match frame:
            case Pulse(vitals):
                self._vitals, self._heard_at = vitals, trio.current_time()
                self._pulse.set()
                self._pulse = trio.Event()
            case Reload():
                self._load_anew()
            case Answer(number):
                if waiting := self._waiting.get(number):  # whoever asked may have gone away
                    waiting.answer(_error_of(frame))
            case _:
                assert_never(frame)


class _Waiting:
    """Somebody who waits for an answer."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.error: KalaTrioError | None = None

    def answer(self, error: KalaTrioError | None) -> None:
        self.error = error
        self.answered.set()


class Inside(NamedTuple):
    """What the scheduler process has for the web.

    ``ask`` carries out requests for somebody, ``vitals`` are shown each second, and what comes from
    ``reloads`` is passed on.
    """

    ask: Callable[[Request, str], Awaitable[None]]
    vitals: Callable[[], Vitals]
    reloads: trio.MemoryReceiveChannel[Reload]


async def serve_door(
    stream: trio.abc.Stream,
    inside: Inside,
) -> None:
    """Answer the requests that come over ``stream`` with what is ``inside``, until it ends.

    So many are carried out at once at most that no flood of requests grows without bound here. When
    cancelled, still sends the answers that there are, in bounded time; and where ``ask`` was done
    with all that it was given, a farewell.
    """
    slots = trio.Semaphore(_OUTSTANDING)
    outgoing, answers = trio.open_memory_channel[_ToWeb](math.inf)

    async def carry_out(asked: Ask) -> None:
        answer = Answer(asked.number)
        try:
            await inside.ask(asked.request, asked.who)
        except KalaTrioError as error:
            answer = _answer_with(asked.number, error)
        outgoing.send_nowait(answer)
        slots.release()

    async def show() -> None:
        while True:
            if not answers.statistics().current_buffer_used:  # else nobody reads at present
                outgoing.send_nowait(Pulse(inside.vitals()))
            await trio.sleep(_PULSE)

    async def pass_on() -> None:
        async for reload in inside.reloads:
            outgoing.send_nowait(reload)

    # What is half sent can only be sent to its end, or no frame is any more.
    sending = trio.CancelScope(shield=True)

    async def send() -> None:
        with sending:
            await _send(stream, answers)

    async with trio.open_nursery() as sender:
        sender.start_soon(send)
        with outgoing:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(show)
                    nursery.start_soon(pass_on)
                    frames = _Frames[Ask](stream, Ask)
                    while asked := await frames.receive():
                        await slots.acquire()
                        nursery.start_soon(carry_out, asked)
                    nursery.cancel_scope.cancel()
            finally:
                if slots.value == _OUTSTANDING:
                    outgoing.send_nowait(Farewell())
                sending.deadline = trio.current_time() + _PARTING


async def _send(stream: trio.abc.SendStream, values: trio.MemoryReceiveChannel[F]) -> None:
    """Write frames, those that wait at a time; no one's cancellation can cut one in two."""
    try:
        async for value in values:
            others = range(values.statistics().current_buffer_used)
            waiting = [value, *(values.receive_nowait() for _ in others)]
            await stream.send_all(b"".join(map(_frame, waiting)))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the one who reads from the stream sees its end too


def _frame(value: Struct) -> bytes:
    content = msgspec.msgpack.encode(value)
    return _LENGTH.pack(len(content)) + content


class _Frames(Generic[F]):
    """Reads frames of one kind, or one of several."""

    def __init__(self, stream: trio.abc.ReceiveStream, kind: type[F] | UnionType) -> None:
        self._stream = stream
        self._decoder: msgspec.msgpack.Decoder[F] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    async def receive(self) -> F | None:
        """Return the next frame; None at the end of the stream, and at a frame that is none."""
        try:
            header = await self._take(_LENGTH.size)
            (length,) = _LENGTH.unpack(header)
            if length > _LONGEST:
                raise msgspec.DecodeError(f"a frame of {length} bytes")
            return self._decoder.decode(await self._take(length))
        except msgspec.DecodeError:
            log.exception("a frame that the other process sent makes no sense; closing the door")
        except (EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        return None

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            received = await self._stream.receive_some(_READ)
            if not received:
                raise EOFError
            self._buffer += received
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


_ERRORS = {kind.__name__: kind for kind in (NotFound, Conflict, Outdated, Unavailable)}


def _answer_with(number: int, error: KalaTrioError) -> Answer:
    if isinstance(error, Refused):
        arguments = (error.field, error.problem, error.found, error.example)
        return Answer(number, Refused.__name__, arguments)
    return Answer(number, type(error).__name__, (str(error),))


def _error_of(answer: Answer) -> KalaTrioError | None:
    if not answer.error:
        return None
    if answer.error == Refused.__name__:
        field, problem, found, example = answer.arguments
        return Refused(field, problem, found=found, example=example)
    return _ERRORS[answer.error](*answer.arguments)
