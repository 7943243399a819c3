"""One remote attempt: an HTTP request, in bounded time and memory."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import trio

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.definition import Definition, Remote
from kala_trio.core.errors import Unavailable
from kala_trio.core.job import (
    Answered,
    Cancelled,
    NoAnswer,
    Result,
    Stopped,
    TimedOut,
)
from kala_trio.core.messages import AttemptEnded, StartAttempt
from kala_trio.runner.connection import NotAnswered
from kala_trio.runner.local import timeout_of
from kala_trio.runner.mask import Mask
from kala_trio.runner.outbound import USER_AGENT, Outbound
from kala_trio.runner.output import Capture, output_path, remove_stale
from kala_trio.runner.variables import scheduled_at

log = logging.getLogger(__name__)

USUAL_TIMEOUT = 30.0
"""How many seconds a request may take that says nothing of it."""

_USUAL_CODES = (200,)
# Each takes a descriptor, and 15 KB or with TLS 40, while it waits for its answer.
_AT_ONCE = 1_000


class RemoteRunner:
    """Runs attempts as requests from this machine."""

    def __init__(self, output: Path, clock: Clock, outbound: Outbound) -> None:
        """Keep the bodies of answers under the directory ``output``, as what a run has written."""
        self._output = output
        self._complaint = Complaint(log, "what servers answer is kept again")
        self._clock = clock
        self._stopping = False
        self._watches: set[trio.CancelScope] = set()
        self._places = trio.CapacityLimiter(_AT_ONCE)
        self._outbound = outbound

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Make the request, and tell what became of it (rules Q1 to Q5); instants in UTC.

        When ``ending`` is cancelled, and after the job's timeout, it is broken off (rules M6, A5).
        """
        started_at = self._clock.now()
        if self._stopping or ending.cancel_called:
            result: Result = Stopped() if self._stopping else Cancelled()
        else:
            result = await self._run(act, ending)
        return AttemptEnded(act.run.id, act.number, started_at, self._clock.now(), result)

    def end_attempts(self) -> None:
        """From now on stop every attempt (rule C4): those in progress, and later ones unstarted."""
        self._stopping = True
        for watch in self._watches:
            watch.cancel()

    async def _run(self, act: StartAttempt, ending: trio.CancelScope) -> Result:
        remote = act.definition.remote_properties
        if remote is None:
            raise ValueError("not a remote job")
        path = output_path(self._output, act.run.id)
        if act.number == 1:
            remove_stale(path)
        in_time = trio.CancelScope(relative_deadline=timeout_of(act.definition))
        capture = Capture(path, self._complaint, Mask.of(act.definition))
        with closing(capture), self._until_stop(), ending, in_time:
            return await self._ask(act, remote, capture)
        if ending.cancelled_caught:
            return Cancelled()
        return TimedOut() if in_time.cancelled_caught else Stopped()

    async def _ask(self, act: StartAttempt, remote: Remote, capture: Capture) -> Result:
        seconds = remote.timeout or USUAL_TIMEOUT
        async with self._places:
            try:
                await self._outbound.load()
                with trio.fail_after(seconds):
                    status = await self._outbound.ask(
                        remote, _headers(act, remote), capture.write, _secrets(act.definition)
                    )
            except (NotAnswered, Unavailable) as error:
                # A server may say in an error what it was sent.
                return NoAnswer(Mask.of(act.definition).sentence(str(error)))
            except trio.TooSlowError:
                return NoAnswer(
                    f"no whole answer within {seconds:g} s; "
                    "remote_properties.timeout may allow for more"
                )
        return Answered(status, status in (remote.expected_response_codes or _USUAL_CODES))

    @contextmanager
    def _until_stop(self) -> Iterator[None]:
        with trio.CancelScope() as watch:
            self._watches.add(watch)
            try:
                yield
            finally:
                self._watches.remove(watch)


def _secrets(definition: Definition) -> tuple[str, ...]:
    return tuple(secret.text for _, secret in definition.secrecy.secrets if secret)


def _headers(act: StartAttempt, remote: Remote) -> list[tuple[str, str]]:
    """Return what tells the server which attempt this is, and the job's own headers, which win."""
    usual = [
        ("User-Agent", USER_AGENT),
        ("Kala-Trio-Job-Id", act.run.job_id),
        ("Kala-Trio-Run-Id", act.run.id),
        ("Kala-Trio-Attempt", str(act.number)),
        ("Kala-Trio-Scheduled-At", scheduled_at(act.run.trigger)),
        ("Idempotency-Key", act.run.id),
    ]
    own = {name.lower() for name, values in remote.headers if values}
    return [
        *(each for each in usual if each[0].lower() not in own),
        *((name, value) for name, values in remote.headers for value in values),
    ]
