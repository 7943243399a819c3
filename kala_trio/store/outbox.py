"""Notices with what became of their delivery: those that wait, and those of a job (rule N5)."""

import sqlite3
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from kala_trio.core.definition import News
from kala_trio.core.job import Channel, Notice
from kala_trio.store import rows
from kala_trio.store.trouble import look_into


class Delivery(Struct, frozen=True):
    """What became of a notice: ``next_try_at`` is None once it is delivered or given up.

    ``error`` says in a sentence why the last try failed.
    """

    notice: Notice
    tries: int = 0
    next_try_at: datetime | None = None
    delivered_at: datetime | None = None
    error: str | None = None


class Head(Struct, frozen=True):
    """The oldest of a job's notices that wait for one receiver; ``followers`` counts the others."""

    delivery: Delivery
    followers: int


_MOST = 1_000
# Scheme, host and port, of which a URL's first nine characters are enough to find the end.
_HOST = (
    "channel = 'email', CASE channel WHEN 'email' THEN '' ELSE "
    "substr(receiver, 1, 8 + instr(substr(receiver || '/', 9), '/')) END"
)
_DELIVERY = "notices.tries, notices.next_try_at, notices.delivered_at, notices.error"


class Outbox:
    """Looks into the file at ``path``."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet: each look has a connection of its own."""
        self._path = path

    def heads(self, most: int) -> list[Head]:
        """Return notices that wait, of each host ``most`` at most, those first that are next.

        Of a job's notices to one receiver only the oldest is among them; all mail is of one host.
        Raises Unavailable where the file can't be read.
        """
        # Beside min() SQLite gives the columns of the row that has the least number.
        which = (
            f"FROM (SELECT *, row_number() OVER (PARTITION BY {_HOST} ORDER BY next_try_at, at) "  # noqa: S608
            "AS place FROM (SELECT *, count(*) - 1 AS followers, min(number) "
            "FROM notices INDEXED BY notices_waiting WHERE next_try_at NOT NULL "
            "GROUP BY job_id, channel, receiver)) AS notices "
            "WHERE place <= ? ORDER BY next_try_at, at LIMIT ?"
        )
        return self._read(which, most, _MOST)

    def next(self, after: Notice) -> Head | None:
        """Return what waits after a notice for the same receiver, if anything does.

        Raises Unavailable where the file can't be read.
        """
        which = (
            "FROM (SELECT *, count(*) OVER () - 1 AS followers FROM notices WHERE job_id = ? "
            "AND number > ? AND channel = ? AND receiver = ? AND next_try_at NOT NULL "
            "ORDER BY number LIMIT 1) AS notices"
        )
        found = self._read(which, after.job_id, after.number, after.channel, after.receiver)
        return found[0] if found else None

    def _read(self, which: str, *parameters: str | int) -> list[Head]:
        with look_into(self._path) as database:
            more = f"{_DELIVERY}, followers"
            found = rows.select_with(database, Notice, more, which, *parameters)
            return [Head(_delivery(row[:-1]), row[-1]) for row in found]


def deliveries(database: sqlite3.Connection, job_id: str, below: int, limit: int) -> list[Delivery]:
    """Return a job's notices with a number below that one, the latest first."""
    which = "FROM notices WHERE job_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
    found = rows.select_with(database, Notice, _DELIVERY, which, job_id, below, limit)
    return [_delivery(row) for row in found]


def count_waiting(database: sqlite3.Connection) -> int:
    """Return how many notices are to be delivered."""
    query = "SELECT count(*) FROM notices INDEXED BY notices_waiting WHERE next_try_at NOT NULL"
    ((count,),) = database.execute(query)
    return int(count)


def _delivery(row: rows.Row) -> Delivery:
    *of_notice, tries, next_try_at, delivered_at, error = row
    return Delivery(
        to_notice(tuple(of_notice)),
        tries,
        rows.optional_instant(next_try_at),
        rows.optional_instant(delivered_at),
        error,
    )


def to_notice(row: rows.Row) -> Notice:
    """Return the notice of a row of ``notices``."""
    job_id, number, job_name, channel, receiver, news, at, run_id, scheduled_at, *more = row
    return Notice(
        job_id,
        number,
        job_name,
        Channel(channel),
        receiver,
        News(news),
        rows.instant(at),
        run_id,
        rows.instant(scheduled_at),
        *more,
    )
