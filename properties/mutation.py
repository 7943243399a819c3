"""Mutation: change the core in one place at a time, and see whether a test notices.

    python -m properties.mutation --module schedule --sample 100 --seed 1

A mutant is killed when a test fails, crashes or takes too long. What survives is printed as a diff:
either no test holds what that place says, or the change changes nothing.
"""

import argparse
import ast
import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import resource
import select
import signal
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import isodate  # type: ignore[import-untyped]  # it has no annotations  # noqa: F401
import msgspec  # noqa: F401 - imported once, before the forks
import pytest
import trio  # noqa: F401
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from properties.mutants import Mutant, mutants_of

ROOT = Path(__file__).parent.parent
CORE = ROOT / "kala_trio" / "core"
MODULES = sorted(
    path.relative_to(CORE).with_suffix("").as_posix().replace("/", ".")
    for path in CORE.rglob("*.py")
    if path.stem != "__init__"
)

# About files, sockets or the web, or about the properties themselves; and the state machine, which
# has its turn last, with fewer sequences than it asks for itself.
_ELSEWHERE = {"test_api", "test_corners", "test_crash", "test_machine", "test_oracles"}
_ELSEWHERE |= {"test_other_implementations", "test_store"}
_SEQUENCES = 200
_MEMORY = 4 * 1024**3
_OPTIONS = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"]


class Verdict(NamedTuple):
    """What became of a mutant: the test that killed it, or None."""

    mutant: Mutant
    killer: str | None


def main() -> int:
    """Run what the command line asks for; 1 if less than ``--at-least`` percent were killed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m properties.mutation")
    parser.add_argument("--module", action="append", choices=MODULES, help="all, if not given")
    parser.add_argument("--sample", type=int, help="so many mutants of each module; else all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--line", type=int, help="only the mutants of this line")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at once")
    parser.add_argument("--examples", type=int, default=50, help="examples of each property")
    parser.add_argument("--timeout", type=int, default=20, help="CPU seconds for one test")
    parser.add_argument("--at-least", type=float, default=95, help="percent to be killed")
    parser.add_argument("--verbose", action="store_true", help="name each mutant's killer")
    options = parser.parse_args()
    settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=options.examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    untouched = Mutant("errors", 0, ast.parse((CORE / "errors.py").read_text()), "")
    for verdict in try_all([untouched], jobs=1, timeout=options.timeout):
        if verdict.killer:
            parser.exit(2, f"without any mutation {verdict.killer} fails already\n")
    killed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for module in options.module or MODULES:
        mutants = mutants_of(module, (CORE / f"{_path(module)}.py").read_text())
        if options.line:
            mutants = [each for each in mutants if each.line == options.line]
        if options.sample and options.sample < len(mutants):
            chosen = random.Random(options.seed).sample(range(len(mutants)), options.sample)
            mutants = [mutants[index] for index in sorted(chosen)]
        began = time.monotonic()
        for verdict in try_all(mutants, jobs=options.jobs, timeout=options.timeout):
            tried[module] += 1
            killed[module] += verdict.killer is not None
            where = f"kala_trio/core/{_path(module)}.py:{verdict.mutant.line}"
            if verdict.killer is None:
                print(f"{where} survived\n{verdict.mutant.diff}\n", flush=True)
            elif options.verbose:
                print(f"{where} killed by {verdict.killer}\n{verdict.mutant.diff}\n", flush=True)
        took = time.monotonic() - began
        print(f"{module}: {killed[module]} of {tried[module]} killed, {took:.0f} s", flush=True)
    if not tried.total():
        return 0
    score = 100 * killed.total() / tried.total()
    print(f"all: {killed.total()} of {tried.total()} killed, {score:.1f} %")
    return int(score < options.at_least)


def try_all(mutants: Sequence[Mutant], *, jobs: int, timeout: int) -> Iterator[Verdict]:
    """Yield a verdict on each mutant, in the order in which they are found."""
    waiting = list(reversed(mutants))
    running: dict[int, tuple[Mutant, int]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            reader, pid = _fork(mutant, timeout)
            running[reader] = mutant, pid
        ready, _, _ = select.select(running, [], [])
        for reader in ready:
            mutant, pid = running.pop(reader)
            told = os.read(reader, 1000).decode()
            os.close(reader)
            _, status = os.waitpid(pid, 0)
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
            killer = "the time" if late else told or "a crash"
            yield Verdict(mutant, None if told == "survived" else killer)


def _fork(mutant: Mutant, timeout: int) -> tuple[int, int]:
    """Try a mutant in a child; what the returned descriptor yields is its killer, or survived.

    A fork, because to import pytest and Hypothesis takes longer than most mutants live. What was
    there before it is nothing for its garbage collector, which would look at all mutants' trees.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writer)
        return reader, pid
    killer = "a crash"
    try:
        gc.freeze()
        os.close(reader)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        killer = _killer_of(mutant, timeout) or "survived"
    finally:
        with contextlib.suppress(OSError):
            os.write(writer, killer.encode()[:1000])
        os._exit(0)


def _killer_of(mutant: Mutant, timeout: int) -> str | None:
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _Finder(mutant))
    witness = _Witness(timeout)
    status = pytest.main([*_OPTIONS, *_tests_for(mutant.module)], plugins=[witness])
    if status != 0:
        return witness.failed or "a failing import"
    machine = importlib.import_module("properties.test_machine").Machine
    _end_within(timeout)
    try:
        run_state_machine_as_test(machine, settings=settings(max_examples=_SEQUENCES))
    except Exception as error:
        return f"{machine.__module__}: {type(error).__name__}"
    return None


def _end_within(timeout: int) -> None:
    """Die of SIGPROF after so many more seconds of CPU, which tell more than those of a clock."""
    signal.setitimer(signal.ITIMER_PROF, timeout)


def _path(module: str) -> str:
    return module.replace(".", "/")


def _tests_for(module: str) -> list[str]:
    """Return the test files but the state machine's, those first that are likely to kill."""
    paths = [*ROOT.glob("properties/test_*.py")]
    paths += [ROOT / "tests" / f"test_{name}.py" for name in ("golden_schedules", "validation")]
    paths = [path for path in paths if path.stem not in _ELSEWHERE]

    def rank(path: Path) -> tuple[bool, bool, str]:
        name = path.stem.removeprefix("test_")
        return module.rpartition(".")[2] not in name, path.parent.name != "tests", name

    return [str(path) for path in sorted(paths, key=rank)]


class _Witness:
    """Sees which test fails, and gives each so much time."""

    failed = ""

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout
        _end_within(timeout)

    def pytest_runtest_logstart(self) -> None:
        _end_within(self._timeout)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of its module; nothing is written anywhere."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = f"kala_trio.core.{mutant.module}"

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self._mutant.tree, self._name, "exec"), module.__dict__)


if __name__ == "__main__":
    sys.exit(main())
