"""One attempt as a local process: started in a group of its own, watched, stopped, and reaped.

Linux only: the ends of processes are awaited through pidfds, orphans are found through ``/proc``.
"""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trio

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.definition import Definition
from kala_trio.core.duration import SECOND, Duration
from kala_trio.core.errors import Unavailable
from kala_trio.core.job import Cancelled, Cause, Lost, NotStarted, Result, Stopped, TimedOut
from kala_trio.core.messages import AttemptEnded, AwaitOrphan, StartAttempt
from kala_trio.runner.child import Child
from kala_trio.runner.mask import NOTHING, Mask
from kala_trio.runner.orphans import Group, Orphans
from kala_trio.runner.output import last_line, note_of, output_path, remove_stale
from kala_trio.runner.spawn import Surroundings, identify, spawn, why_not
from kala_trio.runner.stream import Spares, Stream, remove
from kala_trio.runner.variables import LAST_LINE_VARIABLE, inherited, variables_of
from kala_trio.threads import in_thread

log = logging.getLogger(__name__)


class LocalRunner:
    """Runs attempts on this machine, as the user that the daemon runs as or the job names.

    They inherit of this process's environment, as it is now, what is not the daemon's own business
    (rule E2), and every descriptor that is inheritable.
    """

    def __init__(
        self, output: Path, clock: Clock, leftovers: trio.Nursery, *, term_timeout: float = 5.0
    ) -> None:
        """Capture outputs under the directory ``output``, which is made when it is needed.

        ``leftovers`` holds the tasks that go on reading what processes of attempts that are over
        write. ``term_timeout``: how many seconds a stopped attempt has from SIGTERM to SIGKILL.
        """
        self._output = output
        self._complaint = Complaint(log, "what runs write is captured again")
        self._clock = clock
        self._leftovers = leftovers
        self._term_timeout = term_timeout
        self._stopping = False
        self._watches: set[trio.CancelScope] = set()
        self._orphans = Orphans()
        self._environment = inherited(os.environb)
        self._pipes = Spares(output, "fifo")
        self._notes = Spares(output, "group")

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Run the command to its end, and tell how it ended (rule A1); instants in UTC.

        When ``ending`` is cancelled, and after the job's timeout, its process group is stopped
        (rules M6, A5).

        The attempt is over when the process that was started has ended, even if others that it
        started go on: what they write from then on is thrown away. One that is to stay needs an
        output of its own. If cancelled, kills the process group.
        """
        started_at = self._clock.now()
        if self._stopping or ending.cancel_called:
            result: Result = Stopped() if self._stopping else Cancelled()
        else:
            result = await self._run(act, ending)
        return AttemptEnded(act.run.id, act.number, started_at, self._clock.now(), result)

    async def await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> AttemptEnded:
        """Wait until the attempt's group is gone (rule C3), capturing its output meanwhile.

        When ``ending`` is cancelled, and after the job's timeout, its processes are stopped. If
        cancelled otherwise, leaves them alone, and their pipe for the next daemon.
        """
        attempt, path = act.attempt, output_path(self._output, act.run.id)
        timeout = timeout_of(act.definition) if act.definition else math.inf
        passed = (self._clock.now() - attempt.started_at).total_seconds()
        mask = Mask.of(act.definition) if act.definition else NOTHING
        with Stream.attach(path, self._complaint, mask) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.pump)
                has_ended = False
                with ending, trio.move_on_after(max(0, timeout - passed)):
                    await self._orphans.gone(act.run.id, note_of(path))
                    has_ended = True
                if not has_ended:
                    await self._orphans.terminate(act.run.id, note_of(path), self._term_timeout)
                nursery.cancel_scope.cancel()
            stream.release(self._leftovers)
            stream.remove()
        remove(note_of(path), self._complaint)
        now = self._clock.now()
        return AttemptEnded(attempt.run_id, attempt.number, attempt.started_at, now, Lost())

    def end_attempts(self) -> None:
        """From now on stop every attempt (rule C4): those in progress, and later ones unstarted.

        Its process group gets SIGTERM, and what is left of the group after ``term_timeout``
        SIGKILL. Orphans are left alone.
        """
        self._stopping = True
        for watch in self._watches:
            watch.cancel()

    async def _run(self, act: StartAttempt, ending: trio.CancelScope) -> Result:
        path, mask = output_path(self._output, act.run.id), Mask.of(act.definition)
        if act.number == 1:
            remove_stale(path)
        with ExitStack() as cleanup:
            try:
                surroundings = await self._surroundings(act)
                stream = cleanup.enter_context(
                    Stream.made(path, self._pipes, self._complaint, mask)
                )
                with stream.writer() as writer:
                    child = Child(spawn(act.definition, surroundings, writer))
            except Unavailable as error:  # of a thread
                return NotStarted(str(error))
            except (OSError, ValueError) as error:
                return NotStarted(why_not(act.definition, error))
            # By the note of its group it is found again if this daemon dies.
            note, group = note_of(path), Group.of(child.pid)
            try:
                cleanup.enter_context(self._notes.lent(note, group.note, self._complaint))
            except OSError as error:  # a full disk, say
                self._complaint.tell(f"{note} cannot be written: {error}")
            in_time = trio.CancelScope(relative_deadline=timeout_of(act.definition))
            result = await self._watch(child, stream, ending, in_time)
            stream.release(self._leftovers)
            return result

    async def _surroundings(self, act: StartAttempt) -> Surroundings:
        """Return what the attempt's process finds; looked up in threads where that may take long.

        Raises ValueError where there is no such user or group, Unavailable without a thread.
        """
        variables, identity = variables_of(act), None
        if act.run.trigger.cause in (Cause.PARENT, Cause.FAILURE) and act.run.trigger.source:
            path = output_path(self._output, act.run.trigger.source)
            variables[LAST_LINE_VARIABLE] = await in_thread(last_line, path)
        if act.definition.execution.user or act.definition.execution.group:
            identity = await in_thread(identify, act.definition.execution)
        return Surroundings(self._environment, variables, identity)

    async def _watch(
        self, child: Child, stream: Stream, ending: trio.CancelScope, in_time: trio.CancelScope
    ) -> Result:
        async with child:
            with self._until_stop(), ending, in_time:
                await stream.pump_until(child.pidfd)
            result = child.poll()
            if result is None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stream.pump)
                    await child.terminate(self._term_timeout)
                    nursery.cancel_scope.cancel()
                if ending.cancelled_caught:
                    result = Cancelled()
                else:
                    result = TimedOut() if in_time.cancelled_caught else Stopped()
        return result

    @contextmanager
    def _until_stop(self) -> Iterator[None]:
        with trio.CancelScope() as watch:
            self._watches.add(watch)
            try:
                yield
            finally:
                self._watches.remove(watch)


def timeout_of(definition: Definition) -> float:
    """Return how many seconds an attempt may take (rule A5); without limit if nothing is said."""
    text = definition.policy.timeout
    return Duration.parse(text).microseconds / SECOND if text else math.inf
