"""Databases of many jobs or a long history, made without a daemon; and what they tell of runs."""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from kala_trio.clock import WallClock
from kala_trio.core.definition import Definition
from kala_trio.core.messages import Create, Keep, Record
from kala_trio.core.scheduler import Scheduler
from kala_trio.store.journal import Journal

FAR = "R/2999-01-01T00:00:00Z/P1D"
"""A schedule that is not due for long."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUSY_JOBS = 100


def job_id(number: int) -> str:
    """Return the id of job ``number``, counted from 0, of a database made here."""
    return f"00000000-0000-4000-8000-{number:012}"


def idle_jobs(count: int) -> Iterator[Definition]:
    """Define so many jobs that are not due for long."""
    return (Definition(f"job {number}", f"echo {number}", schedule=FAR) for number in range(count))


def make(db: Path, definitions: Iterable[Definition]) -> None:
    """Make a database of these jobs."""
    scheduler, now = Scheduler(), WallClock().now()
    records: list[Record] = []
    for number, definition in enumerate(definitions):
        decided = scheduler.handle(Create(job_id(number), definition), now)
        records += [each for each in decided if isinstance(each, Keep)]
        scheduler.committed()
    with closing(Journal(db)) as journal:
        trio.run(journal.commit, records)


def write_history(db: Path, runs: int, jobs: int, *, old: float = 0.0) -> None:
    """Add ended runs of one attempt each, the first ``old`` of them 100 days old; tell the jobs.

    Half of them are a hundred busy jobs', half are spread over all jobs.
    """
    trigger = json.dumps({"cause": "manual", "scheduled_at": "2026-01-01T00:00:00Z"})
    now = WallClock().now()
    counts: dict[str, int] = defaultdict(int)
    with closing(sqlite3.connect(db)) as database, database:
        for number in range(runs):
            one = job_id(number // 2 % (min(_BUSY_JOBS, jobs) if number % 2 else jobs))
            counts[one] += 1
            age = timedelta(days=100 if number < runs * old else 1)
            at = (now - age - _EPOCH) // timedelta(microseconds=1) + number
            run_id = f"{one}.{counts[one]}"
            database.execute(
                "INSERT INTO runs (id, job_id, job_name, number, trigger, started_at, attempts, "
                "ended_at, outcome) VALUES (?, ?, 'a job', ?, ?, ?, 1, ?, 'succeeded')",
                (run_id, one, counts[one], trigger, at, at + 1000),
            )
            database.execute(
                "INSERT INTO attempts (run_id, number, started_at, ended_at, result) "
                'VALUES (?, 1, ?, ?, \'{"type":"Exited","code":0}\')',
                (run_id, at, at + 1000),
            )
        database.executemany(
            "UPDATE progress SET runs = ?2, finished = ?2 WHERE job_id = ?1", counts.items()
        )
    os.sync()


def ended_runs(db: Path) -> int:
    """Return how many runs of the history have ended."""
    found: int = _read(db, "SELECT count(*) FROM runs WHERE ended_at NOT NULL")[0][0]
    return found


def started_at(db: Path) -> Mapping[float, Sequence[float]]:
    """Return when runs started, by the instant at which they were due."""
    found: dict[float, list[float]] = defaultdict(list)
    for trigger, started in _read(db, "SELECT trigger, started_at FROM runs"):
        due = datetime.fromisoformat(json.loads(trigger)["scheduled_at"]).timestamp()
        found[due].append(started / 1e6)
    return found


def _read(db: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()
