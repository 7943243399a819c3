"""The three ledgers of a torture: what was acknowledged, what the commands wrote, what is stored.

They are read without the help of ``kala_trio``, so that its mistakes can't hide themselves.
Instants are microseconds since 1970.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

MARKS = "marks"
ASKS = "asks.jsonl"
DATABASE = "kala.db"
LOG = "daemon.log"

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Body(Struct, frozen=True):
    """What the judge knows of a job that a client asked for."""

    name: str
    schedule: str = ""
    parent_jobs: tuple[str, ...] = ()
    on_failure_job: str = ""
    retries: int = 0
    disabled: bool = False
    rerun_lost: bool = False


class Ask(Struct, frozen=True):
    """A request of a client, on its way from ``sent`` to ``over``.

    ``status`` is None where no answer came. ``job_id`` is empty where a creation was not answered
    201.
    """

    what: Literal["create", "delete", "start", "enable", "disable", "read"]
    sent: int
    over: int
    status: int | None
    job_id: str = ""
    body: Body | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether it was acknowledged."""
        return self.status in (201, 204)

    @property
    def may_be_done(self) -> bool:
        """Tell whether it was acknowledged, or nobody knows."""
        return self.is_done or self.status in (None, 502)


class Started(Struct, frozen=True):
    """An attempt's command began, as process ``pid``."""

    run_id: str
    number: int
    scheduled_at: int
    pid: int


class Ended(Struct, frozen=True):
    """An attempt's command is about to exit with ``code``."""

    run_id: str
    number: int
    code: int


class Cut(Struct, frozen=True):
    """An attempt's process group was killed, while no daemon was there, and is gone."""

    run_id: str
    number: int


class Killed(Struct, frozen=True):
    """A daemon was killed, and is gone: between the instants ``began`` and ``over``."""

    began: int
    over: int


Mark = Started | Ended | Cut | Killed


class Trigger(Struct, frozen=True):
    """What asked for a run."""

    cause: str
    scheduled_at: datetime
    occurrence: int | None = None
    source: str | None = None

    @property
    def at(self) -> int:
        """Return the scheduled time."""
        return microseconds(self.scheduled_at)


class Job(Struct, frozen=True):
    """A row of ``jobs``, with what counts of its definition."""

    id: str
    name: str
    created_at: int
    parents: tuple[str, ...] = ()


class Progress(Struct, frozen=True):
    """A row of ``progress``."""

    job_id: str
    disabled: bool = False
    next_number: int | None = None
    next_at: int | None = None
    pending: Trigger | None = None
    run_id: str | None = None
    runs: int = 0
    finished: int = 0
    success_count: int = 0
    error_count: int = 0
    misses: int = 0


class Run(Struct, frozen=True):
    """A row of ``runs``."""

    id: str
    job_id: str
    job_name: str
    number: int
    trigger: Trigger
    attempts: int
    ended_at: int | None
    outcome: str | None


class Attempt(Struct, frozen=True):
    """A row of ``attempts``; ``result`` is the type of it, ``code`` that of one that exited."""

    run_id: str
    number: int
    started_at: int
    ended_at: int | None
    result: str | None
    code: int | None = None

    @property
    def is_success(self) -> bool:
        """Tell whether it succeeded."""
        return self.result == "Exited" and self.code == 0


class Missed(Struct, frozen=True):
    """A row of ``missed``."""

    job_id: str
    job_name: str
    number: int
    cause: str
    reason: str
    count: int
    first: int
    last: int
    last_occurrence: int | None = None


class Turn(Struct, frozen=True):
    """A child that is still to be triggered by a run."""

    run_id: str
    child: str


class Store(Struct, frozen=True):
    """All that the database holds."""

    jobs: tuple[Job, ...] = ()
    progress: tuple[Progress, ...] = ()
    runs: tuple[Run, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    missed: tuple[Missed, ...] = ()
    turns: tuple[Turn, ...] = ()


class Ledgers(Struct, frozen=True):
    """All three, and how the last daemon ended; ``log`` is what daemons wrote to standard error."""

    asks: tuple[Ask, ...]
    marks: tuple[Mark, ...]
    store: Store
    exit_status: int
    log: str = ""


def microseconds(instant: datetime) -> int:
    """Return an instant as it lies in the database."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def read_marks(directory: Path) -> tuple[Mark, ...]:
    """Return the lines of the ledger that all attempts append to: their order is that of time."""
    path = directory / MARKS
    return tuple(map(_mark, path.read_text().splitlines())) if path.exists() else ()


def _mark(line: str) -> Mark:
    match line.split():
        case ["started", run_id, number, scheduled_at, pid]:
            at = microseconds(datetime.fromisoformat(scheduled_at))
            return Started(run_id, int(number), at, int(pid))
        case ["ended", run_id, number, code]:
            return Ended(run_id, int(number), int(code))
        case ["cut", run_id, number]:
            return Cut(run_id, int(number))
        case ["killed", began, over]:
            return Killed(int(began), int(over))
        case _:
            raise ValueError(f"no mark: {line!r}")


def read_asks(directory: Path) -> tuple[Ask, ...]:
    """Return what clients asked for, in the order of the answers."""
    lines = (directory / ASKS).read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Ask) for line in lines)


def read_store(directory: Path) -> Store:
    """Return what the database holds, all of it as of one moment."""
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        database.execute("BEGIN")
        jobs = _rows(database, "SELECT * FROM jobs", "definition")
        attempts = _rows(database, "SELECT * FROM attempts")
        for job in jobs:
            definition = job["definition"]
            job |= {"name": definition["name"], "parents": definition.get("parent_jobs", [])}
        for attempt in attempts:
            result = msgspec.json.decode(attempt["result"] or "{}")
            attempt |= {"result": result.get("type"), "code": result.get("code")}
        later = "SELECT run_id, child FROM turns JOIN queues USING (run_id) "
        later += "WHERE turns.position > queues.position"
        return Store(
            _values(jobs, Job),
            _values(_rows(database, "SELECT * FROM progress", "pending"), Progress),
            _values(_rows(database, "SELECT * FROM runs", "trigger"), Run),
            _values(attempts, Attempt),
            _values(_rows(database, "SELECT * FROM missed"), Missed),
            _values(_rows(database, later), Turn),
        )


def _rows(database: sqlite3.Connection, query: str, json: str = "") -> list[dict[str, Any]]:
    """Return rows; ``json`` names a column that holds it."""
    rows = [dict(row) for row in database.execute(query)]
    for row in rows:
        if json and row[json]:
            row[json] = msgspec.json.decode(row[json])
    return rows


def _values(rows: Iterable[dict[str, Any]], kind: type[T]) -> tuple[T, ...]:
    return msgspec.convert(rows, tuple[kind, ...], strict=False)  # type: ignore[valid-type]
