"""How punctual a daemon is, idle, flooded, or with a job that pours output; and what it costs.

    python -m benchmarks.lateness [--seconds 30] [--jobs 10000] [--connections 1000]

Lateness is from an occurrence's instant to the child's start, as the daemon notes it just before it
starts the process, and as the child itself sees it (which includes starting the program). Beside
them stands the lateness of a bare timer of trio's in this very process, at the same time: what the
machine allows.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import trio

from kala_trio.core.job import Definition, Job, Progress
from kala_trio.core.messages import Create, Keep, Record
from kala_trio.core.scheduler import Scheduler
from kala_trio.store.journal import Journal
from tests.daemon import Daemon, running

FAR = "R/2999-01-01T00:00:00Z/P1D"
MEASURED = 20
INTERVAL = timedelta(seconds=0.1)
TICK = os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--seconds", default=30, help="How long each measurement takes.")
@click.option("--jobs", default=10_000, help="How many jobs are loaded meanwhile.")
@click.option("--connections", default=1_000, help="How many connections flood the API.")
@click.option("--memory-jobs", default=100_000, help="How many jobs the memory is measured with.")
def main(seconds: int, jobs: int, connections: int, memory_jobs: int) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory:
        db = Path(directory) / "kala.db"
        load(db, jobs)
        with running(db) as daemon:
            daemon.get("/stats/")
            print(f"idle, {jobs} jobs: CPU {idle_cpu(daemon, seconds):.2f} %")
            report("idle", measure(daemon, seconds, nullcontext()))
            flooded = measure(daemon, seconds, flood(daemon.url, connections))
            report(f"{connections} connections", flooded)
            report("a job that pours", measure(daemon, seconds, pouring(daemon)))
            drift(daemon)
    memory(memory_jobs)


def load(db: Path, count: int) -> None:
    """Make a database of so many jobs that are not due for long."""
    scheduler, now = Scheduler(), datetime.now(UTC)
    records: list[Record] = []
    for number in range(count):
        job_id = f"00000000-0000-4000-8000-{number:012}"
        definition = Definition(f"job {number}", f"echo {number}", schedule=FAR)
        decided = scheduler.handle(Create(job_id, definition), now)
        records += [each for each in decided if isinstance(each, Keep)]
        scheduler.committed()
    assert {type(each.value) for each in records if isinstance(each, Keep)} <= {Job, Progress}
    with closing(Journal(db)) as journal:
        trio.run(journal.commit, records)


def idle_cpu(daemon: Daemon, seconds: int) -> float:
    """Return the share of a core that both processes use, in percent."""
    before = cpu(daemon)
    trio.run(trio.sleep, seconds)
    return 100 * (cpu(daemon) - before) / seconds


def cpu(daemon: Daemon) -> float:
    ticks = 0
    for pid in (daemon.process.pid, daemon.web_process()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def measure(
    daemon: Daemon, seconds: int, meanwhile: AbstractContextManager[None]
) -> tuple[list[float], list[float], list[float]]:
    """Return the latenesses, in ms, as the daemon, the children and a bare timer see them."""
    start = datetime.now(UTC) + timedelta(seconds=5)
    repeats = max(1, round(seconds / (MEASURED * INTERVAL.total_seconds()))) - 1
    ids = [
        daemon.create(
            command="date +%s%N",
            schedule=f"R{repeats}/{(start + number * INTERVAL).isoformat()}/PT{MEASURED / 10:g}S",
        )
        for number in range(MEASURED)
    ]
    with meanwhile:
        timer = trio.run(bare_timer, start, repeats * MEASURED)
        trio.run(trio.sleep, 3)
    noted, seen = [], []
    for job_id in ids:
        for run in daemon.runs(job_id):
            scheduled_at = datetime.fromisoformat(run["trigger"]["scheduled_at"])
            noted.append(ms(datetime.fromisoformat(run["started_at"]) - scheduled_at))
            child = datetime.fromtimestamp(int(daemon.output(run["id"])) / 1e9, UTC)
            seen.append(ms(child - scheduled_at))
    assert len(noted) == MEASURED * (repeats + 1)
    return noted, seen, timer


async def bare_timer(start: datetime, count: int) -> list[float]:
    """Wake at the same instants, and do nothing."""
    lateness = []
    for number in range(count):
        instant = start + number * INTERVAL
        await trio.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))
        lateness.append(ms(datetime.now(UTC) - instant))
    return lateness


def ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)


def report(name: str, measured: tuple[list[float], list[float], list[float]]) -> None:
    for who, lateness in zip(("daemon", "child", "bare timer"), measured, strict=True):
        print(f"{name}: {who:10} {quantiles(lateness)} ({len(lateness)})", flush=True)


def quantiles(values: Sequence[float]) -> str:
    ordered = sorted(values)
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"p50 {p50:.2f}  p99 {p99:.2f}  max {ordered[-1]:.2f} ms"


@contextmanager
def flood(url: str, connections: int) -> Iterator[None]:
    """Ask for /stats/ over so many connections at once, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.flood", url, str(connections)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flooder:
        assert flooder.stdout
        flooder.stdout.readline()
        try:
            yield
        finally:
            flooder.terminate()
            print(f"flood: {flooder.stdout.read().strip()}")


@contextmanager
def pouring(daemon: Daemon) -> Iterator[None]:
    """Have a job write as much as it can, to the end of the block."""
    job_id = daemon.create(command="sh -c 'echo $$; exec yes'")
    while not (head := daemon.output(f"{job_id}.1")[:100].split()):
        trio.run(trio.sleep, 0.01)
    began = time.monotonic()
    try:
        yield
    finally:
        os.kill(int(head[0]), signal.SIGKILL)
        left_out = daemon.output(f"{job_id}.1").partition("[... ")[2].split()[0]
        print(f"poured: {int(left_out) / 1e6 / (time.monotonic() - began):.0f} MB a second")


def drift(daemon: Daemon) -> None:
    """Compare the first hundred of a thousand occurrences with the last."""
    job_id = daemon.create(command="true", schedule="R999//PT0.05S")
    trio.run(trio.sleep, 52)
    lateness = []
    for run in reversed(daemon.runs(job_id)):
        scheduled_at = datetime.fromisoformat(run["trigger"]["scheduled_at"])
        lateness.append(ms(datetime.fromisoformat(run["started_at"]) - scheduled_at))
    print(f"drift: {len(lateness)} of 1000 ran; first hundred {quantiles(lateness[1:100])}")
    print(f"drift: {len(lateness)} of 1000 ran; last  hundred {quantiles(lateness[-100:])}")


def memory(jobs: int) -> None:
    """Compare the memory of a daemon without jobs with that of one with many."""
    sizes = []
    for count in (0, jobs):
        with tempfile.TemporaryDirectory() as directory:
            db = Path(directory) / "kala.db"
            load(db, count)
            began = datetime.now(UTC)
            with running(db) as daemon:
                daemon.get("/stats/")
                took = datetime.now(UTC) - began
                status = Path(f"/proc/{daemon.process.pid}/status").read_text()
                rss = int(status.partition("VmRSS:")[2].split()[0])
                sizes.append(rss)
                print(f"memory: {count} jobs: {rss} KiB; first answer after {ms(took):.0f} ms")
    print(f"memory: {(sizes[1] - sizes[0]) * 1024 / jobs:.0f} bytes a job")


if __name__ == "__main__":
    main()
