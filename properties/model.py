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

from kala_trio.core.definition import CatchUp, Definition, Overlap, ParentRule
from properties.model_values import (
    Job,
    Miss,
    Pause,
    Run,
    Trigger,
    chain,
    occurrences,
    schedule_of,
)


class Refusal(Exception):
    """The request is refused, and nothing has changed."""


@dataclass
class Model:
    """Jobs, what they wait for, and what became of every trigger.

    ``limits`` is how many runs there may be by tag, and in all by an empty text (L12). ``ended``
    lists the runs whose attempt was to end, each time that this was decided.
    """

    now: datetime
    limits: dict[str, int] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    in_progress: list[Run] = field(default_factory=list)
    queues: dict[str, list[str]] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
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
        """Return the children in the order of their creation (D2)."""
        return [job for job in self.jobs if name in job.definition.parent_jobs]

    # What clients ask for

    def create(self, name: str, definition: Definition) -> None:
        """Accept a job, or refuse it."""
        self._accept(name, definition)
        self.look()

    def _accept(self, name: str, definition: Definition) -> None:
        """Add a job, or refuse it: D6, S9, S10."""
        self._check_names(name, definition)
        job = Job(name, self.created + 1, definition, definition.disabled, None, iter(()))
        self._schedule(job, definition)
        self.jobs.append(job)
        if self._leads_to_itself(name):
            self.jobs.remove(job)
            raise Refusal(name)
        self.created += 1
        self.misses.setdefault(name, [])

    def _check_names(self, name: str, definition: Definition) -> None:
        failure = definition.on_failure_job
        if not all(self.has(each) for each in (*definition.parent_jobs, failure) if each):
            raise Refusal(name)

    def _schedule(self, job: Job, definition: Definition) -> None:
        """Let the occurrences of a definition begin, or refuse it: S9."""
        schedule = schedule_of(definition, self.now)
        coming = occurrences(schedule)
        first, past = next(coming, None), None
        while first and first.at < self.now:
            first, past = next(coming, None), first
        if schedule and not first:
            timed = Job("", 0, definition, False, schedule, coming)
            if not past or not definition.epsilon or not timed.in_time(past, self.now):
                raise Refusal(job.name)
            first = past
        job.schedule, job.coming, job.next = schedule, coming, first

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

    def _leads_to_itself(self, name: str) -> bool:
        """Tell whether a trigger of a job may lead to it again (D6)."""
        reached = self._followers(name)
        for each in reached:
            reached += [other for other in self._followers(each) if other not in reached]
        return name in reached

    def _followers(self, name: str) -> list[str]:
        failure = self.job(name).definition.on_failure_job
        return [*(job.name for job in self.children_of(name)), *([failure] if failure else [])]

    def edit(self, name: str, definition: Definition, version: int | None) -> None:
        """Put another definition in the place of a job's own: M4, M5."""
        job = self.job(name)
        if version not in (None, job.version):
            raise Refusal(name)
        self._check_names(name, definition)
        before, job.definition = job.definition, definition
        if self._leads_to_itself(name):
            job.definition = before
            raise Refusal(name)
        if _timing(before) != _timing(definition):
            self._reschedule(job, before, definition)
        if definition.disabled:
            self._disable(job)
        else:
            self._enable(job)
        job.version += 1
        self.look()

    def _reschedule(self, job: Job, before: Definition, definition: Definition) -> None:
        """Let occurrences start anew: those that are due or pending by the old ones are missed."""
        anew = Job(job.name, 0, definition, False, None, iter(()))
        try:
            if definition.schedule:
                self._schedule(anew, definition)
        except Refusal:
            job.definition = before
            raise
        if job.pending and job.pending.cause == "occurrence":
            self._miss_pending(job, "edited")
        for due in self._due(job):
            self._note(job, due, "disabled" if job.disabled else "edited")
        job.schedule = schedule_of(definition, self.now)
        job.coming, job.next = anew.coming, anew.next
        job.era += 1

    def start(self, name: str) -> None:
        """Trigger a job by hand: M1, M2."""
        job = self.job(name)
        if job.disabled:
            raise Refusal(name)
        self._trigger(job, Trigger("manual", self.now))
        self.look()

    def cancel(self, run_id: str) -> None:
        """End a run by hand: M6."""
        for run in self.in_progress:
            if run.id == run_id:
                self._end_soon(run)
                self.look()
                return
        raise Refusal(run_id)

    def _end_soon(self, run: Run) -> None:
        if run.pause:
            self._over(run, "cancelled")
        elif not run.ending:
            run.ending = True
            self.ended.append(run.id)

    def disable(self, name: str) -> None:
        """Disable a job: M2."""
        self._disable(self.job(name))
        self.look()

    def _disable(self, job: Job) -> None:
        job.version += not job.disabled
        job.disabled = True
        self._miss_pending(job, "disabled")

    def enable(self, name: str) -> None:
        """Enable a job: M2, L4."""
        self._enable(self.job(name))
        self.look()

    def _enable(self, job: Job) -> None:
        if job.disabled:
            job.version += 1
            job.disabled = False
            self._catch_up(job, "disabled")

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
            left = _without(job.definition, names)
            job.version += left != job.definition
            job.definition = left
        for source in turns:
            self._next_turn(source)
        for run in [run for job in gone for run in job.running]:
            if run.pause:
                self._over(run, run.pause.outcome)
        self.look()

    # What time and attempts bring

    def look(self) -> None:
        """Serve all that is due, in the order of S, then of creation: L8, L9."""
        self._serve()
        while due := [*self._due_pauses(), *self._due_triggers()]:
            *_, run, job, trigger = min(due, key=lambda each: each[:3])
            if run:
                self._serve_pause(run)
            else:
                if trigger is job.pending:
                    job.pending = None
                else:
                    job.step()
                self._trigger(job, trigger)
            self._serve()

    def _due_pauses(self) -> Iterator[tuple[datetime, int, str, Run | None, Job, Trigger]]:
        for run in self.in_progress if not self.stopping else ():
            if run.pause and run.pause.until <= self.now:
                job = self.job(run.job)
                yield run.pause.until, job.number, run.id, run, job, run.trigger

    def _due_triggers(self) -> Iterator[tuple[datetime, int, str, Run | None, Job, Trigger]]:
        for job in self.jobs:
            if trigger := self._to_serve(job):
                yield trigger.at, job.number, job.name, None, job, trigger

    def _to_serve(self, job: Job) -> Trigger | None:
        """Return the trigger of a job whose time has come; occurrences before it are missed."""
        if job.disabled or self.stopping:
            return None
        waits = job.busy() or job.held is not None
        if job.pending and not waits:
            return job.pending
        if job.runs_all():
            if (
                job.next
                and job.next.at <= self.now
                and not (waits and (job.pending or job.running))
            ):
                self._limit(job, "late")
                return job.next
            return None
        due = self._due(job, but_the_latest=True)
        if due:
            self._miss_pending(job, "overlap")
        for older in due:
            self._note(job, older, "overlap" if waits else "late")
        return job.next if job.next and job.next.at <= self.now else None

    def _limit(self, job: Job, reason: str) -> None:
        """Let the oldest occurrences that wait be missed, if more wait than may: L11."""
        due = self._due(job)
        most = job.definition.policy.catch_up_limit
        for older in due[:-most]:
            self._note(job, older, reason)
        job.coming = chain(job.next, job.coming)
        job.coming = _all(due[-most:], job.coming)
        job.step()

    def _due(self, job: Job, *, but_the_latest: bool = False) -> list[Trigger]:
        """Take the occurrences that are due, all of them or all but the latest."""
        due = []
        while job.next and job.next.at <= self.now:
            due.append(job.next)
            job.step()
        if due and but_the_latest:
            job.coming = chain(job.next, job.coming)
            job.next = due.pop()
        return due

    def _catch_up(self, job: Job, reason: str) -> None:
        """Make the latest due occurrence pending, the older ones missed: L4, L11."""
        if job.runs_all():
            self._limit(job, reason)
            return
        due = self._due(job)
        policy = job.definition.policy
        none = job.definition.resume_at_next_scheduled_time or policy.catch_up is CatchUp.NONE
        latest = due.pop() if due and not none else None
        if latest:
            self._miss_pending(job, "overlap")
        for older in due:
            self._note(job, older, reason)
        if latest:
            self._pend(job, latest)

    def end(self, run_id: str, outcome: str, code: int | None, ended_at: datetime) -> None:
        """Let the attempt in progress of a run end: A1, A2, A3, A6, A7, M6."""
        (run,) = (each for each in self.in_progress if each.id == run_id)
        if run.ending and outcome != "succeeded":
            outcome = "cancelled"
        job = next((job for job in self.jobs if run in job.running), None)
        ended_at = max(ended_at, run.since)
        if job:
            job.errors += outcome not in ("succeeded", "cancelled")
            if not (self.stopping or run.ending) and job.may_retry(run, outcome, code):
                until = ended_at + job.pause_after(run.attempts)
                if not job.in_time(replace_trigger(run.trigger), until):
                    pass
                elif until > self.now:
                    run.pause = Pause(ended_at, until, outcome)
                    self.look()
                    return
                elif job.in_time(run.trigger, self.now):
                    self._try_again(run)
                    self.look()
                    return
        self._over(run, outcome)
        self.look()

    def _serve_pause(self, run: Run) -> None:
        if run.pause and not self.job(run.job).in_time(run.trigger, self.now):
            self._over(run, run.pause.outcome)
        else:
            self._try_again(run)

    def _try_again(self, run: Run) -> None:
        run.pause = None
        run.attempts += 1
        run.since = self.now
        self.started.append((run.id, run.attempts))

    def _over(self, run: Run, outcome: str) -> None:
        """Let a run be over, and trigger what waited for that: D1, D3, D9, C3."""
        job = next((job for job in self.jobs if run in job.running), None)
        self.in_progress.remove(run)
        if job:
            job.running.remove(run)
            job.finished += 1
            job.successes += outcome == "succeeded"
            if job.pending and not self.stopping:
                pending, job.pending = job.pending, None
                self._trigger(job, pending)
            failure = job.definition.on_failure_job
            if outcome == "succeeded":
                self._queue_children(job, run)
            elif outcome != "cancelled" and failure and not self.job(failure).disabled:
                self._trigger(self.job(failure), Trigger("failure", self.now, source=run.id))
            if outcome == "lost" and job.definition.rerun_lost:
                self._rerun(job, run)
        if run.trigger.cause == "parent" and run.trigger.source:
            self._next_turn(run.trigger.source)

    def _queue_children(self, job: Job, run: Run) -> None:
        """Let the children have their turns, one after the other: D2, D10."""
        children = self.children_of(job.name)
        for child in children:
            if child.definition.policy.parent_rule is ParentRule.ALL:
                child.parents_done.add(job.name)
        self.queues[run.id] = [child.name for child in children]
        self._next_turn(run.id)

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
            job.held = None
            if job.pending and job.pending.cause == "failure" and not job.running:
                job.pending = replace_trigger(job.pending, at=now)
            if not job.disabled:
                self._catch_up(job, "downtime")
        # Whoever was told to end them is gone.
        self.ended += sorted(run.id for run in self.in_progress if run.ending)
        self.look()

    # What becomes of triggers

    def _trigger(self, job: Job, trigger: Trigger) -> None:
        self.waiting.append((job, trigger))

    def _serve(self) -> None:
        """Serve what was triggered, and what has waited for other jobs: L9, L12."""
        while True:
            while self.waiting:
                first = min(self.waiting, key=lambda each: (each[1].at, each[0].number))
                self.waiting.remove(first)
                self._serve_one(*first)
            held = [
                (job.held[0], job.number, job)
                for job in self.jobs
                if job.held and self._has_room(job.held[1])
            ]
            if self.stopping or not held:
                return
            *_, job = min(held, key=lambda each: each[:2])
            job.held = None
            if job.pending:
                pending, job.pending = job.pending, None
                self._trigger(job, pending)

    def _serve_one(self, job: Job, trigger: Trigger) -> None:
        """Start a run, or let the trigger wait, or miss it: L2, L3, L10, L12, C4."""
        if job.busy():
            self._overlap(job, trigger)
        elif self.stopping or job.held:
            self._pend(job, trigger)
        elif job.pending:  # it was there before
            pending, job.pending = job.pending, None
            self.waiting += [(job, pending), (job, trigger)]
        elif not job.in_time(trigger, self.now):
            self._miss(job, trigger, "epsilon")
        elif full := [limit for limit in self._limits_of(job) if not self._has_room(limit)]:
            self._pend(job, trigger)
            job.held = (trigger.at, full[0])
        else:
            job.runs += 1
            job.parents_done.clear()
            run = Run(f"{job.name}.{job.runs}", job.name, trigger, self.now)
            job.running.append(run)
            self.in_progress.append(run)
            self.started.append((run.id, 1))

    def _overlap(self, job: Job, trigger: Trigger) -> None:
        """Decide on a busy job's trigger: L2, L10."""
        if job.definition.policy.overlap is Overlap.SKIP:
            self._miss_pending(job, "overlap")
            self._miss(job, trigger, "overlap")
            return
        self._pend(job, trigger)
        if job.definition.policy.overlap is Overlap.REPLACE and not self.stopping:
            for run in list(job.running):
                self._end_soon(run)

    def _limits_of(self, job: Job) -> list[str]:
        return [each for each in ("", *job.definition.tags) if each in self.limits]

    def _has_room(self, limit: str) -> bool:
        """Count the runs of the jobs with a tag, or all: a deleted job's have no tag (L12)."""
        if not limit:
            return len(self.in_progress) < self.limits[limit]
        running = [run for job in self.jobs if limit in job.definition.tags for run in job.running]
        return len(running) < self.limits[limit]

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
        self.misses[job.name].append(Miss(trigger, reason, job.era))

    def _next_turn(self, run_id: str) -> None:
        """Trigger the next child in a run's queue that may have its turn: D2, D4, D10."""
        queue = self.queues[run_id]
        while queue:
            name = queue.pop(0)
            if self.has(name) and self._may_have_its_turn(self.job(name)):
                self._trigger(self.job(name), Trigger("parent", self.now, source=run_id))
                return
        del self.queues[run_id]

    def _may_have_its_turn(self, child: Job) -> bool:
        parents = child.definition.parent_jobs
        waits_for_all = child.definition.policy.parent_rule is ParentRule.ALL
        is_complete = not waits_for_all or child.parents_done >= set(parents)
        return bool(parents) and not child.disabled and is_complete

    # What can be seen

    def is_done(self, job: Job) -> bool:
        """Tell whether nothing will run by itself any more: L6."""
        return not (job.next or job.pending or job.running or job.definition.parent_jobs)

    def missed_occurrences(self, name: str) -> list[tuple[str, int, datetime, datetime]]:
        """Return reason, count, first and last of adjacent missed occurrences: L5."""
        misses = [each for each in self.misses[name] if each.trigger.cause == "occurrence"]

        def stretch(numbered: tuple[int, Miss]) -> tuple[int, int, str]:
            place, miss = numbered
            return miss.era, (miss.trigger.k or 0) - place, miss.reason

        records = [[miss for _, miss in group] for _, group in groupby(enumerate(misses), stretch)]
        return [
            (each[0].reason, len(each), each[0].trigger.at, each[-1].trigger.at) for each in records
        ]

    def other_misses(self, name: str) -> list[tuple[str, str]]:
        """Return cause and reason of each other trigger that was missed."""
        others = [each for each in self.misses[name] if each.trigger.cause != "occurrence"]
        return sorted((each.trigger.cause, each.reason) for each in others)


def _timing(definition: Definition) -> object:
    """Return what the occurrences of a definition follow from: a child has none."""
    if definition.parent_jobs:
        return None
    return definition.schedule, definition.time_zone


def _all(first: list[Trigger], rest: Iterator[Trigger]) -> Iterator[Trigger]:
    yield from first
    yield from rest


def _without(definition: Definition, names: set[str]) -> Definition:
    """Take jobs that are gone off a definition: D5, D9."""
    parents = tuple(each for each in definition.parent_jobs if each not in names)
    failure = "" if definition.on_failure_job in names else definition.on_failure_job
    return replace(definition, parent_jobs=parents, on_failure_job=failure)
