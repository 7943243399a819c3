"""A damaged database: refused at the start and left as it is, a 503 while the daemon runs."""

import json
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kala_trio.core.definition import Definition
from kala_trio.core.errors import CannotStart, Unavailable
from kala_trio.core.messages import Act, Create
from kala_trio.core.scheduler import Scheduler
from kala_trio.store.journal import Journal
from kala_trio.store.reader import Reader
from tests.daemon import FUTURE, eventually, refusal, running
from tests.test_journal import NOW

PAGE = 4096
GARBAGE = random.Random(7).randbytes(PAGE)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database with something in each table."""
    path = tmp_path_factory.mktemp("sound") / "kala.db"
    with running(path) as daemon:
        parent = daemon.create(command="true", schedule=FUTURE)
        children = [daemon.create(command="sleep 100", parent_jobs=[parent]) for _ in range(2)]
        for _ in range(40):
            daemon.create(command="true " * 100, schedule=FUTURE)
        often = daemon.create(command="false", retries=1, schedule="R40//PT0.01S")
        daemon.request("POST", f"/job/start/{parent}/")
        eventually(lambda: daemon.runs(children[0]))
        daemon.request("POST", f"/job/start/{children[0]}/")
        eventually(lambda: daemon.job(often)["is_done"])
        daemon.end(signal.SIGKILL)
    # Whoever opens it last and closes it leaves it without a write-ahead log.
    Journal(path).close()
    assert not path.with_name("kala.db-wal").exists()
    return path


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Path:
    """Return a copy of the database, to be damaged."""
    return Path(shutil.copy(sound, tmp_path / "kala.db"))


def overwrite(path: Path, page: int, content: bytes = GARBAGE) -> None:
    """Write over a page of the file, without any of SQLite's locks."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(content)


def pages(path: Path) -> int:
    return path.stat().st_size // PAGE


def truncate(path: Path) -> None:
    os.truncate(path, pages(path) // 2 * PAGE)


def spoil_log(path: Path) -> None:
    path.with_name("kala.db-wal").write_bytes(GARBAGE)


DAMAGES: list[Callable[[Path], None]] = [
    lambda path: overwrite(path, 0, GARBAGE[:100]),
    lambda path: overwrite(path, 0),
    lambda path: overwrite(path, 1),
    truncate,
    spoil_log,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_one_sentence_that_says_what_to_do_and_left_as_it_is(
    path: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    before = {each.name: each.read_bytes() for each in path.parent.glob("kala.db*")}
    sentence = refusal(path)
    assert sentence.startswith("database: ")
    assert "restore a backup" in sentence
    assert {each.name: each.read_bytes() for each in path.parent.glob("kala.db*")} == before


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("progress", "has no progress"),
        ("attempts", "is in progress, and no attempt of it"),
        ("runs WHERE outcome IS NULL", "a job waits for run "),
    ],
)
def test_rows_without_what_belongs_to_them_are_told_of(path: Path, gone: str, words: str) -> None:
    """Deleted by hand, say, or by half of a recovery."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DELETE FROM {gone}")
    sentence = refusal(path)
    assert "cannot be read: a row makes no sense, " in sentence
    assert words in sentence
    assert "restore a backup" in sentence


@pytest.mark.parametrize("start", [b"", bytes(PAGE), GARBAGE[:20]])
def test_a_log_that_was_never_synced_does_not_keep_the_daemon_from_starting(
    path: Path, start: bytes
) -> None:
    path.with_name("kala.db-wal").write_bytes(start)
    with closing(Journal(path)) as journal:
        assert journal.load().jobs


@pytest.mark.parametrize("content", [GARBAGE, bytes(PAGE)], ids=["garbage", "zeros"])
async def test_damage_in_any_page_is_refused_or_unavailable_or_goes_unseen(
    tmp_path: Path, sound: Path, content: bytes
) -> None:
    """Whichever page it is, nothing else is raised by starting, by reading or by writing."""
    refused: list[str] = []
    unavailable: list[str] = []
    for page in range(pages(sound)):
        (tmp_path / str(page)).mkdir()
        path = Path(shutil.copy(sound, tmp_path / str(page) / "kala.db"))
        with closing(Journal(path)) as journal, closing(Reader(path)) as reader:
            scheduler, _ = Scheduler.restore(journal.load(), NOW)
            overwrite(path, page, content)
            for read in (reader.jobs, reader.totals):
                with note(Unavailable, unavailable):
                    read()
            created = scheduler.handle(Create("a", Definition("a", "true", schedule=FUTURE)), NOW)
            with note(Unavailable, unavailable):
                await journal.commit([each for each in created if not isinstance(each, Act)])
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        shutil.copy(sound, path)
        overwrite(path, page, content)
        with note(CannotStart, refused), closing(Journal(path)) as journal:
            Scheduler.restore(journal.load(), NOW)
    for sentence in refused + unavailable:
        assert "restore a backup" in sentence
    assert min(len(refused), len(unavailable)) > 5


@contextmanager
def note(kind: type[Exception], notes: list[str]) -> Iterator[None]:
    """Go on after an error of that kind, whose words are noted."""
    try:
        yield
    except kind as error:
        notes.append(str(error))


def test_damage_that_is_met_while_the_daemon_runs_is_a_503_and_the_daemon_stays(
    path: Path,
) -> None:
    with running(path) as daemon:
        for page in range(1, pages(path)):
            overwrite(path, page)
        status, text = daemon.request("GET", "/job/")
        assert status == 503
        assert "restore a backup" in text
        body = json.dumps({"name": "a", "command": "true", "schedule": FUTURE}).encode()
        # What SQLite has in its cache it need not read again.
        assert daemon.request("POST", "/job/", body)[0] in (201, 503)
        assert daemon.request("GET", "/job/")[0] == 503
        status, errors = daemon.end()
        assert "Traceback" not in errors
