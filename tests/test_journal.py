"""The journal on real files: what comes back, what is refused, and what a failure leaves behind."""

import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kala_trio.core.definition import Definition
from kala_trio.core.errors import CannotStart, Unavailable
from kala_trio.core.job import (
    Attempt,
    Cause,
    Exited,
    Job,
    Outcome,
    Progress,
    Queue,
    Result,
    Run,
    Trigger,
)
from kala_trio.core.messages import ForgetJob, ForgetQueue, Keep, Record, Snapshot
from kala_trio.store.journal import Journal
from kala_trio.store.reader import Reader

NOW = datetime(2026, 3, 1, 12, 30, 0, 1, tzinfo=UTC)


def records_of(number: int, *parents: str) -> list[Record]:
    """Return the records of a new job."""
    job = Job(f"job-{number}", number, NOW, Definition("name", "true", parent_jobs=parents))
    return [Keep(job), Keep(Progress(job.id, False))]


def ids(snapshot: Snapshot) -> list[str]:
    return [job.id for job in snapshot.jobs]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kala.db"


async def test_what_was_committed_is_there_for_the_next_journal(path: Path) -> None:
    with closing(Journal(path)) as journal:
        await journal.commit(records_of(1) + records_of(2, "job-1"))
    with closing(Journal(path)) as journal:
        snapshot = journal.load()
    assert ids(snapshot) == ["job-1", "job-2"]
    assert snapshot.jobs[1].definition.parent_jobs == ("job-1",)


async def test_what_was_forgotten_stays_forgotten(path: Path) -> None:
    with closing(Journal(path)) as journal:
        await journal.commit([*records_of(1), Keep(Queue("job-1.1", ("job-2", "job-3"), 1))])
        await journal.commit([ForgetJob("job-1"), ForgetQueue("job-1.1")])
        assert journal.load() == Snapshot()


async def test_a_job_kept_again_replaces_its_parents(path: Path) -> None:
    with closing(Journal(path)) as journal:
        await journal.commit(records_of(1) + records_of(2) + records_of(3, "job-1", "job-2"))
        await journal.commit(records_of(3, "job-2"))
        assert journal.load().jobs[2].definition.parent_jobs == ("job-2",)
        with closing(Reader(path)) as reader:
            assert [view.dependents for view in reader.jobs()] == [(), ("job-3",), ()]


async def test_the_parents_of_a_new_database_are_made_and_only_its_owner_may_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "some" / "where" / "kala.db"
    with closing(Journal(path)) as journal:
        await journal.commit(records_of(1))
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {f"kala.db{end}": 0o600 for end in ("", "-shm", "-wal")}


def test_the_file_says_that_it_is_durable_and_whose_it_is(path: Path) -> None:
    with closing(Journal(path)) as journal:
        pragmas = [
            journal._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "user_version", "application_id")
        ]
    assert pragmas == ["wal", 2, 4, 0x6B616C61]


def test_a_second_journal_on_one_file_is_refused_by_whatever_name(path: Path) -> None:
    """Rule C2: two daemons on one file would run everything twice."""
    soft, hard = path.with_name("soft.db"), path.with_name("hard.db")
    with closing(Journal(path)):
        soft.symlink_to(path)
        hard.hardlink_to(path)
        for name in (path, soft, hard):
            with pytest.raises(CannotStart, match="held by another kala-trio"):
                Journal(name)
    Journal(path).close()


def test_a_newer_versions_file_is_refused_and_left_as_it_is(path: Path) -> None:
    Journal(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(CannotStart, match=r"newer kala-trio.* 99, the newest known here is 4"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("statement", ["CREATE TABLE songs (name)", "PRAGMA application_id = 7"])
def test_another_programs_database_is_refused(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
    with pytest.raises(CannotStart, match="belongs to another program"):
        Journal(path)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_text("Dear diary, " * 100)
    with pytest.raises(CannotStart, match="not a database"):
        Journal(path)
    assert path.read_text().startswith("Dear diary")


def test_a_path_that_can_hold_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="cannot be opened"):
        Journal(tmp_path / "file" / "kala.db")
    with pytest.raises(CannotStart, match="cannot be opened"):
        Journal(tmp_path)


async def test_a_full_disk_keeps_nothing_of_the_commit_and_a_later_one_works(path: Path) -> None:
    many = [record for number in range(2, 500) for record in records_of(number)]
    with closing(Journal(path)) as journal:
        await journal.commit(records_of(1))
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable, match="full"):
            await journal.commit(many)
        assert ids(journal.load()) == ["job-1"]
        journal._database.execute("PRAGMA max_page_count = 1000000")
        await journal.commit(many)
        assert len(journal.load().jobs) == 499


async def test_a_commit_of_nothing_tells_whether_the_file_can_be_written(
    path: Path,
) -> None:
    with closing(Journal(path)) as journal, closing(sqlite3.connect(path)) as other:
        journal._database.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        for records in (records_of(1), []):
            with pytest.raises(Unavailable, match="locked"):
                await journal.commit(records)
        other.rollback()
        await journal.commit([])
        assert journal.load() == Snapshot()


async def test_a_reader_sees_what_is_committed_and_keeps_nobody_from_committing(
    path: Path,
) -> None:
    with closing(Journal(path)) as journal, closing(Reader(path)) as reader:
        await journal.commit(records_of(1))
        with reader._database() as database:
            before = database.execute("SELECT count(*) FROM jobs").fetchone()
            await journal.commit(records_of(2))
            assert database.execute("SELECT count(*) FROM jobs").fetchone() == before == (1,)
        assert len(reader.jobs()) == 2


async def test_a_start_reads_none_of_the_history_however_long(path: Path) -> None:
    """What is in progress is found by itself; counted in steps of SQLite's machine."""
    with closing(Journal(path)) as journal:
        busy = Keep(Progress("job-1", False, running=("job-1.1",)))
        await journal.commit([*records_of(1), busy, Keep(run(1, None)), Keep(attempt(1, None))])
        before = steps_of_load(journal)
        history: list[Record] = []
        for number in range(2, 2000):
            history += [Keep(run(number)), Keep(attempt(number))]
        await journal.commit(history)
        assert steps_of_load(journal) == before
        assert [each.number for each in journal.load().runs] == [1]


def run(number: int, outcome: Outcome | None = Outcome.SUCCEEDED) -> Run:
    trigger = Trigger(Cause.MANUAL, NOW)
    ended = NOW if outcome else None
    return Run(f"job-1.{number}", "job-1", "name", number, trigger, NOW, 1, ended, outcome)


def attempt(number: int, result: Result | None = Exited(0)) -> Attempt:  # noqa: B008 - it is frozen
    return Attempt(f"job-1.{number}", 1, NOW, NOW if result else None, result)


def steps_of_load(journal: Journal) -> int:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    journal._database.set_progress_handler(step, 100)
    journal.load()
    journal._database.set_progress_handler(None, 0)
    return steps


WRITER = """
import sys
from pathlib import Path
import trio
from kala_trio.store.journal import Journal
from tests.test_journal import records_of

async def main():
    journal = Journal(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        await journal.commit(records_of(number))
        print(number, flush=True)

trio.run(main)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 100])
def test_kill_9_loses_no_acknowledged_commit(path: Path, acknowledged: int) -> None:
    """Rule C1."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for _ in range(acknowledged):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split())])
    with closing(Journal(path)) as journal:
        snapshot = journal.load()
    assert len(snapshot.jobs) in (last, last + 1)
    assert len(snapshot.progress) == len(snapshot.jobs)
