"""Lateness: from the instant at which a job is due until its program has started."""

import threading
import time
from collections.abc import Iterator

import trio

from kala_trio.bench.commits import commit_times
from kala_trio.bench.due import at_once, coming_due, lateness, steadily, window
from kala_trio.bench.figures import Limit, Sample, Target, quantile
from kala_trio.bench.place import Place

QUIET_RATE = 50
"""How many are due a second where the daemon has little to do."""

# How much longer than other loads that is: a p99 takes hundreds of runs.
_LONGER = 8

PUNCTUAL = Target("≤", 3.0)
_BURST = Target("≤", 1.1, of_limit=True)


def measure(place: Place) -> Iterator[Sample]:
    """One job at a time among many, then many at one instant, then many a second."""
    yield from _alone(place)
    for count in place.extent.bursts:
        yield from _burst(place, count)
    rate = place.extent.a_second
    with coming_due(place, steadily(rate), rate) as due:
        late = window(place, due, rate, place.extent.seconds)
    yield Sample(f"{rate} a second: p50", quantile(late, 0.5), "ms")
    yield Sample(f"{rate} a second: p99", quantile(late, 0.99), "ms")
    yield Sample(f"{rate} a second: max", max(late), "ms")


def _alone(place: Place) -> Iterator[Sample]:
    idle, seconds = place.extent.loaded, max(1, round(_LONGER * place.extent.seconds))
    with coming_due(place, steadily(QUIET_RATE), QUIET_RATE, idle) as due:
        begin, bare = due.first, list[float]()
        timer = threading.Thread(target=lambda: bare.extend(bare_timer(begin, seconds)))
        timer.start()
        late = window(place, due, QUIET_RATE, seconds)
        timer.join()
    name = f"{QUIET_RATE} a second among {idle:,} jobs"
    p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
    # A run is on the disk before its program starts, so nothing is sooner than a commit.
    commits = commit_times(place, 1.0)
    yield Sample(f"{name}: p50", p50, "ms", Limit("one commit, p50", quantile(commits, 0.5)))
    yield Sample(f"{name}: p99", p99, "ms", Limit("one commit, p99", quantile(commits, 0.99)))
    yield Sample(
        f"{name}: p99", p99, "ms", Limit("bare timer, p99", quantile(bare, 0.99)), PUNCTUAL
    )
    yield Sample(f"{name}: max", max(late), "ms")


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
