"""A daemon without a world: the scheduler, what it has decided, and a clock that others set."""

from collections.abc import Sequence
from datetime import datetime

from kala_trio.core.job import Value
from kala_trio.core.messages import EMPTY, Act, Command, Event, Keep, Snapshot, Tick
from kala_trio.core.scheduler import Scheduler
from kala_trio.core.slots import Limits
from kala_trio.simulation.memory import MemoryStore


class VirtualDaemon(MemoryStore):
    """The real scheduler, and in memory all that it has made durable.

    ``now`` is its wall clock, in UTC. It does nothing but at the instants that it is set to.
    """

    def __init__(self, now: datetime, limits: Limits, snapshot: Snapshot = EMPTY) -> None:
        """Go on from ``snapshot``, as one who never stopped; ``restart`` tells of downtime."""
        super().__init__()
        self.now = max((now, *snapshot.instants()))
        self.limits = limits
        self.scheduler = Scheduler(snapshot, limits)
        known: tuple[Value, ...] = (
            *snapshot.jobs,
            *snapshot.progress,
            *snapshot.runs,
            *snapshot.attempts,
            *snapshot.queues,
        )
        self.keep([Keep(value) for value in known])

    def do(self, event: Event) -> None:
        """Let something happen now; what follows is durable at once.

        Raises:
            Refused, NotFound, Conflict, Outdated: of a request, and then nothing has changed.
        """
        self.take(self.scheduler.handle(event, self.now))
        self.scheduler.committed()

    def settle(self) -> None:
        """Tick until nothing is due any more."""
        while self.scheduler.is_due(self.now):
            self.do(Tick())

    def restart(self) -> None:
        """Be another daemon, which knows what is durable and nothing else."""
        self.scheduler, commands = Scheduler.restore(self.load(), self.now, self.limits)
        self.take(commands)
        self.scheduler.committed()

    def take(self, commands: Sequence[Command]) -> None:
        """Make records durable; whoever has a world also does the acts."""
        self.keep([each for each in commands if not isinstance(each, Act)])
