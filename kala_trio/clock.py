"""The only reader of the wall clock, and how to sleep more exactly than trio does."""

import ctypes
import os
from datetime import UTC, datetime
from typing import Protocol

import trio


class Clock(Protocol):
    """Tells the present instant; a simulation brings its own."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for a finite time, as exactly as the clock can."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep by a timer of the system: trio rounds its own up to whole milliseconds."""
        timer = _timer(seconds)
        if timer < 0:  # too many open files, say
            await trio.sleep(seconds)
            return
        try:
            await trio.lowlevel.wait_readable(timer)
        finally:
            os.close(timer)


# Linux's timerfd_create(2), which Python has from 3.13 on.
_LIBC = ctypes.CDLL(None)
_MONOTONIC = 1


class _Setting(ctypes.Structure):
    """The system's ``struct itimerspec``."""

    _fields_ = (
        *((f"interval_{part}", ctypes.c_long) for part in ("seconds", "nanoseconds")),
        *((f"value_{part}", ctypes.c_long) for part in ("seconds", "nanoseconds")),
    )


def _timer(seconds: float) -> int:
    """Return a descriptor that can be read from once the time is over; negative if none is left."""
    timer: int = _LIBC.timerfd_create(_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
    whole, rest = divmod(max(1, round(seconds * 1e9)), 10**9)  # zero would be never
    if timer >= 0:
        _LIBC.timerfd_settime(timer, 0, ctypes.byref(_Setting(0, 0, whole, rest)), None)
    return timer
