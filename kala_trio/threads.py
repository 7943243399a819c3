"""Work that blocks, in a worker thread, or word that there is none to be had."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from kala_trio.core.errors import Unavailable

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

_NO_THREAD = "can't start new thread"  # what Python says when the system has too many


async def in_thread(
    work: Callable[[*_Arguments], _Result],
    *arguments: *_Arguments,
    limiter: trio.CapacityLimiter | None = None,
) -> _Result:
    """Return what ``work`` returns; once it has begun it goes to its end, even if cancelled.

    Raises:
        Unavailable: the system has no thread left, and nothing was done; or ``work`` raised it.
    """
    try:
        return await trio.to_thread.run_sync(work, *arguments, limiter=limiter)
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        raise Unavailable(f"the system has no thread left: {error}") from error
