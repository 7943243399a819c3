"""Throughput: runs a second that are decided, durable, started, reaped and recorded."""

import time
from collections.abc import Iterator, Sequence

import trio

from kala_trio.bench.databases import ended_runs
from kala_trio.bench.due import at_once, coming_due
from kala_trio.bench.figures import Limit, Sample, Target
from kala_trio.bench.place import Place

_AT_ONCE = 64


def measure(place: Place) -> Iterator[Sample]:
    """Run many jobs that are due at one instant, to the last one's record."""
    count = place.extent.runs
    with coming_due(place, at_once(count), count) as due:
        before = due.service.cpu()
        time.sleep(max(0.0, due.first - time.time()))
        while ended_runs(due.service.db) < count:
            time.sleep(0.01)
        rate = count / (time.time() - due.first)
        cpu = (due.service.cpu() - before) / count
    with place.empty() as directory:
        one, many = (
            place.programs.loop(count, width, directory / "log") for width in (1, _AT_ONCE)
        )
        through_trio = _through_trio(count, place.programs.command(directory / "log"))
    name = "runs"
    target = Target("≥", 0.95, of_limit=True)
    yield Sample(name, rate, "a second", Limit("C loop, one at a time", count / one.took), target)
    yield Sample(name, rate, "a second", Limit(f"C loop, {_AT_ONCE} at once", count / many.took))
    limit = Limit("trio.run_process, captured", count / through_trio)
    yield Sample(name, rate, "a second", limit, Target("≥", 1.3, of_limit=True))
    limit = Limit("C loop", 1000 * one.cpu / count)
    yield Sample("processor time of a run", 1000 * cpu, "ms", limit)


def _through_trio(count: int, command: Sequence[str]) -> float:
    """Return what it takes to run a command so many times as trio does it, in seconds."""

    async def work(numbers: Iterator[int]) -> None:
        for _ in numbers:
            await trio.run_process(command, capture_stdout=True, capture_stderr=True)

    async def run_all() -> None:
        numbers = iter(range(count))
        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(work, numbers)

    began = time.perf_counter()
    trio.run(run_all)
    return time.perf_counter() - began
