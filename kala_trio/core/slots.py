"""How many runs there may be at once, in all and of each tag, and whose turn is next (rule L12).

And how many jobs there may be (rule M9).
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from kala_trio.core.errors import Conflict
from kala_trio.core.job import Job
from kala_trio.core.state import Hold, State

_IN_ALL = ""


class Limits(Struct, frozen=True):
    """The most runs in progress at once, ``total`` in all and by tag, and the most ``jobs``.

    0 is no limit.
    """

    total: int = 0
    tags: Mapping[str, int] = {}
    jobs: int = 0


class Slots:
    """Counts the runs in progress, and knows which jobs wait for some of them to end.

    A limit is known by its tag, which is never empty; the one over all by an empty text.
    """

    def __init__(self, state: State, limits: Limits) -> None:
        """Count what ``state`` has in progress."""
        self._state = state
        self._most_jobs = limits.jobs
        self._limits = dict(limits.tags)
        if limits.total:
            self._limits[_IN_ALL] = limits.total
        self.count()

    def count(self) -> None:
        """Count anew what is in progress and what waits, as after changes were undone."""
        self._taken: dict[str, tuple[str, ...]] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, list[tuple[datetime, int, str]]] = {}
        if self._limits:
            for run in self._state.runs.values():
                self.occupy(run.id, self._state.jobs.get(run.job_id))
            for job_id, hold in self._state.held.items():
                self._line_up(job_id, hold)

    def check_room_for_jobs(self, more: int) -> None:
        """Raise Conflict where ``more`` jobs would be more than there may be (rule M9)."""
        if more > 0 and 0 < self._most_jobs < len(self._state.jobs) + more:
            beyond = len(self._state.jobs) + more - self._most_jobs
            raise Conflict(
                f"there may be {self._most_jobs} jobs at most (--max-jobs), and this would be "
                f"{'one' if beyond == 1 else beyond} more; delete some first"
            )

    def full(self, job: Job) -> str | None:
        """Return the limit that keeps the job from starting a run; None if none does."""
        return next((limit for limit in self._limits_of(job) if not self._has_room(limit)), None)

    def hold(self, job: Job, scheduled_at: datetime, limit: str) -> None:
        """Let a job's pending trigger wait for its turn."""
        hold = Hold(scheduled_at, job.number, limit)
        self._state.hold(job.id, hold)
        self._line_up(job.id, hold)

    def next_in_turn(self) -> str | None:
        """Return the job whose turn it is, if there is room for one; it is held no longer."""
        while fronts := [
            (waiting[0], limit)
            for limit, waiting in self._waiting.items()
            if waiting and self._has_room(limit)
        ]:
            entry, limit = min(fronts)
            heapq.heappop(self._waiting[limit])
            at, number, job_id = entry
            if self._state.held.get(job_id) == Hold(at, number, limit):
                self._state.hold(job_id, None)
                return job_id
        return None

    def occupy(self, run_id: str, job: Job | None) -> None:
        """Count a run for the tags that its job has now; for none if the job was deleted."""
        self.free(run_id)
        if limits := tuple(self._limits_of(job)):
            self._taken[run_id] = limits
            self._counts.update(limits)

    def free(self, run_id: str) -> None:
        """Count a run no longer."""
        self._counts.subtract(self._taken.pop(run_id, ()))

    def _line_up(self, job_id: str, hold: Hold) -> None:
        waiting = self._waiting.setdefault(hold.limit, [])
        heapq.heappush(waiting, (hold.scheduled_at, hold.number, job_id))

    def _has_room(self, limit: str) -> bool:
        return self._counts[limit] < self._limits[limit]

    def _limits_of(self, job: Job | None) -> Iterator[str]:
        if _IN_ALL in self._limits:
            yield _IN_ALL
        for tag in job.definition.tags if job else ():
            if tag in self._limits:
                yield tag
