"""A run's output, as it is written."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import trio

from kala_trio.core.errors import Unavailable
from kala_trio.runner.output import read_on

# How long one may wait to see what was written, in seconds: to look at a file that has not changed
# costs so little that to be told of changes by the system would gain nothing.
_GLANCE = 0.2


async def follow(path: Path, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield what is captured at ``path``, from its beginning, to its end once ``is_over``.

    What was written faster than it is kept is lost, and a line in between says how much.

    Raises:
        Unavailable: the file can't be read.
    """
    sent, seen = 0, None
    while True:
        # Asked first, since all has been captured by the time at which a run is over.
        over = is_over()
        state = _state(path)
        while state != seen or over:
            try:
                data, lost = read_on(path, sent)
            except OSError as error:
                raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
            if lost:
                yield left_out(lost)
            if data:
                yield data
            if not (data or lost):
                seen = state
                break
            sent += lost + len(data)
        if over:
            return
        await trio.sleep(_GLANCE)


def left_out(count: int) -> bytes:
    """Return the line that stands for bytes that were not kept."""
    return f"\n[... {count} bytes left out ...]\n".encode()


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
