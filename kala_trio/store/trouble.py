"""What is wrong with the database, and what to do about it, in one sentence; and looks into it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kala_trio.core.errors import CannotStart, Unavailable
from kala_trio.store.connection import Connection, atomic, open_database

UNREADABLE = (sqlite3.Error, ValueError, LookupError, OverflowError)
"""What reading the file can raise: SQLite's errors, and those of rows that nobody wrote so."""

_REPAIR = (
    "it is damaged: stop kala-trio and restore a backup, or save what can be read of it: "
    "sqlite3 {path} .recover | sqlite3 saved.db"
)
_DISK = "the disk or its driver failed: look into the system's log, for example dmesg | tail"
_REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "its owner must be able to write to it, and to its directory",
    sqlite3.SQLITE_BUSY: "another program is writing to it; fuser {path} shows which",
    sqlite3.SQLITE_CORRUPT: _REPAIR,
    sqlite3.SQLITE_NOTADB: _REPAIR,
}
_LOG_HEADER = 32
_LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


def sentence(path: Path, cannot: str, error: Exception) -> str:
    """Say what ``cannot`` be done with the file, why, and what helps."""
    if not isinstance(error, sqlite3.Error):
        why, remedy = f"a row makes no sense, {error}", _REPAIR
    elif primary(error) == sqlite3.SQLITE_IOERR:
        why, remedy = f"{error}, {error.sqlite_errorname}", _DISK
    else:
        why, remedy = str(error), _REMEDIES.get(primary(error), "")
    problem = f"database: {path} {cannot}: {why}"
    return f"{problem}; {remedy.format(path=path)}" if remedy else problem


def primary(error: sqlite3.Error) -> int:
    """Return SQLite's result code, without what makes it a special case; 0 where it has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def refuse_damaged_log(path: Path) -> None:
    """Refuse a write-ahead log that is none: SQLite would pass over it, and all that it held.

    One that was never synced, in a power failure, may be empty or zeros.

    Raises:
        CannotStart: there is one.
        OSError: it can't be read.
    """
    log = path.with_name(f"{path.name}-wal")
    with suppress(FileNotFoundError), log.open("rb") as file:
        start = file.read(_LOG_HEADER)
        if len(start) == _LOG_HEADER and any(start) and not start.startswith(_LOG_MAGIC):
            raise CannotStart(
                f"database: {log} is damaged, and with it the latest changes; restore a backup of "
                f"{path}, or go on without those changes: rm {log}"
            )


@contextmanager
def look_into(path: Path) -> Iterator[Connection]:
    """Lend a connection of its own, which reads one state; raises Unavailable if it can't."""
    try:
        with closing(open_database(path, read_only=True)) as database, atomic(database):
            yield database
    except UNREADABLE as error:
        raise Unavailable(sentence(path, "cannot be read", error)) from error
