"""What a long history costs: python -m benchmarks.history [--runs 1000000] [--seconds 30].

How soon a daemon answers with and without it. Then how punctual one is that has nothing to prune,
that is backed up again and again, and that prunes: nine tenths of the history are too old. Half of
the runs are a hundred busy jobs', half are spread over all jobs.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from benchmarks.lateness import load, measure, report
from tests.daemon import running

BUSY_JOBS = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@click.command()
@click.option("--runs", default=1_000_000, help="How long the history is.")
@click.option("--jobs", default=10_000, help="How many jobs there are.")
@click.option("--seconds", default=30, help="How long each measurement takes.")
def main(runs: int, jobs: int, seconds: int) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory:
        young, old = Path(directory) / "young.db", Path(directory) / "old.db"
        load(young, jobs)
        load(old, jobs)
        write_history(old, runs, jobs)
        print(f"{runs} runs: {old.stat().st_size / 2**20:.0f} MiB")
        kept = ("--keep-days=36500", f"--keep-runs={runs}")
        for _ in range(5):
            print(f"first answer without history after {start_up(young, *kept):.2f} s")
            print(f"first answer with {runs} runs after {start_up(old, *kept):.2f} s", flush=True)
        with running(old, *kept) as daemon:
            report("as it is", measure(daemon, seconds, nullcontext()))
            report("backed up", measure(daemon, seconds, backups(old)))
            report("as it is", measure(daemon, seconds, nullcontext()))
        before = count(old)
        with running(old) as daemon:
            began = time.monotonic()
            report("pruned", measure(daemon, seconds, nullcontext()))
            removed = before - count(old)
            print(f"{removed / (time.monotonic() - began):.0f} runs pruned a second")


def write_history(db: Path, runs: int, jobs: int) -> None:
    """Add ended runs of one attempt each, nine tenths of them old, and tell the jobs."""
    trigger = json.dumps({"cause": "manual", "scheduled_at": "2026-01-01T00:00:00Z"})
    now = datetime.now(UTC)
    counts: dict[str, int] = {}
    with closing(sqlite3.connect(db)) as database, database:
        for number in range(runs):
            which = number // 2 % (BUSY_JOBS if number % 2 else jobs)
            job_id = f"00000000-0000-4000-8000-{which:012}"
            counts[job_id] = counts.get(job_id, 0) + 1
            run_id = f"{job_id}.{counts[job_id]}"
            age = 100 * DAY if number < runs * 9 // 10 else 1 * DAY
            at = (now - age - EPOCH) // timedelta(microseconds=1) + number
            database.execute(
                "INSERT INTO runs VALUES (?, ?, 'a job', ?, ?, ?, 1, ?, 'succeeded')",
                (run_id, job_id, counts[job_id], trigger, at, at + 1000),
            )
            result = '{"type":"Exited","code":0}'
            database.execute(
                "INSERT INTO attempts VALUES (?, 1, ?, ?, ?)", (run_id, at, at + 1000, result)
            )
        told = [(job_id, count, count) for job_id, count in counts.items()]
        database.executemany("UPDATE progress SET runs = ?2, finished = ?3 WHERE job_id = ?1", told)
    os.sync()


def start_up(db: Path, *flags: str) -> float:
    began = time.monotonic()
    with running(db, *flags) as daemon:
        daemon.get("/stats/")
        took = time.monotonic() - began
        daemon.end()
    return took


def count(db: Path) -> int:
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as database:
        found: int = database.execute("SELECT count(*) FROM runs").fetchone()[0]
        return found


@contextmanager
def backups(db: Path) -> Iterator[None]:
    """Back the database up again and again, in processes of their own."""
    ending = threading.Event()
    copy = db.with_name("copy.db")
    took = []

    def back_up() -> None:
        while not ending.is_set():
            began = time.monotonic()
            command = [sys.executable, "-m", "kala_trio", "backup", str(copy), f"--db={db}"]
            subprocess.run(command, check=True)
            took.append(time.monotonic() - began)
            copy.unlink()

    thread = threading.Thread(target=back_up)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        print(f"{len(took)} backups, {min(took):.1f} s at best")


if __name__ == "__main__":
    main()
