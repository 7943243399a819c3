"""One attempt as a local process: started in a group of its own, watched, stopped, and reaped.

Linux only: the ends of processes are awaited through pidfds, orphans are found through ``/proc``.
"""

import errno
import logging
import math
import os
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import trio

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.definition import Definition
from kala_trio.core.duration import SECOND, Duration
from kala_trio.core.errors import Unavailable
from kala_trio.core.job import (
    Cancelled,
    Exited,
    Lost,
    NotStarted,
    Result,
    Signalled,
    Stopped,
    TimedOut,
)
from kala_trio.core.messages import AttemptEnded, AwaitOrphan, StartAttempt
from kala_trio.runner.orphans import RUN_ID_VARIABLE, Group, Orphans, group_ended
from kala_trio.runner.output import note_of, output_path, remove_stale
from kala_trio.runner.stream import Spares, Stream, remove

log = logging.getLogger(__name__)

VARIABLES = (
    "KALA_TRIO_JOB_ID",
    "KALA_TRIO_JOB_NAME",
    RUN_ID_VARIABLE,
    "KALA_TRIO_ATTEMPT",
    "KALA_TRIO_SCHEDULED_AT",
)
"""What a command finds in its environment about the attempt that it is."""

# Python ignores these, which a program does not expect.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_REAP_TIMEOUT = 5.0  # SIGKILL acts at once, save on a process that hangs in the kernel
_QUOTED = 120
_COMMANDS = 1024  # of so many it is remembered how they are split
_EXEC_PROBLEMS = {
    errno.ENOENT: "does not exist; give the full path of a program, for example /bin/sh",
    errno.EACCES: "may not be executed by this user; chmod +x lets a file be executed",
    errno.ENOEXEC: "is no program for this machine, nor a script that begins like #!/bin/sh",
    errno.E2BIG: "was given too long a command; keep long input in a file, for example sh job.sh",
}


class LocalRunner:
    """Runs attempts on this machine, as the user that the daemon runs as.

    They inherit this process's environment as it is now, and every descriptor that is inheritable.
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
        self._environment = dict(os.environb)
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
        with Stream.attach(path, self._complaint) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.pump)
                has_ended = False
                with ending, trio.move_on_after(max(0, timeout - passed)):
                    await self._orphans.ended(act.run.id, note_of(path))
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
        path = output_path(self._output, act.run.id)
        if act.number == 1:
            remove_stale(path)
        with ExitStack() as cleanup:
            try:
                words = _words(act.definition.command)
                stream = cleanup.enter_context(Stream.made(path, self._pipes, self._complaint))
                with stream.writer() as writer:
                    child = _Child(words, self._environment | _variables(act), writer)
            except (OSError, ValueError) as error:
                return NotStarted(_why_not(act.definition.command, error))
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

    async def _watch(
        self, child: "_Child", stream: Stream, ending: trio.CancelScope, in_time: trio.CancelScope
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


class _Child:
    """A process that leads a group of its own; leaving the context leaves no unreaped process.

    Until it is reaped its id, and so its group's, can't come to mean another process.
    """

    def __init__(self, words: list[str], environment: Mapping[bytes, bytes], output: int) -> None:
        """Start ``words`` without a shell; raises OSError or ValueError where that fails."""
        if not words:
            raise ValueError("the command is empty; for example: sh /usr/local/bin/backup.sh")
        # Cheaper than subprocess. It leaves open what is inheritable: nothing of ours is.
        self.pid = os.posix_spawnp(
            words[0],
            words,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            ],
            setpgroup=0,
            setsigdef=_IGNORED,
        )
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
                await group_ended(self.pid)
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


@lru_cache(_COMMANDS)
def _words(command: str) -> list[str]:
    return shlex.split(command)


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _variables(act: StartAttempt) -> dict[bytes, bytes]:
    scheduled_at = act.run.trigger.scheduled_at.astimezone(UTC)
    values = (
        act.run.job_id,
        act.run.job_name,
        act.run.id,
        str(act.number),
        scheduled_at.isoformat().replace("+00:00", "Z"),
    )
    return dict(zip(map(os.fsencode, VARIABLES), map(os.fsencode, values), strict=True))


def _why_not(command: str, error: OSError | ValueError) -> str:
    """Say in one sentence why ``command`` could not be started."""
    if isinstance(error, ValueError):
        return (
            f"the command can't be passed to a process: {error}, found {command[:_QUOTED]!r}; "
            "for example sh -c 'echo hello'"
        )
    program = str(error.filename)
    problem = _EXEC_PROBLEMS.get(error.errno or 0)
    if problem is None:
        return f"the system could not start the process: {error.strerror}"
    if error.errno == errno.ENOENT and shutil.which(program):
        problem = "names an interpreter that does not exist; one that mostly does: #!/bin/sh"
    elif error.errno == errno.ENOENT and "/" not in program:
        problem = "is in no directory of PATH; give its full path, for example /bin/sh"
    return f"{program[:_QUOTED]!r} {problem}"
