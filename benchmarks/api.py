"""What the API answers, beside what the same server answers that does nothing at all.

    python -m benchmarks.api [--seconds 3] [--jobs 10000] [CASE ...]

Each case is measured in turns with its limit, in the same run: ratios mean something on a noisy
machine, figures alone do not. CPU is that of the web process and of the scheduler's, for each
answer.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.lateness import FAR, measure, report
from benchmarks.lateness import load as make_database
from benchmarks.load import Load, http, load
from tests.daemon import Daemon, running

API = "/api/v1"
TICK = os.sysconf("SC_CLK_TCK")
JOB = {"name": "job", "command": "echo job", "schedule": FAR}
LIST = 500
ROUNDS = 2
CREATE = http("POST", f"{API}/job/", json.dumps(JOB).encode())
BULK = http("POST", f"{API}/job/bulk/", json.dumps([JOB] * LIST).encode())


@click.command()
@click.option("--seconds", default=3, help="How long each measurement takes.")
@click.option("--jobs", default=10_000, help="How many jobs there are when all are listed.")
@click.argument("cases", nargs=-1)
def main(seconds: int, jobs: int, cases: Sequence[str]) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory, bare() as limit:
        if not cases or "small" in cases:
            with running(Path(directory) / "small.db") as daemon:
                job_id = daemon.create(**JOB)
                one = http("GET", f"{API}/job/{job_id}/")
                for connections in (1, 64):
                    for name, request in (
                        ("GET /stats/", http("GET", f"{API}/stats/")),
                        ("GET /job/{id}/", one),
                        ("POST /job/", CREATE),
                    ):
                        compare(
                            name,
                            daemon,
                            request,
                            limit=limit,
                            connections=connections,
                            seconds=seconds,
                        )
        if not cases or "list" in cases:
            make_database(Path(directory) / "jobs.db", jobs)
            with running(Path(directory) / "jobs.db") as daemon:
                listed = http("GET", f"{API}/job/")
                print(f"GET /job/ with {jobs} jobs:", flush=True)
                for connections in (1, 4):
                    show(
                        f"{connections} connections", watched(daemon, listed, connections, seconds)
                    )
        if not cases or "bulk" in cases:
            for connections in (1, 4):
                with running(Path(directory) / f"bulk{connections}.db") as daemon:
                    print(f"lists of {LIST} jobs:", flush=True)
                    show(
                        f"{connections} connections",
                        watched(daemon, BULK, connections, seconds),
                        LIST,
                    )
        if not cases or "lateness" in cases:
            with running(Path(directory) / "late.db") as daemon:
                for name, request in (("lists", BULK), ("creates", CREATE)):
                    meanwhile = loading(daemon.url, request, 2)
                    report(name, measure(daemon, 4 * seconds, meanwhile))


class Watched(Load, frozen=True):
    """A load, and what it cost in CPU seconds: the web process, the scheduler's process."""

    web: float
    scheduler: float


def compare(
    name: str, daemon: Daemon, request: bytes, *, limit: str, connections: int, seconds: int
) -> None:
    """Measure a request and its limit in turns, and take the best of each."""
    rates, seen = [], []
    for _ in range(ROUNDS):
        rates.append(load(limit, request, connections, seconds).rate)
        seen.append(watched(daemon, request, connections, seconds))
    best = max(seen, key=lambda each: each.rate)
    show(f"{name}, {connections} connections", best)
    share = best.rate / max(rates)
    print(f"{'':36} {share:8.2f} of Hypercorn alone, {max(rates):.0f} a second", flush=True)


def watched(daemon: Daemon, request: bytes, connections: int, seconds: int) -> Watched:
    """Load a daemon, and see what it costs."""
    daemon.get("/stats/")
    pids = daemon.web_process(), daemon.process.pid
    before = [cpu(pid) for pid in pids]
    seen = load(daemon.url, request, connections, seconds)
    web, scheduler = (cpu(pid) - was for pid, was in zip(pids, before, strict=True))
    return Watched(seen.answers, seen.seconds, seen.p50, seen.p99, web, scheduler)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def show(name: str, seen: Watched, each: int = 1) -> None:
    web, scheduler = (1e6 * spent / seen.answers / each for spent in (seen.web, seen.scheduler))
    print(
        f"{name:36} {each * seen.rate:8.0f} a second, p50 {1e3 * seen.p50:.1f} "
        f"p99 {1e3 * seen.p99:.1f} ms, CPU {web:.0f} + {scheduler:.0f} µs",
        flush=True,
    )


@contextmanager
def bare() -> Iterator[str]:
    """Run the server that does nothing, and return its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "benchmarks.bare", str(descriptor)]
        with subprocess.Popen(command, pass_fds=[descriptor], stderr=subprocess.DEVNULL) as server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.kill()


@contextmanager
def loading(url: str, request: bytes, connections: int) -> Iterator[None]:
    """Load in a process of its own to the end of the block."""
    command = [sys.executable, "-m", "benchmarks.load", url, str(connections), "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loader:
        assert loader.stdin
        assert loader.stdout
        loader.stdin.write(request)
        loader.stdin.close()
        try:
            yield
        finally:
            loader.terminate()
            seen = json.loads(loader.stdout.read())
            print(f"meanwhile {seen['answers'] / seen['seconds']:.0f} answers a second")


if __name__ == "__main__":
    main()
