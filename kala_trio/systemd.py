"""What a service manager that wants to know is told: readiness, status, and a sign of life.

By the protocol of sd_notify(3), as systemd speaks it, and others do: datagrams to a socket whose
name is in the environment. Nothing of that is handed on to jobs or to the web process.
"""

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import NoReturn, Self

import trio
from msgspec import Struct

from kala_trio.vitals import STUCK, Vitals

_MICRO = 1_000_000
# How often the status is brought up to date, in seconds, if nothing asks for it more often.
_USUALLY = 10.0
# What it has to know is worth a wait.
_PATIENCE = 1.0


class ServiceManager(Struct, frozen=True):
    """The one that has started this daemon.

    ``address`` is where it listens, empty if it does not; ``watchdog`` how many seconds it waits
    for a sign of life, 0 if it waits for none.
    """

    address: str = ""
    watchdog: float = 0.0

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Take what concerns it out of ``environment``."""
        address = environment.pop("NOTIFY_SOCKET", "")
        interval = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        is_meant = pid in ("", str(os.getpid())) and interval.isdecimal()
        return cls(address, int(interval) / _MICRO if address and is_meant else 0.0)

    def tell(self, patience: float = 0.0, **what: object) -> None:
        """Tell it some of what it knows the names of; in vain where it does not listen.

        Where it has much to listen to, wait for up to ``patience`` seconds.
        """
        if not self.address:
            return
        message = "\n".join(f"{name}={value}" for name, value in what.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.settimeout(patience)
            try:
                # An @ stands for the zero that names of the abstract kind begin with.
                name = self.address
                to.sendto(message.encode(), f"\0{name[1:]}" if name.startswith("@") else name)
            except OSError:
                pass  # it will ask no more, or look at the next one

    def reloading(self) -> None:
        """Tell it that what can be loaded anew is."""
        self.tell(_PATIENCE, RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def ready(self) -> None:
        """Tell it that all is restored, and requests are answered."""
        self.tell(_PATIENCE, READY=1)

    def stopping(self, seconds: float) -> None:
        """Tell it that the daemon drains, and ends in so many seconds at most."""
        self.tell(
            _PATIENCE, STOPPING=1, EXTEND_TIMEOUT_USEC=round(seconds * _MICRO), STATUS="stopping"
        )

    async def keep_told(self, vitals: Callable[[], Vitals]) -> NoReturn:
        """Show it signs of life as long as there are some, and how things are."""
        while True:
            now = vitals()
            if now.busy_for > STUCK:
                self.tell(STATUS=_status(now))
            else:
                self.tell(STATUS=_status(now), WATCHDOG=1)
            await trio.sleep(min(self.watchdog / 2 or _USUALLY, _USUALLY))


def _status(vitals: Vitals) -> str:
    """Say how things are on one line."""
    ended = sum(vitals.tally.runs.values())
    counts = f"{vitals.running} attempts in progress, {ended} runs ended"
    if vitals.busy_for > STUCK:
        return f"the database does not answer; {counts}"
    if not vitals.can_commit:
        return f"the database cannot be written; {counts}"
    if vitals.is_stopping:
        return f"stopping; {counts}"
    wake = vitals.next_wake
    return f"{counts}; next {wake:%Y-%m-%d %H:%M:%S} UTC" if wake else f"{counts}; nothing is due"
