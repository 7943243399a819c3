"""Which runner takes an attempt: a command is run on this machine, a request is made from it."""

from contextlib import suppress
from pathlib import Path

import trio
from msgspec.structs import replace

from kala_trio.clock import Clock
from kala_trio.core.errors import KalaTrioError, Refused, Unavailable
from kala_trio.core.job import NotStarted
from kala_trio.core.messages import AttemptEnded, AwaitOrphan, StartAttempt
from kala_trio.runner.local import LocalRunner
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.remote import RemoteRunner
from kala_trio.runner.secret_files import opened
from kala_trio.runner.spawn import why_not
from kala_trio.templates import filled_in


class Dispatch:
    """Runs every attempt, of whatever kind its job is."""

    def __init__(
        self, output: Path, clock: Clock, leftovers: trio.Nursery, outbound: Outbound
    ) -> None:
        """Let each runner keep outputs under ``output``; ``leftovers`` is the local one's.

        Remote attempts go through ``outbound``.
        """
        self._clock = clock
        self._local = LocalRunner(output, clock, leftovers)
        self._remote = RemoteRunner(output, clock, outbound)

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Run an attempt to its end, or until ``ending`` is cancelled."""
        try:
            act = filled_in(replace(act, definition=await opened(act.definition)))
        except (Refused, Unavailable) as error:  # with what is filled in, a URL is none, say
            return self._not_started(act, str(error))
        except ValueError as error:  # there is no such user who could read a secret
            return self._not_started(act, why_not(act.definition, error))
        runner = self._remote if act.definition.remote_properties else self._local
        return await runner.run_attempt(act, ending)

    async def await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> AttemptEnded:
        """Wait for the end of an attempt that another daemon started (rule C3).

        Of a request nothing is left. But the job may have been edited since, so what kind of
        attempt it was only shows in what is found.
        """
        if act.definition:
            with suppress(KalaTrioError, ValueError):  # then its file is not looked for in outputs
                act = replace(act, definition=await opened(act.definition))
        return await self._local.await_orphan(act, ending)

    def _not_started(self, act: StartAttempt, reason: str) -> AttemptEnded:
        now = self._clock.now()
        return AttemptEnded(act.run.id, act.number, now, now, NotStarted(reason))

    def end_attempts(self) -> None:
        """From now on stop every attempt (rule C4)."""
        self._local.end_attempts()
        self._remote.end_attempts()
