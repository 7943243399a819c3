"""The way from the web to the scheduler, and what is known of a request when it ends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from kala_trio.core.errors import KalaTrioError, Unanswered, Unavailable
from kala_trio.core.messages import Delete, Request, Start
from kala_trio.door import Door, Inside, Pulse, Reload, serve_door
from kala_trio.store.reader import Reader
from kala_trio.vitals import Vitals
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from properties.well import WELL


def vitals() -> Vitals:
    return WELL


@asynccontextmanager
async def served(
    ask: Callable[[Request], Awaitable[None]],
    load_anew: Callable[[], None] = lambda: None,
    reloads: trio.MemoryReceiveChannel[Reload] | None = None,
) -> AsyncIterator[tuple[Door, trio.CancelScope]]:
    """Open a door to ``ask``, until the scope is cancelled as the daemon does at its end."""
    ours, theirs = memory_stream_pair()
    door, end = Door(theirs, load_anew), trio.CancelScope()
    reloads = reloads or trio.open_memory_channel[Reload](0)[1]

    async def serve() -> None:
        with end:
            async with ours:
                await serve_door(ours, Inside(lambda request, _: ask(request), vitals, reloads))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        nursery.start_soon(door.run)
        yield door, end
        end.cancel()


async def ask_in_vain(door: Door, error: type[KalaTrioError], words: str) -> None:
    """Ask for something, and be told so."""
    with pytest.raises(error, match=words):
        await door.ask(Delete("a"))


async def test_what_was_done_when_the_end_came_is_answered_as_done() -> None:
    """C1: what is durable is not called unavailable."""
    may_end = trio.Event()

    async def ask(_: Request) -> None:
        await may_end.wait()

    async with served(ask) as (door, end), trio.open_nursery() as clients:
        for number in range(3):
            clients.start_soon(door.ask, Delete(str(number)))
        await wait_all_tasks_blocked()
        may_end.set()
        end.cancel()


async def test_what_was_not_taken_when_the_end_came_may_be_sent_again() -> None:
    """C4: 503 means that nothing was changed."""
    taken: list[Request] = []

    async def ask(request: Request) -> None:
        taken.append(request)

    async with served(ask) as (door, end):
        await wait_all_tasks_blocked()
        end.cancel()
        await ask_in_vain(door, Unavailable, "is stopping; send it again")
        await ask_in_vain(door, Unavailable, "is stopping; send it again")
    assert not taken


async def test_of_what_was_left_half_done_nobody_says_that_nothing_was_changed() -> None:
    """C1: as when the scheduler's process was killed."""

    async def ask(_: Request) -> None:
        await trio.sleep_forever()

    async with served(ask) as (door, end), trio.open_nursery() as clients:
        clients.start_soon(ask_in_vain, door, Unanswered, "look whether it took this")
        await wait_all_tasks_blocked()
        end.cancel()


async def test_what_is_to_be_loaded_anew_is_said_between_answers() -> None:
    """However many web processes have gone meanwhile."""
    loaded = 0

    def load_anew() -> None:
        nonlocal loaded
        loaded += 1

    async def ask(_: Request) -> None:
        pass

    say, said = trio.open_memory_channel[Reload](1)
    for lives in (1, 2):
        async with served(ask, load_anew, said) as (door, _):
            await say.send(Reload())
            await wait_all_tasks_blocked()
            await door.ask(Delete("a"))
        assert loaded == lives


async def test_a_request_that_lost_its_answer_is_not_said_to_have_changed_nothing(
    tmp_path: Path,
) -> None:
    """Rule C1: a daemon that is killed may have committed it; 503 would have clients repeat it."""
    web, scheduler = memory_stream_pair()
    door = Door(web, lambda: None)
    app = create_app(
        Reader(tmp_path / "kala.db"), door.ask, acceptance=Acceptance(), output=tmp_path
    )
    carried_out = []

    async def never_answer(request: object, _: str) -> None:
        carried_out.append(request)
        await trio.sleep_forever()

    async def post() -> None:
        response = await app.test_client().post("/api/v1/job/start/a/")
        answers.append((response.status_code, response.headers.get("Retry-After")))

    answers: list[tuple[int, str | None]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.run)
        _, reloads = trio.open_memory_channel[Reload](0)
        nursery.start_soon(serve_door, scheduler, Inside(never_answer, vitals, reloads))
        nursery.start_soon(post)
        await wait_all_tasks_blocked()
        assert carried_out == [Start("a")]
        await scheduler.aclose()
        await wait_all_tasks_blocked()
        await post()
        nursery.cancel_scope.cancel()
    assert answers == [(502, None), (503, "1")]


async def test_the_scheduler_is_seen_to_live_even_while_a_flood_waits_for_it(
    autojump_clock: MockClock,
) -> None:
    async def ask(_: Request) -> None:
        await trio.sleep_forever()

    async with served(ask) as (door, _), trio.open_nursery() as clients:
        for number in range(2000):
            clients.start_soon(door.ask, Delete(str(number)))
        await trio.sleep(100)
        assert await door.vitals() == vitals()
        clients.cancel_scope.cancel()


async def test_a_scheduler_that_shows_no_sign_of_life_is_not_taken_for_a_live_one(
    autojump_clock: MockClock,
) -> None:
    """Its last word holds for five seconds."""
    web, scheduler = memory_stream_pair()
    door = Door(web, lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.run)
        assert await door.vitals() is None
        encoded = msgspec.msgpack.encode(Pulse(vitals()))
        pulse = len(encoded).to_bytes(4, "big") + encoded
        await scheduler.send_all(pulse)
        await trio.sleep(4)
        assert await door.vitals() == vitals()
        await trio.sleep(2)
        assert await door.vitals() is None
        # Whoever was stopped himself finds old news, and waits for those that are on their way.
        nursery.start_soon(scheduler.send_all, pulse)
        assert await door.vitals() == vitals()
        nursery.cancel_scope.cancel()
