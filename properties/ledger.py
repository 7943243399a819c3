"""What was seen from outside while a script was played; instants are true ones, in microseconds."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import asdict

from kala_trio.core.definition import Definition
from kala_trio.core.job import (
    Attempt,
    Job,
    Missed,
    Notice,
    Progress,
    Queue,
    Result,
    Run,
    Trigger,
    Value,
)
from kala_trio.core.messages import (
    Create,
    Deed,
    ForgetJob,
    ForgetQueue,
    Keep,
    Record,
    Request,
    Snapshot,
)
from properties.scripts import Script


class Opened(Struct, frozen=True):
    """What the store gave at a start of the daemon; ``shown_at`` is the wall clock's time."""

    life: int
    at: int
    shown_at: datetime
    snapshot: Snapshot


class Asked(Struct):
    """A request, and its answer: "done", the name of an error, or nothing as yet."""

    life: int
    at: int
    request: Request
    answer: str = ""
    answered_at: int | None = None


class Commit(Struct):
    """A commit; ``kept_at`` is None for one that failed or was not over when the daemon died."""

    life: int
    began_at: int
    kept_at: int | None
    records: tuple[Record, ...]


class Process(Struct):
    """A process of an attempt, as the world saw it, whoever else did."""

    life: int
    run_id: str
    number: int
    started_at: int
    ended_at: int
    result: Result


class StopAsked(Struct, frozen=True):
    """The daemon was told to stop; ``shown_at`` is the wall clock's time."""

    life: int
    at: int
    shown_at: datetime


class ClockSet(Struct, frozen=True):
    """The wall clock was set: since then it shows ``shown_at`` and gains ``drift`` µs a second."""

    at: int
    shown_at: datetime
    drift: int


class Death(Struct, frozen=True):
    """The daemon died at ``point``."""

    life: int
    at: int
    point: str


class Ledger(Struct):
    """All of it, each list in the order in which it happened; ``marks`` counts the corners."""

    script: Script
    opened: list[Opened] = field(default_factory=list)
    asks: list[Asked] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    stops: list[StopAsked] = field(default_factory=list)
    clock_sets: list[ClockSet] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    closed: Opened | None = None


def trace(ledger: Ledger) -> str:
    """Tell the ledger as a story, one line for each thing that happened."""
    lines = sorted(_lines(ledger), key=lambda line: line[:2])
    return "\n".join(f"{at / 1_000_000:14.6f}  {text}" for at, _, text in lines)


def _lines(ledger: Ledger) -> Iterator[tuple[int, int, str]]:
    for opened in ledger.opened:
        yield opened.at, 0, f"life {opened.life} opens: {_state(opened)}"
    for asked in ledger.asks:
        yield asked.at, 1, f"asked: {_request(asked.request)}"
        if asked.answered_at is not None:
            yield asked.answered_at, 5, f"answered: {_request(asked.request)}: {asked.answer}"
    for commit in ledger.commits:
        if commit.records and commit.kept_at is None:
            yield commit.began_at, 3, f"not committed: {_brief(commit.records)}"
        elif commit.records and commit.kept_at is not None:
            yield commit.kept_at, 3, f"committed: {_brief(commit.records)}"
    for process in ledger.processes:
        name = f"process of {process.run_id} attempt {process.number}"
        yield process.started_at, 4, f"{name} starts"
        yield process.ended_at, 2, f"{name} ends: {process.result}"
    for stop in ledger.stops:
        yield stop.at, 1, "told to stop"
    for each in ledger.clock_sets:
        yield each.at, 0, f"clock shows {each.shown_at:%d %H:%M:%S.%f} and gains {each.drift} µs/s"
    for death in ledger.deaths:
        yield death.at, 6, f"life {death.life} dies: {death.point}"
    if ledger.closed:
        yield ledger.closed.at, 7, f"in the end: {_state(ledger.closed)}"


def _state(opened: Opened) -> str:
    snapshot = opened.snapshot
    words = [f"clock shows {opened.shown_at:%d %H:%M:%S.%f}"]
    words += map(_words_for, snapshot.progress)
    words += map(_words_for, snapshot.attempts)
    words += map(_words_for, snapshot.queues)
    return "; ".join(words)


def _request(request: Request) -> str:
    """Write a request without what is as always."""
    if not isinstance(request, Create):
        return repr(request)
    always = Definition(request.job_id, "true")
    fields = (
        f"{name}={value!r}"
        for name, value in asdict(request.definition).items()
        if value != getattr(always, name)
    )
    return f"Create({', '.join([request.job_id, *fields])})"


def _brief(records: tuple[Record, ...]) -> str:
    return "; ".join(map(_word, records))


def _word(record: Record) -> str:
    match record:
        case Keep(value):
            return _words_for(value)
        case ForgetJob(job_id):
            return f"forget job {job_id}"
        case ForgetQueue(run_id):
            return f"forget queue {run_id}"
        case Deed():
            return f"{record.who} did {record.what} {record.subject}"
        case _:
            assert_never(record)


def _words_for(value: Value) -> str:
    match value:
        case Job():
            words = f"job {value.id}"
        case Progress():
            coming = value.next.number if value.next else "none"
            pending = f" pending {_trigger(value.pending)}" if value.pending else ""
            off = " disabled" if value.disabled else ""
            words = f"progress {value.job_id} next {coming}{off}{pending}"
        case Run():
            words = f"run {value.id} by {_trigger(value.trigger)} {value.outcome or 'starts'}"
        case Attempt():
            outcome = value.result or f"starts {value.started_at:%H:%M:%S.%f}"
            words = f"attempt {value.run_id}/{value.number} {outcome}"
        case Missed():
            words = f"missed {value.job_id} {value.reason} {value.count} {value.cause}"
        case Queue():
            words = f"queue {value.run_id} {value.children} at {value.position}"
        case Notice():
            words = f"notice {value.job_id} {value.number} {value.news} by {value.channel}"
        case _:
            assert_never(value)
    return words


def _trigger(trigger: Trigger) -> str:
    what = trigger.source or ("" if trigger.occurrence is None else trigger.occurrence)
    return f"{trigger.cause} {what} of {trigger.scheduled_at:%H:%M:%S.%f}"
