"""How many trivial attempts a second the runner manages, beside what the system can do at most.

Run as ``python benchmarks/spawn.py [attempts]``. The baselines are measured in the same run: ratios
mean something on a noisy machine, figures alone do not.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import trio

from kala_trio.clock import WallClock
from kala_trio.core.job import Cause, Definition, Exited, Run, Trigger
from kala_trio.core.messages import StartAttempt
from kala_trio.runner.process import LocalRunner

AT_A_TIME = 64


def attempt(number: int, command: str) -> StartAttempt:
    """Make the first attempt of run ``number`` of one job."""
    now = datetime.now(UTC)
    trigger = Trigger(Cause.MANUAL, now)
    run = Run(f"benchmark.{number}", "benchmark", "benchmark", number, trigger, now)
    return StartAttempt(run, 1, Definition("benchmark", command))


async def run_attempts(count: int, command: str) -> None:
    """Run ``count`` attempts, never more than AT_A_TIME at once."""

    async def work(runner: LocalRunner, numbers: Iterator[int]) -> None:
        for number in numbers:
            ended = await runner.run_attempt(attempt(number, command))
            assert ended.result == Exited(0), ended

    with tempfile.TemporaryDirectory() as directory:
        numbers = iter(range(count))
        async with trio.open_nursery() as nursery:
            runner = LocalRunner(Path(directory), WallClock(), nursery)
            for _ in range(AT_A_TIME):
                nursery.start_soon(work, runner, numbers)


def through_trio(count: int, command: str) -> None:
    """Run the attempts in a loop of their own."""
    trio.run(run_attempts, count, command)


def posix_spawn(count: int) -> None:
    """Start and reap, AT_A_TIME at once, and nothing else."""
    for start in range(0, count, AT_A_TIME):
        batch = range(start, min(start + AT_A_TIME, count))
        for pid in [os.posix_spawn("/bin/true", ["true"], os.environ) for _ in batch]:
            os.waitpid(pid, 0)


def popen(count: int) -> None:
    """Do the same with subprocess, in a process group each."""
    for start in range(0, count, AT_A_TIME):
        batch = range(start, min(start + AT_A_TIME, count))
        for child in [subprocess.Popen(["/bin/true"], process_group=0) for _ in batch]:
            child.wait()


def main() -> None:
    """Take the best of three rounds of each, and print them beside the first."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    subjects: dict[str, Callable[[int], None]] = {
        "os.posix_spawn": posix_spawn,
        "subprocess.Popen": popen,
        "LocalRunner, silent": partial(through_trio, command="/bin/true"),
        "LocalRunner, one line of output": partial(through_trio, command="/bin/echo hello"),
    }
    best = dict.fromkeys(subjects, 0.0)
    for _ in range(3):
        for name, subject in subjects.items():
            began = time.perf_counter()
            subject(count)
            best[name] = max(best[name], count / (time.perf_counter() - began))
    limit = best["os.posix_spawn"]
    for name, rate in best.items():
        print(f"{name:34} {rate:7,.0f} a second   {rate / limit:5.2f} of os.posix_spawn")


if __name__ == "__main__":
    main()
