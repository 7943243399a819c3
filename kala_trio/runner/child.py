"""A process that leads a group of its own: watched, stopped, and reaped by whoever started it."""

import logging
import os
import signal
from contextlib import suppress
from types import TracebackType
from typing import Self

import trio

from kala_trio.core.errors import Unavailable
from kala_trio.core.job import Exited, Result, Signalled
from kala_trio.runner.orphans import group_gone

log = logging.getLogger(__name__)

_REAP_TIMEOUT = 5.0  # SIGKILL acts at once, save on a process that hangs in the kernel


class Child:
    """A process that leads a group of its own; leaving the context leaves no unreaped process.

    Until it is reaped its id, and so its group's, can't come to mean another process.
    """

    def __init__(self, pid: int) -> None:
        """Own a child that leads a group; raises OSError, and then has ended and reaped it."""
        self.pid = pid
        self._is_reaped = False
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            self._signal(signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise

    async def __aenter__(self) -> Self:
        """Own the process from here on."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the group unless its leader was reaped, then reap it, in bounded time."""
        try:
            if not self._is_reaped:
                self._signal(signal.SIGKILL)
                with trio.move_on_after(_REAP_TIMEOUT, shield=True):
                    await self.ended()
                if self.poll() is None:
                    log.error("process %d does not end on SIGKILL; left alone", self.pid)
        finally:
            os.close(self.pidfd)

    async def ended(self) -> None:
        """Wait until the process has ended, without reaping it."""
        await trio.lowlevel.wait_readable(self.pidfd)

    async def terminate(self, grace: float) -> None:
        """Ask the group to end, and wait up to ``grace`` seconds until none of it is left."""
        self._signal(signal.SIGTERM)
        with trio.move_on_after(grace):
            await self.ended()
            try:
                await group_gone(self.pid)
            except (OSError, Unavailable) as error:
                # Too many open files, say: those that are left get all of it.
                log.warning("cannot look for process group %d: %s", self.pid, error)
                await trio.sleep_forever()

    def poll(self) -> Result | None:
        """Reap the process and return how it ended; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self._is_reaped = True
        code = os.waitstatus_to_exitcode(status)
        return Exited(code) if code >= 0 else Signalled(_signal_name(-code))

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError as error:  # every one of the group runs as somebody else by now
            log.error("process group %d cannot be stopped: %s", self.pid, error)


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"SIGRTMIN+{number - signal.SIGRTMIN}"
