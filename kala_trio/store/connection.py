"""Connections to the file: whose it is, of which version, transactions, and what a query gives."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kala_trio.core.errors import CannotStart, Refused

APPLICATION_ID = 0x6B616C61  # "kala", which file(1) can show
VERSION = 4
WRITE_NOTHING = f"PRAGMA user_version = {VERSION}"
"""A change to what is there already, which SQLite writes like any other."""


class Connection(sqlite3.Connection):
    """A connection that may be referred to weakly, as the library's own may not."""


def open_database(path: Path, *, read_only: bool = False) -> Connection:
    """Connect to the file at ``path``; one transaction at a time, from any thread.

    Raises sqlite3.Error, at the first use too.
    """
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        factory=Connection,
    )


@contextmanager
def atomic(database: sqlite3.Connection) -> Iterator[None]:
    """Make one transaction of what is done meanwhile; an error undoes all of it."""
    database.execute("BEGIN")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite ends it by itself after some errors
            database.execute("ROLLBACK")
        raise


def prepare(database: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file, or bring an older one up to this version.

    Raises:
        CannotStart: the file is not ours, or a newer version's.
        sqlite3.Error: the file cannot be read or written.
    """
    application, version = pragma(database, "application_id"), pragma(database, "user_version")
    if application != APPLICATION_ID and (application or version or _has_tables(database)):
        raise CannotStart(
            f"database: {path} belongs to another program; give a path of its own, "
            "for example --db ~/kala.db"
        )
    if version > VERSION:
        raise CannotStart(
            f"database: {path} was made by a newer kala-trio (its schema version is {version}, "
            f"the newest known here is {VERSION}); run that version, or give another --db"
        )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    # A file that needs no change is not written: a full disk need not keep it from being opened.
    if version < VERSION:
        _migrate(database, version)


def refuse_foreign(database: sqlite3.Connection, path: Path) -> None:
    """Refuse a file, opened to be read, that is no database of kala-trio, of whatever version.

    Raises:
        Refused: naming ``--db``.
        sqlite3.Error: the file cannot be read.
    """
    try:
        application = pragma(database, "application_id")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise not_ours("is no database", path) from error
    if application != APPLICATION_ID:
        raise not_ours("is no database of kala-trio", path)


def not_ours(problem: str, path: Path) -> Refused:
    """Return the refusal of a path that somebody has given for a database."""
    return Refused("--db", problem, found=str(path), example='"/var/lib/kala-trio/kala.db"')


def _migrate(database: sqlite3.Connection, version: int) -> None:
    # Only here: to import what it takes would be a tenth of each start.
    from sqlite_utils import Database  # noqa: PLC0415

    from kala_trio.store.schema import MIGRATIONS  # noqa: PLC0415

    tables = Database(database, execute_plugins=False)
    with atomic(database):
        for migrate in MIGRATIONS[version:]:
            migrate(tables)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(WRITE_NOTHING)


def _has_tables(database: sqlite3.Connection) -> bool:
    query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
    return bool(database.execute(query).fetchone()[0])


def pragma(database: sqlite3.Connection, name: str) -> int:
    """Return what the file says under a name that SQLite knows."""
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def grouped(database: sqlite3.Connection, query: str, *values: str) -> dict[str, list[str]]:
    """Collect a query's second column by its first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in database.execute(query, values):
        groups[key].append(value)
    return groups
