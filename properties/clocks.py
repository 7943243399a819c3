"""Clocks for virtual time: one that is true, and one that somebody sets."""

from datetime import datetime, timedelta

import trio

_SECOND = 1_000_000


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

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        await trio.sleep(seconds)


class ShownClock:
    """A wall clock that somebody sets."""

    def __init__(self, epoch: datetime) -> None:
        """Show the true time at first, which begins with ``epoch``."""
        self._true = VirtualClock(epoch)
        self._since = epoch
        self._step = timedelta()
        self._drift = 0

    def now(self) -> datetime:
        """Return the time that is shown."""
        true = self._true.now()
        return true + self._step + (true - self._since) * self._drift // _SECOND

    async def sleep(self, seconds: float) -> None:
        """Sleep for a time that neither steps nor drift change."""
        await self._true.sleep(seconds)

    def set(self, seconds: int, drift: int = 0) -> None:
        """Set it by ``seconds``; from now on it gains ``drift`` microseconds a second."""
        shown, self._since = self.now(), self._true.now()
        self._step = shown - self._since + timedelta(seconds=seconds)
        self._drift = drift
