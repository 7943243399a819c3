"""What happened, page by page: runs and what was missed, the latest first (rules H1, H2)."""

import heapq
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from kala_trio.core.job import Attempt, Cause, Missed, Outcome, Run
from kala_trio.store import rows


class NoOutcome(StrEnum):
    """What may become of a trigger that is no outcome of a run."""

    RUNNING = "running"
    MISSED = "missed"


End = NoOutcome | Outcome
ENDS: tuple[End, ...] = (*NoOutcome, *Outcome)
"""What may have become of a trigger."""

FIRST = 2**62
"""A bound that no row has reached."""


class Place(Struct, frozen=True):
    """Where a page begins: below a row of the runs, and below one of the missed records."""

    runs: int = FIRST
    missed: int = FIRST


class Wanted(Struct, frozen=True):
    """Which entries are looked for: those of a job, or of all.

    They began from ``since`` on and before ``until``; no ``ends`` or ``causes`` mean any.
    """

    job_id: str | None = None
    ends: tuple[End, ...] = ()
    causes: tuple[Cause, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


# As the partial indices say it, so that they are used.
_KINDS = {
    each: f"outcome = '{each}' AND outcome NOT NULL AND outcome <> 'succeeded'" for each in ENDS
} | {NoOutcome.RUNNING: "outcome IS NULL", Outcome.SUCCEEDED: "outcome = 'succeeded'"}

Entry = tuple[Run, tuple[Attempt, ...]] | Missed


class Page(Struct, frozen=True):
    """Some entries, the latest first, and where the next page begins; None if this is the last."""

    entries: tuple[Entry, ...]
    next: Place | None


def read_page(database: sqlite3.Connection, wanted: Wanted, place: Place, limit: int) -> Page:
    """Return the ``limit`` latest entries below ``place``.

    Rows are in the order in which they came, and what comes later stands above all of them: so
    pages neither shift nor overlap, whatever happens meanwhile.
    """
    place = Place(_bound(database, "runs", place.runs), _bound(database, "missed", place.missed))
    runs = heapq.merge(*_runs(database, wanted, place.runs, limit + 1), key=_row, reverse=True)
    missed = _missed(database, wanted, place.missed, limit + 1)
    merged = heapq.merge(runs, missed, key=lambda each: each[1], reverse=True)
    found = [each for each, _ in zip(merged, range(limit + 1), strict=False)]
    shown = found[:limit]
    entries = _completed(database, [entry for _, _, entry in shown])
    if len(found) <= limit:
        return Page(entries, None)
    last_run = min((row for row, _, each in shown if isinstance(each, Run)), default=place.runs)
    last_missed = min(
        (row for row, _, each in shown if isinstance(each, Missed)), default=place.missed
    )
    return Page(entries, Place(last_run, last_missed))


def _bound(database: sqlite3.Connection, table: str, below: int) -> int:
    """Return a bound that leaves out what is still to come."""
    ((latest,),) = database.execute(f"SELECT max(rowid) FROM {table}")  # noqa: S608 - our own name
    return min(below, (latest or 0) + 1)


_Found = tuple[int, int, Run | Missed]


def _row(found: _Found) -> int:
    return found[0]


def _runs(
    database: sqlite3.Connection, wanted: Wanted, below: int, limit: int
) -> Iterator[Iterator[_Found]]:
    """Yield the runs of each kind of end that is wanted, each by an index of its own."""
    ends = [each for each in wanted.ends if each is not NoOutcome.MISSED]
    if wanted.ends and not ends:
        return
    for kind in [_KINDS[each] for each in dict.fromkeys(ends)] or ["1"]:
        conditions, more = _conditions(wanted, "started_at", "json_extract(trigger, '$.cause')")
        which = f"FROM runs WHERE rowid < ? AND {kind}{conditions} ORDER BY rowid DESC LIMIT ?"
        found = rows.select_with_rowid(database, Run, which, below, *more, limit)
        yield ((row[0], row[6], rows.to_run(row[1:])) for row in found)


def _missed(
    database: sqlite3.Connection, wanted: Wanted, below: int, limit: int
) -> Iterator[_Found]:
    if wanted.ends and NoOutcome.MISSED not in wanted.ends:
        return
    conditions, more = _conditions(wanted, "last", "cause")
    which = f"FROM missed WHERE rowid < ?{conditions} ORDER BY rowid DESC LIMIT ?"
    for row in rows.select_with_rowid(database, Missed, which, below, *more, limit):
        yield row[0], row[8], rows.to_missed(row[1:])


def _conditions(wanted: Wanted, at: str, cause: str) -> tuple[str, list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.job_id is not None:
        conditions.append("job_id = ?")
        values.append(wanted.job_id)
    if wanted.causes:
        conditions.append(f"{cause} IN (SELECT value FROM json_each(?))")  # noqa: S608 - our own
        values.append(json.dumps(wanted.causes))
    if wanted.since:
        conditions.append(f'"{at}" >= ?')
        values.append(rows.from_instant(wanted.since))
    if wanted.until:
        conditions.append(f'"{at}" < ?')
        values.append(rows.from_instant(wanted.until))
    return "".join(f" AND {each}" for each in conditions), values


def _completed(database: sqlite3.Connection, found: Sequence[Run | Missed]) -> tuple[Entry, ...]:
    """Give runs their attempts."""
    attempts = attempts_of(database, [each.id for each in found if isinstance(each, Run)])
    return tuple(
        (each, attempts.get(each.id, ())) if isinstance(each, Run) else each for each in found
    )


def attempts_of(
    database: sqlite3.Connection, run_ids: Iterable[str]
) -> dict[str, tuple[Attempt, ...]]:
    """Return the attempts of runs, in their order."""
    which = "FROM attempts WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY run_id, number"
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for row in rows.select(database, Attempt, which, json.dumps([*run_ids])):
        attempt = rows.to_attempt(row)
        attempts[attempt.run_id].append(attempt)
    return {run_id: tuple(each) for run_id, each in attempts.items()}
