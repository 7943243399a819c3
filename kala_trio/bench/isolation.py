"""Isolation: what a flood of requests does to lateness, and many runs to requests."""

from collections.abc import Iterator

from kala_trio.bench.due import coming_due, steadily, window
from kala_trio.bench.figures import Limit, Sample, Target, quantile
from kala_trio.bench.lateness import PUNCTUAL, QUIET_RATE
from kala_trio.bench.load import Order, ask, asking
from kala_trio.bench.place import Place

_NONE_OVER = Target("≤", 50.0)
_STATISTICS = "/api/v1/stats/"

# How much longer than other loads each is: a p99 takes hundreds of runs.
_LONGER = 4


def measure(place: Place) -> Iterator[Sample]:
    """Flood the API through each number of connections; then ask while many jobs run."""
    extent = place.extent
    with coming_due(place, steadily(QUIET_RATE), QUIET_RATE, extent.loaded) as due:
        port, seconds = due.service.port, _LONGER * extent.seconds
        # The first runs of a daemon are the slowest, flooded or not.
        window(place, due, QUIET_RATE, 1)
        calm = ask(Order(port, 1, extent.seconds, "GET", _STATISTICS))
        quiet = window(place, due, QUIET_RATE, seconds)
        limit = Limit("the same, not flooded", quantile(quiet, 0.99))
        for connections in extent.floods:
            with asking(Order(port, connections, 3600, "GET", _STATISTICS)) as end:
                late = window(place, due, QUIET_RATE, seconds)
                answers = end().rate
            name = f"flooded through {connections:,} connections"
            yield Sample(f"{name}: lateness p50", quantile(late, 0.5), "ms")
            yield Sample(f"{name}: lateness p99", quantile(late, 0.99), "ms", limit, PUNCTUAL)
            yield Sample(f"{name}: lateness max", max(late), "ms", None, _NONE_OVER)
            yield Sample(f"{name}: answers meanwhile", answers, "a second")
    with coming_due(place, steadily(extent.a_second), extent.a_second, extent.loaded) as due:
        window(place, due, extent.a_second, 1)
        busy = ask(Order(due.service.port, 1, extent.seconds, "GET", _STATISTICS))
    name = f"a request while {extent.a_second} run a second"
    limit = Limit(f"while {QUIET_RATE} run a second", 1000 * calm.p50)
    yield Sample(f"{name}: p50", 1000 * busy.p50, "ms", limit)
    limit = Limit(f"while {QUIET_RATE} run a second", 1000 * calm.p99)
    yield Sample(f"{name}: p99", 1000 * busy.p99, "ms", limit)
