"""When jobs want to be looked at next: one heap for all of them, never a timer for each."""

import heapq
from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from kala_trio.core.definition import CatchUp, Overlap
from kala_trio.core.duration import Duration
from kala_trio.core.job import Job, Progress, Run


class Wakes:
    """The next instants of jobs, and of runs between two attempts, in the order of rule L9.

    An entry that no longer holds is dropped when it comes up, so that nothing is ever searched.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        progress: Mapping[str, Progress],
        runs: Mapping[str, Run],
        held: Container[str],
    ) -> None:
        """Begin with what these tell, and go on reading them; ``held`` names jobs (rule L12)."""
        self._jobs = jobs
        self._progress = progress
        self._runs = runs
        self._held = held
        self._heap = self._entries()

    def note(self, job_or_run: str) -> None:
        """Take in when a job or a run wants to be looked at now."""
        due = self._due_at(job_or_run)
        if due is None:
            return
        heapq.heappush(self._heap, (due, self._number(job_or_run), job_or_run))
        if len(self._heap) > 4 * (len(self._jobs) + len(self._runs)) + 64:
            self._heap = self._entries()

    def next(self) -> datetime | None:
        """Return the earliest instant; None if nothing has one."""
        while self._heap and not self._holds(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self) -> str:
        """Take out the job or the run of the instant that ``next`` has just returned."""
        return heapq.heappop(self._heap)[2]

    def _entries(self) -> list[tuple[datetime, int, str]]:
        entries = [
            (due, self._number(each), each)
            for several in (self._progress, self._runs)
            for each in several
            if (due := self._due_at(each))
        ]
        heapq.heapify(entries)
        return entries

    def _number(self, job_or_run: str) -> int:
        run = self._runs.get(job_or_run)
        return self._jobs[run.job_id if run else job_or_run].number

    def _holds(self, entry: tuple[datetime, int, str]) -> bool:
        return self._due_at(entry[2]) == entry[0]

    def _due_at(self, job_or_run: str) -> datetime | None:
        if progress := self._progress.get(job_or_run):
            return due_at(self._jobs[job_or_run], progress, is_held=job_or_run in self._held)
        run = self._runs.get(job_or_run)
        return run.pause.until if run and run.pause else None


def is_busy(job: Job, progress: Progress) -> bool:
    """Tell whether a job has as many runs in progress as it may have (rules L1, L10)."""
    if not progress.running:
        return False
    policy = job.definition.policy
    if policy.overlap is not Overlap.ALLOW:
        return True
    return 0 < policy.max_running <= len(progress.running)


def due_at(job: Job, progress: Progress, *, is_held: bool = False) -> datetime | None:
    """Return when a job next wants to be looked at, if no event comes before.

    ``is_held``: its pending trigger waits for other jobs' runs to end (rule L12).
    """
    late = late_at(job, progress)
    due = _due_at(job, progress, is_held=is_held)
    return min(due, late) if due and late else due or late


def late_at(job: Job, progress: Progress) -> datetime | None:
    """Return when it is to be told that a job is late, if no success comes before (rule N4)."""
    expected, within = progress.standing.expected, job.definition.reporting.expect_within
    if expected is None or progress.standing.is_late or not within:
        return None
    try:
        return expected + _exact(within)
    except OverflowError:  # past the year 9999
        return None


@lru_cache(256)
def _exact(duration: str) -> timedelta:
    return timedelta(microseconds=Duration.parse(duration).microseconds)


def _due_at(job: Job, progress: Progress, *, is_held: bool) -> datetime | None:
    if progress.disabled:
        return None
    coming = progress.next.at if progress.next else None
    if not (progress.pending or progress.running):
        return coming
    waits = is_held or is_busy(job, progress)
    if progress.pending and not waits:
        return progress.pending.scheduled_at
    # Each of its occurrences waits until the ones before it had their turn (rule L11).
    return None if waits and job.definition.policy.catch_up is CatchUp.ALL else coming
