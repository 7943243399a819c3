"""The one writer: what it has committed is durable, whatever happens next (rules C1, C2)."""

import fcntl
import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import assert_never

import trio

from kala_trio.core.errors import CannotStart, Unavailable
from kala_trio.core.job import Attempt, Job, Progress, Queue, Run, Value
from kala_trio.core.messages import Deed, ForgetJob, ForgetQueue, Keep, Record, Snapshot
from kala_trio.store import rows
from kala_trio.store.connection import (
    VERSION,
    WRITE_NOTHING,
    atomic,
    grouped,
    not_ours,
    open_database,
    pragma,
    prepare,
    refuse_foreign,
)
from kala_trio.store.outbox import Delivery
from kala_trio.store.soundness import checked
from kala_trio.store.trouble import UNREADABLE, look_into, primary, refuse_damaged_log, sentence
from kala_trio.threads import in_thread

_ATTEMPTS_AT_ONCE = 500
# For how long, and how often, it is tried to have the file alone, in seconds.
_PATIENCE, _LOOK = 1.0, 0.05


class Journal:
    """Keeps the scheduler's records in an SQLite file, which no other process writes meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, or make it, readable by its owner alone.

        Raises:
            CannotStart: there can be no such file, it is held by another kala-trio, is not a
                database, or is not one that this version knows.
        """
        self._path = path
        self._thread = trio.CapacityLimiter(1)
        with ExitStack() as cleanup:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                cleanup.callback(os.close, _hold(path))
                refuse_damaged_log(path)
                self._database = open_database(path)
                cleanup.callback(self._database.close)
                prepare(self._database, path)
            except OSError as error:
                raise CannotStart(f"database: {path} cannot be opened: {error.strerror}") from error
            except sqlite3.Error as error:
                raise CannotStart(sentence(path, "cannot be used", error)) from error
            self._cleanup = cleanup.pop_all()

    def load(self) -> Snapshot:
        """Return all that a scheduler needs to go on.

        Raises:
            CannotStart: the file cannot be read, or what is in it does not fit together.
        """
        try:
            with atomic(self._database):
                return checked(read_all(self._database))
        except UNREADABLE as error:
            raise CannotStart(sentence(self._path, "cannot be read", error)) from error

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    async def commit(self, records: Sequence[Record]) -> None:
        """Make ``records`` durable, all of them in one transaction, in a worker thread.

        Without records, tries whether the file can be written.

        Raises:
            Unavailable: it failed, and none of them is kept.
        """
        await in_thread(self._write, records, limiter=self._thread)

    async def prune_runs(self, run_ids: Sequence[str]) -> bool:
        """Remove these runs and their attempts from the history, those that have ended.

        Returns False where they had more attempts than are removed at once, so that no commit is
        held up for long: then call it again.

        Raises:
            Unavailable: it failed, and nothing was removed.
        """
        return await in_thread(self._prune_runs, run_ids, limiter=self._thread)

    async def prune_missed(self, row_ids: Sequence[int]) -> None:
        """Remove missed records from the history, by their rows in ``missed``.

        Raises:
            Unavailable: it failed, and nothing was removed.
        """
        await in_thread(self._prune, "missed", row_ids, limiter=self._thread)

    async def prune_notices(self, row_ids: Sequence[int]) -> None:
        """Remove notices, by their rows in ``notices``.

        Raises:
            Unavailable: it failed, and nothing was removed.
        """
        await in_thread(self._prune, "notices", row_ids, limiter=self._thread)

    async def prune_deeds(self, row_ids: Sequence[int]) -> None:
        """Forget deeds, by their rows in ``deeds``.

        Raises:
            Unavailable: it failed, and nothing was removed.
        """
        await in_thread(self._prune, "deeds", row_ids, limiter=self._thread)

    async def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Make durable what became of notices.

        Raises:
            Unavailable: it failed, and all is as it was.
        """
        await in_thread(self._record_deliveries, deliveries, limiter=self._thread)

    def close(self) -> None:
        """Close the file, and let others have it."""
        self._cleanup.close()

    def _write(self, records: Sequence[Record]) -> None:
        with self._transaction():
            self._apply(records)
            if not records:
                self._execute(WRITE_NOTHING)

    # Each of these is one statement, in which the interpreter is left to others throughout.
    def _prune_runs(self, run_ids: Sequence[str]) -> bool:
        these = json.dumps(run_ids)
        with self._transaction():
            removed = self._execute(
                "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts "
                "WHERE run_id IN (SELECT value FROM json_each(?)) LIMIT ?)",
                these,
                _ATTEMPTS_AT_ONCE,
            ).rowcount
            if removed == _ATTEMPTS_AT_ONCE:
                return False
            self._execute(
                "DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?)) "
                "AND outcome NOT NULL",
                these,
            )
            return True

    def _prune(self, table: str, row_ids: Sequence[int]) -> None:
        query = f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(?))"  # noqa: S608
        with self._transaction():
            self._execute(query, json.dumps(row_ids))

    def _record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        with self._transaction():
            for each in deliveries:
                self._execute(
                    "UPDATE notices SET tries = ?, next_try_at = ?, delivered_at = ?, error = ? "
                    "WHERE job_id = ? AND number = ?",
                    each.tries,
                    rows.from_optional(each.next_try_at),
                    rows.from_optional(each.delivered_at),
                    each.error,
                    each.notice.job_id,
                    each.notice.number,
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make what is done meanwhile durable, all of it or nothing; raises Unavailable."""
        try:
            with atomic(self._database):
                yield
        except sqlite3.Error as error:
            if primary(error) == sqlite3.SQLITE_IOERR:
                self._bury()
            raise Unavailable(sentence(self._path, "cannot be written", error)) from error

    def _bury(self) -> None:
        """Overwrite what a commit that failed has left in the write-ahead log.

        A commit whose sync failed stands there whole, and the next to open the file would take it
        for done. It is overwritten at its first page, which breaks the checksums of all others.
        """
        with suppress(sqlite3.Error):  # the sync fails again, most likely
            self._execute(WRITE_NOTHING)

    def _apply(self, records: Sequence[Record]) -> None:
        """Write records, those of one table together: tables don't depend on each other.

        What is forgotten is so after all that was kept before, and before what is kept after.
        """
        kept: dict[type[Value], list[Value]] = defaultdict(list)
        for record in records:
            match record:
                case Keep(value):
                    kept[type(value)].append(value)
                case ForgetJob(job_id):
                    self._keep(kept)
                    self._execute("DELETE FROM jobs WHERE id = ?", job_id)
                    self._execute("DELETE FROM edges WHERE child = ?", job_id)
                    self._execute("DELETE FROM progress WHERE job_id = ?", job_id)
                case ForgetQueue(run_id):
                    self._keep(kept)
                    self._execute("DELETE FROM queues WHERE run_id = ?", run_id)
                    self._execute("DELETE FROM turns WHERE run_id = ?", run_id)
                case Deed(at, who, what, subject):
                    row = (rows.from_instant(at), who, what, subject)
                    self._execute("INSERT INTO deeds VALUES (?, ?, ?, ?)", *row)
                case _:
                    assert_never(record)
        self._keep(kept)

    def _keep(self, kept: dict[type[Value], list[Value]]) -> None:
        """Write values by their types, and empty ``kept``."""
        for kind, values in kept.items():
            self._database.executemany(_UPSERT[kind], map(rows.to_row, values))
            for value in values:
                match value:
                    case Job(id=job_id):
                        self._execute("DELETE FROM edges WHERE child = ?", job_id)
                        for position, parent in enumerate(value.definition.parent_jobs):
                            self._execute(
                                "INSERT INTO edges VALUES (?, ?, ?)", job_id, position, parent
                            )
                    case Queue(run_id=run_id) if not self._has_turns(run_id):
                        for place in enumerate(value.children):
                            self._execute("INSERT INTO turns VALUES (?, ?, ?)", run_id, *place)
                    case _:
                        pass
        kept.clear()

    def _has_turns(self, run_id: str) -> bool:
        query = "SELECT 1 FROM turns WHERE run_id = ? LIMIT 1"
        return self._execute(query, run_id).fetchone() is not None

    def _execute(self, statement: str, *parameters: str | int | None) -> sqlite3.Cursor:
        return self._database.execute(statement, parameters)


def _upsert(table: rows.Table) -> str:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    values = ", ".join("?" for _ in table.columns)
    changes = ", ".join(
        f'"{each}" = excluded."{each}"' for each in table.columns if each not in table.keys
    )
    return (
        f'INSERT INTO "{table.name}" ({columns}) VALUES ({values}) '  # noqa: S608 - our own names
        f"ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET {changes}"
    )


_UPSERT = {kind: _upsert(table) for kind, table in rows.TABLES.items()}


def _hold(path: Path) -> int:
    """Open the file, making it if it is not there, and lock it against every other daemon.

    The lock is the file's own, by whatever name it is opened, and goes with the process. It is not
    one of SQLite's, which end when any descriptor of the file is closed: this one is closed last.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A process that a killed daemon was just starting holds its descriptors until it is.
    deadline = time.monotonic() + _PATIENCE
    while not _is_ours_alone(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise CannotStart(
                f"database: {path} is held by another kala-trio; stop that one (fuser {path} shows "
                "its process), or give a path of its own, for example --db ~/kala.db"
            )
        time.sleep(_LOOK)
    return descriptor


def _is_ours_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_snapshot(path: Path) -> Snapshot:
    """Return all that a scheduler needs to go on, whether a daemon writes the file or not.

    Raises:
        Refused: ``path`` is not a database of kala-trio, or not of this version.
        Unavailable: it can't be read now.
    """
    if not path.is_file():
        raise not_ours("is no file", path)
    with look_into(path) as database:
        refuse_foreign(database, path)
        if pragma(database, "user_version") != VERSION:
            problem = "was made by another version of kala-trio; run the daemon of this one on it"
            raise not_ours(problem, path)
        return checked(read_all(database))


def read_all(database: sqlite3.Connection) -> Snapshot:
    """Return all that a scheduler needs to go on, whether it fits together or not."""
    children = grouped(database, "SELECT run_id, child FROM turns ORDER BY run_id, position")
    jobs = tuple(map(rows.to_job, rows.select(database, Job, "FROM jobs ORDER BY number")))
    ids = {job.id: job.id for job in jobs}
    found = rows.select(
        database, Progress, "FROM jobs JOIN progress ON job_id = id ORDER BY number"
    )
    progress = tuple(rows.to_progress(row, ids[row[0]]) for row in found)
    # The indices are named, since the planner would rather read all of the history in order.
    runs = "FROM runs INDEXED BY runs_in_progress WHERE outcome IS NULL ORDER BY started_at, id"
    attempts = (
        "FROM attempts INDEXED BY attempts_in_progress WHERE result IS NULL ORDER BY run_id, number"
    )
    return Snapshot(
        jobs=jobs,
        progress=progress,
        runs=tuple(map(rows.to_run, rows.select(database, Run, runs))),
        attempts=tuple(map(rows.to_attempt, rows.select(database, Attempt, attempts))),
        queues=tuple(
            rows.to_queue(row, tuple(children[row[0]]))
            for row in rows.select(database, Queue, "FROM queues ORDER BY rowid")
        ),
    )
