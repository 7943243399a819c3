"""What a daemon takes from the machine does not grow with what its jobs do."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from kala_trio.runner.output import HEAD, TAIL
from tests.daemon import FUTURE, Daemon, eventually, fifo, is_running, running

# Hundreds of megabytes, of which a few may be noticed.
POURED = 200_000_000
NOTICED = 16 * 1024
# More, for a long look: SOAK_RUNS=10000 pytest tests/test_resources.py
RUNS = int(os.environ.get("SOAK_RUNS", "1000"))
AT_ONCE = 50
ROOT = Path(__file__).parent.parent


def status(pid: int, name: str) -> int:
    """Return a number of /proc/<pid>/status; memory is in KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0])


def children(pid: int) -> set[str]:
    """Return the ids of a process's children, zombies among them."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return {child for each in lists for child in each.read_text().split()}


def settled(pid: int) -> tuple[list[str], set[str]] | None:
    """Return what a process has open, and its children; None where that changes meanwhile.

    The timer that it sleeps by comes and goes.
    """

    def look() -> tuple[list[str], set[str]]:
        return [each for each in descriptors(pid) if "timerfd" not in each], children(pid)

    with suppress(OSError):
        found = look()
        return found if look() == found else None
    return None


def descriptors(pid: int) -> list[str]:
    """Return what a process has open; sockets and pipes without their numbers."""
    opened = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    return sorted(re.sub(r"\d+", "", each) for each in opened)


def test_a_job_that_writes_without_end_costs_a_bounded_machine(tmp_path: Path) -> None:
    """Neither memory nor disk; what is kept can be read meanwhile, and what is not is counted."""
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        warm = daemon.create(command="sh -c 'yes | head -c 1000000'")
        eventually(lambda: daemon.outcomes(warm) == ["succeeded"])
        assert len(daemon.output(f"{warm}.1")) > HEAD + TAIL
        processes = (daemon.process.pid, daemon.web_process())
        before = [status(pid, "VmRSS") for pid in processes]
        job = daemon.create(command=f"sh -c 'yes | head -c {POURED}; cat {gate}'")
        left_out = f"\n[... {POURED - HEAD - TAIL} bytes left out ...]\n"
        whole = "y\n" * (HEAD // 2) + left_out + "y\n" * (TAIL // 2)
        eventually(lambda: daemon.output(f"{job}.1") == whole)
        assert daemon.outcomes(job) == [None]
        peaks = [status(pid, "VmHWM") for pid in processes]
        assert all(peak - first < NOTICED for peak, first in zip(peaks, before, strict=True))
        path = tmp_path / "kala.db-output" / job / "1"
        assert path.stat().st_size == HEAD + TAIL + 16
        gate.write_text("")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])


def test_nothing_is_left_of_many_runs_but_their_outputs(tmp_path: Path) -> None:
    """No descriptor, no child, no thread; no more pipes and notes than were needed at once."""
    with running(tmp_path / "kala.db") as daemon:
        pid = daemon.process.pid
        families = [family(daemon) for _ in range(4)]
        run_all(daemon, families, 1)
        before = eventually(lambda: settled(pid))
        threads = status(pid, "Threads")
        rounds = 1 + RUNS // sum(map(len, families))
        for count in range(2, rounds + 2):
            run_all(daemon, families, count)
        eventually(lambda: settled(pid) == before)
        # One that has had nothing to do for a while ends by itself.
        eventually(lambda: status(pid, "Threads") <= threads)
        left = list((tmp_path / "kala.db-output").glob("*/*"))
        assert {path.suffix for path in left if path.parent.name != ".spare"} == {""}
        kept = [path.suffix for path in left if path.parent.name == ".spare"]
        at_once = sum(map(len, families))
        assert max(map(kept.count, kept)) <= at_once < RUNS / 2
        status_, errors = daemon.end()
        assert (status_, errors.count("\n")) == (0, 1), errors


def family(daemon: Daemon) -> list[str]:
    """Create a job and others that run after it, one after the other; return their ids."""
    parent = daemon.create(command="echo hello", schedule=FUTURE)
    return [parent, *(daemon.create(command="echo hello", parent_jobs=[parent]) for _ in range(24))]


def run_all(daemon: Daemon, families: list[list[str]], count: int) -> None:
    """Let each job of the families run for the ``count``-th time."""
    for parent, *_ in families:
        assert daemon.request("POST", f"/job/start/{parent}/") == (204, "")
    for *_, last in families:
        eventually(lambda job=last: daemon.job(job)["success_count"] == count)  # type: ignore[misc]


def test_a_stop_ends_all_that_a_job_has_started_even_while_it_pours(tmp_path: Path) -> None:
    """C4."""
    pids = fifo(tmp_path)
    command = f"sh -c 'yes & first=$!; yes & echo $$ $first $! > {pids}; wait'"
    with running(tmp_path / "kala.db", "--grace=PT0.1S") as daemon:
        job = daemon.create(command=command)
        started = [int(pid) for pid in pids.read_text().split()]
        eventually(lambda: "left out" in daemon.output(f"{job}.1"))
        assert daemon.end()[0] == 0
    assert len(started) == 3
    assert not any(map(is_running, started))
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.outcomes(job) == ["stopped"]


def test_an_attempt_that_needs_a_thread_where_none_is_to_be_had_is_not_started(
    tmp_path: Path,
) -> None:
    """A1: and the daemon goes on."""
    script = """if True:
        import sys, threading, trio
        from pathlib import Path
        from msgspec.structs import replace
        from kala_trio.clock import WallClock
        from kala_trio.core.definition import Execution
        from kala_trio.runner.local import LocalRunner
        from tests.test_runner import act

        def refuse(thread):
            raise RuntimeError("can't start new thread")

        async def main():
            threading.Thread.start = refuse
            as_root = act("true")
            definition = replace(as_root.definition, execution=Execution(user="root"))
            async with trio.open_nursery() as leftovers:
                runner = LocalRunner(Path(sys.argv[1]), WallClock(), leftovers)
                start = replace(as_root, definition=definition)
                print((await runner.run_attempt(start, trio.CancelScope())).result)

        trio.run(main)
    """
    words = [sys.executable, "-c", script, os.fspath(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "NotStarted(reason='the system has no thread to spare" in done.stdout, done.stderr
