"""The loop that holds all together: take events in, let the scheduler decide, commit, then act.

It is the only task that touches the scheduler, so nothing is shared and nothing is locked.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import trio

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.errors import STOPPING, KalaTrioError, Unavailable
from kala_trio.core.job import reason_of
from kala_trio.core.messages import (
    Act,
    AttemptEnded,
    AwaitOrphan,
    Command,
    CreateAll,
    Event,
    Record,
    Request,
    StartAttempt,
    Stop,
    Tick,
)
from kala_trio.core.scheduler import Scheduler

log = logging.getLogger(__name__)

# One batch is one transaction. A longer one would keep what is due waiting for its end: one of more
# messages, or of messages that took longer, in seconds, to decide on.
_BATCH = 64
_DECIDING = 0.005
# No sleep is longer, so that a step of the wall clock is noticed soon.
_SLICE = 1.0
# Trio's timers are late by this part of a sleep (the system's slack) and by up to so many seconds
# (trio rounds): that much is left to the clock's own sleep, in which no message is looked at.
_SLACK = 0.001
_ROUNDING = 0.001
# A store that failed, a full disk say, is tried again this often.
_COMMIT_RETRY = 1.0


class Runner(Protocol):
    """Does what the scheduler decided; whatever becomes of it comes back as one event."""

    async def run_attempt(self, act: StartAttempt) -> AttemptEnded:
        """Run an attempt to its end."""
        ...

    async def await_orphan(self, act: AwaitOrphan) -> AttemptEnded:
        """Wait for the end of an attempt that another daemon started."""
        ...


class _Question:
    """A request on its way, and its answer: None or an error, once ``answered`` is set."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.has_waited = False
        self.answered = trio.Event()
        self.error: KalaTrioError | None = None

    def answer(self, error: KalaTrioError | None = None) -> None:
        self.error = error
        self.answered.set()


class Supervisor:
    """Runs a scheduler against the world.

    ``commit`` makes records durable in one transaction, or raises Unavailable and has kept none;
    then it is called again until it succeeds, without records where there are none.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        commit: Callable[[Sequence[Record]], Awaitable[None]],
        runner: Runner,
    ) -> None:
        """Take in what is asked for; nothing is done before ``run``."""
        self._clock = clock
        self._commit = commit
        self._runner = runner
        self._inbox: deque[_Question | AttemptEnded | Stop] = deque()
        self._arrived = trio.Event()
        self._complaint = Complaint(log, "the database is written again")
        self._stopping = False
        self._is_over = False
        self._in_progress = 0
        self._scheduler: Scheduler
        self._attempts: trio.Nursery
        self._orphans: trio.Nursery

    async def ask(self, request: Request) -> None:
        """Have ``request`` carried out; return once what it changed is durable (rule C1).

        Raises:
            Refused, NotFound, Conflict: by the rules, and nothing has changed.
            Unavailable: the store failed or the daemon is stopping, and nothing has changed.
        """
        if self._is_over:
            raise Unavailable(STOPPING)
        question = _Question(request)
        self._put(question)
        await question.answered.wait()
        if question.error:
            raise question.error

    def stop(self) -> None:
        """Start no attempt any more; ``run`` returns when those in progress are over (rule C4)."""
        self._put(Stop())

    async def run(self, scheduler: Scheduler, first: Sequence[Command] = ()) -> None:
        """Serve until stopped; ``first`` are the commands that restoring ``scheduler`` gave.

        Raises:
            Unavailable: the store failed at the start, or at the end for good.
        """
        self._scheduler = scheduler
        await self._commit([each for each in first if not isinstance(each, Act)])
        self._scheduler.committed()
        async with trio.open_nursery() as self._orphans, trio.open_nursery() as self._attempts:
            self._start(first)
            while self._inbox or self._in_progress or not self._stopping:
                await self._something_to_do()
                await self._settle()
            self._is_over = True
            # Another daemon will wait for them: they belong to no attempt of this one.
            self._orphans.cancel_scope.cancel()

    def _put(self, message: _Question | AttemptEnded | Stop) -> None:
        self._inbox.append(message)
        self._arrived.set()

    async def _something_to_do(self) -> None:
        """Wait until a message has arrived or an instant has come; not while the store fails."""
        while not (self._inbox or self._complaint.lasts):
            now = self._clock.now()
            if self._scheduler.is_due(now):
                return
            seconds = _seconds_until(self._scheduler.next_wake(), now)
            roughly = seconds * (1 - _SLACK) - _ROUNDING
            if roughly <= 0:
                await self._clock.sleep(seconds)
                continue
            self._arrived = trio.Event()
            with trio.move_on_after(roughly):
                await self._arrived.wait()

    async def _settle(self) -> None:
        """Decide on a batch, and on what is due; make it durable; only then act and answer."""
        batch: list[_Question | AttemptEnded | Stop] = []
        commands: list[Command] = []
        accepted: list[_Question] = []
        # What is due comes first, and then what was asked: a request overtakes no occurrence.
        commands += self._serve_due()
        end = trio.current_time() + _DECIDING
        while self._inbox and len(batch) < _BATCH and trio.current_time() < end:
            if (batch or commands) and self._lets_others_go_first(self._inbox[0]):
                break
            message = self._inbox.popleft()
            batch.append(message)
            if not isinstance(message, _Question):
                self._stopping = self._stopping or isinstance(message, Stop)
                commands += self._decide(message)
            elif self._stopping:
                message.answer(Unavailable(STOPPING))
            else:
                try:
                    commands += self._decide(message.request)
                    accepted.append(message)
                except KalaTrioError as error:
                    message.answer(error)
        commands += self._serve_due()
        records = [each for each in commands if not isinstance(each, Act)]
        try:
            # A store that failed is tried until it works; at the end only with what must be kept.
            if records or self._in_progress or not self._stopping:
                await self._commit(records)
                self._complaint.end()
        except Unavailable as error:
            await self._take_back(batch, accepted, error)
            return
        self._scheduler.committed()
        self._start(commands)
        for question in accepted:
            question.answer()

    def _lets_others_go_first(self, message: _Question | AttemptEnded | Stop) -> bool:
        """Tell whether ``message`` is a list of jobs, which takes long; it waits for one commit."""
        if not isinstance(message, _Question) or not isinstance(message.request, CreateAll):
            return False
        waits, message.has_waited = not message.has_waited, True
        return waits

    def _serve_due(self) -> list[Command]:
        return self._decide(Tick()) if self._scheduler.is_due(self._clock.now()) else []

    def _decide(self, event: Event) -> list[Command]:
        return self._scheduler.handle(event, self._clock.now())

    async def _take_back(
        self,
        batch: Sequence[_Question | AttemptEnded | Stop],
        accepted: Sequence[_Question],
        error: Unavailable,
    ) -> None:
        """Undo a batch that could not be made durable, and see to it that nothing of it is lost."""
        self._scheduler.rollback()
        for question in accepted:
            question.answer(error)
        if self._stopping and not self._in_progress:
            raise error
        self._complaint.tell(f"{error}; trying again every {_COMMIT_RETRY:g} s")
        # What happened has happened: it goes back to the head of the inbox, in the old order.
        happened = [each for each in batch if not isinstance(each, _Question)]
        self._inbox.extendleft(reversed(happened))
        await trio.sleep(_COMMIT_RETRY)

    def _start(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case StartAttempt():
                    self._in_progress += 1
                    self._attempts.start_soon(self._run_attempt, command)
                case AwaitOrphan():
                    self._orphans.start_soon(self._await_orphan, command)
                case _:
                    pass

    async def _run_attempt(self, act: StartAttempt) -> None:
        log.info("run %s attempt %d: starts %.200r", act.run.id, act.number, act.definition.command)
        ended = await self._runner.run_attempt(act)
        reason = reason_of(ended.result) or "succeeded"
        log.info("run %s attempt %d: %s", act.run.id, act.number, reason)
        self._in_progress -= 1
        self._put(ended)

    async def _await_orphan(self, act: AwaitOrphan) -> None:
        ended = await self._runner.await_orphan(act)
        log.warning("run %s attempt %d: %s", ended.run_id, ended.number, reason_of(ended.result))
        self._put(ended)


def _seconds_until(wake: datetime | None, now: datetime) -> float:
    if wake is None:
        return float("inf")
    return min(_SLICE, max(0.0, (wake - now).total_seconds()))
