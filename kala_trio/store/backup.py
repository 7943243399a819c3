"""A copy of the database as it is at one moment, taken while the daemon goes on writing."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kala_trio.core.errors import Refused, Unavailable
from kala_trio.store.connection import not_ours, open_database, refuse_foreign

# So many of SQLite's instructions are a step of some milliseconds, and a megabyte or two.
_INSTRUCTIONS = 50_000
_PAUSE = 0.05


def back_up(path: Path, target: Path, tell: Callable[[float], None]) -> None:
    """Copy the database at ``path`` to ``target``, which appears when it is whole and on the disk.

    What was acknowledged before the call is in it. Only its owner may read it. ``tell`` gets what
    share of it is copied, from 0 to about 1, again and again.

    Raises:
        Refused: ``path`` is not a database of kala-trio, or ``target`` is there already.
        Unavailable: the one cannot be read, or the other not be written.
    """
    if os.path.lexists(target):
        problem = "is there already; move it away, or give another name"
        raise Refused("FILE", problem, found=os.fspath(target), example=_another(target))
    if not path.is_file():
        raise not_ours("is no file", path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    except OSError as error:
        raise _unavailable(path, target, error.strerror) from error
    unfinished = Path(name)
    try:
        _copy(path, unfinished, descriptor, tell)
        os.fsync(descriptor)
        unfinished.rename(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise _unavailable(path, target, error.strerror) from error
    except sqlite3.Error as error:
        raise _unavailable(path, target, error) from error
    finally:
        os.close(descriptor)
        unfinished.unlink(missing_ok=True)


def _copy(path: Path, unfinished: Path, descriptor: int, tell: Callable[[float], None]) -> None:
    """Copy in steps, each brought to the disk before the next, and pauses between them.

    Else all would go to the disk at once in the end, and the daemon's commits wait for it.
    """

    def step() -> int:
        os.fdatasync(descriptor)
        tell(os.fstat(descriptor).st_size / whole)
        time.sleep(_PAUSE)
        return 0

    with closing(open_database(path, read_only=True)) as database:
        refuse_foreign(database, path)
        whole = _size(database)
        # One statement reads one state, whatever is committed meanwhile; Connection.backup would
        # begin again after each commit.
        database.set_progress_handler(step, _INSTRUCTIONS)
        database.execute("VACUUM INTO ?", (os.fspath(unfinished),))


def _size(database: sqlite3.Connection) -> int:
    """Return how many bytes of a database are in use."""
    names = ("page_size", "page_count", "freelist_count")
    size, count, free = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int(size * max(1, count - free))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _another(target: Path) -> str:
    return f'"{target.stem}-2{target.suffix}"'


def _unavailable(path: Path, target: Path, why: object) -> Unavailable:
    return Unavailable(f"backup: {path} cannot be copied to {target}: {why}")
