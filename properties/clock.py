"""A clock for virtual time, which somebody may set."""

from datetime import datetime, timedelta

import trio

_SECOND = 1_000_000


class VirtualClock:
    """Trio's own clock counted from an epoch: exact under ``trio.testing.MockClock``."""

    def __init__(self, epoch: datetime) -> None:
        """Let trio's present moment be ``epoch``, and show the true time at first."""
        self._epoch = epoch
        self._zero = trio.current_time()
        self._since = epoch
        self._step = timedelta()
        self._drift = 0

    def now(self) -> datetime:
        """Return the time that is shown, to the nearest microsecond."""
        true = self._true()
        return true + self._step + (true - self._since) * self._drift // _SECOND

    async def sleep(self, seconds: float) -> None:
        """Sleep for a time that neither steps nor drift change."""
        await trio.sleep(seconds)

    def set(self, seconds: int, drift: int = 0) -> None:
        """Set it by ``seconds``; from now on it gains ``drift`` microseconds a second."""
        shown, self._since = self.now(), self._true()
        self._step = shown - self._since + timedelta(seconds=seconds)
        self._drift = drift

    def _true(self) -> datetime:
        elapsed = round((trio.current_time() - self._zero) * _SECOND)
        return self._epoch + timedelta(microseconds=elapsed)
