"""The nouns of the model: what a job, a run and a trigger are to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kala_trio.core.definition import CatchUp, Definition, Overlap
from kala_trio.core.duration import Duration
from kala_trio.core.schedule import Schedule, find_zone, later, parse_schedule


@dataclass(frozen=True)
class Trigger:
    """Asks for a run: ``source`` is the run that caused it, ``k`` the occurrence that it is."""

    cause: str
    at: datetime
    k: int | None = None
    source: str | None = None


@dataclass(frozen=True)
class Miss:
    """A trigger that did not run; ``era`` counts how often the schedule was changed before."""

    trigger: Trigger
    reason: str
    era: int


@dataclass(frozen=True)
class Pause:
    """The time between two attempts; ``outcome`` is that of the first, which ended at ``since``."""

    since: datetime
    until: datetime
    outcome: str


@dataclass
class Run:
    """A run in progress; its latest attempt started at ``since``, ``ending`` if it is to end."""

    id: str
    job: str
    trigger: Trigger
    since: datetime
    attempts: int = 1
    pause: Pause | None = None
    ending: bool = False


@dataclass
class Job:
    """A job: ``next`` is the first occurrence whose fate is open, ``coming`` yields those after.

    ``held`` is since when, and at which limit, its pending trigger waits for other jobs.
    """

    name: str
    number: int
    definition: Definition
    disabled: bool
    schedule: Schedule | None
    coming: Iterator[Trigger]
    next: Trigger | None = None
    pending: Trigger | None = None
    held: tuple[datetime, str] | None = None
    running: list[Run] = field(default_factory=list)
    runs: int = 0
    finished: int = 0
    successes: int = 0
    errors: int = 0
    version: int = 1
    era: int = 0
    parents_done: set[str] = field(default_factory=set)

    def step(self) -> None:
        """Go on to the next occurrence."""
        self.next = next(self.coming, None)

    def busy(self) -> bool:
        """Tell whether it has as many runs as it may have (L1, L10)."""
        policy = self.definition.policy
        if policy.overlap is not Overlap.ALLOW:
            return bool(self.running)
        return policy.max_running > 0 and len(self.running) >= policy.max_running

    def runs_all(self) -> bool:
        """Tell whether each of its occurrences runs (L11)."""
        return self.definition.policy.catch_up is CatchUp.ALL

    def in_time(self, trigger: Trigger, now: datetime) -> bool:
        """Tell whether an attempt may start: now ≤ S + ε (L3, A2)."""
        if not self.definition.epsilon:
            return True
        zone = self.schedule.zone if self.schedule else find_zone(self.definition.time_zone)
        end = later(trigger.at, Duration.parse(self.definition.epsilon), zone)
        return end is None or now <= end

    def may_retry(self, run: Run, outcome: str, code: int | None) -> bool:
        """Tell whether what ended so may be tried again (A1, A7)."""
        codes = self.definition.retrying.retry_exit_codes
        fits = code in codes if codes else outcome in ("failed", "timed_out")
        return fits and run.attempts <= self.definition.retries

    def pause_after(self, attempts: int) -> timedelta:
        """Return the pause after so many attempts, without jitter (A6)."""
        retrying = self.definition.retrying
        if not retrying.retry_delay:
            return timedelta()
        pause = Duration.parse(retrying.retry_delay).microseconds
        for _ in range(attempts - 1):
            pause = int(pause * retrying.retry_backoff)
        if retrying.retry_max_delay:
            pause = min(pause, Duration.parse(retrying.retry_max_delay).microseconds)
        return timedelta(microseconds=pause)


def schedule_of(definition: Definition, now: datetime) -> Schedule | None:
    """Return the schedule; a child has none, and what has neither runs once (D1, S10)."""
    if definition.parent_jobs:
        return None
    text = definition.schedule or "R0//PT1S"
    return parse_schedule(text, definition.time_zone, accepted_at=now)


def occurrences(schedule: Schedule | None) -> Iterator[Trigger]:
    """Yield all occurrences, one k after the other."""
    k = 0
    while schedule and (at := schedule.occurrence(k)):
        yield Trigger("occurrence", at, k)
        k += 1


def chain(first: Trigger | None, rest: Iterator[Trigger]) -> Iterator[Trigger]:
    """Yield the first, if there is one, and then the rest."""
    if first:
        yield first
        yield from rest
