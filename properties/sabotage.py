"""Supervisors and stores with one fault each, to see that the judges of a ledger catch it."""

import math
from collections.abc import Callable, Sequence
from random import SystemRandom

import trio
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.job import Exited, Lost, Progress, Standing
from kala_trio.core.messages import (
    AttemptEnded,
    AwaitOrphan,
    Command,
    Event,
    Record,
    Request,
    Snapshot,
    StartAttempt,
    Stop,
)
from kala_trio.core.scheduler import Scheduler
from kala_trio.simulation.memory import MemoryStore
from kala_trio.supervisor import Supervisor
from properties.scripts import EPOCH


class AnswersTooEarly(Supervisor):
    """Acknowledges a request as soon as it has arrived."""

    async def ask(self, request: Request, who: str = "") -> None:
        """Put it into the inbox, and don't wait."""
        with trio.CancelScope() as scope:
            scope.cancel()
            await super().ask(request, who)


class StartsTooEarly(Supervisor):
    """Starts an attempt before that is durable."""

    def _decide(self, event: Event) -> list[Command]:
        commands = super()._decide(event)
        starts = [each for each in commands if isinstance(each, StartAttempt)]
        self._act(starts)
        return [each for each in commands if each not in starts]


class NeverRollsBack(Supervisor):
    """Goes on as if a commit that failed had been kept."""

    async def run(
        self,
        scheduler: Scheduler,
        first: Sequence[Command] = (),
        *,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Let the scheduler forget how to undo what it decided."""
        scheduler.rollback = scheduler.committed  # type: ignore[method-assign]
        await super().run(scheduler, first, ready=ready)


class IgnoresTheStop(Supervisor):
    """Drains, but decides on as before."""

    def _decide(self, event: Event) -> list[Command]:
        return [] if isinstance(event, Stop) else super()._decide(event)


class DoesNotWaitForOrphans(Supervisor):
    """Takes the processes of a dead daemon for dead."""

    def _act(self, commands: Sequence[Command]) -> None:
        for each in commands:
            if isinstance(each, AwaitOrphan):
                at = each.attempt.started_at
                self._put(AttemptEnded(each.run.id, each.attempt.number, at, at, Lost()))
        super()._act([each for each in commands if not isinstance(each, AwaitOrphan)])


class RetriesWhatWasLost(Supervisor):
    """Takes an attempt that was cut off for one that failed."""

    async def _await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> None:
        self._put(replace(await self._runner.await_orphan(act, ending), result=Exited(1)))


class SleepsUntilItIsTime(Supervisor):
    """Sleeps as long as it would take if nobody ever set the clock."""

    async def _something_to_do(self) -> None:
        while not self._inbox and not self._scheduler.is_due(self._clock.now()):
            wake = self._scheduler.next_wake()
            wait = (wake - self._clock.now()).total_seconds() if wake else math.inf
            with trio.move_on_after(max(0.0, wait)) as self._sleep:
                await trio.sleep_forever()


class BelievesTheClock(Supervisor):
    """Goes back in time with the wall clock."""

    def _decide(self, event: Event) -> list[Command]:
        self._scheduler._state.now = EPOCH
        return super()._decide(event)


class CallsEveryEndASuccess(Supervisor):
    """Records what did not happen."""

    async def _run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> None:
        ended = await self._runner.run_attempt(act, ending)
        self._in_progress -= 1
        self._put(replace(ended, result=Exited(0)))


class ShufflesItsInbox(Supervisor):
    """Serves what arrived together in no particular order."""

    async def _settle(self) -> None:
        SystemRandom().shuffle(self._inbox)
        await super()._settle()


class LosesACommit(MemoryStore):
    """Says that all is kept, but does not keep each fifth transaction."""

    count = 0

    def keep(self, records: Sequence[Record]) -> None:
        """Keep them, or don't."""
        self.count += 1
        if self.count % 5:
            super().keep(records)


class IsOneCommitBehind(MemoryStore):
    """Acknowledges a transaction, and makes it durable with the next one."""

    records: Sequence[Record] = ()

    def keep(self, records: Sequence[Record]) -> None:
        """Keep the last ones."""
        super().keep(self.records)
        self.records = records


class _Forgetful(MemoryStore):
    """Gives back something else than it was given."""

    def load(self) -> Snapshot:
        """Return what is left."""
        snapshot = super().load()
        return replace(
            snapshot,
            jobs=tuple(
                replace(job, definition=self.of_definition(job.definition)) for job in snapshot.jobs
            ),
            progress=tuple(map(self.of_progress, snapshot.progress)),
        )

    def of_definition(self, definition: Definition) -> Definition:
        """Return what is left of a definition."""
        return definition

    def of_progress(self, progress: Progress) -> Progress:
        """Return what is left of a job's progress."""
        return progress


class ForgetsEpsilon(_Forgetful):
    """Has no column for ε."""

    def of_definition(self, definition: Definition) -> Definition:
        """Return it without ε."""
        return replace(definition, epsilon="")


class AddsARetry(_Forgetful):
    """Counts from one where it should count from zero."""

    def of_definition(self, definition: Definition) -> Definition:
        """Return it with one more."""
        return replace(definition, retries=definition.retries + 1)


class ForgetsWhatIsDisabled(_Forgetful):
    """Has no column for it."""

    def of_progress(self, progress: Progress) -> Progress:
        """Return it enabled."""
        return replace(progress, disabled=False)


class ForgetsWhatIsPending(_Forgetful):
    """Has no column for it."""

    def of_progress(self, progress: Progress) -> Progress:
        """Return it with nothing pending."""
        return replace(progress, pending=None)


class ForgetsWhatIsNext(_Forgetful):
    """Has no column for it."""

    def of_progress(self, progress: Progress) -> Progress:
        """Return it without a next occurrence."""
        return replace(progress, next=None)


class ForgetsWhatIsInProgress(_Forgetful):
    """Holds no runs but those that ended."""

    def load(self) -> Snapshot:
        """Return no runs."""
        return replace(super().load(), runs=(), attempts=(), queues=())

    def of_progress(self, progress: Progress) -> Progress:
        """Return it idle."""
        return replace(progress, running=())


class ForgetsAttempts(MemoryStore):
    """Holds the runs that are in progress, and not what they do."""

    def load(self) -> Snapshot:
        """Return no attempts."""
        return replace(super().load(), attempts=())


class ForgetsWhatWasTold(_Forgetful):
    """Loses how much was told of a job, and how often it had failed."""

    def of_progress(self, progress: Progress) -> Progress:
        """Return it as if nothing had been told."""
        return replace(progress, standing=Standing())


class TurnsQueuesBack(MemoryStore):
    """Forgets which children had their turn."""

    def load(self) -> Snapshot:
        """Return all queues as new ones."""
        snapshot = super().load()
        return replace(
            snapshot, queues=tuple(replace(each, position=-1) for each in snapshot.queues)
        )


class CutsQueuesShort(MemoryStore):
    """Forgets which children are still to have their turn."""

    def load(self) -> Snapshot:
        """Return all queues as if they ended here."""
        snapshot = super().load()
        return replace(
            snapshot,
            queues=tuple(
                replace(each, children=each.children[: each.position + 1])
                for each in snapshot.queues
            ),
        )
