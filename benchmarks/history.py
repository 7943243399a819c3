"""What keeping a long history costs: python -m benchmarks.history [--runs 1000000].

How punctual a daemon is that has nothing to prune, that is backed up again and again, and that
prunes: nine tenths of the history are too old.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click

from benchmarks.lateness import report
from kala_trio.bench.databases import ended_runs, idle_jobs, make, write_history
from kala_trio.bench.due import Due, steadily, window
from kala_trio.bench.lateness import QUIET_RATE
from kala_trio.bench.place import NORMAL, Place
from kala_trio.bench.service import running


@click.command()
@click.option("--runs", default=1_000_000, help="How long the history is.")
@click.option("--jobs", default=10_000, help="How many jobs there are.")
@click.option("--seconds", default=30, help="How long each measurement takes.")
def main(runs: int, jobs: int, seconds: int) -> None:
    """Measure, and print the quantiles."""
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory), NORMAL)
        db, log = Path(directory) / "kala.db", Path(directory) / "log"
        first = float(int(time.time()))
        command = " ".join(place.programs.command(log))
        make(db, chain(steadily(QUIET_RATE)(first, command), idle_jobs(jobs)))
        write_history(db, runs, jobs, old=0.9)
        print(f"{runs} runs: {db.stat().st_size / 2**20:.0f} MiB")
        with running(db, "--keep-days=36500", f"--keep-runs={runs}") as service:
            due = Due(service, first, log)
            report("as it is", window(place, due, QUIET_RATE, seconds))
            with backups(db):
                report("backed up", window(place, due, QUIET_RATE, seconds))
            report("as it is", window(place, due, QUIET_RATE, seconds))
            service.end()
        before, began = ended_runs(db), time.monotonic()
        with running(db) as service:
            due = Due(service, first, log)
            report("pruned", window(place, due, QUIET_RATE, seconds))
            removed = before - ended_runs(db)
        print(f"{removed / (time.monotonic() - began):.0f} runs pruned a second")


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
