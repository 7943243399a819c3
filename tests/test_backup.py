"""Backups: taken at any time, restored by hand, and never half there."""

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from kala_trio.core.definition import Definition
from kala_trio.core.job import Job, Progress, Queue
from kala_trio.core.messages import ForgetQueue, Keep, Record
from kala_trio.store.backup import back_up
from kala_trio.store.journal import Journal
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def backup(db: Path, target: Path, *, wrapper: tuple[str, ...] = ()) -> tuple[int, str]:
    """Return the exit status of the command, and what it says."""
    command = [*wrapper, sys.executable, "-m", "kala_trio", "backup", str(target), f"--db={db}"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stderr


def fill(db: Path, jobs: int = 1) -> None:
    """Make a database of jobs with long commands."""
    records: list[Record] = []
    for number in range(jobs):
        job_id = f"old-{number}"
        definition = Definition("name", "x" * 10_000, schedule=FUTURE)
        records += [Keep(Job(job_id, number, NOW, definition)), Keep(Progress(job_id, True))]
    with closing(Journal(db)) as journal:
        trio.run(journal.commit, records)


class Load:
    """Jobs that are created one after the other, until the block ends."""

    def __init__(self, daemon: Daemon) -> None:
        """Remember which were acknowledged."""
        self.acknowledged: list[str] = []
        self._daemon = daemon
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._create)

    def __enter__(self) -> "Load":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _create(self) -> None:
        while not self._stopping.is_set():
            self.acknowledged.append(self._daemon.create(schedule=FUTURE, command="true"))

    def await_more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= wanted)


def test_a_backup_under_load_is_a_database_that_a_daemon_goes_on_with(tmp_path: Path) -> None:
    """Rules C1, C3: all that was acknowledged before is in it; what was in progress is lost."""
    db, copy = tmp_path / "kala.db", tmp_path / "copy.db"
    fill(db, jobs=2000)
    with running(db, "--grace=PT0.1S") as daemon:
        ended = daemon.create(command="true")
        eventually(lambda: daemon.outcomes(ended) == ["succeeded"])
        going = daemon.create(command="sleep 1000", schedule=FUTURE)
        daemon.request("POST", f"/job/start/{going}/")
        eventually(lambda: daemon.outcomes(going) == [None])
        with Load(daemon) as load:

            def went_on_while_it_was_taken() -> list[str]:
                copy.unlink(missing_ok=True)
                before = list(load.acknowledged)
                assert backup(db, copy) == (0, "")
                return before if len(load.acknowledged) > len(before) else []

            load.await_more(10)
            before = eventually(went_on_while_it_was_taken)
            load.await_more(10)
        assert daemon.end()[0] == 0
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.rename(tmp_path / "old.db")
    copy.rename(db)
    with running(db) as daemon:
        jobs = daemon.get("/job/")["jobs"]
        assert {*before, ended, going} <= set(jobs)
        assert len(jobs) < 2000 + 2 + len(load.acknowledged)
        assert daemon.outcomes(ended) == ["succeeded"]
        eventually(lambda: daemon.outcomes(going) == ["lost"])
        daemon.request("POST", f"/job/start/{ended}/")
        eventually(lambda: daemon.outcomes(ended) == ["succeeded"] * 2)


def test_a_backup_without_a_daemon_holds_all_in_its_order_for_its_owner_alone(
    tmp_path: Path,
) -> None:
    """The queues of rule D2 are read in the order in which they came to be."""
    db, copy = tmp_path / "kala.db", tmp_path / "copy.db"
    with closing(Journal(db)) as journal:
        records: list[Record] = [
            Keep(Queue(f"a.{number}", ("b", "c"), 0)) for number in (5, 3, 9, 1, 7)
        ]
        trio.run(journal.commit, [*records, ForgetQueue("a.3"), Keep(Queue("a.2", ("b",), 0))])
        expected = journal.load()
    back_up(db, copy, lambda _: None)
    assert {path.name for path in tmp_path.iterdir() if "copy" in path.name} == {"copy.db"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(Journal(copy)) as journal:
        assert journal.load() == expected


def test_the_share_that_is_copied_is_told_as_it_grows(tmp_path: Path) -> None:
    db, shares = tmp_path / "kala.db", list[float]()
    fill(db, 20_000)
    back_up(db, tmp_path / "copy.db", shares.append)
    assert shares == sorted(shares)
    assert len({*shares}) > 2
    assert 0.8 < shares[-1] < 1.05


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    db, copy = tmp_path / "kala.db", tmp_path / "copy.db"
    fill(db)
    copy.write_text("precious")
    status, words = backup(db, copy)
    assert status == 2
    assert "is there already; move it away, or give another name" in words
    assert words.count("\n") == 1
    assert copy.read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is no file"),
        (b"Dear diary, " * 100, "is no database"),
        (b"", "is no database of kala-trio"),
    ],
)
def test_what_is_no_database_of_ours_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    db = tmp_path / "kala.db"
    if content is not None:
        db.write_bytes(content)
    status, found = backup(db, tmp_path / "copy.db")
    assert status == 2
    assert found.startswith(f"kala-trio: --db: {words}, found ")
    assert found.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == (
        ["kala.db"] if content is not None else []
    )


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    db = tmp_path / "kala.db"
    fill(db, jobs=100)
    (tmp_path / "copies").mkdir()
    limit = ("sh", "-c", 'ulimit -f 600; exec "$@"', "sh")
    status, words = backup(db, tmp_path / "copies" / "copy.db", wrapper=limit)
    assert status == 1
    assert words.startswith("kala-trio: backup: ")
    assert words.count("\n") == 1
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_directory_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    db = tmp_path / "kala.db"
    fill(db)
    status, words = backup(db, tmp_path / "nowhere" / "copy.db")
    assert (status, words.count("\n")) == (1, 1)
    assert "No such file or directory" in words
