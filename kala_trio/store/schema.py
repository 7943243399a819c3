"""The tables, and how a file of an older version becomes one of this.

Instants are integers: microseconds since 1970 in UTC. What only the scheduler reads, and always as
a whole, is JSON.
"""

import sqlite3
from collections.abc import Callable, Set
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import Table

from kala_trio.core.errors import CannotStart

APPLICATION_ID = 0x6B616C61  # "kala", which file(1) can show

_INSTANT = int
_FLAG = int


def open_database(path: Path, *, read_only: bool = False) -> Database:
    """Connect to the file at ``path``; one transaction at a time, from any thread.

    Raises sqlite3.Error, at the first use too.
    """
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
    )
    return Database(connection, execute_plugins=False)


def prepare(database: Database, path: Path) -> None:
    """Make the tables in a new file, or bring an older one up to this version.

    Raises:
        CannotStart: the file is not ours, or a newer version's.
        sqlite3.Error: the file cannot be read or written.
    """
    application, version = _pragma(database, "application_id"), _pragma(database, "user_version")
    if application != APPLICATION_ID and (application or version or database.table_names()):
        raise CannotStart(
            f"database: {path} belongs to another program; give a path of its own, "
            "for example --db ~/kala.db"
        )
    newest = len(_MIGRATIONS)
    if version > newest:
        raise CannotStart(
            f"database: {path} was made by a newer kala-trio (its schema version is {version}, "
            f"the newest known here is {newest}); run that version, or give another --db"
        )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    # A file that needs no change is not written: a full disk need not keep it from being opened.
    if version < newest:
        with database.atomic():
            for migrate in _MIGRATIONS[version:]:
                migrate(database)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(WRITE_NOTHING)


def _pragma(database: Database, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _first_version(database: Database) -> None:
    jobs = {
        "id": str,
        "number": int,
        "created_at": _INSTANT,
        "name": str,
        "command": str,
        "owner": str,
        "disabled": _FLAG,
        "schedule": str,
        "time_zone": str,
        "on_failure_job": str,
        "retries": int,
        "epsilon": str,
        "resume_at_next_scheduled_time": _FLAG,
    }
    _create(database, "jobs", jobs, "id").create_index(["number"], unique=True)
    edges = {"child": str, "position": int, "parent": str}
    _create(database, "edges", edges, ("child", "position")).create_index(["parent"])
    progress = {
        "job_id": str,
        "disabled": _FLAG,
        "next_number": int,
        "next_at": _INSTANT,
        "pending": str,
        "run_id": str,
        "runs": int,
        "finished": int,
        "success_count": int,
        "error_count": int,
        "last_success": _INSTANT,
        "last_error": _INSTANT,
        "last_attempted_run": _INSTANT,
        "misses": int,
        "latest_missed": str,
    }
    nullable = {"next_number", "next_at", "pending", "run_id"}
    nullable |= {"last_success", "last_error", "last_attempted_run"}
    _create(database, "progress", progress, "job_id", nullable)
    runs = {
        "id": str,
        "job_id": str,
        "job_name": str,
        "number": int,
        "trigger": str,
        "started_at": _INSTANT,
        "attempts": int,
        "ended_at": _INSTANT,
        "outcome": str,
    }
    table = _create(database, "runs", runs, "id", {"ended_at", "outcome"})
    table.create_index(["job_id", "number"], unique=True)
    attempts = {
        "run_id": str,
        "number": int,
        "started_at": _INSTANT,
        "ended_at": _INSTANT,
        "result": str,
    }
    _create(database, "attempts", attempts, ("run_id", "number"), {"ended_at", "result"})
    # Few are in progress, of many: without these a restart would read the whole history.
    database.execute("CREATE INDEX runs_in_progress ON runs (id) WHERE outcome IS NULL")
    database.execute("CREATE INDEX attempts_in_progress ON attempts (run_id) WHERE result IS NULL")
    missed = {
        "job_id": str,
        "job_name": str,
        "number": int,
        "cause": str,
        "reason": str,
        "count": int,
        "first": _INSTANT,
        "last": _INSTANT,
        "last_occurrence": int,
    }
    _create(database, "missed", missed, ("job_id", "number"), {"last_occurrence"})
    _create(database, "queues", {"run_id": str, "position": int}, "run_id")
    # Apart from the position, which moves on with each of them.
    turns = {"run_id": str, "position": int, "child": str}
    _create(database, "turns", turns, ("run_id", "position"))


def _second_version(database: Database) -> None:
    database.execute("ALTER TABLE jobs ADD COLUMN rerun_lost INTEGER NOT NULL DEFAULT 0")
    # The history is pruned by age.
    database.execute("CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at NOT NULL")
    database.execute("CREATE INDEX missed_last ON missed (last)")


def _create(
    database: Database,
    name: str,
    columns: dict[str, type],
    key: str | tuple[str, ...],
    nullable: Set[str] = frozenset(),
) -> Table:
    not_null = columns.keys() - nullable
    return database.create_table(name, columns, pk=key, not_null=not_null, strict=True)


_MIGRATIONS: list[Callable[[Database], None]] = [_first_version, _second_version]

WRITE_NOTHING = f"PRAGMA user_version = {len(_MIGRATIONS)}"
"""A change to what is there already, which SQLite writes like any other."""
