"""The same work with what a user might take instead: python -m benchmarks.others [NAME]...

Lateness of a thousand jobs due at one instant, each of which starts a program; and what kill -9
costs: jobs that were added, runs in progress, and occurrences that were missed meanwhile. Install
the dependency group compare, or compare-next for APScheduler 4, which can't stand beside 3.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import click
import msgspec

from benchmarks.contenders import CONTENDERS, Plan, Work
from kala_trio.bench.figures import quantile
from kala_trio.bench.place import NORMAL, Place, written
from kala_trio.bench.service import running

FAR = 32_503_680_000.0  # the year 3000
OUTAGE = 5


class Unfinished(Exception):
    """Not all that were due have started."""


class Subject(Protocol):
    """A scheduler on a store of its own, which may be killed and started again."""

    def added(self, work: Work, count: int, seconds: float) -> int:
        """Add the work so many times, or for so many seconds; then kill; return how many were."""
        ...

    def found(self) -> int:
        """Return how many jobs the store has."""
        ...

    @contextmanager
    def serving(self, work: Work | None = None, count: int = 0) -> Iterator[None]:
        """Add the work so many times and serve to the end of the block; then kill."""
        ...

    def told(self, what: str) -> int:
        """Return of how many runs it tells that they were "lost" or "missed"."""
        ...


class _Other:
    """One of the contenders."""

    def __init__(self, name: str, store: Path) -> None:
        self._command = [sys.executable, "-m", "benchmarks.contenders", name, str(store)]

    def added(self, work: Work, count: int, seconds: float) -> int:
        with self._process(Plan(work, count, serve=False)) as process:
            end, last = time.monotonic() + seconds, 0
            for line in process.stdout or ():
                last = int(line.split()[1]) if line.startswith("added") else last
                if time.monotonic() > end:
                    process.kill()
            return last

    def found(self) -> int:
        with self._process(Plan(serve=False)) as process:
            return next(int(line.split()[1]) for line in process.stdout or () if "has" in line)

    @contextmanager
    def serving(self, work: Work | None = None, count: int = 0) -> Iterator[None]:
        with self._process(Plan(work, count)) as process:
            if not any("serving" in line for line in process.stdout or ()):
                raise RuntimeError("it does not serve")
            yield

    def told(self, what: str) -> int:
        return 0  # none of them keeps a history of runs

    @contextmanager
    def _process(self, plan: Plan) -> Iterator["subprocess.Popen[str]"]:
        command = [*self._command, msgspec.json.encode(plan).decode()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


class _Ours:
    """kala-trio itself, through its API like everybody else."""

    def __init__(self, db: Path) -> None:
        self._db = db

    def added(self, work: Work, count: int, seconds: float) -> int:
        end, done = time.monotonic() + seconds, 0
        with running(self._db) as service:
            while done < count and time.monotonic() < end:
                status, answer = service.request("POST", "/job/", _body(work))
                assert status == 201, answer
                done += 1
        return done

    def found(self) -> int:
        with running(self._db) as service:
            return len(service.get("/job/")["jobs"])

    @contextmanager
    def serving(self, work: Work | None = None, count: int = 0) -> Iterator[None]:
        with running(self._db) as service:
            for _ in range(count if work else 0):
                service.request("POST", "/job/", _body(work))
            yield

    def told(self, what: str) -> int:
        with running(self._db) as service:
            jobs = service.get("/job/")["jobs"]
            if what == "lost":
                runs = [service.get(f"/job/runs/{each}/") for each in jobs]
                return sum(run["outcome"] == "lost" for found in runs for run in found["runs"])
            missed = [service.get(f"/job/missed/{each}/") for each in jobs]
            return sum(one["count"] for found in missed for one in found["missed"])


def _body(work: Work | None) -> bytes:
    assert work
    repeats = f"R/{written(work.first)}/PT{work.every:g}S"
    schedule = repeats if work.every else f"R0/{written(work.first)}/PT1S"
    job = {"name": "a job", "command": " ".join(work.command), "schedule": schedule}
    return msgspec.json.encode(job)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--jobs", default=1_000, help="How many are due at one instant.")
def main(names: tuple[str, ...], jobs: int) -> None:
    """Measure those that are installed, and print a table."""
    print(f"| | {' | '.join(FIGURES)} |\n|---|{'---:|' * len(FIGURES)}")
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory), NORMAL)
        for name in names or ("kala-trio", *CONTENDERS):
            called = installed(name)
            if called:
                figures = [figure(measure, place, name, jobs) for measure in FIGURES.values()]
                print(f"| {called} | {' | '.join(figures)} |", flush=True)


def figure(measure: Callable[[Place, str, int], str], place: Place, name: str, jobs: int) -> str:
    try:
        return measure(place, name, jobs)
    except Unfinished as error:
        return str(error)


def installed(name: str) -> str:
    package, _, major = name.partition("-")
    try:
        found = version("kala-trio" if name == "kala-trio" else package)
    except PackageNotFoundError:
        return ""
    if major.isdigit() and not found.startswith(f"{major}."):
        return ""
    return f"{name if name == 'kala-trio' else package} {found}"


def subject(name: str, directory: Path) -> Subject:
    store = directory / "store.db"
    return _Ours(store) if name == "kala-trio" else _Other(name, store)


def lateness(place: Place, name: str, jobs: int) -> str:
    with place.empty() as directory:
        log = directory / "log"
        first = float(int(time.time()) + 5 + jobs // 40)
        work = Work(place.programs.command(log), first)
        with subject(name, directory).serving(work, jobs):
            assert time.time() < first, "adding the jobs took too long"
            time.sleep(max(0.0, first - time.time()))
            starts = wait_for(log, jobs)
        late = [1000 * (at - first) for at in starts]
        p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
        early = f" ({sum(each < 0 for each in late)} too early)" if min(late) < 0 else ""
        return f"{p50:,.0f} / {p99:,.0f} / {max(late):,.0f} ms{early}"


def not_durable(place: Place, name: str, jobs: int) -> str:
    """Add jobs as fast as it goes, for three seconds, and kill it."""
    with place.empty() as directory:
        scheduler = subject(name, directory)
        added = scheduler.added(Work(["true"], FAR), 1_000_000, 3)
        return f"{max(0, added - scheduler.found())} of {added:,}"


def in_progress(place: Place, name: str, jobs: int) -> str:
    """Kill it while twenty runs are in progress, and start it again."""
    with place.empty() as directory:
        log, count, scheduler = directory / "log", 20, subject(name, directory)
        script = directory / "script"
        script.write_text(f"{' '.join(place.programs.command(log))}\nexec sleep 20\n")
        first = float(int(time.time()) + 5)
        with scheduler.serving(Work(["sh", str(script)], first), count):
            wait_for(log, count)
        with scheduler.serving():
            time.sleep(22)
        again = len(log.read_text().splitlines()) - count
        return f"{scheduler.told('lost')} of {count} told, {again} started again"


def missed(place: Place, name: str, jobs: int) -> str:
    """Kill it for some seconds while a job is due twice in each."""
    if name == "huey":
        return "once a minute at most"
    with place.empty() as directory:
        log, scheduler = directory / "log", subject(name, directory)
        first = float(int(time.time()) + 4)
        with scheduler.serving(Work(place.programs.command(log), first, 0.5), 1):
            wait_for(log, 4)
        time.sleep(OUTAGE)
        before = scheduler.told("missed")
        with scheduler.serving():
            time.sleep(3)
        starts = wait_for(log, 4)
        due = int((max(starts) - first) / 0.5) + 1
        return f"{max(scheduler.told('missed'), before)} told of {due - len(starts)} not run"


def wait_for(log: Path, count: int) -> list[float]:
    end = time.monotonic() + 60
    while True:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= count:
            return [int(line.split()[1]) / 1e9 for line in lines]
        if time.monotonic() > end:
            raise Unfinished(f"{len(lines):,} of {count:,} started within a minute")
        time.sleep(0.1)


FIGURES = {
    "lateness p50 / p99 / max": lateness,
    "added jobs lost by kill -9": not_durable,
    "runs cut off by kill -9": in_progress,
    "occurrences missed while it was down": missed,
}

if __name__ == "__main__":
    main()
