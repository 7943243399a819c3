"""Pages of the history, and of jobs that were found, beside the whole that they are cut from."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from kala_trio.core.definition import Definition
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
    Value,
)
from kala_trio.core.messages import Keep
from kala_trio.store.finding import JobState, Mark, Order, Search
from kala_trio.store.history import ENDS, End, Entry, Place, Wanted
from kala_trio.store.journal import Journal
from kala_trio.store.reader import JobView, Reader
from properties.world import START

jobs = st.sampled_from(["a", "b"])
outcomes = st.none() | st.sampled_from(Outcome)
drawn = st.lists(st.tuples(jobs, outcomes | st.just("missed"), st.sampled_from(Cause)), max_size=20)
some = settings(max_examples=settings.default.max_examples // 5 if settings.default else 20)


def at(second: int) -> datetime:
    """Return the instant that many seconds after the start."""
    return START + timedelta(seconds=second)


@contextmanager
def database() -> Iterator[tuple[Journal, Reader]]:
    """Lend a file, and who reads it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "kala.db"
        journal, reader = Journal(path), Reader(path)
        yield journal, reader
        reader.close()
        journal.close()


def keep(journal: Journal, values: list[Value]) -> None:
    """Make values durable."""
    trio.run(journal.commit, [Keep(each) for each in values])


def values_of(
    history: list[tuple[str, Outcome | str | None, Cause]], first: int
) -> Iterator[Value]:
    """Make runs and missed records of what was drawn, each a second after the one before."""
    for second, (job_id, end, cause) in enumerate(history, first):
        if end == "missed":
            yield Missed(job_id, job_id, second, cause, Reason.LATE, 1, at(second), at(second))
        else:
            outcome = None if end is None else Outcome(end)
            trigger = Trigger(cause, at(second))
            run_id, ended_at = f"{job_id}.{second}", at(second) if outcome else None
            run = Run(
                *(run_id, job_id, job_id, second, trigger, at(second)),
                ended_at=ended_at,
                outcome=outcome,
            )
            yield run
            yield Attempt(run.id, 1, at(second), run.ended_at, Exited(0) if outcome else None)


def whole(reader: Reader, wanted: Wanted, limit: int) -> list[Entry]:
    """Put the pages together."""
    entries: list[Entry] = []
    place: Place | None = Place()
    while place:
        page = reader.page(wanted, place, limit)
        assert len(page.entries) <= limit
        entries += page.entries
        place = page.next
    return entries


def end_of(entry: Entry) -> str:
    """Return what became of a trigger."""
    if isinstance(entry, Missed):
        return "missed"
    return entry[0].outcome or "running"


def when(entry: Entry) -> datetime:
    """Return when it began, or was to."""
    return entry.last if isinstance(entry, Missed) else entry[0].started_at


@given(drawn, st.integers(1, 7))
@some
def test_the_pages_together_are_all_that_happened_the_latest_first(
    history: list[tuple[str, Outcome | str | None, Cause]], limit: int
) -> None:
    """H1, H2: of one job, or of all."""
    with database() as (journal, reader):
        keep(journal, [*values_of(history, 1)])
        entries = whole(reader, Wanted(), limit)
        assert [when(each) for each in entries] == [
            at(second) for second in range(len(history), 0, -1)
        ]
        assert [end_of(each) for each in reversed(entries)] == [
            end or "running" for _, end, _ in history
        ]
        ours = [each for each in entries if _job_of(each) == "a"]
        assert whole(reader, Wanted("a"), limit) == ours


def _job_of(entry: Entry) -> str:
    return entry.job_id if isinstance(entry, Missed) else entry[0].job_id


@given(
    drawn,
    st.lists(st.sampled_from(ENDS), max_size=3),
    st.lists(st.sampled_from(Cause), max_size=2),
    st.none() | st.integers(0, 22),
    st.none() | st.integers(0, 22),
)
@some
def test_what_is_asked_for_is_what_fits_of_the_whole(
    history: list[tuple[str, Outcome | str | None, Cause]],
    ends: list[End],
    causes: list[Cause],
    since: int | None,
    until: int | None,
) -> None:
    """H1."""
    with database() as (journal, reader):
        keep(journal, [*values_of(history, 1)])
        wanted = Wanted(
            None,
            tuple(ends),
            tuple(causes),
            None if since is None else at(since),
            None if until is None else at(until),
        )
        expected = [
            each
            for each in whole(reader, Wanted(), 1000)
            if (not ends or end_of(each) in ends)
            and (not causes or _cause_of(each) in causes)
            and (since is None or when(each) >= at(since))
            and (until is None or when(each) < at(until))
        ]
        assert whole(reader, wanted, 3) == expected


def _cause_of(entry: Entry) -> Cause:
    return entry.cause if isinstance(entry, Missed) else entry[0].trigger.cause


@given(drawn, drawn, st.integers(1, 5))
@some
def test_what_comes_meanwhile_moves_no_page(
    history: list[tuple[str, Outcome | str | None, Cause]],
    later: list[tuple[str, Outcome | str | None, Cause]],
    limit: int,
) -> None:
    """H2."""
    with database() as (journal, reader):
        keep(journal, [*values_of(history, 1)])
        before = whole(reader, Wanted(), 1000)
        first = reader.page(Wanted(), Place(), limit)
        keep(journal, [*values_of(later, 100)])
        entries, place = [*first.entries], first.next
        while place:
            page = reader.page(Wanted(), place, limit)
            entries += page.entries
            place = page.next
        assert entries == before


instants = st.none() | st.integers(1, 5)
found_jobs = st.lists(
    st.tuples(
        st.sampled_from(["backup", "BACKUP 2", "report", "日次"]),
        st.sampled_from(["", "ada", "bob"]),
        st.lists(st.sampled_from(["x", "y"]), unique=True),
        st.booleans(),
        *(instants, instants, instants, instants),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)
searches = st.builds(
    Search,
    st.sampled_from(["", "back", "日", "%"]),
    st.sampled_from(["", "ada"]),
    st.sampled_from(["", "x"]),
    st.none() | st.sampled_from(JobState),
    st.none() | st.integers(1, 6).map(at),
    st.sampled_from(Order),
    st.booleans(),
)


@given(found_jobs, searches, st.integers(1, 5))
@some
def test_the_jobs_that_are_found_are_those_that_fit_in_the_order_asked_for(
    drawn_jobs: list[tuple[str, str, list[str], bool, *tuple[int | None, ...]]],
    search: Search,
    limit: int,
) -> None:
    """H3, H4."""
    with database() as (journal, reader):
        values: list[Value] = []
        for number, (name, owner, tags, disabled, *rest) in enumerate(drawn_jobs, 1):
            coming, tried, failed, succeeded, waits, runs = rest
            definition = Definition(name, "true", owner=owner, tags=tuple(tags), disabled=disabled)
            values.append(Job(f"j{number}", number, START, definition))
            values.append(
                Progress(
                    f"j{number}",
                    disabled,
                    None if coming is None else Occurrence(0, at(coming)),
                    Trigger(Cause.MANUAL, START) if waits else None,
                    ("r",) if runs else (),
                    last_attempted_run=None if tried is None else at(tried),
                    last_error=None if failed is None else at(failed),
                    last_success=None if succeeded is None else at(succeeded),
                )
            )
        keep(journal, values)
        fitting = [view for view in reader.jobs() if _fits(view, search)]
        fitting.sort(key=lambda view: _rank(view, search), reverse=search.descending)
        views: list[JobView] = []
        mark: Mark | None = None
        while True:
            page, mark = reader.find(search, mark, limit)
            assert len(page) <= limit
            views += page
            if mark is None:
                break
        assert views == fitting


def _fits(view: JobView, search: Search) -> bool:
    definition, progress = view.job.definition, view.progress
    coming = None if progress.disabled or not progress.next else progress.next.at
    failed, succeeded = progress.last_error, progress.last_success
    states = {
        JobState.ENABLED: not progress.disabled,
        JobState.DISABLED: progress.disabled,
        JobState.RUNNING: bool(progress.running),
        JobState.WAITING: progress.pending is not None,
        JobState.FAILING: failed is not None and (succeeded is None or failed > succeeded),
        JobState.DONE: not (progress.next or progress.pending or progress.running),
    }
    return (
        search.name.lower() in definition.name.lower()
        and search.owner in ("", definition.owner)
        and (not search.tag or search.tag in definition.tags)
        and (search.state is None or states[search.state])
        and (search.next_before is None or (coming is not None and coming < search.next_before))
    )


def _rank(view: JobView, search: Search) -> tuple[object, int]:
    never = START + timedelta(days=-1 if search.descending else 1)
    progress, number = view.progress, view.job.number
    match search.order:
        case Order.CREATED:
            return number, number
        case Order.NAME:
            return view.job.definition.name.lower(), number
        case Order.NEXT_RUN_AT:
            coming = None if progress.disabled or not progress.next else progress.next.at
            return coming or never, number
        case Order.LAST_ATTEMPTED_RUN:
            return progress.last_attempted_run or never, number
