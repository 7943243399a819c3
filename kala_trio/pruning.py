"""History has an end: what is old, or too much, goes in steps so small that no run is late for it.

Of each job the latest runs are kept, and none for longer than a time, save the ten that the job
shows of itself; missed records and notices likewise, counted by themselves. What is left of a
deleted job goes by age. Runs in progress stay, and notices that wait. What is too much of outputs
in all goes too, the oldest first; their runs stay.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import NoReturn, TypeVar

import trio
from msgspec import Struct

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.errors import Unavailable
from kala_trio.runner.output import (
    Kept,
    directories,
    kept_in,
    outputs_in,
    remove_directory,
    remove_outputs,
)
from kala_trio.store.expired import Expired
from kala_trio.store.journal import Journal
from kala_trio.threads import in_thread

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# In seconds: from one sweep to the next, or to the next try after one that failed.
_INTERVAL = 3600.0
_RETRY = 60.0
# What one look finds is removed in steps that take as long as any commit does, which is what the
# disk takes; the pause between two of them is for other commits.
_LOOK = 10_000
_STEP = 20
_PAUSE = 0.15


class Bounds(Struct, frozen=True):
    """How long the history is: by age, and in runs (and missed records) of each job.

    Of all outputs ``output`` bytes are kept, 0 for all of them.
    """

    age: timedelta
    runs: int
    output: int = 0


class Pruning:
    """Keeps the history within its bounds, and what runs have written with it."""

    def __init__(
        self, journal: Journal, expired: Expired, output: Path, clock: Clock, bounds: Bounds
    ) -> None:
        """Prune what is beyond ``bounds``; ``output`` is the directory of captured outputs."""
        self._journal = journal
        self._expired = expired
        self._output = output
        self._clock = clock
        self._bounds = bounds

    async def run(self) -> NoReturn:
        """Sweep now, and then again and again; one that fails is tried again soon."""
        complaint = Complaint(log, "the history is pruned again")
        while True:
            pause = _INTERVAL
            try:
                await self.sweep()
                complaint.end()
            except (Unavailable, OSError) as error:
                complaint.tell(f"the history cannot be pruned, which is tried again: {error}")
                pause = _RETRY
            await trio.sleep(pause)

    async def sweep(self) -> None:
        """Remove all that is too much by now.

        Raises Unavailable or OSError where something can't be removed; the rest may be gone.
        """
        beyond = (self._clock.now() - self._bounds.age, self._bounds.runs, _LOOK)
        while run_ids := await in_thread(self._expired.runs, *beyond):
            for some in _parts(run_ids, _STEP):
                await self._remove_runs(some)
        for find, prune in (
            (self._expired.missed, self._journal.prune_missed),
            (self._expired.notices, self._journal.prune_notices),
            (self._expired.deeds, self._journal.prune_deeds),
        ):
            while row_ids := await in_thread(find, *beyond):
                for rows in _parts(row_ids, _STEP):
                    await prune(rows)
                    await trio.sleep(_PAUSE)
        # First what there is, then what is known: a job is, before its directory is made.
        for job_ids in _parts(await in_thread(directories, self._output), _LOOK):
            for job_id in await in_thread(self._expired.unknown, job_ids):
                await self._remove_directory(job_id)
        if self._bounds.output:
            await self._remove_outputs()

    async def _remove_outputs(self) -> None:
        """Remove the oldest outputs if all of them take too much of the disk."""
        too_much = -self._bounds.output
        for job_id in await in_thread(directories, self._output):
            too_much += sum(each.size for each in await self._kept_in(job_id))
        if too_much <= 0:
            return
        kept = []
        for job_id in await in_thread(directories, self._output):
            kept += await self._kept_in(job_id)
        kept.sort()
        before = accumulate((each.size for each in kept), initial=0)
        oldest = [each.run_id for each, gone in zip(kept, before, strict=False) if gone < too_much]
        for run_ids in _parts(oldest, _STEP):
            await in_thread(remove_outputs, self._output, run_ids)
            await trio.sleep(_PAUSE)

    async def _kept_in(self, job_id: str) -> list[Kept]:
        # Job by job, so that others get their turns in between.
        return await in_thread(kept_in, self._output, job_id)

    async def _remove_runs(self, run_ids: Sequence[str]) -> None:
        # Outputs first: a run may be without one, but one without a run would stay for long.
        await in_thread(remove_outputs, self._output, run_ids)
        done = False
        while not done:
            done = await self._journal.prune_runs(run_ids)
            await trio.sleep(_PAUSE)

    async def _remove_directory(self, job_id: str) -> None:
        for run_ids in _parts(await in_thread(outputs_in, self._output, job_id), _STEP):
            await in_thread(remove_outputs, self._output, run_ids)
            await trio.sleep(_PAUSE)
        await in_thread(remove_directory, self._output, job_id)


def _parts(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
