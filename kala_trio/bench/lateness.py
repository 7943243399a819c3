"""Lateness: from the instant at which a job is due until its program has started."""

import threading
import time
from collections.abc import Iterator, Sequence

import trio

from kala_trio.bench.due import at_once, coming_due, lateness, steadily, window
from kala_trio.bench.figures import Limit, Sample, Target, quantile
from kala_trio.bench.place import Place

QUIET_RATE = 50
"""How many are due a second where the daemon has little to do."""

PUNCTUAL = Target("≤", 3.0)
_BURST = Target("≤", 1.1, of_limit=True)


def measure(place: Place) -> Iterator[Sample]:
    """One job at a time among many, then many at one instant, then many a second."""
    extent = place.extent
    with coming_due(place, steadily(QUIET_RATE), QUIET_RATE, extent.loaded) as due:
        bare: list[float] = []
        seconds = max(1, round(extent.seconds))
        begin = due.first
        timer = threading.Thread(target=lambda: bare.extend(bare_timer(begin, seconds)))
        timer.start()
        late = window(place, due, QUIET_RATE, seconds)
        timer.join()
        name = f"{QUIET_RATE} a second among {extent.loaded:,} jobs"
        yield from three(name, late, Limit("bare timer p99", quantile(bare, 0.99)), PUNCTUAL)
    for count in extent.bursts:
        yield from _burst(place, count)
    with coming_due(place, steadily(extent.a_second), extent.a_second) as due:
        late = window(place, due, extent.a_second, extent.seconds)
        yield from three(f"{extent.a_second} a second", late)


def _burst(place: Place, count: int) -> Iterator[Sample]:
    with coming_due(place, at_once(count), count) as due:
        late = lateness(place, due, due.first, due.first + 1, count)
    with place.empty() as directory:
        starts = place.programs.loop(count, 1, directory / "log").starts
    name = f"{count:,} at one instant"
    for share, what in ((0.5, "p50"), (0.99, "p99")):
        value = quantile(late, share)
        yield Sample(f"{name}: {what}", value, "ms", curve=f"kala-trio, {what}", load=count)
    yield Sample(
        f"{name}: last started",
        max(late),
        "ms",
        Limit("C loop, last", 1000 * max(starts)),
        _BURST if count == 1_000 else None,
        curve="kala-trio, last",
        load=count,
    )


def three(
    name: str, late: Sequence[float], limit: Limit | None = None, target: Target | None = None
) -> Iterator[Sample]:
    """Sum up latenesses: p50, p99 (which has the limit and the target) and the longest."""
    yield Sample(f"{name}: p50", quantile(late, 0.5), "ms")
    yield Sample(f"{name}: p99", quantile(late, 0.99), "ms", limit, target)
    yield Sample(f"{name}: max", max(late), "ms")


def bare_timer(begin: float, seconds: float) -> list[float]:
    """Return how late a timer of trio's is, in ms, that does nothing, between the instants."""

    async def wake() -> list[float]:
        late = []
        for number in range(round(seconds * QUIET_RATE)):
            instant = begin + (number + 0.5) / QUIET_RATE
            await trio.sleep(max(0.0, instant - time.time()))
            late.append(1000 * (time.time() - instant))
        return late

    return trio.run(wake)
