"""Real processes: what an attempt captures, when it is over, and what it leaves behind."""

import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from kala_trio.clock import WallClock
from kala_trio.core.definition import Definition, Policy
from kala_trio.core.job import (
    Attempt,
    Cancelled,
    Cause,
    Exited,
    Lost,
    NotStarted,
    Run,
    Signalled,
    Stopped,
    TimedOut,
    Trigger,
)
from kala_trio.core.messages import AttemptEnded, AwaitOrphan, StartAttempt
from kala_trio.runner.local import LocalRunner
from kala_trio.runner.orphans import Group, Orphans
from kala_trio.runner.output import HEAD, TAIL, output_path, read_output
from tests.daemon import PATIENCE, eventually, fifo, is_running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
# Orphans are looked for on all of the machine. The daemons that leave them here know it, too.
JOB = os.environ.setdefault("TESTED_JOB", f"job-{uuid.uuid4()}")


def run_of(number: int = 1) -> Run:
    return Run(f"{JOB}.{number}", JOB, "a", number, Trigger(Cause.MANUAL, NOW), NOW)


def act(command: str, number: int = 1, attempt: int = 1) -> StartAttempt:
    return StartAttempt(run_of(number), attempt, Definition("a", command))


async def run(root: Path, command: str, number: int = 1) -> AttemptEnded:
    """Run a command to its end."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as leftovers:
            runner = LocalRunner(root, WallClock(), leftovers)
            ended = await runner.run_attempt(act(command, number), trio.CancelScope())
            leftovers.cancel_scope.cancel()
    return ended


def text(root: Path, number: int = 1) -> bytes:
    """Return what a run has written, which must be all of it."""
    output = read_output(output_path(root, f"{JOB}.{number}"))
    assert output.omitted == 0
    return output.head + output.tail


async def test_results_are_what_became_of_the_process(tmp_path: Path) -> None:
    """A1."""
    assert (await run(tmp_path, "true")).result == Exited(0)
    assert (await run(tmp_path, "sh -c 'exit 7'", 2)).result == Exited(7)
    assert (await run(tmp_path, "sh -c 'kill -9 $$'", 3)).result == Signalled("SIGKILL")
    result = (await run(tmp_path, "/no/such/program", 4)).result
    assert isinstance(result, NotStarted)
    assert "'/no/such/program' does not exist" in result.reason


async def test_a_run_shows_nothing_of_another_one_of_its_number(tmp_path: Path) -> None:
    """A database that was restored from a backup counts on from there."""
    await run(tmp_path, "echo before")
    await run(tmp_path, "echo after")
    assert text(tmp_path) == b"after\n"
    await run(tmp_path, "true")
    assert text(tmp_path) == b""


async def test_both_streams_are_captured_in_the_order_of_writing(tmp_path: Path) -> None:
    await run(tmp_path, "sh -c 'echo one; echo two >&2; echo three'")
    assert text(tmp_path) == b"one\ntwo\nthree\n"


async def test_output_is_bounded_to_the_byte(tmp_path: Path) -> None:
    total = 3_000_000
    await run(tmp_path, f"sh -c 'seq -w 1 1000000 | head -c {total}'")
    whole = b"".join(b"%07d\n" % n for n in range(1, total // 8 + 1))[:total]
    output = read_output(output_path(tmp_path, f"{JOB}.1"))
    assert output.head == whole[:HEAD]
    assert output.tail == whole[-TAIL:]
    assert output.omitted == total - HEAD - TAIL
    assert os.stat(output_path(tmp_path, f"{JOB}.1")).st_size <= HEAD + TAIL + 16


async def test_output_is_readable_while_the_run_goes_on(tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    async with trio.open_nursery() as nursery:
        runner = LocalRunner(tmp_path, WallClock(), nursery)
        begun = act(f"sh -c 'echo begun; cat {gate}'")
        nursery.start_soon(runner.run_attempt, begun, trio.CancelScope())
        await trio.to_thread.run_sync(lambda: eventually(lambda: text(tmp_path) == b"begun\n"))
        await trio.to_thread.run_sync(gate.write_text, "ended\n")
    assert text(tmp_path) == b"begun\nended\n"


@contextmanager
def without_standard_input() -> Iterator[None]:
    """Let this process have no descriptor 0, as a careless parent may leave it."""
    standard_input = os.dup(0)
    os.close(0)
    try:
        yield
    finally:
        os.dup2(standard_input, 0)
        os.close(standard_input)


@pytest.mark.parametrize("place", [nullcontext, without_standard_input])
async def test_a_run_is_over_with_its_process_and_what_that_left_is_not_held_up(
    tmp_path: Path, place: Callable[[], AbstractContextManager[None]]
) -> None:
    """More than a pipe holds is written by a grandchild afterwards, and nobody waits."""
    start, done = fifo(tmp_path, "start"), fifo(tmp_path, "done")
    later = f"cat {start}; head -c 300000 /dev/zero; echo done > {done}"
    with place():
        async with trio.open_nursery() as leftovers:
            runner = LocalRunner(tmp_path, WallClock(), leftovers)
            with trio.fail_after(PATIENCE):
                ended = await runner.run_attempt(
                    act(f"sh -c '({later}) & echo over'"), trio.CancelScope()
                )
                assert ended.result == Exited(0)
                assert text(tmp_path) == b"over\n"
                await trio.to_thread.run_sync(start.write_text, "go on")
                assert await trio.to_thread.run_sync(done.read_text) == "done\n"


async def test_a_stop_ends_the_whole_group_even_one_that_ignores_sigterm(tmp_path: Path) -> None:
    """C4."""
    pids = fifo(tmp_path)
    command = f"sh -c \"trap '' TERM; sleep 1000 & echo $$ $! > {pids}; wait; wait\""
    found: list[int] = []
    async with trio.open_nursery() as nursery:
        runner = LocalRunner(tmp_path, WallClock(), nursery, term_timeout=0.1)

        async def attempt() -> None:
            ended = await runner.run_attempt(act(command), trio.CancelScope())
            assert ended.result == Stopped()

        nursery.start_soon(attempt)
        found += map(int, (await trio.to_thread.run_sync(pids.read_text)).split())
        runner.end_attempts()
    assert len(found) == 2
    await trio.to_thread.run_sync(lambda: eventually(lambda: not any(map(is_running, found))))


async def test_a_timeout_ends_the_whole_group_even_one_that_ignores_sigterm(tmp_path: Path) -> None:
    """A5: however long its processes take to begin."""
    pids = tmp_path / "pids"
    command = f"sh -c \"trap '' TERM; sleep 1000 & echo $$ $! > {pids}; wait; wait\""
    found: list[int] = []
    for number, timeout in enumerate(("PT0.5S", "PT5S", "PT50S"), 1):
        act = StartAttempt(run_of(number), 1, Definition("a", command, policy=Policy(timeout)))
        async with trio.open_nursery() as nursery:
            runner = LocalRunner(tmp_path, WallClock(), nursery, term_timeout=0.1)
            assert (await runner.run_attempt(act, trio.CancelScope())).result == TimedOut()
        if pids.exists() and (found := [*map(int, pids.read_text().split())]):
            break
    assert len(found) == 2
    await trio.to_thread.run_sync(lambda: eventually(lambda: not any(map(is_running, found))))


async def test_an_attempt_that_is_cancelled_before_it_began_starts_nothing(tmp_path: Path) -> None:
    """M6."""
    async with trio.open_nursery() as nursery:
        runner = LocalRunner(tmp_path, WallClock(), nursery)
        ending = trio.CancelScope()
        ending.cancel()
        ended = await runner.run_attempt(act("echo begun"), ending)
    assert ended.result == Cancelled()
    assert not output_path(tmp_path, f"{JOB}.1").exists()


@contextmanager
def abandoned(root: Path, command: str) -> Iterator[int]:
    """Start an attempt in a daemon that is then killed; yield the attempt's process group."""
    script = "import sys, trio, tests.test_runner as it; trio.run(it.start, *sys.argv[1:])"
    words = [sys.executable, "-c", script, os.fspath(root), command]
    root_of_all = Path(__file__).parent.parent
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=root_of_all) as daemon:
        assert daemon.stdout
        group = int(daemon.stdout.readline())
        daemon.kill()
    try:
        yield group
    finally:
        if is_running(group):
            os.killpg(group, signal.SIGKILL)


async def start(root: str, command: str) -> None:
    """Start an attempt, tell its process group, and wait to be killed."""
    async with trio.open_nursery() as nursery:
        runner = LocalRunner(Path(root), WallClock(), nursery)
        nursery.start_soon(runner.run_attempt, act(command), trio.CancelScope())
        while (group := Group.noted(f"{root}/{JOB}/1.group")) is None:
            await trio.lowlevel.checkpoint()
        print(group.id, flush=True)
        await trio.sleep_forever()


async def await_orphan(
    root: Path, definition: Definition | None = None, ending: trio.CancelScope | None = None
) -> AttemptEnded:
    async with trio.open_nursery() as leftovers:
        runner = LocalRunner(root, WallClock(), leftovers, term_timeout=0.1)
        attempt = Attempt(f"{JOB}.1", 1, NOW)
        ended = await runner.await_orphan(
            AwaitOrphan(run_of(), attempt, definition), ending or trio.CancelScope()
        )
        leftovers.cancel_scope.cancel()
    return ended


@pytest.mark.parametrize("command", ["sleep 1000", "env -i sh -c 'trap \"\" TERM; sleep 1000'"])
async def test_an_orphan_that_takes_too_long_is_ended_though_it_is_lost(
    tmp_path: Path, command: str
) -> None:
    """A5: counted from its own start, which is long ago."""
    definition = Definition("a", command, policy=Policy(timeout="PT1H"))
    with abandoned(tmp_path, command) as group, trio.fail_after(PATIENCE):
        assert (await await_orphan(tmp_path, definition)).result == Lost()
        assert not is_running(group)


async def test_an_orphan_can_be_cancelled_though_its_group_was_never_noted(tmp_path: Path) -> None:
    """M6: it is found by its environment, as when its daemon died at once."""
    with abandoned(tmp_path, "sleep 1000") as group, trio.fail_after(PATIENCE):
        os.unlink(f"{tmp_path}/{JOB}/1.group")
        ending = trio.CancelScope()
        ending.cancel()
        assert (await await_orphan(tmp_path, None, ending)).result == Lost()
        assert not is_running(group)


async def test_an_orphan_is_found_at_the_instant_when_it_starts_another_program(
    tmp_path: Path,
) -> None:
    """C3: between two programs a process has no environment to be found by, for a moment."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nexec {program}\n")
    program.chmod(0o700)

    async def cancel_when_it_looks(scope: trio.CancelScope) -> None:
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()

    with abandoned(tmp_path, f"{program}"), trio.fail_after(PATIENCE):
        for _ in range(200):
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    nursery.start_soon(cancel_when_it_looks, scope)
                    await Orphans().gone(f"{JOB}.1", "/no/note")
            assert scope.cancelled_caught


async def test_an_orphan_is_awaited_though_it_has_dropped_its_environment(tmp_path: Path) -> None:
    """C3: while its process group is alive the run is not over, and then it is lost."""
    with abandoned(tmp_path, "env -i sleep 1000") as group:
        ended: list[AttemptEnded] = []
        async with trio.open_nursery() as nursery:

            async def await_it() -> None:
                ended.append(await await_orphan(tmp_path))

            nursery.start_soon(await_it)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert not ended
            os.kill(group, signal.SIGKILL)
        assert ended[0].result == Lost()
    assert [path.name for path in (tmp_path / JOB).iterdir()] == []


async def test_an_orphan_is_awaited_though_nothing_can_be_opened_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """C3: that nobody could look proves no end, not even where its note can't be read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    over = trio.Event()

    async def await_it(note: str) -> None:
        await Orphans().gone(f"{JOB}.1", note)
        over.set()

    def is_watched() -> bool:
        with suppress(FileNotFoundError):  # one was closed meanwhile
            links = (Path("/proc/self/fd") / fd for fd in os.listdir("/proc/self/fd"))
            return any("[pidfd]" in os.readlink(link) for link in links)
        return False

    with other_group() as it, trio.fail_after(PATIENCE):
        it.note(note := f"{tmp_path}/1.group")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(await_it, note)
                await trio.to_thread.run_sync(
                    lambda: eventually(lambda: "cannot look for processes" in caplog.text)
                )
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                await trio.to_thread.run_sync(
                    lambda: eventually(lambda: over.is_set() or is_watched())
                )
                assert not over.is_set()
                os.kill(it.id, signal.SIGKILL)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_note_of_a_group_whose_number_means_another_now_holds_nothing_up(
    tmp_path: Path,
) -> None:
    """C3: after a reboot, or when the number came round."""
    (tmp_path / JOB).mkdir()
    with other_group() as it:
        for other in (replace(it, boot="another"), replace(it, known=1)):
            other.note(f"{tmp_path}/{JOB}/1.group")
            with trio.fail_after(PATIENCE):
                assert (await await_orphan(tmp_path)).result == Lost()


@contextmanager
def other_group() -> Iterator[Group]:
    """Lend a process group that is alive and has nothing to do with any run."""
    with subprocess.Popen(["sleep", "1000"], process_group=0) as leader:
        try:
            yield Group.of(leader.pid)
        finally:
            leader.kill()
