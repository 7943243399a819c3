"""The whole path of a run, beside what the machine can do: python -m benchmarks.throughput.

The path is that of the daemon's scheduler process: decide, commit the start, spawn, capture the
output, reap, commit the outcome. The limit is a loop of posix_spawn and waitpid in C, which does
nothing else; ``trio.run_process`` keeps nothing, but captures. All are measured in turn, in each
round, so that ratios of one round mean something on a noisy machine; figures alone do not.
"""

import atexit
import gc
import os
import resource
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
import trio

from kala_trio.clock import WallClock
from kala_trio.core.job import Definition, Outcome, Run
from kala_trio.core.messages import Act, Create, Keep, Record, Start
from kala_trio.core.scheduler import Scheduler
from kala_trio.runner.output import output_root
from kala_trio.runner.process import LocalRunner
from kala_trio.store.connection import open_database
from kala_trio.store.journal import Journal
from kala_trio.supervisor import Supervisor

AT_A_TIME = 64
FAR = "R/2999-01-01T00:00:00Z/P1D"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOURCE = Path(__file__).with_name("spawn_limit.c")


class Cost(NamedTuple):
    """What runs took: seconds by the clock, CPU seconds of what starts them, and of all."""

    took: float
    own: float
    total: float


Subject = Callable[[int], Cost]


@click.command()
@click.option("--runs", default=1_000, help="How many runs each subject makes in each round.")
@click.option("--rounds", default=5, help="How many rounds there are.")
@click.option("--command", default="/bin/echo hello", help="What is run.")
def main(runs: int, rounds: int, command: str) -> None:
    """Measure, and print a table."""
    words = shlex.split(command)
    with limit(words) as (loop, spawn_loop):
        subjects: dict[str, Subject] = {
            f"{loop}, one at a time": partial(spawn_loop, at_a_time=1),
            f"{loop}, {AT_A_TIME} at a time": partial(spawn_loop, at_a_time=AT_A_TIME),
            f"trio.run_process, {AT_A_TIME} at a time": partial(run_processes, words),
            f"kala-trio, {AT_A_TIME} at a time": partial(by_hand, command),
            "kala-trio, due at one instant: until all started": partial(at_once, command, False),
            "kala-trio, due at one instant: until all durable": partial(at_once, command, True),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, subject in subjects.items():
                costs[name].append(subject(runs))
    print(f"{runs} runs of `{command}` in each of {rounds} rounds; min / median / max")
    print(f"{'':50}{'runs a second':>21}{'of the first':>21}{'CPU ms a run: own, all':>24}")
    first = next(iter(costs.values()))
    for name, found in costs.items():
        rates = spread([runs / each.took for each in found], "{:,.0f}")
        ratios = spread([a.took / b.took for a, b in zip(first, found, strict=True)], "{:.2f}")
        own, total = (
            1000 * median(values) / runs
            for values in ([each.own for each in found], [each.total for each in found])
        )
        print(f"{name:50}{rates:>21}{ratios:>21}{own:>16.3f}{total:>8.3f}")


def spread(values: Sequence[float], form: str) -> str:
    return " / ".join(map(form.format, (min(values), median(values), max(values))))


@contextmanager
def limit(words: list[str]) -> Iterator[tuple[str, Callable[..., Cost]]]:
    """Lend the loop that only starts and reaps: in C, or where there is no compiler in Python."""
    compiler = shutil.which("cc")
    if compiler is None:
        print("no cc: the limit is a loop of os.posix_spawn in Python instead of C")
        yield "os.posix_spawn", partial(python_loop, words)
        return
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "spawn_limit")
        subprocess.run([compiler, "-O2", "-o", program, SOURCE], check=True)
        yield "posix_spawn in C", partial(c_loop, program, words)


def c_loop(program: str, words: list[str], count: int, at_a_time: int) -> Cost:
    with cpu_time() as spent:
        said = subprocess.check_output([program, str(count), str(at_a_time), *words], text=True)
    took, own = map(float, said.split())
    return Cost(took, own, sum(spent()))


def python_loop(words: list[str], count: int, at_a_time: int) -> Cost:
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = ended = 0
    began = time.perf_counter()
    with cpu_time() as spent:
        while ended < count:
            if started < count and started - ended < at_a_time:
                os.posix_spawn(words[0], words, os.environ, file_actions=silent)
                started += 1
            else:
                os.waitpid(-1, 0)
                ended += 1
    return cost(time.perf_counter() - began, spent())


def run_processes(words: list[str], count: int) -> Cost:
    async def work(numbers: Iterator[int]) -> None:
        for _ in numbers:
            await trio.run_process(words, capture_stdout=True)

    async def run_all() -> float:
        began = trio.current_time()
        numbers = iter(range(count))
        async with trio.open_nursery() as nursery:
            for _ in range(AT_A_TIME):
                nursery.start_soon(work, numbers)
        return trio.current_time() - began

    with cpu_time() as spent:
        took = trio.run(run_all)
    return cost(took, spent())


@contextmanager
def cpu_time() -> Iterator[Callable[[], tuple[float, float]]]:
    """Lend what tells, after the block, the CPU seconds in it: our own, and our children's."""
    gc.collect()
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    before = [resource.getrusage(each) for each in who]
    yield lambda: spent
    after = [resource.getrusage(each) for each in who]
    own, children = (
        b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime
        for a, b in zip(before, after, strict=True)
    )
    spent = own, children


def cost(took: float, spent: tuple[float, float]) -> Cost:
    return Cost(took, spent[0], sum(spent))


class House:
    """A scheduler process without its door: the real supervisor, journal and runner."""

    def __init__(self, directory: str, definitions: Iterable[Definition]) -> None:
        """Begin with jobs that were made before; the database is in ``directory``."""
        self._db = Path(directory, "kala.db")
        self._journal = Journal(self._db)
        self.ended: dict[str, trio.Event] = {}
        scheduler, now = Scheduler(), datetime.now(UTC)
        records: list[Record] = []
        for number, definition in enumerate(definitions):
            job_id = f"00000000-0000-4000-8000-{number:012}"
            self.ended[job_id] = trio.Event()
            decided = scheduler.handle(Create(job_id, definition), now)
            records += [each for each in decided if not isinstance(each, Act)]
            scheduler.committed()
        trio.run(self._journal.commit, records)

    async def _commit(self, records: Sequence[Record]) -> None:
        """Commit, and tell whose outcomes are durable now."""
        await self._journal.commit(records)
        for record in records:
            if isinstance(record, Keep) and isinstance(record.value, Run) and record.value.outcome:
                assert record.value.outcome is Outcome.SUCCEEDED, record.value
                self.ended[record.value.job_id].set()

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[Supervisor]:
        """Lend the supervisor while it runs."""
        clock = WallClock()
        scheduler, first = Scheduler.restore(self._journal.load(), clock.now())
        gc.collect()
        gc.freeze()
        async with trio.open_nursery() as leftovers, trio.open_nursery() as nursery:
            runner = LocalRunner(output_root(self._db), clock, leftovers)
            supervisor = Supervisor(clock=clock, commit=self._commit, runner=runner)
            nursery.start_soon(supervisor.run, scheduler, first)
            yield supervisor
            supervisor.stop()
        gc.unfreeze()

    def close(self) -> None:
        """Close the database."""
        self._journal.close()

    def last_start(self) -> datetime:
        """Return when the last attempt started, as the history tells: just before its spawning."""
        with closing(open_database(self._db, read_only=True)) as connection:
            [(latest,)] = connection.execute("SELECT max(started_at) FROM attempts")
        return EPOCH + timedelta(microseconds=latest)


@contextmanager
def house(definitions: Iterable[Definition]) -> Iterator[House]:
    # Removed at the very end: ext4 was seen to make files slowly after many were deleted.
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory)
    with closing(House(directory, definitions)) as it:
        yield it


def by_hand(command: str, count: int) -> Cost:
    """Start each job by hand, and wait for its outcome, AT_A_TIME jobs at a time."""

    async def work(it: House, supervisor: Supervisor, job_ids: Iterator[str]) -> None:
        for job_id in job_ids:
            await supervisor.ask(Start(job_id))
            await it.ended[job_id].wait()

    async def run_all(it: House) -> Cost:
        async with it.supervised() as supervisor:
            job_ids = iter(it.ended)
            began = trio.current_time()
            with cpu_time() as spent:
                async with trio.open_nursery() as nursery:
                    for _ in range(AT_A_TIME):
                        nursery.start_soon(work, it, supervisor, job_ids)
            return cost(trio.current_time() - began, spent())

    with house(Definition(f"job {n}", command, schedule=FAR) for n in range(count)) as it:
        return trio.run(run_all, it)


def at_once(command: str, until_durable: bool, count: int) -> Cost:
    """Have all jobs due at one instant; the time is from then to the last start, or outcome."""
    due = datetime.now(UTC) + timedelta(seconds=1 + count / 5000)

    async def run_all(it: House) -> Cost:
        async with it.supervised():
            with cpu_time() as spent:
                for ended in it.ended.values():
                    await ended.wait()
            end = datetime.now(UTC) if until_durable else it.last_start()
            return cost((end - due).total_seconds(), spent())

    schedule = f"R0/{due.isoformat()}/P1D"
    with house(Definition(f"job {n}", command, schedule=schedule) for n in range(count)) as it:
        return trio.run(run_all, it)


if __name__ == "__main__":
    main()
