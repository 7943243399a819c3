"""A disk that is full, read-only, or fails to sync, and a database that is locked, live."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, refusal, running
from tests.disk import FailingDisk, SmallDisk

# Where nothing can be mounted, a bound on the size of files is a disk that is full.
SMALL_FILES = ("sh", "-c", 'ulimit -f 600; exec "$@"', "sh")


def post(daemon: Daemon, size: int = 1) -> tuple[int, str]:
    """Ask for a job, whose command has ``size`` bytes."""
    body = {"name": "a", "command": "x" * size, "schedule": FUTURE}
    return daemon.request("POST", "/job/", json.dumps(body).encode())


def refused(daemon: Daemon) -> str | None:
    """Ask for a job; return the reason if the answer is that it can't be kept now."""
    status, text = post(daemon)
    return json.loads(text)["error"] if status == 503 else None


def lines(errors: str) -> list[str]:
    """Return the lines of a log, which holds no traceback."""
    assert "Traceback" not in errors, errors
    return errors.splitlines()


@pytest.fixture(scope="session")
def failing_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile what makes system calls fail."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a failing disk with")
    library = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).parent / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def failing(tmp_path: Path, failing_library: Path) -> FailingDisk:
    return FailingDisk(tmp_path, failing_library)


def test_a_disk_that_was_full_for_a_while_has_all_that_was_acknowledged_and_no_more(
    tmp_path: Path,
) -> None:
    """Rules C1, C2, L5: every occurrence meanwhile is a run or missed, and the log stays short."""
    start = datetime.now(UTC) + timedelta(seconds=1)
    interval = timedelta(seconds=0.2)
    with SmallDisk(tmp_path / "disk", "2m") as disk:
        with running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon:
            schedule = f"R/{start.isoformat()}/PT0.2S"
            recurring = daemon.create(command="true", schedule=schedule)
            accepted = {recurring}
            eventually(lambda: daemon.job(recurring)["success_count"])
            disk.fill()
            refusals = 0
            while refusals < 3:
                status, text = post(daemon, 9_000)
                if status == 201:
                    accepted.add(json.loads(text)["id"])
                else:
                    assert status == 503
                    assert "database or disk is full; make room on its disk" in text
                    refusals += 1
            # Due work is held, and what there is can be read.
            held = eventually(lambda: held_run(daemon, recurring))
            assert set(daemon.get("/job/")["jobs"]) == accepted
            disk.free()
            eventually(lambda: daemon.job(recurring)["success_count"] > held + 1)
            assert daemon.request("POST", f"/job/disable/{recurring}/") == (204, "")
            eventually(lambda: None not in daemon.outcomes(recurring))
            assert set(daemon.get("/job/")["jobs"]) == accepted
            fates = [run["trigger"]["occurrence"] for run in daemon.runs(recurring)]
            for missed in daemon.get(f"/job/missed/{recurring}/")["missed"]:
                first = (datetime.fromisoformat(missed["first"]) - start) // interval
                fates += range(first, first + missed["count"])
            earliest = min(fates)  # not 0, where its creation took long
            assert sorted(fates) == list(range(earliest, earliest + len(fates)))
            status, errors = daemon.end()
            assert status == 0
            assert "cannot be written" in errors
            assert "is written again" in errors
            assert len(lines(errors)) < 10
        with running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon:
            assert set(daemon.get("/job/")["jobs"]) == accepted


def held_run(daemon: Daemon, job: str) -> int:
    """Return how many runs a job has, once a request in between was refused and none was added."""
    before = len(daemon.runs(job))
    return before if refused(daemon) and len(daemon.runs(job)) == before else 0


def test_a_refusal_for_want_of_room_says_when_to_come_again(tmp_path: Path) -> None:
    with (
        SmallDisk(tmp_path / "disk", "1m") as disk,
        running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon,
    ):
        disk.fill()
        eventually(lambda: post(daemon, 9_000)[0] == 503)
        asked = urllib.request.Request(f"{daemon.url}/api/v1/job/all/", method="DELETE")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(asked, timeout=PATIENCE)
        with caught.value as answer:
            assert (answer.code, answer.headers["Retry-After"]) == (503, "1")


def test_a_stop_while_the_disk_is_full_and_nothing_is_to_be_kept_is_a_clean_one(
    tmp_path: Path,
) -> None:
    """Rule C4."""
    with (
        SmallDisk(tmp_path / "disk", "1m") as disk,
        running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon,
    ):
        disk.fill()
        eventually(lambda: post(daemon, 9_000)[0] == 503)
        status, errors = daemon.end()
        assert status == 0
        assert "cannot be written" in lines(errors)[0]


def test_a_daemon_starts_on_a_full_disk_if_it_has_nothing_to_write(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", "1m") as disk:
        with running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon:
            job = daemon.create(command="true", schedule=FUTURE)
            daemon.end(signal.SIGKILL)
        disk.fill()
        with running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon:
            assert list(daemon.get("/job/")["jobs"]) == [job]


def test_a_full_disk_is_a_503_and_never_an_acknowledged_job(tmp_path: Path) -> None:
    """Rule C1: what was answered 201 is there afterwards, and nothing else."""
    accepted = set()
    with running(tmp_path / "kala.db", wrapper=SMALL_FILES) as daemon:
        status, text = post(daemon, 10_000)
        while status == 201:
            accepted.add(json.loads(text)["id"])
            status, text = post(daemon, 10_000)
        assert status == 503
        assert "cannot be written" in text
        assert set(daemon.get("/job/")["jobs"]) == accepted
        assert "Traceback" not in daemon.end()[1]
    with running(tmp_path / "kala.db") as daemon:
        assert set(daemon.get("/job/")["jobs"]) == accepted
        daemon.create(command="true")


def test_a_stop_while_the_disk_is_full_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    """Rule C4: the outcome can't be recorded, which is said; at the next start the run is lost."""
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db", "--grace=PT60S", wrapper=SMALL_FILES) as daemon:
        job = daemon.create(command=f"cat {gate}")
        eventually(lambda: daemon.runs(job))
        for size in (10_000, 1):
            while post(daemon, size)[0] == 201:
                pass
        daemon.process.send_signal(signal.SIGTERM)
        gate.write_text("go on")
        assert daemon.process.stderr
        words = daemon.process.stderr.read()
        assert daemon.process.wait(PATIENCE) == 1
        assert "cannot be written" in words.splitlines()[-1]
        assert "Traceback" not in words
    with running(tmp_path / "kala.db") as daemon:
        eventually(lambda: daemon.outcomes(job) == ["lost"])


def test_a_new_database_on_a_full_disk_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", "1m") as disk:
        disk.fill()
        words = refusal(disk.path / "kala.db", wrapper=disk.wrapper)
        assert words.startswith("database: ")
        assert "full" in words


def test_a_read_only_disk_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", "1m") as disk:
        with running(disk.path / "kala.db", wrapper=disk.wrapper) as daemon:
            daemon.end()
        disk.remount("ro")
        words = refusal(disk.path / "kala.db", wrapper=disk.wrapper)
        assert words.startswith("database: ")
        assert "Read-only file system" in words


def is_remounted(disk: SmallDisk, how: str) -> bool:
    """Remount a disk, if nobody writes to it at this moment."""
    with suppress(subprocess.CalledProcessError):
        disk.remount(how)
        return True
    return False


def test_runs_go_on_where_their_outputs_can_not_be_kept(tmp_path: Path) -> None:
    """The log tells it once, not for each run."""
    gate = fifo(tmp_path)
    with SmallDisk(tmp_path / "disk", "1m") as disk:
        (tmp_path / "kala.db-output").symlink_to(disk.path)
        with running(tmp_path / "kala.db", wrapper=disk.wrapper) as daemon:
            early = daemon.create(command=f"cat {gate}")
            eventually(lambda: daemon.runs(early))
            eventually(lambda: is_remounted(disk, "ro"))
            gate.write_text("these words are lost")
            eventually(lambda: daemon.outcomes(early) == ["succeeded"])
            many = daemon.create(command="echo hello", schedule="R19//PT0.01S")
            eventually(lambda: daemon.job(many)["is_done"])
            assert set(daemon.outcomes(many)) == {"succeeded"}
            disk.remount("rw")
            late = daemon.create(command="echo hello")
            eventually(lambda: daemon.outcomes(late) == ["succeeded"])
            assert daemon.output(f"{late}.1") == "hello\n"
            status, errors = daemon.end()
        assert status == 0
        assert "Read-only file system" in errors
        assert "captured again" in errors
        assert len(lines(errors)) < 6


def test_a_disk_that_can_not_be_written_any_more_is_a_503_until_it_can(
    tmp_path: Path, failing: FailingDisk
) -> None:
    with running(tmp_path / "kala.db", wrapper=failing.wrapper) as daemon:
        kept = daemon.create(command="true", schedule=FUTURE)
        failing.fail("write")
        assert "SQLITE_IOERR_WRITE" in (refused(daemon) or "")
        assert list(daemon.get("/job/")["jobs"]) == [kept]
        failing.mend("write")
        eventually(lambda: refused(daemon) is None)
        assert len(daemon.get("/job/")["jobs"]) > 1
        status, errors = daemon.end()
        assert status == 0
        assert len(lines(errors)) < 6


def test_a_batch_whose_sync_failed_does_not_come_back_after_kill_9(
    tmp_path: Path, failing: FailingDisk
) -> None:
    """Rule C1: SQLite had written it whole, so it would be there after a restart."""
    with running(tmp_path / "kala.db", wrapper=failing.wrapper) as daemon:
        kept = daemon.create(command="true", schedule=FUTURE)
        failing.fail("sync")
        assert "SQLITE_IOERR_FSYNC" in (refused(daemon) or "")
        assert daemon.request("DELETE", f"/job/{kept}/")[0] == 503
        assert list(daemon.get("/job/")["jobs"]) == [kept]
        daemon.end(signal.SIGKILL)
    with running(tmp_path / "kala.db") as daemon:
        assert list(daemon.get("/job/")["jobs"]) == [kept]


def test_after_a_failed_sync_the_daemon_writes_by_itself_until_that_is_durable(
    tmp_path: Path, failing: FailingDisk
) -> None:
    with running(tmp_path / "kala.db", wrapper=failing.wrapper) as daemon:
        failing.fail("sync")
        assert refused(daemon)
        failing.mend("sync")
        assert daemon.says("cannot be written")
        assert daemon.says("is written again")
        kept = daemon.create(command="true", schedule=FUTURE)
        daemon.end(signal.SIGKILL)
    with running(tmp_path / "kala.db") as daemon:
        assert list(daemon.get("/job/")["jobs"]) == [kept]


def test_no_process_starts_while_its_run_can_not_be_synced(
    tmp_path: Path, failing: FailingDisk
) -> None:
    """Rule C2."""
    marks = tmp_path / "marks"
    with running(tmp_path / "kala.db", wrapper=failing.wrapper) as daemon:
        job = daemon.create(command=f"sh -c 'echo mark >> {marks}'", schedule=FUTURE)
        failing.fail("sync")
        assert daemon.request("POST", f"/job/start/{job}/")[0] == 503
        assert daemon.runs(job) == []
        failing.mend("sync")
        eventually(lambda: daemon.request("POST", f"/job/start/{job}/")[0] == 204)
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        assert marks.read_text() == "mark\n"


LOCKER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """Have another program hold the database locked until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline()
        try:
            yield
        finally:
            other.kill()


def test_a_lock_of_another_program_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """Meanwhile the daemon's loop goes on: it serves reads, and captures what runs write."""
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        job = daemon.create(command=f"cat {gate}")
        eventually(lambda: daemon.runs(job))
        with gate.open("w") as writer:
            with locked(tmp_path / "kala.db"):
                assert "locked; another program is writing to it" in (refused(daemon) or "")
                writer.write("meanwhile")
                writer.flush()
                eventually(lambda: daemon.output(f"{job}.1") == "meanwhile")
                assert daemon.outcomes(job) == [None]
            eventually(lambda: refused(daemon) is None)
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        status, errors = daemon.end()
        assert status == 0
        assert len(lines(errors)) < 6


def test_a_lock_at_the_start_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "kala.db").close()
    with locked(tmp_path / "kala.db"):
        words = refusal(tmp_path / "kala.db")
    assert words.startswith("database: ")
    assert "locked; another program is writing" in words
