"""Lateness in odd cases: beside a job that pours output, and of a job's thousandth occurrence.

python -m benchmarks.lateness [--seconds 30] [--jobs 10000]
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from kala_trio.bench.databases import FAR
from kala_trio.bench.due import coming_due, lateness, steadily, window
from kala_trio.bench.figures import quantile
from kala_trio.bench.lateness import QUIET_RATE
from kala_trio.bench.place import NORMAL, Place, written
from kala_trio.bench.service import Service
from kala_trio.core.definition import Definition


@click.command()
@click.option("--seconds", default=30, help="How long each measurement takes.")
@click.option("--jobs", default=10_000, help="How many jobs are loaded meanwhile.")
def main(seconds: int, jobs: int) -> None:
    """Measure, and print the quantiles."""
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory), NORMAL)
        with coming_due(place, steadily(QUIET_RATE), QUIET_RATE, jobs) as due:
            report("with nothing else", window(place, due, QUIET_RATE, seconds))
            with pouring(due.service):
                report("a job that pours", window(place, due, QUIET_RATE, seconds))
        drift(place)


def report(name: str, late: Sequence[float]) -> None:
    p50, p99 = (quantile(late, share) for share in (0.5, 0.99))
    print(f"{name:20} p50 {p50:.2f}  p99 {p99:.2f}  max {max(late):.2f} ms ({len(late)})")


@contextmanager
def pouring(service: Service) -> Iterator[None]:
    """Have a job write as much as it can, to the end of the block."""
    body = {"name": "pours", "command": "sh -c 'echo $$; exec yes'", "schedule": FAR}
    _, answer = service.request("POST", "/job/", msgspec.json.encode(body))
    job_id = msgspec.json.decode(answer)["id"]
    service.request("POST", f"/job/start/{job_id}/", b"")
    while not (head := output(service, f"{job_id}.1")[:100].split()):
        time.sleep(0.01)
    began = time.monotonic()
    try:
        yield
    finally:
        os.kill(int(head[0]), signal.SIGKILL)
        left_out = output(service, f"{job_id}.1").partition("[... ")[2].split()[0]
        print(f"poured: {int(left_out) / 1e6 / (time.monotonic() - began):.0f} MB a second")


def output(service: Service, run_id: str) -> str:
    status, text = service.request("GET", f"/run/output/{run_id}/")
    return text if status == 200 else ""


def drift(place: Place) -> None:
    """Compare the first hundred of a thousand occurrences of one job with the last."""

    def often(first: float, command: str) -> Iterator[Definition]:
        yield Definition("often", command, schedule=f"R999/{written(first)}/PT0.05S")

    with coming_due(place, often, 1) as due:
        end = due.first + 51
        lateness(place, due, due.first, end, 1)
        late = [lateness(place, due, due.first + at, due.first + at + 5, 1) for at in (0, 45)]
    report("first hundred", late[0])
    report("last hundred", late[1])


if __name__ == "__main__":
    main()
