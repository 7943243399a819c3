"""How large the database is, and what lies beside it, without ever reading it all at once."""

import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

# For how long what was added up is good enough, in seconds.
_HOLDS = 60.0


class Sizes(Struct, frozen=True):
    """In bytes: the database, its write-ahead log, and what is free on their disk."""

    database: int
    log: int
    free: int


def sizes_of(path: Path) -> Sizes:
    """Return the sizes of the database at ``path``; raises OSError."""
    disk = os.statvfs(path.parent)
    return Sizes(path.stat().st_size, _size(f"{path}-wal"), disk.f_bavail * disk.f_frsize)


class Walk:
    """Adds up files and bytes in a directory, in steps of bounded time.

    So a directory of a million outputs holds up nobody, and costs nothing while nobody asks. Any
    number of threads may ask at once.
    """

    def __init__(self, root: Path) -> None:
        """Begin with the directory ``root``, which need not be there."""
        self._root = root
        self._lock = threading.Lock()
        self._under_way: Iterator[int] | None = None
        self._files = self._bytes = 0
        self._found: tuple[int, int] | None = None
        self._again_at = -math.inf

    def step(self, seconds: float) -> tuple[int, int] | None:
        """Go on for so long at most; return files and bytes as last known, None if never yet."""
        now = time.monotonic()
        if now >= self._again_at and self._lock.acquire(blocking=False):
            try:
                self._go_on(now + seconds)
            finally:
                self._lock.release()
        return self._found

    def _go_on(self, deadline: float) -> None:
        if self._under_way is None:
            self._under_way, self._files, self._bytes = _sizes_in(self._root), 0, 0
        for size in self._under_way:
            self._files += 1
            self._bytes += size
            if time.monotonic() > deadline:
                return
        self._found = self._files, self._bytes
        self._under_way, self._again_at = None, time.monotonic() + _HOLDS


def _sizes_in(root: Path) -> Iterator[int]:
    """Yield the sizes of all files below a directory; what vanishes meanwhile is left out."""
    directories = [os.fspath(root)]
    while directories:
        try:
            with os.scandir(directories.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield _size(entry.path)
        except OSError:
            continue


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
