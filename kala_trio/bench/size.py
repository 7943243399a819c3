"""Size: memory, start-up and recovery, with many jobs and with a long history."""

import json
import signal
import time
from collections.abc import Iterator

from kala_trio.bench.creates import JOB, create
from kala_trio.bench.databases import idle_jobs, job_id, write_history
from kala_trio.bench.figures import Limit, Sample, Target
from kala_trio.bench.place import Place
from kala_trio.bench.reads import answer_time
from kala_trio.bench.service import Service, running

_LARGE = 100_000
_START_UP = Target("≤", 1.0)
_MEMORY = Target("≤", 100.0)
_PAGE = Target("≤", 20.0)
_UNAFFECTED = Target("≤", 1.1, of_limit=True)


def measure(place: Place) -> Iterator[Sample]:
    """Without jobs, then with more and more, then with a history."""
    with place.database() as db, running(db) as service:
        empty, empty_start = service.memory(), Limit("without jobs", service.start_up)
        yield Sample("no jobs: memory of both processes", empty, "MB")
        yield Sample("no jobs: first answer", service.start_up, "s")
    for count in place.extent.sizes:
        large = count == _LARGE
        name = f"{count:,} jobs"
        with place.database(idle_jobs(count)) as db:
            with running(db) as service:
                memory, start_up = service.memory() - empty, service.start_up
                idle = _idle(service, place.extent.seconds)
                create(service, 1, 0.5, json.dumps(JOB))  # so that the log is not empty
                service.end(signal.SIGKILL)
                port = service.port
            with running(db, f"--port={port}") as service:
                recovery = service.start_up
                began = time.perf_counter()
                service.end()
                stop = time.perf_counter() - began
        yield Sample(f"{name}: memory above that", memory, "MB", None, _MEMORY if large else None)
        target = _START_UP if large else None
        yield Sample(f"{name}: first answer", start_up, "s", empty_start, target)
        yield Sample(f"{name}: first answer after kill -9", recovery, "s", empty_start)
        yield Sample(f"{name}: stop", stop, "s")
        yield Sample(f"{name}: processors while idle", idle, "%")
    if place.extent.history:
        yield from _history(place)


def _history(place: Place) -> Iterator[Sample]:
    runs, jobs = place.extent.history, place.extent.loaded
    kept = ("--keep-days=36500", f"--keep-runs={max(10, runs)}")
    with place.database(idle_jobs(jobs)) as db:
        with running(db, *kept) as service:
            young = Limit("without history", service.start_up)
            service.end()
        write_history(db, runs, jobs)
        with running(db, *kept) as service:
            name = f"{runs:,} runs of history"
            yield Sample(f"{name}: first answer", service.start_up, "s", young, _UNAFFECTED)
            yield Sample(f"{name}: memory of both processes", service.memory(), "MB")
            page = answer_time(service, f"/job/runs/{job_id(0)}/?limit=100")
            yield Sample(f"{name}: 100 latest runs of a job", page, "ms", None, _PAGE)
            page = answer_time(service, "/run/?outcome=failed,lost,missed")
            yield Sample(f"{name}: what failed of all jobs", page, "ms", None, _PAGE)


def _idle(service: Service, seconds: float) -> float:
    before = service.cpu()
    time.sleep(seconds)
    return 100 * (service.cpu() - before) / seconds
