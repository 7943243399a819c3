"""The only reader of the wall clock."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

import trio


class Clock(Protocol):
    """Tells the present instant; a simulation brings its own."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """Trio's own clock counted from ``epoch``: exact under ``trio.testing.MockClock``."""

    def __init__(self, epoch: datetime) -> None:
        """Let trio's present moment be ``epoch``."""
        self._epoch = epoch
        self._zero = trio.current_time()

    def now(self) -> datetime:
        """Return the virtual instant, to the nearest microsecond."""
        elapsed = round((trio.current_time() - self._zero) * 1_000_000)
        return self._epoch + timedelta(microseconds=elapsed)
