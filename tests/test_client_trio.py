"""The Python client for trio, against a real daemon."""

import inspect
import uuid
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
import trio

from kala_trio.client import AsyncClient, Client, NotFound
from tests.daemon import FUTURE, Daemon, eventually, fifo
from tests.relay import BUSY, CUT, relay

AT_ONCE = (0.0, 0.0, 0.0)


def test_both_clients_have_the_same_methods_with_the_same_words() -> None:
    def methods(kind: type) -> dict[str, tuple[str | None, list[object]]]:
        return {
            name: (it.__doc__, [*map(str, inspect.signature(it).parameters.values())])
            for name, it in vars(kind).items()
            if callable(it) and not name.startswith("_")
        }

    assert methods(AsyncClient) == methods(Client)


async def test_the_client_for_trio_creates_finds_and_deletes(daemon: Daemon) -> None:
    owner = str(uuid.uuid4())
    async with AsyncClient(daemon.url) as client:
        async with trio.open_nursery() as nursery:
            for name in "dcba":
                keys = {"name": name, "command": "true", "schedule": FUTURE, "owner": owner}
                nursery.start_soon(partial(client.create, **keys))
        found = [job async for job in client.find(owner=owner, sort="name", limit=3)]
        assert [job.name for job in found] == [*"abcd"]
        for job in found:
            await client.delete(job.id)
        with pytest.raises(NotFound):
            await client.get(found[0].id)


async def test_the_client_for_trio_repeats_what_broke(daemon: Daemon) -> None:
    with relay(daemon, CUT, BUSY) as way:
        async with AsyncClient(way.url, pauses=AT_ONCE) as client:
            await client.create(name="job", command="true", schedule=FUTURE)
            assert len(way.asked) == 3


async def test_a_search_with_trio_may_be_left_before_its_end(daemon: Daemon) -> None:
    owner = str(uuid.uuid4())
    async with AsyncClient(daemon.url) as client:
        for name in "ab":
            await client.create(name=name, command="true", schedule=FUTURE, owner=owner)
        async with aclosing(client.find(owner=owner, limit=1)) as jobs:
            async for job in jobs:
                assert job.name == "a"
                break


async def test_who_follows_with_trio_may_stop_at_any_time(daemon: Daemon, tmp_path: Path) -> None:
    async with AsyncClient(daemon.url) as client:
        command = f"echo begun; cat {fifo(tmp_path)}"
        job_id = await client.create(name="job", command=command, shell=True, schedule=FUTURE)
        await client.start(job_id)
        run_id = f"{job_id}.1"
        eventually(lambda: daemon.outcomes(job_id) == [None])
        with trio.CancelScope() as scope:
            async for data in client.follow(run_id):
                assert data == b"begun\n"
                scope.cancel()
        assert scope.cancelled_caught
        await client.cancel(run_id)
        eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])
        assert [data async for data in client.follow(run_id)] == [b"begun\n"]
