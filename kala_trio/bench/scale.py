"""Scale: what a run, a create and a tick cost with more and more jobs; processor time, not wall."""

import gc
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from statistics import median

from kala_trio.bench.creates import JOB, create
from kala_trio.bench.databases import idle_jobs, job_id
from kala_trio.bench.due import coming_due, steadily, window
from kala_trio.bench.figures import Limit, Sample, Target
from kala_trio.bench.place import Place
from kala_trio.bench.service import running
from kala_trio.clock import WallClock
from kala_trio.core.definition import Definition
from kala_trio.core.job import Exited
from kala_trio.core.messages import AttemptEnded, Create, StartAttempt, Tick
from kala_trio.core.scheduler import Scheduler

_TICKS = 500
_DAY = timedelta(days=1)
_FLAT = Target("≤", 1.2, of_limit=True)


def measure(place: Place) -> Iterator[Sample]:
    """Measure each with the least number of jobs first: that is the limit of the others."""
    limits: dict[str, Limit] = {}
    least, most = min(place.extent.scales), max(place.extent.scales)
    for count in place.extent.scales:
        costs = {"a run": _run(place, count), "a create": _create(place, count)}
        for what, cost in (costs | {"a tick": _tick(count)}).items():
            limit = limits.setdefault(what, Limit(f"with {least:,} jobs", cost))
            target = _FLAT if count == most and what == "a tick" else None
            yield Sample(f"{what} with {count:,} jobs", cost, "µs", limit, target)


def _run(place: Place, count: int) -> float:
    """Return what a run costs, its program included, in µs."""
    rate = max(1, place.extent.a_second // 2)
    with coming_due(place, steadily(rate), rate, count) as due:
        window(place, due, rate, 1)
        before, began = due.service.cpu(), time.time()
        time.sleep(place.extent.seconds)
        return 1e6 * (due.service.cpu() - before) / (rate * (time.time() - began))


def _create(place: Place, count: int) -> float:
    """Return what a create costs in both processes, in µs."""
    with place.database(idle_jobs(count)) as db, running(db) as service:
        before = service.cpu()
        load = create(service, 1, place.extent.seconds, json.dumps(JOB))
        return 1e6 * (service.cpu() - before) / max(1, load.rate * load.took)


def _tick(count: int) -> float:
    """Return what the scheduler takes to decide on one due job and to note it, in µs."""
    now = WallClock().now()
    scheduler = Scheduler()
    definitions = chain(
        (Definition("due", "true", schedule=f"R/{(now + _DAY).isoformat()}/P1D"),), idle_jobs(count)
    )
    for number, definition in enumerate(definitions):
        scheduler.handle(Create(job_id(number), definition), now)
        scheduler.committed()
    gc.collect()
    gc.freeze()
    took = []
    for day in range(1, _TICKS + 1):
        began = time.perf_counter()
        decided = scheduler.handle(Tick(), now + day * _DAY)
        scheduler.next_wake()
        scheduler.committed()
        took.append(time.perf_counter() - began)
        (started,) = (each for each in decided if isinstance(each, StartAttempt))
        ended = AttemptEnded(started.run.id, 1, now + day * _DAY, now + day * _DAY, Exited(0))
        scheduler.handle(ended, now + day * _DAY)
        scheduler.committed()
    gc.unfreeze()
    return 1e6 * median(took)
