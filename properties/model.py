"""The scheduler's rules once more, slow and obvious: what any scheduler must come to.

Occurrences are found by stepping through k, each has its fate in a list, all jobs are looked at for
every question. It takes the instants and the names that it is given, and knows nothing of records,
commits or processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from dataclasses import replace as replace_trigger
from datetime import datetime
from itertools import groupby

from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.duration import Duration
from kala_trio.core.schedule import Schedule, find_zone, later, parse_schedule


class Refusal(Exception):
    """The request is refused, and nothing has changed."""


@dataclass(frozen=True)
class Trigger:
    """Asks for a run: ``source`` is the run that caused it, ``k`` the occurrence that it is."""

    cause: str
    at: datetime
    k: int | None = None
    source: str | None = None


@dataclass(frozen=True)
class Miss:
    """A trigger that did not run."""

    trigger: Trigger
    reason: str


@dataclass
class Run:
    """A run in progress."""

    id: str
    job: str
    trigger: Trigger
    attempts: int = 1


@dataclass
class Job:
    """A job: ``next`` is the first occurrence whose fate is open, ``coming`` yields those after."""

    name: str
    number: int
    definition: Definition
    disabled: bool
    schedule: Schedule | None
    coming: Iterator[Trigger]
    next: Trigger | None = None
    pending: Trigger | None = None
    run: Run | None = None
    runs: int = 0
    finished: int = 0
    successes: int = 0
    errors: int = 0

    def step(self) -> None:
        """Go on to the next occurrence."""
        self.next = next(self.coming, None)

    def in_time(self, trigger: Trigger, now: datetime) -> bool:
        """Tell whether an attempt may start: now ≤ S + ε (L3, A2)."""
        if not self.definition.epsilon:
            return True
        zone = self.schedule.zone if self.schedule else find_zone(self.definition.time_zone)
        end = later(trigger.at, Duration.parse(self.definition.epsilon), zone)
        return end is None or now <= end


@dataclass
class Model:
    """Jobs, what they wait for, and what became of every trigger."""

    now: datetime
    jobs: list[Job] = field(default_factory=list)
    in_progress: list[Run] = field(default_factory=list)
    queues: dict[str, list[str]] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    misses: dict[str, list[Miss]] = field(default_factory=dict)
    waiting: list[tuple[Job, Trigger]] = field(default_factory=list)
    created: int = 0
    stopping: bool = False

    def job(self, name: str) -> Job:
        """Return a job that must be there."""
        for job in self.jobs:
            if job.name == name:
                return job
        raise Refusal(name)

    def has(self, name: str) -> bool:
        """Tell whether there is such a job."""
        return any(job.name == name for job in self.jobs)

    def children_of(self, name: str) -> list[Job]:
        """Return the children in the order in which they were attached (D2)."""
        return [job for job in self.jobs if name in job.definition.parent_jobs]

    # What clients ask for

    def create(self, name: str, definition: Definition) -> None:
        """Accept a job, or refuse it."""
        self._accept(name, definition)
        self.look()

    def _accept(self, name: str, definition: Definition) -> None:
        """Add a job, or refuse it: D6, S9, S10."""
        failure = definition.on_failure_job
        if not all(self.has(each) for each in (*definition.parent_jobs, failure) if each):
            raise Refusal(name)
        if failure and self._reaches(failure, definition.parent_jobs):
            raise Refusal(name)
        schedule = _schedule(definition, self.now)
        coming = _occurrences(schedule)
        job = Job(name, self.created + 1, definition, definition.disabled, schedule, coming)
        job.step()
        past: Trigger | None = None
        while job.next and job.next.at < self.now:
            past = job.next
            job.step()
        if schedule and not job.next:
            if not past or not definition.epsilon or not job.in_time(past, self.now):
                raise Refusal(name)
            job.next = past
        self.created += 1
        self.jobs.append(job)
        self.misses.setdefault(name, [])

    def create_all(self, wanted: list[tuple[str, Definition]]) -> None:
        """Accept jobs one after the other, or none of them: D6."""
        created = self.created
        before = list(self.jobs)
        try:
            for name, definition in wanted:
                self._accept(name, definition)
        except Refusal:
            self.created, self.jobs = created, before
            for name, _ in wanted:
                self.misses.pop(name, None)
            raise
        self.look()

    def _reaches(self, origin: str, targets: tuple[str, ...]) -> bool:
        """Tell whether a trigger of ``origin`` may lead to one of ``targets`` (D6)."""
        reached = [origin]
        for name in reached:
            followers = [job.name for job in self.children_of(name)]
            followers += filter(None, [self.job(name).definition.on_failure_job])
            reached += [each for each in followers if each not in reached]
        return not set(targets).isdisjoint(reached)

    def start(self, name: str) -> None:
        """Trigger a job by hand: M1, M2."""
        job = self.job(name)
        if job.disabled:
            raise Refusal(name)
        self._trigger(job, Trigger("manual", self.now))
        self.look()

    def disable(self, name: str) -> None:
        """Disable a job: M2."""
        job = self.job(name)
        job.disabled = True
        self._miss_pending(job, "disabled")
        self.look()

    def enable(self, name: str) -> None:
        """Enable a job: M2, L4."""
        job = self.job(name)
        if job.disabled:
            job.disabled = False
            self._catch_up(job, "disabled")
        self.look()

    def delete(self, name: str) -> None:
        """Delete a job, and children that it leaves alone: M3, D5."""
        self.job(name)
        gone = [name]
        for each in gone:
            for child in self.children_of(each):
                if child.name not in gone and set(child.definition.parent_jobs) <= set(gone):
                    gone.append(child.name)
        self._remove([self.job(each) for each in gone])

    def delete_all(self) -> None:
        """Delete each job: M3."""
        self._remove(list(self.jobs))

    def _remove(self, gone: list[Job]) -> None:
        names = {job.name for job in gone}
        turns: list[str] = []
        for job in gone:
            if job.pending:
                self._note(job, job.pending, "deleted")
                if job.pending.cause == "parent" and job.pending.source:
                    turns.append(job.pending.source)
            for due in self._due(job):
                self._note(job, due, "disabled" if job.disabled else "deleted")
        self.jobs = [job for job in self.jobs if job.name not in names]
        for job in self.jobs:
            job.definition = _without(job.definition, names)
        for source in turns:
            self._next_turn(source)
        self.look()

    # What time and attempts bring

    def look(self) -> None:
        """Serve all that is due, in the order of S, then of creation: L8, L9."""
        self._serve()
        while due := [each for job in self.jobs for each in self._to_serve(job)]:
            job, trigger = min(due, key=lambda each: (each[1].at, each[0].number))
            if trigger is job.pending:
                job.pending = None
            else:
                job.step()
            self._trigger(job, trigger)
            self._serve()

    def _to_serve(self, job: Job) -> list[tuple[Job, Trigger]]:
        """Return the trigger of a job whose time has come; occurrences before it are missed."""
        if job.disabled or self.stopping:
            return []
        if job.pending and not job.run:
            return [(job, job.pending)]
        due = self._due(job, but_the_latest=True)
        if due:
            self._miss_pending(job, "overlap")
        for older in due:
            self._note(job, older, "overlap" if job.run else "late")
        return [(job, job.next)] if job.next and job.next.at <= self.now else []

    def _due(self, job: Job, *, but_the_latest: bool = False) -> list[Trigger]:
        """Take the occurrences that are due, all of them or all but the latest."""
        due = []
        while job.next and job.next.at <= self.now:
            due.append(job.next)
            job.step()
        if due and but_the_latest:
            job.coming = _chain(job.next, job.coming)
            job.next = due.pop()
        return due

    def _catch_up(self, job: Job, reason: str) -> None:
        """Make the latest due occurrence pending, the older ones missed: L4."""
        due = self._due(job)
        latest = due.pop() if due and not job.definition.resume_at_next_scheduled_time else None
        if latest:
            self._miss_pending(job, "overlap")
        for older in due:
            self._note(job, older, reason)
        if latest:
            self._pend(job, latest)

    def end(self, run_id: str, outcome: str) -> None:
        """Let the attempt in progress of a run end: A1, A2, A3, D1, D3, D9."""
        (run,) = (each for each in self.in_progress if each.id == run_id)
        job = next((job for job in self.jobs if job.run is run), None)
        if job:
            job.errors += outcome != "succeeded"
            left = run.attempts <= job.definition.retries and not self.stopping
            if outcome == "failed" and left and job.in_time(run.trigger, self.now):
                run.attempts += 1
                self.started.append((run.id, run.attempts))
                return
        self.in_progress.remove(run)
        if job:
            job.run = None
            job.finished += 1
            job.successes += outcome == "succeeded"
            if job.pending and not self.stopping:
                pending, job.pending = job.pending, None
                self._trigger(job, pending)
            if outcome == "succeeded":
                self.queues[run.id] = [child.name for child in self.children_of(job.name)]
                self._next_turn(run.id)
            elif (failure := job.definition.on_failure_job) and not self.job(failure).disabled:
                self._trigger(self.job(failure), Trigger("failure", self.now, source=run.id))
            if outcome == "lost" and job.definition.rerun_lost:
                self._rerun(job, run)
        if run.trigger.cause == "parent" and run.trigger.source:
            self._next_turn(run.trigger.source)
        self.look()

    def _rerun(self, job: Job, lost: Run) -> None:
        """Trigger what was lost once more, with its own S: C3."""
        trigger = Trigger("rerun", lost.trigger.at, source=lost.id)
        if job.disabled:
            self._note(job, trigger, "disabled")
        else:
            self._trigger(job, trigger)

    def restart(self, now: datetime) -> None:
        """Be back after a stop or a crash, with the runs in progress as orphans: L4, C3.

        ``now`` is no earlier than what is on record (C6).
        """
        self.now = now
        self.stopping = False
        for job in self.jobs:
            if job.pending and job.pending.cause == "failure" and not job.run:
                job.pending = replace_trigger(job.pending, at=now)
            if not job.disabled:
                self._catch_up(job, "downtime")
        self.look()

    # What becomes of triggers

    def _trigger(self, job: Job, trigger: Trigger) -> None:
        self.waiting.append((job, trigger))

    def _serve(self) -> None:
        """Serve what was triggered: L2, L3, C4."""
        while self.waiting:
            first = min(self.waiting, key=lambda each: (each[1].at, each[0].number))
            self.waiting.remove(first)
            job, trigger = first
            if job.run or self.stopping:
                self._pend(job, trigger)
            elif job.pending:  # it was there before
                pending, job.pending = job.pending, None
                self.waiting += [(job, pending), (job, trigger)]
            elif job.in_time(trigger, self.now):
                job.runs += 1
                job.run = Run(f"{job.name}.{job.runs}", job.name, trigger)
                self.in_progress.append(job.run)
                self.started.append((job.run.id, 1))
            else:
                self._miss(job, trigger, "epsilon")

    def _pend(self, job: Job, trigger: Trigger) -> None:
        """Let the trigger wait; of two, the one whose time is earlier is missed: L2."""
        if job.pending and job.pending.at > trigger.at:
            self._miss(job, trigger, "overlap")
        else:
            self._miss_pending(job, "overlap")
            job.pending = trigger

    def _miss_pending(self, job: Job, reason: str) -> None:
        if job.pending:
            pending, job.pending = job.pending, None
            self._miss(job, pending, reason)

    def _miss(self, job: Job, trigger: Trigger, reason: str) -> None:
        self._note(job, trigger, reason)
        if trigger.cause == "parent" and trigger.source:
            self._next_turn(trigger.source)

    def _note(self, job: Job, trigger: Trigger, reason: str) -> None:
        self.misses[job.name].append(Miss(trigger, reason))

    def _next_turn(self, run_id: str) -> None:
        """Trigger the next child in a run's queue that is there and enabled: D2, D4."""
        queue = self.queues[run_id]
        while queue:
            name = queue.pop(0)
            if self.has(name) and not self.job(name).disabled:
                self._trigger(self.job(name), Trigger("parent", self.now, source=run_id))
                return
        del self.queues[run_id]

    # What can be seen

    def is_done(self, job: Job) -> bool:
        """Tell whether nothing will run by itself any more: L6."""
        return not (job.next or job.pending or job.run or job.definition.parent_jobs)

    def missed_occurrences(self, name: str) -> list[tuple[str, int, datetime, datetime]]:
        """Return reason, count, first and last of adjacent missed occurrences: L5."""
        misses = [each for each in self.misses[name] if each.trigger.cause == "occurrence"]

        def stretch(numbered: tuple[int, Miss]) -> tuple[int, str]:
            place, miss = numbered
            return (miss.trigger.k or 0) - place, miss.reason

        records = [[miss for _, miss in group] for _, group in groupby(enumerate(misses), stretch)]
        return [
            (each[0].reason, len(each), each[0].trigger.at, each[-1].trigger.at) for each in records
        ]

    def other_misses(self, name: str) -> list[tuple[str, str]]:
        """Return cause and reason of each other trigger that was missed."""
        others = [each for each in self.misses[name] if each.trigger.cause != "occurrence"]
        return sorted((each.trigger.cause, each.reason) for each in others)


def _schedule(definition: Definition, now: datetime) -> Schedule | None:
    """Return the schedule; a child has none, and what has neither runs once (D1, S10)."""
    if definition.parent_jobs:
        return None
    text = definition.schedule or "R0//PT1S"
    return parse_schedule(text, definition.time_zone, accepted_at=now)


def _occurrences(schedule: Schedule | None) -> Iterator[Trigger]:
    k = 0
    while schedule and (at := schedule.occurrence(k)):
        yield Trigger("occurrence", at, k)
        k += 1


def _chain(first: Trigger | None, rest: Iterator[Trigger]) -> Iterator[Trigger]:
    if first:
        yield first
        yield from rest


def _without(definition: Definition, names: set[str]) -> Definition:
    """Take jobs that are gone off a definition: D5, D9."""
    parents = tuple(each for each in definition.parent_jobs if each not in names)
    failure = "" if definition.on_failure_job in names else definition.on_failure_job
    return replace(definition, parent_jobs=parents, on_failure_job=failure)
