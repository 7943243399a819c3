"""What the faces ask for: jobs, runs and figures, read from the file without the scheduler."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from msgspec import Struct

from kala_trio.core.errors import Unavailable
from kala_trio.core.graph import deleted_with
from kala_trio.core.job import Attempt, Job, Missed, Progress, Run
from kala_trio.core.messages import Deed
from kala_trio.store import rows
from kala_trio.store.connection import Connection, atomic, grouped, open_database
from kala_trio.store.finding import JobState, Mark, Search, count, count_states, find
from kala_trio.store.history import Page, Place, Wanted, attempts_of, read_page
from kala_trio.store.kinship import family, related
from kala_trio.store.outbox import Delivery, count_waiting, deliveries
from kala_trio.store.trouble import UNREADABLE, sentence

STATS = 10
"""How many of its latest ended runs a job shows of itself."""


class JobView(Struct, frozen=True, gc=False):
    """A job as its readers want it.

    ``dependents`` are the ids of its children, in the order in which they were attached; ``stats``
    its latest ended runs, ten at most, oldest first.
    """

    job: Job
    progress: Progress
    dependents: tuple[str, ...]
    stats: tuple[Run, ...]


class Totals(Struct, frozen=True):
    """Figures over all jobs; ``next_run_at`` is the earliest of the jobs that are not disabled.

    ``running`` counts runs in progress, ``running_by_tag`` those of the jobs with each tag, and
    ``waiting`` pending triggers.
    """

    active: int
    disabled: int
    error_count: int
    success_count: int
    next_run_at: datetime | None
    last_attempted_run: datetime | None
    running: int
    running_by_tag: dict[str, int]
    waiting: int


class Reader:
    """Reads what the journal has committed; any number of threads may use one at once.

    Each method sees one moment's state, and raises Unavailable where the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        """Read the file at ``path``, which must be there by the first use."""
        self._path = path
        self._idle: list[Connection] = []
        self._watch: Connection | None = None
        self._totals = WeakKeyDictionary[Connection, tuple[int, Totals]]()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def job(self, job_id: str) -> JobView | None:
        """Return the job of that id, if there is one."""
        with self._database() as database:
            found = rows.select(database, Job, "FROM jobs WHERE id = ?", job_id)
            return next(iter(_views(database, found, [job_id])), None)

    def remembers(self, job_id: str) -> bool:
        """Tell whether the history knows anything of a job of that id, which may be deleted."""
        with self._database() as database:
            query = " OR ".join(
                f"EXISTS (SELECT 1 FROM {table} WHERE job_id = ?)"  # noqa: S608 - our own names
                for table in ("runs", "missed", "notices")
            )
            ((known,),) = database.execute(f"SELECT {query}", [job_id] * 3)
            return bool(known)

    def jobs(self) -> list[JobView]:
        """Return all jobs, in the order of their creation."""
        with self._database() as database:
            return _views(database, rows.select(database, Job, "FROM jobs ORDER BY number"), None)

    def ended_runs(self, job_id: str) -> list[Run]:
        """Return a job's runs that have ended, oldest first."""
        with self._database() as database:
            which = "FROM runs WHERE job_id = ? AND outcome NOT NULL ORDER BY number"
            return [rows.to_run(row) for row in rows.select(database, Run, which, job_id)]

    def history(
        self, job_id: str, *, before: int, limit: int
    ) -> list[tuple[Run, tuple[Attempt, ...]]]:
        """Return ``limit`` runs with their attempts, those with a number below ``before``.

        Newest first; of deleted jobs too (rule M3).
        """
        with self._database() as database:
            which = "FROM runs WHERE job_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
            found = rows.select(database, Run, which, job_id, before, limit)
            runs = [rows.to_run(row) for row in found]
            attempts = attempts_of(database, (run.id for run in runs))
            return [(run, attempts.get(run.id, ())) for run in runs]

    def page(self, wanted: Wanted, place: Place, limit: int) -> Page:
        """Return ``limit`` runs and missed records below ``place``, the latest first."""
        with self._database() as database:
            return read_page(database, wanted, place, limit)

    def find(
        self, search: Search, after: Mark | None, limit: int
    ) -> tuple[list[JobView], Mark | None]:
        """Return the ``limit`` first jobs after a mark that fit, and the mark of the next page."""
        with self._database() as database:
            ids, mark = find(database, search, after, limit)
            return _in_order(database, ids), mark

    def related(self, most: int) -> tuple[list[JobView], int]:
        """Return the first ``most`` jobs that follow others or are followed, and their number."""
        with self._database() as database:
            ids, count = related(database, most)
            return _in_order(database, ids), count

    def family(self, job_id: str, steps: int, most: int) -> tuple[list[JobView], bool]:
        """Return a job and ``most`` relatives so many steps away, and whether there are more."""
        with self._database() as database:
            ids, has_more = family(database, job_id, steps, most)
            return _in_order(database, ids), has_more

    def count(self, search: Search) -> int:
        """Return how many jobs fit."""
        with self._database() as database:
            return count(database, search)

    def names(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return what those of these jobs are called that are there."""
        with self._database() as database:
            query = (
                "SELECT id, json_extract(definition, '$.name') FROM jobs "
                "WHERE id IN (SELECT value FROM json_each(?))"
            )
            return dict(database.execute(query, (json.dumps([*job_ids]),)))

    def ids(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return the ids of the jobs that have these names, by name, in order of creation."""
        with self._database() as database:
            query = (
                "SELECT json_extract(definition, '$.name') AS name, id FROM jobs "
                "WHERE name IN (SELECT value FROM json_each(?)) ORDER BY number"
            )
            return grouped(database, query, json.dumps([*names]))

    def deleted_with(self, job_id: str) -> list[tuple[str, str]]:
        """Return the jobs that go when that one goes, itself first, each by id and name (D5)."""
        with self._database() as database:
            children = (
                "SELECT child FROM edges JOIN jobs ON child = id WHERE parent = ? ORDER BY number"
            )
            parents = "SELECT count(*) FROM edges WHERE child = ?"
            gone = deleted_with(
                job_id,
                lambda each: [child for (child,) in database.execute(children, (each,))],
                lambda each: int(database.execute(parents, (each,)).fetchone()[0]),
            )
        names = self.names(gone)
        return [(each, names[each]) for each in gone if each in names]

    def run(self, run_id: str) -> Run | None:
        """Return the run of that id, if there is one; a deleted job's too."""
        with self._database() as database:
            return _run(database, run_id)

    def run_with_attempts(self, run_id: str) -> tuple[Run, tuple[Attempt, ...]] | None:
        """Return the run of that id and its attempts, if there is one."""
        with self._database() as database:
            run = _run(database, run_id)
            return (run, attempts_of(database, [run_id]).get(run_id, ())) if run else None

    def missed(self, job_id: str) -> list[Missed]:
        """Return a job's missed records, newest first; a deleted job's too."""
        with self._database() as database:
            which = "FROM missed WHERE job_id = ? ORDER BY number DESC"
            return [rows.to_missed(row) for row in rows.select(database, Missed, which, job_id)]

    def notices(self, job_id: str, *, below: int, limit: int) -> list[Delivery]:
        """Return a job's notices with a number below that one, the latest first.

        Of deleted jobs too.
        """
        with self._database() as database:
            return deliveries(database, job_id, below, limit)

    def deeds(self, below: int, limit: int, *, subject: str, who: str) -> list[tuple[int, Deed]]:
        """Return the latest deeds of rows below that one, with their rows.

        Those done to ``subject``, if it is not empty, and by ``who``, if that is not.
        """
        query = (
            "SELECT rowid, * FROM deeds WHERE rowid < :below AND :subject IN ('', subject) "
            "AND :who IN ('', who) ORDER BY rowid DESC LIMIT :limit"
        )
        given = {"below": below, "subject": subject, "who": who, "limit": limit}
        with self._database() as database:
            return [
                (row, Deed(rows.instant(at), *more))
                for row, at, *more in database.execute(query, given)
            ]

    def totals(self) -> Totals:
        """Return the figures over all jobs, which are added up anew only after a change."""
        with self._database() as database:
            # It tells of commits by others, and to each connection on its own.
            ((version,),) = database.execute("PRAGMA data_version")
            then, totals = self._totals.get(database, (None, None))
            if totals is None or then != version:
                totals = _add_up(database)
                self._totals[database] = (version, totals)
            return totals

    def standings(self) -> tuple[dict[JobState, int], int]:
        """Return how many jobs are in each state, and how many notices are to be delivered."""
        with self._database() as database:
            return count_states(database), count_waiting(database)

    def version(self) -> int:
        """Return a number that each commit changes; only one thread may ask for it."""
        try:
            self._watch = self._watch or open_database(self._path, read_only=True)
            ((version,),) = self._watch.execute("PRAGMA data_version")
        except UNREADABLE as error:
            raise Unavailable(sentence(self._path, "cannot be read", error)) from error
        return int(version)

    def close(self) -> None:
        """Close the connections."""
        if self._watch:
            self._watch.close()
            self._watch = None
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _database(self) -> Iterator[Connection]:
        """Lend a connection, with a transaction that reads one state."""
        try:
            database = self._idle.pop() if self._idle else open_database(self._path, read_only=True)
            with atomic(database):
                yield database
            self._idle.append(database)
        except UNREADABLE as error:
            raise Unavailable(sentence(self._path, "cannot be read", error)) from error


def _run(database: sqlite3.Connection, run_id: str) -> Run | None:
    found = rows.select(database, Run, "FROM runs WHERE id = ?", run_id)
    return next(map(rows.to_run, found), None)


def _add_up(database: sqlite3.Connection) -> Totals:
    query = (
        "SELECT count(*), sum(disabled), sum(error_count), sum(success_count), "
        "min(CASE WHEN disabled THEN NULL ELSE next_at END), "
        "max(last_attempted_run), count(pending) FROM progress"
    )
    found = database.execute(query).fetchone()
    jobs, disabled, errors, successes, next_at, latest, waiting = found
    in_progress = "FROM runs INDEXED BY runs_in_progress"
    ((running,),) = database.execute(f"SELECT count(*) {in_progress} WHERE outcome IS NULL")
    by_tag = database.execute(
        f"SELECT tag.value, count(*) {in_progress} JOIN jobs ON jobs.id = job_id, "
        "json_each(definition, '$.tags') AS tag WHERE outcome IS NULL GROUP BY 1 ORDER BY 1"
    )
    return Totals(
        jobs - (disabled or 0),
        disabled or 0,
        errors or 0,
        successes or 0,
        rows.optional_instant(next_at),
        rows.optional_instant(latest),
        running,
        dict(by_tag),
        waiting,
    )


def _in_order(database: sqlite3.Connection, ids: list[str]) -> list[JobView]:
    """Return the jobs of these ids, in their order."""
    which = "FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
    found = rows.select(database, Job, which, json.dumps(ids))
    views = {view.job.id: view for view in _views(database, found, ids)}
    return [views[job_id] for job_id in ids]


def _views(
    database: sqlite3.Connection, found: Iterable[rows.Row], job_ids: Sequence[str] | None
) -> list[JobView]:
    """Complete rows of ``jobs``: all of them, or those of ``job_ids`` alone."""
    # One is read most often, and as a value of its own soonest.
    those = "= ?" if job_ids and len(job_ids) == 1 else "IN (SELECT value FROM json_each(?))"
    wanted = () if job_ids is None else (job_ids[0] if len(job_ids) == 1 else json.dumps(job_ids),)

    def only(query: str, column: str, order: str) -> str:
        return f"{query} {f'WHERE {column} {those} ' if wanted else ''}ORDER BY {order}"

    query = only("SELECT parent, child FROM edges JOIN jobs ON child = id", "parent", "number")
    dependents = grouped(database, query, *wanted)
    stats: dict[str, list[Run]] = defaultdict(list)
    # One more than wanted, since the latest may be in progress.
    latest = (
        "FROM progress JOIN runs ON runs.job_id = progress.job_id "
        "AND runs.number >= progress.runs - 10 AND runs.outcome NOT NULL"
    )
    which = only(latest, "progress.job_id", "progress.job_id, runs.number")
    for run in map(rows.to_run, rows.select(database, Run, which, *wanted)):
        stats[run.job_id].append(run)
    which = only("FROM progress", "job_id", "rowid")
    progress = {row[0]: row for row in rows.select(database, Progress, which, *wanted)}
    return [
        JobView(
            rows.to_job(row),
            rows.to_progress(progress[row[0]], row[0]),
            tuple(dependents.get(row[0], ())),
            tuple(stats.get(row[0], ())[-STATS:]),
        )
        for row in found
    ]
