"""What the scheduler process counts of itself, as values that go through the door to be shown.

The core knows nothing of it: all is read off the commands that it returned, once they are durable.
Counting costs a few microseconds a run, and a look at it costs the scheduler nothing that waits.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct, field

from kala_trio.core.errors import KalaTrioError, Unavailable
from kala_trio.core.job import Attempt, Cause, Missed, Progress, Run, Value, outcome_of
from kala_trio.core.messages import Command, ForgetJob, Keep, Request, Snapshot, StartAttempt

LATENESS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
)
"""Bounds of what should be milliseconds, and may be an hour after a downtime; in seconds."""
DURATIONS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of commits and answers, in seconds."""
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
"""Bounds of how much is done at a time."""
RESULTS = ("delivered", "failed", "given_up")
"""What becomes of a notice: of a try that failed it may be tried again."""


class Histogram(Struct):
    """How many values were ``bounds[i]`` at most, and more than the one before; then the rest."""

    bounds: tuple[float, ...]
    counts: list[int]
    sum: float = 0.0

    @classmethod
    def of(cls, bounds: tuple[float, ...]) -> "Histogram":
        """Begin with no value."""
        return cls(bounds, [0] * (len(bounds) + 1))

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Return for each bound, and for infinity, how many values were that at most."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


def _by_cause() -> dict[Cause, Histogram]:
    return {cause: Histogram.of(LATENESS) for cause in Cause}


class Tally(Struct):
    """Counts since the start of the daemon; of each kind by its name.

    ``requests`` are those at the door, by their kind and ``done``, ``refused`` or ``unavailable``;
    ``notices`` by their channel and ``delivered``, ``failed`` for a try, or ``given_up``.
    """

    lateness: dict[Cause, Histogram] = field(default_factory=_by_cause)
    attempts: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    notices: dict[str, dict[str, int]] = field(default_factory=dict)
    commits: Histogram = field(default_factory=lambda: Histogram.of(DURATIONS))
    batches: Histogram = field(default_factory=lambda: Histogram.of(SIZES))
    failed_commits: int = 0


class Counting:
    """Reads off what is durable what there is to count, into ``tally``."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.tally = Tally()
        self._missed: dict[tuple[str, Cause], Missed] = {}

    def know(self, snapshot: Snapshot) -> None:
        """Take in the missed records of earlier daemons: they grow, and only that is counted."""
        for progress in snapshot.progress:
            for missed in progress.latest_missed:
                self._missed[missed.job_id, missed.cause] = missed

    def started(self, cause: Cause, lateness: float) -> None:
        """Count the start of a run's first attempt, by how many seconds it came after S."""
        self.tally.lateness[cause].observe(max(0.0, lateness))

    def committed(self, records: int, seconds: float) -> None:
        """Count a commit of so many records."""
        self.tally.commits.observe(seconds)
        self.tally.batches.observe(records)

    def asked(self, request: Request, error: KalaTrioError | None) -> None:
        """Count a request at the door by its answer."""
        what = "unavailable" if isinstance(error, Unavailable) else "refused" if error else "done"
        _add(self.tally.requests.setdefault(type(request).__name__, {}), what)

    def take(self, commands: Iterable[Command]) -> None:
        """Count a batch that has become durable."""
        # By type, since patterns would take several times as long, for each record of each run.
        for command in commands:
            if type(command) is Keep:
                self._keep(command.value)
            elif type(command) is StartAttempt:
                self.tally.retries += command.number > 1
            elif type(command) is ForgetJob:
                for cause in Cause:
                    self._missed.pop((command.job_id, cause), None)

    def _keep(self, value: Value) -> None:
        if isinstance(value, Progress):
            return  # the most frequent
        if isinstance(value, Run):
            if value.outcome is not None:
                _add(self.tally.runs, value.outcome)
        elif isinstance(value, Attempt):
            if value.result is not None:
                _add(self.tally.attempts, outcome_of(value.result))
        elif isinstance(value, Missed):
            _add(self.tally.missed, value.reason, self._grown(value))

    def _grown(self, missed: Missed) -> int:
        """Return by how many triggers a record has grown."""
        key = missed.job_id, missed.cause
        before = self._missed.get(key)
        self._missed[key] = missed
        is_same = before is not None and before.number == missed.number
        return missed.count - before.count if before and is_same else missed.count


class Vitals(Struct, frozen=True):
    """How the scheduler is at a moment.

    ``can_commit`` is whether what it decides can be made durable; ``busy_for`` how many seconds it
    has been at the present batch, 0 while it waits. ``running`` counts attempts in progress, those
    of earlier daemons apart. ``next_wake`` is None where nothing is to come. ``limit`` and
    ``limits`` are those of runs at once, of all (0 for none) and by tag; ``dropped_lines`` are of
    its log.
    """

    started_at: datetime
    is_restored: bool
    is_stopping: bool
    can_commit: bool
    busy_for: float
    running: int
    next_wake: datetime | None
    tally: Tally
    limit: int = 0
    limits: Mapping[str, int] = {}
    dropped_lines: int = 0


STUCK = 10.0
"""A batch that takes longer, in seconds, is at something that does not come back.

Ordinary ones end sooner even where the database is locked, which SQLite waits for five seconds.
"""


def objection(vitals: Vitals) -> str:
    """Say in a sentence why the scheduler is not ready; empty where it is."""
    if not vitals.is_restored:
        return "kala-trio is starting: it reads its database"
    if vitals.is_stopping:
        return "kala-trio is stopping"
    if not vitals.can_commit:
        return "the database cannot be written"
    if vitals.busy_for > STUCK:
        return "the database does not answer"
    return ""


def _add(counts: dict[str, int], key: str, more: int = 1) -> None:
    counts[key] = counts.get(key, 0) + more
