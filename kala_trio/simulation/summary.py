"""What a simulation comes to for each job."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct, field

from kala_trio.core.job import Outcome, Reason
from kala_trio.simulation.happenings import (
    AttemptFailed,
    CameUp,
    Ended,
    Happening,
    Late,
    MissedSome,
    Started,
    Waiting,
    WentDown,
)


class Summary(Struct, tag_field="what", tag="summary"):
    """What became of one job.

    ``runs`` counts those that started and ``attempts`` theirs, ``waits`` triggers that had to wait,
    ``late`` how often it was late (rule N4). ``greatest_lateness`` is from S to the start of a run,
    ``most_at_once`` counts its runs in progress, ``first`` and ``last`` are starts of runs.
    """

    job_id: str
    job_name: str
    runs: int = 0
    attempts: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    in_progress: int = 0
    missed: Counter[Reason] = field(default_factory=Counter)
    waits: int = 0
    late: int = 0
    greatest_lateness: timedelta = timedelta()
    most_at_once: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing of it was missed or late, and no run ended otherwise than well."""
        return not (self.missed or self.late or {*self.outcomes} - {Outcome.SUCCEEDED})

    def add(self, it: Started | AttemptFailed | Ended | MissedSome | Waiting | Late) -> None:
        """Count what has happened to it."""
        match it:
            case Started(attempt=1):
                self.runs += 1
                self.attempts += 1
                self.in_progress += 1
                self.most_at_once = max(self.most_at_once, self.in_progress)
                self.greatest_lateness = max(self.greatest_lateness, it.at - it.scheduled_at)
                self.first = self.first or it.at
                self.last = it.at
            case Started():
                self.attempts += 1
            case Ended():
                self.in_progress -= 1
                self.outcomes[it.outcome] += 1
            case MissedSome():
                self.missed[it.reason] += it.count
            case Waiting():
                self.waits += 1
            case Late():
                self.late += 1
            case AttemptFailed():
                pass
            case _:
                assert_never(it)


class Summaries:
    """One for each job, in the order of their creation."""

    def __init__(self, names: Mapping[str, str], running: Mapping[str, int]) -> None:
        """Know the jobs by their ids, and how many runs of each are in progress already."""
        self._jobs = {
            job_id: Summary(
                job_id,
                name,
                in_progress=running.get(job_id, 0),
                most_at_once=running.get(job_id, 0),
            )
            for job_id, name in names.items()
        }

    def add(self, it: Happening) -> None:
        """Count what has happened."""
        match it:
            case WentDown() | CameUp():
                pass
            case _:
                # A run of a deleted job may still end, which is none of these.
                if summary := self._jobs.get(it.job_id):
                    summary.add(it)

    def all(self) -> list[Summary]:
        """Return them as they are by now."""
        return [*self._jobs.values()]
