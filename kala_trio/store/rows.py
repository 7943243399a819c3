"""Values to rows and back: the only place that knows how a value lies in its table."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

import msgspec

from kala_trio.core.job import (
    Attempt,
    Cause,
    Definition,
    Job,
    Missed,
    Occurrence,
    Outcome,
    Progress,
    Queue,
    Reason,
    Result,
    Run,
    Trigger,
)

Value = Job | Progress | Run | Attempt | Missed | Queue
Row = Mapping[str, Any]

KEYS: dict[type, tuple[str, tuple[str, ...]]] = {
    Job: ("jobs", ("id",)),
    Progress: ("progress", ("job_id",)),
    Run: ("runs", ("id",)),
    Attempt: ("attempts", ("run_id", "number")),
    Missed: ("missed", ("job_id", "number")),
    Queue: ("queues", ("run_id",)),
}
"""Each type's table, and the columns that tell its values apart."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_row(value: Value) -> dict[str, Any]:
    """Return the columns of ``value``.

    A job's parents are rows of their own, in ``edges``, and a queue's children in ``turns``.
    """
    match value:
        case Job():
            row = msgspec.structs.asdict(value.definition)
            del row["parent_jobs"]
            row |= {"id": value.id, "number": value.number}
            return row | {"created_at": from_instant(value.created_at)}
        case Progress(next=coming):
            row = msgspec.structs.asdict(value)
            del row["next"]
            row["next_number"] = coming.number if coming else None
            row["next_at"] = from_instant(coming.at) if coming else None
            row["pending"] = _to_json(value.pending) if value.pending else None
            row["latest_missed"] = _to_json(value.latest_missed)
            return _instants_in(row, "last_success", "last_error", "last_attempted_run")
        case Run():
            row = msgspec.structs.asdict(value)
            row["trigger"] = _to_json(value.trigger)
            return _instants_in(row, "started_at", "ended_at")
        case Attempt():
            row = msgspec.structs.asdict(value)
            row["result"] = _to_json(value.result) if value.result else None
            return _instants_in(row, "started_at", "ended_at")
        case Missed():
            return _instants_in(msgspec.structs.asdict(value), "first", "last")
        case Queue():
            return {"run_id": value.run_id, "position": value.position}
        case _:
            assert_never(value)


def to_job(row: Row, parents: tuple[str, ...]) -> Job:
    """Return the job of a row of ``jobs``."""
    definition = Definition(
        row["name"],
        row["command"],
        row["owner"],
        bool(row["disabled"]),
        row["schedule"],
        row["time_zone"],
        parents,
        row["on_failure_job"],
        row["retries"],
        row["epsilon"],
        bool(row["resume_at_next_scheduled_time"]),
        bool(row["rerun_lost"]),
    )
    return Job(row["id"], row["number"], _instant(row["created_at"]), definition)


def to_progress(row: Row, job_id: str) -> Progress:
    """Return the progress of a row of ``progress``; ``job_id`` is its id, as the job has it.

    One string for both saves a tenth of a scheduler's memory.
    """
    at, pending, latest_missed = row["next_at"], row["pending"], row["latest_missed"]
    return Progress(
        job_id,
        bool(row["disabled"]),
        None if at is None else Occurrence(row["next_number"], _instant(at)),
        _TRIGGER.decode(pending) if pending else None,
        row["run_id"],
        row["runs"],
        row["finished"],
        row["success_count"],
        row["error_count"],
        optional_instant(row["last_success"]),
        optional_instant(row["last_error"]),
        optional_instant(row["last_attempted_run"]),
        row["misses"],
        () if latest_missed == "[]" else _MISSES.decode(latest_missed),
    )


def to_run(row: Row) -> Run:
    """Return the run of a row of ``runs``."""
    return Run(
        row["id"],
        row["job_id"],
        row["job_name"],
        row["number"],
        _TRIGGER.decode(row["trigger"]),
        _instant(row["started_at"]),
        row["attempts"],
        optional_instant(row["ended_at"]),
        Outcome(row["outcome"]) if row["outcome"] else None,
    )


def to_attempt(row: Row) -> Attempt:
    """Return the attempt of a row of ``attempts``."""
    return Attempt(
        row["run_id"],
        row["number"],
        _instant(row["started_at"]),
        optional_instant(row["ended_at"]),
        _RESULT.decode(row["result"]) if row["result"] else None,
    )


def to_missed(row: Row) -> Missed:
    """Return the missed record of a row of ``missed``."""
    return Missed(
        row["job_id"],
        row["job_name"],
        row["number"],
        Cause(row["cause"]),
        Reason(row["reason"]),
        row["count"],
        _instant(row["first"]),
        _instant(row["last"]),
        row["last_occurrence"],
    )


def to_queue(row: Row, children: tuple[str, ...]) -> Queue:
    """Return the queue of a row of ``queues``."""
    return Queue(row["run_id"], children, row["position"])


def optional_instant(microseconds: int | None) -> datetime | None:
    """Return the instant, in UTC, of a column that may be empty."""
    return None if microseconds is None else _instant(microseconds)


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def from_instant(instant: datetime) -> int:
    """Return what a column holds of an instant."""
    return (instant - _EPOCH) // _MICROSECOND


def _instants_in(row: dict[str, Any], *columns: str) -> dict[str, Any]:
    for column in columns:
        if row[column] is not None:
            row[column] = from_instant(row[column])
    return row


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_TRIGGER = msgspec.json.Decoder(Trigger)
_MISSES = msgspec.json.Decoder(tuple[Missed, ...])
_RESULT: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
