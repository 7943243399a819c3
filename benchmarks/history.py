"""What a long history costs: python -m benchmarks.history [--runs 1000000] [--seconds 30].

Start-up with and without it; then how punctual a daemon is while it prunes nine tenths of it away
or is backed up, beside one that has nothing to prune. Half of the history are many jobs' runs, half
belong to a hundred.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from benchmarks.lateness import load, measure, report
from tests.daemon import Daemon, running

BUSY_JOBS = 100
OLD = timedelta(days=120)


@click.command()
@click.option("--runs", default=1_000_000, help="How long the history is.")
@click.option("--jobs", default=10_000, help="How many jobs there are.")
@click.option("--seconds", default=30, help="How long each measurement takes.")
def main(runs: int, jobs: int, seconds: int) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory:
        db = Path(directory) / "kala.db"
        load(db, jobs)
        start_up(f"{jobs} jobs, no history", db)
        write_history(db, runs, jobs)
        print(f"{runs} runs: {db.stat().st_size / 2**20:.0f} MiB")
        kept = ("--keep-days=36500", f"--keep-runs={runs}")
        start_up(f"{jobs} jobs, {runs} runs", db, *kept)
        with running(db, *kept) as daemon:
            report("as it is", measure(daemon, seconds, nullcontext()))
            report("backed up", measure(daemon, seconds, backups(db)))
        with running(db) as daemon:
            report("pruned", measure(daemon, seconds, nullcontext()))
            while (left := count(db)) > runs // 10 + jobs * 10 + 1000 * BUSY_JOBS:
                print(f"{left} runs left", flush=True)
                time.sleep(10)


def write_history(db: Path, runs: int, jobs: int) -> None:
    """Add ended runs of one attempt each, nine tenths of them old; and tell the jobs."""
    trigger = json.dumps({"cause": "manual", "scheduled_at": "2026-01-01T00:00:00Z"})
    began = datetime.now(UTC) - OLD
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    counts: dict[str, int] = {}

    def rows() -> Iterator[tuple[str, str, int, int]]:
        for number in range(runs):
            which = number // 2 % (BUSY_JOBS if number % 2 else jobs)
            job_id = f"00000000-0000-4000-8000-{which:012}"
            counts[job_id] = counts.get(job_id, 0) + 1
            age = OLD * number / runs if number < runs * 9 // 10 else OLD - timedelta(days=1)
            at = (began + age * (0.2 if number < runs * 9 // 10 else 1) - epoch) // timedelta(
                microseconds=1
            )
            yield f"{job_id}.{counts[job_id]}", job_id, counts[job_id], at

    with closing(sqlite3.connect(db)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        for run_id, job_id, number, at in rows():
            database.execute(
                "INSERT INTO runs VALUES (?, ?, 'a job', ?, ?, ?, 1, ?, 'succeeded')",
                (run_id, job_id, number, trigger, at, at + 1000),
            )
            database.execute(
                "INSERT INTO attempts VALUES (?, 1, ?, ?, ?)",
                (run_id, at, at + 1000, '{"type":"Exited","code":0}'),
            )
        database.executemany(
            "UPDATE progress SET runs = ?2, finished = ?2 WHERE job_id = ?1", counts.items()
        )


def start_up(name: str, db: Path, *flags: str) -> None:
    began = time.monotonic()
    with running(db, *flags) as daemon:
        daemon.get("/stats/")
        print(f"{name}: first answer after {time.monotonic() - began:.2f} s", flush=True)
        rss(daemon)


def rss(daemon: Daemon) -> None:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    print(f"memory: {int(status.partition('VmRSS:')[2].split()[0])} KiB")


def count(db: Path) -> int:
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as database:
        found: int = database.execute("SELECT count(*) FROM runs").fetchone()[0]
        return found


@contextmanager
def backups(db: Path) -> Iterator[None]:
    """Back the database up again and again, in a process of its own."""
    script = 'while kala-trio backup "$1" --db "$2"; do rm "$1"; done'.replace(
        "kala-trio", f"{sys.executable} -m kala_trio"
    )
    with subprocess.Popen(
        ["sh", "-c", script, "sh", str(db.with_name("copy.db")), str(db)], process_group=0
    ) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
