"""Reads: answers a second, and the list of all jobs."""

import time
from collections.abc import Iterator
from statistics import median

from kala_trio.bench.bare import bare_hypercorn
from kala_trio.bench.databases import idle_jobs, job_id
from kala_trio.bench.figures import Limit, Sample
from kala_trio.bench.load import Order, ask
from kala_trio.bench.place import Place
from kala_trio.bench.service import Service, running


def measure(place: Place) -> Iterator[Sample]:
    """One job and the statistics, through each number of clients; then the whole list."""
    seconds, jobs = place.extent.seconds, place.extent.loaded
    paths = {"a job": f"/api/v1/job/{job_id(0)}/", "the statistics": "/api/v1/stats/"}
    with place.database(idle_jobs(jobs)) as db, running(db) as service:
        for clients in place.extent.clients:
            with bare_hypercorn() as port:
                limit = Limit("bare Hypercorn", ask(Order(port, clients, seconds, "GET", "/")).rate)
            for what, path in paths.items():
                load = ask(Order(service.port, clients, seconds, "GET", path))
                name = f"{what}, {clients} client{'s' if clients > 1 else ''}"
                yield Sample(name, load.rate, "a second", limit)
        yield Sample(f"the list of {jobs:,} jobs", answer_time(service, "/job/"), "ms")


def answer_time(service: Service, path: str) -> float:
    """Return what an answer takes, the median of five, in ms."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        service.request("GET", path)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)
