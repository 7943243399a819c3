"""Trouble that lasts is told a few times, not each time: a full disk must not fill the log too."""

import logging
import math

import trio

_QUIET = 60.0


class Complaint:
    """Logs one kind of trouble: when it begins, once a minute while it lasts, when it is over."""

    def __init__(self, log: logging.Logger, over: str) -> None:
        """Log to ``log``; ``over`` is the line for the end of the trouble."""
        self._log = log
        self._over = over
        self._is_told = False
        self._quiet_until = -math.inf

    def tell(self, problem: str) -> None:
        """Trouble is there, or still there; log the problem, unless one was a minute ago or less.

        That holds for trouble that comes and goes, too.
        """
        now = trio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            self._is_told = True
            self._log.error("%s", problem)

    def end(self) -> None:
        """No trouble is there, or it is over: log that, if the trouble was logged."""
        if self._is_told:
            self._log.warning("%s", self._over)
        self._is_told = False
