"""How many runs there may be at once, in all and of each tag, and whose turn is next (rule L12)."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from kala_trio.core.job import Job
from kala_trio.core.state import State


class Limits(Struct, frozen=True):
    """The most runs in progress at once: ``total`` in all, 0 for no limit, and by tag."""

    total: int = 0
    tags: Mapping[str, int] = {}


class Slots:
    """Counts the runs in progress, and keeps the jobs that wait for some of them to end.

    A limit is known by its tag; the one over all is None.
    """

    def __init__(self, state: State, limits: Limits) -> None:
        """Count what ``state`` has in progress."""
        self._state = state
        self._limits: dict[str | None, int] = dict(limits.tags.items())
        if limits.total:
            self._limits[None] = limits.total
        self._taken: dict[str, tuple[str | None, ...]] = {}
        self._counts: Counter[str | None] = Counter()
        self._waiting: dict[str | None, list[tuple[datetime, int, str]]] = {}
        self.count()

    def count(self) -> None:
        """Count anew what is in progress, and let all that wait be looked at once more."""
        held = [*self._state.held]
        self._state.held.clear()
        self._taken.clear()
        self._counts.clear()
        self._waiting.clear()
        for job_id in held:
            self._state.wakes.note(job_id)
        for run in self._state.runs.values() if self._limits else ():
            self.occupy(run.id, self._state.jobs.get(run.job_id))

    def full(self, job: Job) -> bool:
        """Tell whether a limit keeps the job from starting a run; then it is held until its turn.

        Its pending trigger is what is then to be looked at.
        """
        return any(self._counts[limit] >= self._limits[limit] for limit in self._limits_of(job))

    def hold(self, job: Job, scheduled_at: datetime) -> None:
        """Let a job wait its turn: in the order of S, then of the jobs' creation."""
        self._state.held.add(job.id)
        for limit in self._limits_of(job):
            if self._counts[limit] >= self._limits[limit]:
                waiting = self._waiting.setdefault(limit, [])
                heapq.heappush(waiting, (scheduled_at, job.number, job.id))
                break
        self._state.wakes.note(job.id)

    def occupy(self, run_id: str, job: Job | None) -> None:
        """Count a run; of a deleted job only the limit over all is known."""
        if limits := tuple(self._limits_of(job)):
            self._taken[run_id] = limits
            self._counts.update(limits)

    def free(self, run_id: str) -> None:
        """Count a run no longer."""
        self._counts.subtract(self._taken.pop(run_id, ()))

    def next_in_turn(self) -> str | None:
        """Return the job whose turn it is, now that there is room: it is held no longer."""
        for limit, waiting in self._waiting.items():
            while waiting and self._counts[limit] < self._limits[limit]:
                job_id = heapq.heappop(waiting)[2]
                if job_id in self._state.held:
                    self._state.held.discard(job_id)
                    return job_id
        return None

    def _limits_of(self, job: Job | None) -> Iterator[str | None]:
        if None in self._limits:
            yield None
        for tag in job.definition.tags if job else ():
            if tag in self._limits:
                yield tag
