"""Values to rows and back: the only place that knows how a value lies in its table."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, assert_never

import msgspec
from msgspec import Struct

from kala_trio.core.definition import Definition
from kala_trio.core.job import (
    Attempt,
    Cause,
    Ending,
    Job,
    Missed,
    Notice,
    Occurrence,
    Outcome,
    Pause,
    Progress,
    Queue,
    Reason,
    Result,
    Run,
    Standing,
    Trigger,
    Value,
)

Row = tuple[Any, ...]


class Table(Struct, frozen=True):
    """Where the values of a type lie: ``keys`` are the columns that tell them apart."""

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]


TABLES: dict[type[Value], Table] = {
    Job: Table("jobs", ("id",), ("id", "number", "created_at", "definition", "rescheduled_at")),
    Progress: Table(
        "progress",
        ("job_id",),
        (
            *("job_id", "disabled", "next_number", "next_at", "pending", "running", "runs"),
            *("finished", "success_count", "error_count", "last_success", "last_error"),
            *("last_attempted_run", "misses", "latest_missed", "version", "parents_done"),
            "standing",
        ),
    ),
    Run: Table(
        "runs",
        ("id",),
        (
            *("id", "job_id", "job_name", "number", "trigger", "started_at", "attempts"),
            *("ended_at", "outcome", "ending", "pause"),
        ),
    ),
    Attempt: Table(
        "attempts",
        ("run_id", "number"),
        ("run_id", "number", "started_at", "ended_at", "result"),
    ),
    Missed: Table(
        "missed",
        ("job_id", "number"),
        (
            *("job_id", "job_name", "number", "cause", "reason", "count", "first", "last"),
            "last_occurrence",
        ),
    ),
    Queue: Table("queues", ("run_id",), ("run_id", "position")),
    Notice: Table(
        "notices",
        ("job_id", "number"),
        (
            *("job_id", "number", "job_name", "channel", "receiver", "news", "at", "run_id"),
            *("scheduled_at", "streak", "reason"),
        ),
    ),
}

_USUAL_STANDING = Standing()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def select(
    database: sqlite3.Connection, kind: type[Value], which: str, *parameters: str | int
) -> Iterator[Row]:
    """Return rows of ``kind``, those that ``which`` tells, from its FROM on.

    They are tuples in the order of the table's columns: to look columns up by name takes longer
    than to read them.
    """
    table = TABLES[kind]
    columns = ", ".join(f'"{table.name}"."{column}"' for column in table.columns)
    return database.execute(f"SELECT {columns} {which}", parameters)


def select_with_rowid(
    database: sqlite3.Connection, kind: type[Value], which: str, *parameters: str | int
) -> Iterator[Row]:
    """Return rows as ``select`` does, each after its place in the order in which rows came."""
    table = TABLES[kind]
    columns = ", ".join(f'"{column}"' for column in table.columns)
    return database.execute(f"SELECT rowid, {columns} {which}", parameters)


def select_with(
    database: sqlite3.Connection,
    kind: type[Value],
    more: str,
    which: str,
    *parameters: str | int,
) -> Iterator[Row]:
    """Return rows as ``select`` does, each with ``more`` columns at its end."""
    columns = ", ".join(f'"{TABLES[kind].name}"."{column}"' for column in TABLES[kind].columns)
    return database.execute(f"SELECT {columns}, {more} {which}", parameters)


def to_row(value: Value) -> tuple[str | int | None, ...]:
    """Return the columns of ``value``, in the order of its table.

    Beside that a job's parents are rows in ``edges``, and a queue's children in ``turns``.
    """
    row: tuple[str | int | None, ...]
    match value:
        case Job():
            row = (
                *(value.id, value.number, from_instant(value.created_at)),
                _to_json(value.definition),
                from_optional(value.rescheduled_at),
            )
        case Progress():
            row = _progress_row(value)
        case Run():
            row = (
                *(value.id, value.job_id, value.job_name, value.number),
                _to_json(value.trigger),
                from_instant(value.started_at),
                value.attempts,
                from_optional(value.ended_at),
                value.outcome,
                value.ending,
                _to_json(value.pause) if value.pause else None,
            )
        case Attempt(result=result):
            row = (
                *(value.run_id, value.number, from_instant(value.started_at)),
                from_optional(value.ended_at),
                _to_json(result) if result else None,
            )
        case Missed():
            row = (
                *(value.job_id, value.job_name, value.number, value.cause, value.reason),
                *(value.count, from_instant(value.first), from_instant(value.last)),
                value.last_occurrence,
            )
        case Queue():
            row = (value.run_id, value.position)
        case Notice():
            row = (
                *(value.job_id, value.number, value.job_name, value.channel, value.receiver),
                *(value.news, from_instant(value.at), value.run_id),
                *(from_instant(value.scheduled_at), value.streak, value.reason),
            )
        case _:
            assert_never(value)
    return row


def _progress_row(value: Progress) -> tuple[str | int | None, ...]:
    coming = value.next
    return (
        value.job_id,
        value.disabled,
        coming.number if coming else None,
        from_instant(coming.at) if coming else None,
        _to_json(value.pending) if value.pending else None,
        _to_json(value.running) if value.running else "[]",
        value.runs,
        value.finished,
        value.success_count,
        value.error_count,
        from_optional(value.last_success),
        from_optional(value.last_error),
        from_optional(value.last_attempted_run),
        value.misses,
        _to_json(value.latest_missed) if value.latest_missed else "[]",
        value.version,
        _to_json(value.parents_done) if value.parents_done else "[]",
        _to_json(value.standing) if value.standing != _USUAL_STANDING else None,
    )


def to_job(row: Row) -> Job:
    """Return the job of a row of ``jobs``."""
    job_id, number, created_at, definition, rescheduled_at = row
    return Job(
        job_id,
        number,
        instant(created_at),
        _DEFINITION.decode(definition),
        optional_instant(rescheduled_at),
    )


def to_progress(row: Row, job_id: str) -> Progress:
    """Return the progress of a row of ``progress``; ``job_id`` is its id, as the job has it.

    One string for both saves a tenth of a scheduler's memory.
    """
    (
        _,
        disabled,
        next_number,
        next_at,
        pending,
        running,
        runs,
        finished,
        success_count,
        error_count,
        last_success,
        last_error,
        last_attempted_run,
        misses,
        latest_missed,
        version,
        parents_done,
        standing,
    ) = row
    return Progress(
        job_id,
        bool(disabled),
        None if next_at is None else _occurrence(next_number, next_at),
        _TRIGGER.decode(pending) if pending else None,
        () if running == "[]" else _NAMES.decode(running),
        runs,
        finished,
        success_count,
        error_count,
        optional_instant(last_success),
        optional_instant(last_error),
        optional_instant(last_attempted_run),
        misses,
        () if latest_missed == "[]" else _MISSES.decode(latest_missed),
        version,
        () if parents_done == "[]" else _NAMES.decode(parents_done),
        _STANDING.decode(standing) if standing else _USUAL_STANDING,
    )


def to_run(row: Row) -> Run:
    """Return the run of a row of ``runs``."""
    run_id, job_id, job_name, number, trigger, started_at, attempts, ended_at, *how = row
    outcome, ending, pause = how
    return Run(
        run_id,
        job_id,
        job_name,
        number,
        _TRIGGER.decode(trigger),
        instant(started_at),
        attempts,
        optional_instant(ended_at),
        Outcome(outcome) if outcome else None,
        Ending(ending) if ending else None,
        _PAUSE.decode(pause) if pause else None,
    )


def to_attempt(row: Row) -> Attempt:
    """Return the attempt of a row of ``attempts``."""
    run_id, number, started_at, ended_at, result = row
    return Attempt(
        run_id,
        number,
        instant(started_at),
        optional_instant(ended_at),
        _RESULT.decode(result) if result else None,
    )


def to_missed(row: Row) -> Missed:
    """Return the missed record of a row of ``missed``."""
    job_id, job_name, number, cause, reason, count, first, last, last_occurrence = row
    return Missed(
        job_id,
        job_name,
        number,
        Cause(cause),
        Reason(reason),
        count,
        instant(first),
        instant(last),
        last_occurrence,
    )


def to_queue(row: Row, children: tuple[str, ...]) -> Queue:
    """Return the queue of a row of ``queues``."""
    run_id, position = row
    return Queue(run_id, children, position)


def optional_instant(microseconds: int | None) -> datetime | None:
    """Return the instant, in UTC, of a column that may be empty."""
    return None if microseconds is None else instant(microseconds)


@lru_cache(4096)
def _occurrence(number: int, microseconds: int) -> Occurrence:
    return Occurrence(number, instant(microseconds))


@lru_cache(4096)  # many jobs are due at one instant, or were created at one
def instant(microseconds: int) -> datetime:
    """Return the instant, in UTC, of a column."""
    return _EPOCH + _MICROSECOND * microseconds


def from_instant(at: datetime) -> int:
    """Return what a column holds of an instant."""
    return (at - _EPOCH) // _MICROSECOND


def from_optional(at: datetime | None) -> int | None:
    """Return what a column holds that may be empty."""
    return None if at is None else from_instant(at)


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_DEFINITION = msgspec.json.Decoder(Definition)
_TRIGGER = msgspec.json.Decoder(Trigger)
_MISSES = msgspec.json.Decoder(tuple[Missed, ...])
_NAMES = msgspec.json.Decoder(tuple[str, ...])
_PAUSE = msgspec.json.Decoder(Pause)
_STANDING = msgspec.json.Decoder(Standing)
_RESULT: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
