"""When jobs want to be looked at next: one heap for all of them, never a timer for each."""

import heapq
from datetime import datetime

from kala_trio.core.job import Progress
from kala_trio.core.state import State


class Wakes:
    """The next instants of all jobs of a state, in the order of rule L9.

    An entry that no longer holds is dropped when it comes up, so that nothing is ever searched.
    """

    def __init__(self, state: State) -> None:
        """Begin with what ``state`` knows."""
        self._state = state
        jobs = state.jobs
        self._heap = [
            (due, jobs[each.job_id].number, each.job_id)
            for each in state.progress.values()
            if (due := due_at(each))
        ]
        heapq.heapify(self._heap)

    def note(self, progress: Progress) -> None:
        """Take in when a job wants to be looked at now."""
        due = due_at(progress)
        if due is None:
            return
        number = self._state.jobs[progress.job_id].number
        heapq.heappush(self._heap, (due, number, progress.job_id))
        if len(self._heap) > 4 * len(self._state.jobs) + 64:
            self._heap = Wakes(self._state)._heap

    def next(self) -> datetime | None:
        """Return the earliest instant; None if no job has one."""
        while self._heap and not self._holds(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self) -> str:
        """Take out the job of the instant that ``next`` has just returned."""
        return heapq.heappop(self._heap)[2]

    def _holds(self, entry: tuple[datetime, int, str]) -> bool:
        progress = self._state.progress.get(entry[2])
        return progress is not None and due_at(progress) == entry[0]


def due_at(progress: Progress) -> datetime | None:
    """Return when a job next wants to be looked at, if no event comes before."""
    if progress.disabled:
        return None
    if progress.pending and not progress.run_id:
        return progress.pending.scheduled_at
    return progress.next.at if progress.next else None
