"""Creates: jobs a second that are on the disk when they are acknowledged."""

import json
from collections.abc import Iterator

from kala_trio.bench.bare import bare_hypercorn
from kala_trio.bench.commits import a_second, commit_times
from kala_trio.bench.databases import FAR
from kala_trio.bench.figures import Limit, Sample, Target
from kala_trio.bench.load import Load, Order, ask
from kala_trio.bench.place import Place
from kala_trio.bench.service import Service, running

JOB = {"name": "a job", "command": "echo hello", "schedule": FAR}
_IN_BULK = 500  # the most that one list may have
_LISTS_AT_ONCE = 4
_NEAR_BARE = Target("≥", 0.9, of_limit=True)
_BULK = Target("≥", 20_000)


def measure(place: Place) -> Iterator[Sample]:
    """One job a request, through each number of clients; then many jobs a request."""
    seconds, body = place.extent.seconds, json.dumps(JOB)
    for clients in place.extent.clients:
        name = f"{clients} client{'s' if clients > 1 else ''}"
        with bare_hypercorn() as port:
            bare = ask(Order(port, clients, seconds, "POST", "/", body)).rate
        commits = Limit("SQLite, commits", a_second(commit_times(place, seconds / 2)))
        with place.database() as db, running(db) as service:
            before = service.cpu()
            load = create(service, clients, seconds, body)
            cpu = service.cpu() - before
        limit = Limit("bare Hypercorn, empty POST", bare)
        yield Sample(name, load.rate, "a second", limit, _NEAR_BARE)
        yield Sample(name, load.rate, "a second", commits)
        yield Sample(f"{name}: p99", 1000 * load.p99, "ms")
        yield Sample(f"{name}: processor time of one", 1000 * cpu / (load.rate * load.took), "ms")
    yield from _in_bulk(place)


def create(service: Service, clients: int, seconds: float, body: str) -> Load:
    """Create one job after another, and have each of them accepted."""
    return ask(Order(service.port, clients, seconds, "POST", "/api/v1/job/", body))


def _in_bulk(place: Place) -> Iterator[Sample]:
    """Measure lists of jobs, over a few connections."""
    body = json.dumps([JOB] * _IN_BULK)
    with place.database() as db, running(db) as service:
        seconds, path = place.extent.seconds, "/api/v1/job/bulk/"
        load = ask(Order(service.port, _LISTS_AT_ONCE, seconds, "POST", path, body))
        rate = _IN_BULK * load.rate
    times = commit_times(place, place.extent.seconds / 2)
    commits = Limit("SQLite, commits", a_second(times))
    name = f"in bulk, {_IN_BULK} a request, {_LISTS_AT_ONCE} clients"
    yield Sample(name, rate, "a second", commits, _BULK)
