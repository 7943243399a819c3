"""Remote attempts in this process: what ends them, and what holds nothing up."""

import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from kala_trio.clock import WallClock
from kala_trio.core.definition import Definition, Policy, Remote
from kala_trio.core.job import (
    Answered,
    Attempt,
    Cancelled,
    Lost,
    NoAnswer,
    Result,
    Stopped,
    TimedOut,
)
from kala_trio.core.messages import AwaitOrphan, StartAttempt
from kala_trio.runner.dispatch import Dispatch
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.targets import Targets
from tests.daemon import PATIENCE, eventually
from tests.test_runner import JOB, NOW, other_group, run_of
from tests.website import saying, waiting, website


async def run_until(
    root: Path, remote: Remote, end: Any, has_begun: Any, limit: str = ""
) -> Result:
    """Run an attempt; once it has begun call ``end`` with its runner and its cancel scope."""
    definition = Definition("a", "", remote_properties=remote, policy=Policy(timeout=limit))
    results: list[Result] = []
    ending = trio.CancelScope()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            runner = Dispatch(root, WallClock(), nursery, Outbound(Targets()))

            async def run() -> None:
                act = StartAttempt(run_of(), 1, definition)
                results.append((await runner.run_attempt(act, ending)).result)

            nursery.start_soon(run)
            await trio.to_thread.run_sync(lambda: eventually(has_begun))
            end(runner, ending)
    return results[0]


def stop(runner: Dispatch, _: trio.CancelScope) -> None:
    runner.end_attempts()


def cancel(_: Dispatch, ending: trio.CancelScope) -> None:
    ending.cancel()


def wait(_: Dispatch, __: trio.CancelScope) -> None:
    pass


@pytest.mark.parametrize(
    ("end", "limit", "result"),
    [(stop, "", Stopped()), (cancel, "", Cancelled()), (wait, "PT0.1S", TimedOut())],
)
async def test_a_request_in_progress_is_broken_off_at_once_by_whoever_may(
    tmp_path: Path, end: Any, limit: str, result: Result
) -> None:
    """C4, M6, A5: by a stop, by a cancel, and by its own timeout."""
    with website(waiting) as site:
        remote = Remote(site.url)
        # A limit may be over before the request was made: nobody waits for that then.
        found = await run_until(tmp_path, remote, end, lambda: limit or site.asked, limit)
        assert found == result


async def test_a_name_that_is_looked_up_for_ever_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C4, Q3: the system's resolver can't be interrupted, so nobody waits for it."""
    asked, over = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> None:
        asked.set()
        over.wait(PATIENCE)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        remote = Remote("http://slow.example/", timeout=0.1)
        found = await run_until(tmp_path, remote, wait, lambda: True)
        assert isinstance(found, NoAnswer)
        assert found.reason.startswith("no whole answer within 0.1 s")
        patient = replace(remote, timeout=PATIENCE)
        assert await run_until(tmp_path, patient, stop, asked.is_set) == Stopped()
    finally:
        over.set()


async def test_an_address_where_nobody_answers_is_followed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q1: where a name has several."""
    with website(saying(200)) as site, closing(refusing()) as refused:
        addresses = [refused.getsockname(), ("127.0.0.1", site.port)]

        def look_up(*_: object, **__: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        remote = Remote("http://both.example/")
        found = await run_until(tmp_path, remote, wait, lambda: site.asked)
        assert found == Answered(200, is_expected=True)


def refusing() -> socket.socket:
    """Return what has an address and does not listen."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


async def test_a_process_is_awaited_though_its_job_was_edited_to_be_remote_since(
    tmp_path: Path,
) -> None:
    """C3, M4: and where nothing is found, as of a request, it is lost at once (Q7)."""
    definition = Definition("a", "", remote_properties=Remote("http://a/"))
    orphan = AwaitOrphan(run_of(), Attempt(f"{JOB}.1", 1, NOW), definition)
    results: list[Result] = []

    async def await_it(runner: Dispatch) -> None:
        results.append((await runner.await_orphan(orphan, trio.CancelScope())).result)

    (tmp_path / JOB).mkdir()
    with other_group() as group, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            runner = Dispatch(tmp_path, WallClock(), nursery, Outbound(Targets()))
            group.note(f"{tmp_path}/{JOB}/1.group")
            nursery.start_soon(await_it, runner)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert not results
            os.kill(group.id, signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            await await_it(Dispatch(tmp_path, WallClock(), nursery, Outbound(Targets())))
    assert results == [Lost(), Lost()]
