"""Files of older versions: what they hold is kept, and goes on.

``databases/schema-N.sql`` is what ``sqlite3 kala.db .dump``, ``PRAGMA user_version`` and ``PRAGMA
application_id`` say of a file that a daemon of version N left when it was killed, with the jobs
that are named below. Before VERSION grows, a dump of the version that ends is made from the one
before it: let that version's ``Journal`` open and close it, and dump it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kala_trio.core.job import Cause
from kala_trio.store.connection import VERSION
from kala_trio.store.journal import Journal
from kala_trio.store.schema import MIGRATIONS
from tests.daemon import eventually, running

DUMPS = sorted(Path(__file__).with_name("databases").glob("schema-*.sql"))


def restored(dump: Path, path: Path) -> Path:
    """Make the database that was dumped."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(dump.read_text())
    return path


def shape(path: Path) -> set[tuple[object, ...]]:
    """Return the columns and indexes of a file, and its versions."""
    with closing(sqlite3.connect(path)) as database:
        columns = database.execute(
            "SELECT tables.name, columns.* FROM sqlite_schema AS tables "
            "JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        )
        shape: set[tuple[object, ...]] = {(table, *column) for table, _, *column in columns}
        shape |= set(
            database.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'")
        )
        for pragma in ("application_id", "user_version"):
            shape |= set(database.execute(f"PRAGMA {pragma}"))
        return shape


def test_there_is_a_migration_to_each_version_and_a_dump_of_each_older_one() -> None:
    assert len(MIGRATIONS) == VERSION
    assert [dump.stem for dump in DUMPS] == [f"schema-{n}" for n in range(1, VERSION)]


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_an_older_file_gets_the_shape_of_a_new_one(dump: Path, tmp_path: Path) -> None:
    old, new = restored(dump, tmp_path / "old.db"), tmp_path / "new.db"
    assert shape(old) != set()
    for path in (old, new):
        Journal(path).close()
    assert shape(old) == shape(new)


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_an_older_file_keeps_what_it_held(dump: Path, tmp_path: Path) -> None:
    with closing(Journal(restored(dump, tmp_path / "old.db"))) as journal:
        snapshot = journal.load()
    names = ["alarm", "日次", "fails", "parent", "first child", "second child", "busy", "off"]
    jobs = {job.definition.name: job for job in snapshot.jobs}
    assert list(jobs) == names
    daily = jobs["日次"].definition
    assert (daily.schedule, daily.time_zone) == ("R/2026-03-29T02:30:00/P1D", "Europe/Berlin")
    assert (daily.epsilon, daily.owner, daily.rerun_lost) == ("PT1H", "ada", False)
    assert jobs["fails"].definition.on_failure_job == jobs["alarm"].id
    assert jobs["off"].definition.resume_at_next_scheduled_time
    assert [run.job_name for run in snapshot.runs] == ["first child", "busy"]
    (queue,) = snapshot.queues
    assert queue.children == (jobs["first child"].id, jobs["second child"].id)
    progress = {each.job_id: each for each in snapshot.progress}
    pending = progress[jobs["busy"].id].pending
    assert pending
    assert pending.cause is Cause.OCCURRENCE
    assert progress[jobs["fails"].id].error_count == 3


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_a_daemon_goes_on_where_the_older_version_died(dump: Path, tmp_path: Path) -> None:
    with running(restored(dump, tmp_path / "old.db")) as daemon:
        ids = {job["name"]: job_id for job_id, job in daemon.get("/job/")["jobs"].items()}
        eventually(lambda: daemon.outcomes(ids["second child"]) == ["succeeded"])
        assert daemon.outcomes(ids["first child"]) == ["lost"]
        runs = daemon.runs(ids["fails"])
        assert [len(run["attempts"]) for run in runs] == [3]
        status, text = daemon.request("DELETE", "/job/all/")
        assert status == 204, text
        assert daemon.end()[0] == 0
