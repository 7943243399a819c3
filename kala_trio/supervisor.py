"""The loop that holds all together: take events in, let the scheduler decide, commit, then act.

It is the only task that touches the scheduler, so nothing is shared and nothing is locked.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio

from kala_trio.chronicle import tell
from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.deeds import deeds_of
from kala_trio.core.errors import STOPPING, KalaTrioError, Unavailable
from kala_trio.core.job import outcome_of, reason_of
from kala_trio.core.messages import (
    Act,
    Apply,
    AttemptEnded,
    AwaitOrphan,
    Command,
    CreateAll,
    Deliver,
    EndAttempt,
    Event,
    Record,
    Request,
    StartAttempt,
    Stop,
    Tick,
)
from kala_trio.core.scheduler import Scheduler
from kala_trio.core.url import work_of
from kala_trio.vitals import Counting, Vitals

log = logging.getLogger(__name__)

# One batch is one transaction. A longer one would keep what is due waiting for its end: one of more
# messages, or of messages that took longer, in seconds, to decide on.
_BATCH = 64
_DECIDING = 0.005
# No sleep is longer, so that a step of the wall clock is noticed soon.
_SLICE = 1.0
# A store that failed, a full disk say, is tried again this often.
_COMMIT_RETRY = 1.0
# So much of what an attempt does is logged.
_QUOTED = 200


class Runner(Protocol):
    """Does what the scheduler decided; whatever becomes of it comes back as one event."""

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Run an attempt to its end; before that end it when ``ending``, once, is cancelled."""
        ...

    async def await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> AttemptEnded:
        """Wait for the end of an attempt that another daemon started; ``ending`` as above."""
        ...


class _Question:
    """A request on its way, and its answer: None or an error, once ``answered`` is set."""

    def __init__(self, request: Request, who: str) -> None:
        self.request = request
        self.who = who
        # A list of jobs takes long: it lets others go first, once.
        self.gives_way = isinstance(request, CreateAll | Apply)
        self.answered = trio.Event()
        self.error: KalaTrioError | None = None

    def answer(self, error: KalaTrioError | None = None) -> None:
        self.error = error
        self.answered.set()


_Message = _Question | AttemptEnded | Stop


class Supervisor:
    """Runs a scheduler against the world.

    ``commit`` makes records durable in one transaction, or raises Unavailable and has kept none;
    then it is called again until it succeeds, even with no records.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        commit: Callable[[Sequence[Record]], Awaitable[None]],
        runner: Runner,
        deliver: Callable[[], None],
        counting: Counting | None = None,
    ) -> None:
        """Take in what is asked for; nothing is done before ``run``.

        ``deliver`` is called when notices were committed. What happens is noted in ``counting``.
        """
        self._clock = clock
        self._commit = commit
        self._runner = runner
        self._deliver = deliver
        self._counting = counting or Counting()
        self._is_restored = False
        self._started_at = clock.now()
        # Since when it is at a batch; None while it waits.
        self._busy_since: float | None = None
        self._inbox: deque[_Message] = deque()
        self._sleep = trio.CancelScope()
        self._store_fails = False
        self._complaint = Complaint(log, "the database is written again")
        self._stopping = False
        self._is_over = False
        self._in_progress = 0
        # By run: what ends its attempt before its time.
        self._endings: dict[str, trio.CancelScope] = {}
        self._scheduler: Scheduler
        self._acts: trio.Nursery

    async def ask(self, request: Request, who: str = "") -> None:
        """Have ``request`` carried out; return once what it changed is durable (rule C1).

        That ``who``, a token's name, has done it is durable with it; nobody needs no record.

        Raises:
            Refused, NotFound, Conflict: by the rules, and nothing has changed.
            Unavailable: the store failed or the daemon is stopping, and nothing has changed.
        """
        if self._is_over:
            raise Unavailable(STOPPING)
        question = _Question(request, who)
        self._put(question)
        await question.answered.wait()
        self._counting.asked(request, question.error)
        if question.error:
            raise question.error

    def is_well(self) -> bool:
        """Tell whether what is decided can be made durable."""
        return not self._store_fails

    def vitals(self) -> Vitals:
        """Return how it is at this moment, before ``run`` too."""
        busy_for = 0.0 if self._busy_since is None else trio.current_time() - self._busy_since
        return Vitals(
            started_at=self._started_at,
            is_restored=self._is_restored,
            is_stopping=self._stopping,
            can_commit=self.is_well(),
            busy_for=busy_for,
            running=self._in_progress,
            next_wake=self._scheduler.next_wake() if self._is_restored else None,
            tally=self._counting.tally,
        )

    def stop(self) -> None:
        """Start no attempt any more; ``run`` returns when those in progress are over (rule C4)."""
        self._put(Stop())

    async def run(
        self,
        scheduler: Scheduler,
        first: Sequence[Command] = (),
        *,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until stopped; ``first`` are the commands that restoring ``scheduler`` gave.

        ``ready`` is called once these are durable.

        Raises:
            Unavailable: the store failed at the start, or at the end for good.
        """
        self._scheduler = scheduler
        if records := [each for each in first if not isinstance(each, Act)]:
            await self._commit(records)
        self._scheduler.committed()
        self._note(first)
        self._is_restored = True
        ready()
        async with trio.open_nursery() as self._acts:
            self._act(first)
            while self._inbox or self._in_progress or not self._stopping:
                await self._something_to_do()
                self._busy_since = trio.current_time()
                await self._settle()
                self._busy_since = None
            self._is_over = True
            # What is left are orphans, for which another daemon will wait.
            self._acts.cancel_scope.cancel()

    def _put(self, message: _Message) -> None:
        self._inbox.append(message)
        self._sleep.cancel()

    async def _something_to_do(self) -> None:
        """Wait until a message has arrived or an instant has come; not while the store fails."""
        while not (self._inbox or self._store_fails):
            now = self._clock.now()
            if self._scheduler.is_due(now):
                return
            with trio.CancelScope() as self._sleep:
                wake = self._scheduler.next_wake()
                if wake is None:
                    await trio.sleep_forever()
                await self._clock.sleep(min(_SLICE, (wake - now).total_seconds()))

    async def _settle(self) -> None:
        """Decide on a batch, and on what is due; make it durable; only then act and answer."""
        happened: list[AttemptEnded | Stop] = []
        accepted: list[_Question] = []
        # What is due comes first, and then what was asked: a request overtakes no occurrence.
        commands = self._serve_due()
        end = trio.current_time() + _DECIDING
        for taken in range(min(_BATCH, len(self._inbox))):
            message = self._inbox[0]
            if trio.current_time() >= end:
                break
            if isinstance(message, _Question) and message.gives_way and (taken or commands):
                message.gives_way = False
                break
            self._inbox.popleft()
            if not isinstance(message, _Question):
                happened.append(message)
                self._stopping = self._stopping or isinstance(message, Stop)
                commands += self._decide(message)
            elif self._stopping:
                message.answer(Unavailable(STOPPING))
            else:
                try:
                    commands += self._decide(message.request)
                    if message.who:
                        commands += deeds_of(message.request, message.who, self._clock.now())
                    accepted.append(message)
                except KalaTrioError as error:
                    message.answer(error)
        commands += self._serve_due()
        records = [each for each in commands if not isinstance(each, Act)]
        try:
            # A store that failed is tried until it works; at the end only with what must be kept.
            if records or (self._store_fails and (self._in_progress or not self._stopping)):
                began = trio.current_time()
                await self._commit(records)
                self._counting.committed(len(records), trio.current_time() - began)
                self._complaint.end()
                self._store_fails = False
        except Unavailable as error:
            self._store_fails = True
            await self._take_back(happened, accepted, error)
            return
        self._scheduler.committed()
        self._note(commands)
        self._act(commands)
        for question in accepted:
            question.answer()

    def _note(self, commands: Sequence[Command]) -> None:
        self._counting.take(commands)
        tell(commands)

    def _serve_due(self) -> list[Command]:
        return self._decide(Tick()) if self._scheduler.is_due(self._clock.now()) else []

    def _decide(self, event: Event) -> list[Command]:
        return self._scheduler.handle(event, self._clock.now())

    async def _take_back(
        self,
        happened: Sequence[AttemptEnded | Stop],
        accepted: Sequence[_Question],
        error: Unavailable,
    ) -> None:
        """Undo a batch that could not be made durable, and see to it that nothing of it is lost."""
        self._scheduler.rollback()
        self._counting.tally.failed_commits += 1
        for question in accepted:
            question.answer(error)
        if self._stopping and not self._in_progress:
            raise error
        self._complaint.tell(f"{error}; trying again every {_COMMIT_RETRY:g} s")
        # What happened has happened: it goes back to the head of the inbox, in the old order.
        self._inbox.extendleft(reversed(happened))
        await trio.sleep(_COMMIT_RETRY)

    def _act(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case StartAttempt():
                    self._in_progress += 1
                    ending = self._endings[command.run.id] = trio.CancelScope()
                    self._acts.start_soon(self._run_attempt, command, ending)
                case AwaitOrphan():
                    ending = self._endings[command.run.id] = trio.CancelScope()
                    self._acts.start_soon(self._await_orphan, command, ending)
                case EndAttempt(run_id):
                    if run_id in self._endings:  # else its end is in the inbox
                        self._endings[run_id].cancel()
                case Deliver():
                    self._deliver()
                case _:
                    pass

    async def _run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> None:
        trigger, fields = act.run.trigger, _fields(act.run.id, act.run.job_name, act.number)
        lateness = (self._clock.now() - trigger.scheduled_at).total_seconds()
        if act.number == 1:
            self._counting.started(trigger.cause, lateness)
            fields["lateness"] = lateness
        if log.isEnabledFor(logging.INFO):
            work = work_of(act.definition)[:_QUOTED]
            log.info("attempt starts", extra=fields | {"work": work})
        ended = await self._runner.run_attempt(act, ending)
        if log.isEnabledFor(logging.INFO):
            log.info("attempt ended", extra=fields | _end_of(ended))
        self._in_progress -= 1
        self._take_end(ended)

    async def _await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> None:
        ended = await self._runner.await_orphan(act, ending)
        fields = _fields(ended.run_id, act.run.job_name, ended.number)
        log.warning("attempt ended", extra=fields | _end_of(ended))
        self._take_end(ended)

    def _take_end(self, ended: AttemptEnded) -> None:
        del self._endings[ended.run_id]
        self._put(ended)


def _fields(run_id: str, job_name: str, attempt: int) -> dict[str, object]:
    return {"run_id": run_id, "job_name": job_name, "attempt": attempt}


def _end_of(ended: AttemptEnded) -> dict[str, object]:
    took = (ended.ended_at - ended.started_at).total_seconds()
    outcome, reason = outcome_of(ended.result).value, reason_of(ended.result)
    return {"outcome": outcome, "took": took} | ({"reason": reason} if reason else {})
