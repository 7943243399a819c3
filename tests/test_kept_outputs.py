"""How much of outputs is kept in all: the oldest go, save those of runs that are in progress."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from kala_trio.pruning import Bounds, Pruning
from kala_trio.runner.output import fifo_of, output_path, output_root
from kala_trio.store.expired import Expired
from kala_trio.store.journal import Journal
from tests.daemon import FUTURE, eventually, running
from tests.test_pruning import Calendar, job, run

BLOCK = 4096
SIZE = 16 * BLOCK


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "kala.db"


@pytest.fixture
def journal(db: Path) -> Iterator[Journal]:
    with closing(Journal(db)) as journal:
        yield journal


def written(db: Path, run_id: str, age: int) -> Path:
    """Write an output that was last written so many seconds ago."""
    path = output_path(output_root(db), run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * SIZE)
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


async def swept(journal: Journal, db: Path, most: int) -> None:
    """Sweep where so many bytes of outputs may stay."""
    await journal.commit([*job("a", runs=3), *job("b", runs=2)])
    for run_id in ("a.1", "a.2", "a.3", "b.1", "b.2"):
        await journal.commit(run(run_id[0], int(run_id[2]), 1))
    bounds = Bounds(timedelta(days=90), 1000, most)
    await Pruning(journal, Expired(db), output_root(db), Calendar(), bounds).sweep()


@pytest.mark.parametrize("stay", range(5))
async def test_of_all_outputs_the_latest_stay_that_fit(
    journal: Journal, db: Path, autojump_clock: object, stay: int
) -> None:
    """Whichever job they are of."""
    ages = {"a.1": 50, "b.1": 40, "a.2": 30, "b.2": 20, "a.3": 10}
    paths = [written(db, run_id, age) for run_id, age in ages.items()]
    await swept(journal, db, stay * SIZE + BLOCK)
    assert [path.exists() for path in paths] == [False] * (5 - stay) + [True] * stay


async def test_what_fits_stays_and_what_is_still_written_stays_however_much_it_is(
    journal: Journal, db: Path, autojump_clock: object
) -> None:
    paths = [written(db, run_id, age) for run_id, age in (("a.1", 50), ("a.2", 40), ("b.1", 30))]
    os.mkfifo(fifo_of(paths[0]))
    await swept(journal, db, 3 * SIZE)
    assert all(path.exists() for path in paths)
    await swept(journal, db, 1)
    assert [path.exists() for path in paths] == [True, False, False]


def test_a_daemon_keeps_the_runs_whose_outputs_were_too_much(tmp_path: Path) -> None:
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        command = "head -c 250000 /dev/zero"
        made = [daemon.create(command=command, schedule=FUTURE) for _ in range(6)]
        for each in made:
            daemon.post(f"/job/start/{each}/")
            eventually(lambda job_id=each: daemon.outcomes(job_id) == ["succeeded"])  # type: ignore[misc]
        assert daemon.end()[0] == 0
    with running(db, "--keep-output=1") as daemon:
        eventually(lambda: daemon.output(f"{made[1]}.1") == "")
        assert len(daemon.output(f"{made[-1]}.1")) == 250_000
        assert [daemon.outcomes(each) for each in made] == [["succeeded"]] * 6
