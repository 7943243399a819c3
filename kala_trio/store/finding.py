"""Jobs that fit what is asked for, page by page (rules H3, H4)."""

import sqlite3
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from kala_trio.store import rows

_NEVER = 2**62


class JobState(StrEnum):
    """What may be said of a job as it is now."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    RUNNING = "running"
    WAITING = "waiting"
    FAILING = "failing"
    DONE = "done"


class Order(StrEnum):
    """By what jobs may be put in order."""

    CREATED = "created"
    NAME = "name"
    NEXT_RUN_AT = "next_run_at"
    LAST_ATTEMPTED_RUN = "last_attempted_run"


class Search(Struct, frozen=True):
    """Which jobs are looked for, and in what order; what is empty or None excludes none.

    ``name`` is a part of the name, in whatever case. ``next_before``: there is a next run, before
    that instant.
    """

    name: str = ""
    owner: str = ""
    tag: str = ""
    state: JobState | None = None
    next_before: datetime | None = None
    order: Order = Order.CREATED
    descending: bool = False


class Mark(Struct, frozen=True):
    """Where a page begins: after a job with this value to go by, and this number."""

    value: str | int
    number: int


_STATES = {
    JobState.ENABLED: "NOT disabled",
    JobState.DISABLED: "disabled",
    JobState.RUNNING: "running <> '[]'",
    JobState.WAITING: "pending NOT NULL",
    JobState.FAILING: "last_error > coalesce(last_success, 0)",
    JobState.DONE: (
        "next_at IS NULL AND pending IS NULL AND running = '[]' "
        "AND json_extract(definition, '$.parent_jobs[0]') IS NULL"
    ),
}
# What is never comes last, in either direction.
_ORDERS = {
    Order.CREATED: "jobs.number",
    Order.NAME: "lower(json_extract(definition, '$.name'))",
    Order.NEXT_RUN_AT: "coalesce(CASE WHEN NOT disabled THEN next_at END, {never})",
    Order.LAST_ATTEMPTED_RUN: "coalesce(last_attempted_run, {never})",
}


def find(
    database: sqlite3.Connection, search: Search, after: Mark | None, limit: int
) -> tuple[list[str], Mark | None]:
    """Return the ids of the ``limit`` first jobs after a mark, and the mark for the next page."""
    conditions, values = _conditions(search)
    key = _ORDERS[search.order].format(never=-_NEVER if search.descending else _NEVER)
    direction, comparison = ("DESC", "<") if search.descending else ("ASC", ">")
    if after:
        conditions.append(f"({key}, jobs.number) {comparison} (?, ?)")
        values += [after.value, after.number]
    query = (
        f"SELECT id, {key}, jobs.number FROM jobs JOIN progress ON job_id = id "  # noqa: S608
        f"WHERE {' AND '.join(conditions) or '1'} "
        f"ORDER BY 2 {direction}, 3 {direction} LIMIT ?"
    )
    found = database.execute(query, [*values, limit + 1]).fetchall()
    shown = found[:limit]
    last = Mark(*shown[-1][1:]) if len(found) > limit else None
    return [job_id for job_id, *_ in shown], last


def count(database: sqlite3.Connection, search: Search) -> int:
    """Return how many jobs fit."""
    conditions, values = _conditions(search)
    query = (
        "SELECT count(*) FROM jobs JOIN progress ON job_id = id "  # noqa: S608
        f"WHERE {' AND '.join(conditions) or '1'}"
    )
    ((found,),) = database.execute(query, values)
    return int(found)


def _conditions(search: Search) -> tuple[list[str], list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []
    if search.name:
        conditions.append("instr(lower(json_extract(definition, '$.name')), lower(?))")
        values.append(search.name)
    if search.owner:
        conditions.append("json_extract(definition, '$.owner') = ?")
        values.append(search.owner)
    if search.tag:
        conditions.append(
            "EXISTS (SELECT 1 FROM json_each(definition, '$.tags') AS tag WHERE tag.value = ?)"
        )
        values.append(search.tag)
    if search.state:
        conditions.append(f"({_STATES[search.state]})")
    if search.next_before:
        conditions.append("NOT disabled AND next_at < ?")
        values.append(rows.from_instant(search.next_before))
    return conditions, values


def count_states(database: sqlite3.Connection) -> dict[JobState, int]:
    """Return of how many jobs each may be said; of one several, or none."""
    sums = ", ".join(f"count(*) FILTER (WHERE {each})" for each in _STATES.values())
    query = f"SELECT {sums} FROM jobs JOIN progress ON job_id = id"  # noqa: S608 - our own words
    return dict(zip(_STATES, database.execute(query).fetchone(), strict=True))
