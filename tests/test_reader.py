"""What readers of the store see of runs, misses and figures."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Unavailable
from kala_trio.core.job import (
    Attempt,
    Cause,
    Exited,
    Job,
    Missed,
    Occurrence,
    Outcome,
    Progress,
    Reason,
    Run,
    Trigger,
)
from kala_trio.core.messages import (
    Act,
    Command,
    Create,
    Delete,
    ForgetJob,
    Keep,
    Record,
    Tick,
)
from kala_trio.core.scheduler import Scheduler
from kala_trio.core.slots import Limits
from kala_trio.store.finding import JobState, Search
from kala_trio.store.journal import Journal
from kala_trio.store.reader import Reader, Totals

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def run(number: int, outcome: Outcome | None = Outcome.SUCCEEDED) -> Run:
    """Return run ``number`` of job a."""
    trigger = Trigger(Cause.OCCURRENCE, at(number), number)
    ended = at(number + 1) if outcome else None
    return Run(f"a.{number}", "a", "name", number, trigger, at(number), 1, ended, outcome)


def job(job_id: str, number: int) -> Job:
    return Job(job_id, number, START, Definition("name", "true"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "kala.db")) as journal:
        yield journal


@pytest.fixture
def reader(journal: Journal, tmp_path: Path) -> Iterator[Reader]:
    with closing(Reader(tmp_path / "kala.db")) as reader:
        yield reader


async def test_stats_are_the_ten_latest_ended_runs_oldest_first(
    journal: Journal, reader: Reader
) -> None:
    runs = [run(number) for number in range(1, 15)] + [run(15, None)]
    progress = Progress("a", False, runs=15, finished=14)
    await journal.commit([Keep(job("a", 1)), Keep(progress), *map(Keep, runs)])
    view = reader.job("a")
    assert view is not None
    assert view.stats == tuple(runs[4:14])
    assert reader.jobs() == [view]
    assert reader.ended_runs("a") == runs[:14]


async def test_history_is_newest_first_with_attempts_and_outlives_the_job(
    journal: Journal, reader: Reader
) -> None:
    """Rule M3."""
    attempts = [
        Attempt("a.1", 1, at(1), at(2), Exited(1)),
        Attempt("a.1", 2, at(2), at(3), Exited(0)),
        Attempt("a.2", 1, at(5)),
    ]
    runs = [run(1), run(2, None)]
    await journal.commit([Keep(job("a", 1)), Keep(Progress("a", False)), *map(Keep, runs)])
    await journal.commit([*map(Keep, attempts), ForgetJob("a")])
    assert reader.job("a") is None
    assert reader.history("a", before=10**9, limit=1000) == [
        (runs[1], tuple(attempts[2:])),
        (runs[0], tuple(attempts[:2])),
    ]
    assert reader.run("a.1") == runs[0]
    assert reader.run("a.9") is None


async def test_missed_records_are_newest_first(journal: Journal, reader: Reader) -> None:
    records = [
        Missed("a", "name", 1, Cause.OCCURRENCE, Reason.DOWNTIME, 3, at(0), at(2), 2),
        Missed("a", "name", 2, Cause.MANUAL, Reason.OVERLAP, 1, at(3), at(3)),
    ]
    await journal.commit([Keep(each) for each in records])
    assert reader.missed("a") == records[::-1]
    assert reader.missed("b") == []


async def test_totals_are_over_all_jobs_but_only_enabled_ones_run_next(
    journal: Journal, reader: Reader
) -> None:
    progresses = [
        Progress("a", False, Occurrence(3, at(30)), error_count=1, success_count=2),
        Progress("b", True, Occurrence(0, at(10)), error_count=4, last_attempted_run=at(5)),
        Progress("c", False, last_attempted_run=at(4)),
    ]
    await journal.commit([Keep(each) for each in progresses])
    assert reader.totals() == Totals(2, 1, 5, 2, at(30), at(5), 0, {}, 0)


async def test_totals_are_those_of_the_latest_commit(journal: Journal, reader: Reader) -> None:
    for number in range(3):
        assert reader.totals().active == reader.totals().active == number
        await journal.commit([Keep(Progress(f"job {number}", False))])


async def test_totals_tell_how_many_run_and_wait_in_all_and_by_tag(
    journal: Journal, reader: Reader
) -> None:
    """L12: a deleted job's runs count only in all."""
    scheduler = Scheduler(limits=Limits(2))
    for job_id, tags in (("a", ("x", "y")), ("b", ("y",)), ("c", ("y",))):
        definition = Definition(job_id, "true", tags=tags)
        await journal.commit(kept(scheduler.handle(Create(job_id, definition), START)))
    await journal.commit(kept(scheduler.handle(Tick(), START)))
    totals = reader.totals()
    assert (totals.running, totals.waiting) == (2, 1)
    assert totals.running_by_tag == {"x": 1, "y": 2}
    await journal.commit(kept(scheduler.handle(Delete("a"), START)))
    assert (reader.totals().running, reader.totals().running_by_tag) == (2, {"y": 1})


def kept(commands: Sequence[Command]) -> list[Record]:
    """Return what is to be made durable."""
    return [each for each in commands if not isinstance(each, Act)]


async def test_a_reader_knows_what_a_deletion_takes_with_it_as_the_scheduler_does(
    journal: Journal, reader: Reader
) -> None:
    """D5: of a job all of whose parents go, however they go."""
    scheduler = Scheduler()
    parents = {"a": "", "b": "", "c": "a", "d": "ab", "e": "ac", "f": "cd", "g": "e", "h": "eg"}
    for job_id, some in parents.items():
        definition = Definition(job_id * 2, "true", parent_jobs=tuple(some))
        await journal.commit(kept(scheduler.handle(Create(job_id, definition), START)))
    assert reader.deleted_with("a") == [(each, each * 2) for each in "acegh"]
    assert reader.deleted_with("x") == []
    await journal.commit(kept(scheduler.handle(Delete("a"), START)))
    assert [view.job.id for view in reader.jobs()] == ["b", "d", "f"]
    assert reader.names(["a", "b"]) == {"b": "bb"}


async def test_jobs_are_counted_as_they_are_found_and_each_commit_is_noticed(
    journal: Journal, reader: Reader
) -> None:
    """H3."""
    for number, disabled in enumerate((True, False, False)):
        version = reader.version()
        progress = Progress(f"{number}", disabled)
        await journal.commit([Keep(job(f"{number}", number)), Keep(progress)])
        assert reader.version() != version
        assert reader.version() == reader.version()
    assert reader.count(Search()) == 3
    assert reader.count(Search(state=JobState.DISABLED)) == 1


def test_totals_of_no_jobs_are_zero(reader: Reader) -> None:
    assert reader.totals() == Totals(0, 0, 0, 0, None, None, 0, {}, 0)


def test_a_file_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        Reader(tmp_path / "none.db").jobs()
