"""Work that blocks, in a worker thread, or word that the system has none to spare."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

import trio

from kala_trio.core.errors import Unavailable

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

_NO_THREAD = "can't start new thread"  # Python's words


async def in_thread(
    work: Callable[[*_Arguments], _Result],
    *arguments: *_Arguments,
    limiter: trio.CapacityLimiter | None = None,
) -> _Result:
    """Return what ``work`` returns; once it has begun it goes to its end, even if cancelled.

    Raises:
        Unavailable: there is no thread to be had, and nothing was done; or ``work`` raised it.
    """
    with needing_a_thread():
        return await trio.to_thread.run_sync(work, *arguments, limiter=limiter)


@contextmanager
def needing_a_thread() -> Iterator[None]:
    """Raise Unavailable where what is done here fails for want of a thread."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        problem = "the system has no thread to spare; end some processes, or raise ulimit -u"
        raise Unavailable(problem) from error
