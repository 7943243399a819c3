"""Judges of a ledger: each holds one rule over all lives of a daemon.

They share no arithmetic with the scheduler: the schedules of scripts are simple, and are read here
anew.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from kala_trio.core.definition import CatchUp, Definition, Overlap
from kala_trio.core.job import (
    Attempt,
    Cause,
    Job,
    Lost,
    Outcome,
    Reason,
    Run,
    Trigger,
    outcome_of,
)
from kala_trio.core.messages import (
    Create,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Keep,
)
from kala_trio.store.soundness import checked
from properties.checkers_of_notices import failures_are_told
from properties.ledger import Asked, Commit, Ledger, Opened
from properties.story import Story

_SCHEDULE = re.compile(r"R(\d*)/(.*)/PT(\d+)S")
_EPSILON = re.compile(r"PT(\d+)S")


def acknowledged_is_there(story: Story) -> None:
    """C1: a job whose creation was acknowledged is there, unless its deletion was asked for.

    And one whose deletion was acknowledged stays deleted; what was refused has not happened.
    """
    for opened in story.openings:
        there = {job.id for job in opened.snapshot.jobs}
        for job_id in story.definitions:
            may_be = {False}
            for asked in _before(story, opened.at):
                may_be = _existence(story, job_id, asked, may_be)
            assert (job_id in there) in may_be, (opened.life, job_id, may_be)
        assert there <= story.definitions.keys()


def _before(story: Story, at: int) -> Iterator[Asked]:
    return (each for each in story.ledger.asks if each.at < at)


def _existence(story: Story, job_id: str, asked: Asked, may_be: set[bool]) -> set[bool]:
    is_sure = asked.answer == "done"
    if asked.answer and not is_sure:
        return may_be
    match asked.request:
        case Create(other) if other == job_id:
            return {True} if is_sure else may_be | {True}
        case Delete(other) if other == job_id:
            return {False} if is_sure else may_be | {False}
        case DeleteAll():
            return {False} if is_sure else may_be | {False}
        case Delete(other) if other in _ancestors(story, job_id):
            return may_be | {False}
    return may_be


def _ancestors(story: Story, job_id: str) -> set[str]:
    found: set[str] = set()
    waiting = [job_id]
    for each in waiting:  # grows while it is walked
        definition = story.definitions.get(each)  # no one, where the parent was never asked for
        parents = definition.parent_jobs if definition else ()
        waiting += [parent for parent in parents if parent not in found]
        found |= set(parents)
    return found


def enabledness_holds(story: Story) -> None:
    """C1: a job stays enabled or disabled as was acknowledged last."""
    for opened in story.openings:
        for progress in opened.snapshot.progress:
            may_be = {story.definitions[progress.job_id].disabled}
            for asked in _before(story, opened.at):
                match asked.request:
                    case Enable(job_id) | Disable(job_id) if job_id == progress.job_id:
                        is_disabled = isinstance(asked.request, Disable)
                        if asked.answer == "done":
                            may_be = {is_disabled}
                        elif not asked.answer:
                            may_be.add(is_disabled)
            assert progress.disabled in may_be, (opened.life, progress)


def start_is_durable_first(story: Story) -> None:
    """C2: an attempt's start is committed before its process starts, and it starts once."""
    seen: set[tuple[str, int]] = set()
    for process in story.ledger.processes:
        key = process.run_id, process.number
        assert key not in seen, key
        seen.add(key)
        committed = [commit.kept_at for commit, _ in story.starts.get(key, [])]
        assert len(committed) == 1, key
        assert committed[0] is not None
        assert committed[0] <= process.started_at, key


def cut_off_is_lost(story: Story) -> None:
    """C3: an attempt that had no committed outcome when the daemon ended is lost, and the last.

    Unless it was cancelled before, or by the next daemon, which calls the run so (M6).
    """
    for opened in story.openings:
        open_now = {
            key
            for key, starts in story.starts.items()
            if any(_kept_before(commit, opened) for commit, _ in starts)
            and not any(_kept_before(commit, opened) for commit, _ in story.ends.get(key, []))
        }
        found = {(each.run_id, each.number) for each in opened.snapshot.attempts}
        assert found == open_now, (opened.life, found ^ open_now)
        for run_id, number in open_now:
            assert opened is not story.closed, "the last life sees the end of every attempt"
            results = [attempt.result for _, attempt in story.ends[run_id, number]]
            assert results == [Lost()], (run_id, results)
            assert story.runs[run_id].outcome in (Outcome.LOST, Outcome.CANCELLED)
            assert (run_id, number + 1) not in story.starts, f"{run_id} was retried"


def _kept_before(commit: Commit, opened: Opened) -> bool:
    return commit.life < opened.life


def runs_do_not_overlap(story: Story) -> None:
    """C3: no two processes of a job are alive at once, those of dead daemons included.

    But for those of a job that may have several runs at once (L10).
    """
    processes = defaultdict(list)
    for process in story.ledger.processes:
        processes[process.run_id.rpartition(".")[0]].append(process)
    for job_id, of_job in processes.items():
        if story.definitions[job_id].policy.overlap is Overlap.ALLOW:
            continue
        for earlier, later in pairwise(sorted(of_job, key=lambda each: each.started_at)):
            assert earlier.ended_at <= later.started_at, (earlier, later)


def outcomes_are_recorded(story: Story) -> None:
    """C4: where the daemon was stopped and did not die, the outcome of each process is recorded.

    And no outcome but a lost one is recorded that the process did not have.
    """
    died = {death.life for death in story.ledger.deaths}
    processes = {(each.run_id, each.number): each for each in story.ledger.processes}
    for key, process in processes.items():
        if process.life not in died:
            assert [commit.life for commit, _ in story.ends[key]] == [process.life], key
    for key, ends in story.ends.items():
        for _, attempt in ends:
            if attempt.result != Lost() and key in processes:
                assert attempt.result == processes[key].result, key


def nothing_starts_after_a_stop(story: Story) -> None:
    """C4: what is decided after the stop was taken in starts no attempt."""
    for stop in story.ledger.stops:
        begun = [
            commit
            for commit in story.ledger.commits
            if commit.life == stop.life and commit.began_at >= stop.at
        ]
        # The first of them took the stop in, after what had arrived before it.
        for commit in begun[1:]:
            started = [
                record
                for record in commit.records
                if isinstance(record, Keep)
                and isinstance(record.value, Attempt)
                and record.value.result is None
            ]
            assert not started, started


def pending_triggers_survive(story: Story) -> None:
    """C4, D8: a trigger that was pending when the daemon ended runs, waits on, or is missed.

    Missed for reasons of its own: to be pending is to have been noticed in time.
    """
    reasons = {Reason.OVERLAP, Reason.EPSILON, Reason.DISABLED, Reason.DELETED}
    at_last = story.pending(story.closed.snapshot)
    for opened in story.openings:
        for job_id, trigger in story.left_pending(opened.life).items():
            has_run = any(_is_same(trigger, run.trigger) for run in story.runs_of(job_id))
            is_missed = any(
                each.cause is trigger.cause
                and (each.first <= trigger.scheduled_at or trigger.cause is Cause.FAILURE)
                and trigger.scheduled_at <= each.last
                and each.reason in reasons
                for each in story.misses(job_id)
            )
            waits = job_id in at_last and _is_same(trigger, at_last[job_id])
            assert has_run or is_missed or waits, (job_id, trigger)


def _is_same(left: Trigger, found: Trigger) -> bool:
    """Tell whether a trigger is the one that was left; a failure's may count from the restart."""
    moved = replace(found, scheduled_at=left.scheduled_at)
    return left == (moved if left.cause is Cause.FAILURE else found)


def no_start_after_epsilon(story: Story) -> None:
    """L3, A2: no attempt is decided on later than S + ε."""
    for (run_id, number), starts in story.starts.items():
        run = story.runs[run_id]
        epsilon = _EPSILON.fullmatch(story.definitions[run.job_id].epsilon)
        for _, attempt in starts:
            assert attempt.started_at >= run.trigger.scheduled_at
            if epsilon:
                latest = run.trigger.scheduled_at + timedelta(seconds=int(epsilon[1]))
                assert attempt.started_at <= latest, (run_id, number)


def occurrences_end_as_one_thing(story: Story) -> None:
    """L5: each occurrence that was due is exactly one of run, pending and missed."""
    pending = story.pending(story.closed.snapshot)
    for progress in story.closed.snapshot.progress:
        job = story.jobs[progress.job_id]
        instants = Instants.of(job, story.definitions[job.id])
        if instants is None:
            continue
        triggers = [run.trigger for run in story.runs_of(job.id)]
        triggers += [pending[job.id]] if job.id in pending else []
        fates = [each.occurrence for each in triggers if each.cause is Cause.OCCURRENCE]
        for missed in story.misses(job.id):
            if missed.cause is Cause.OCCURRENCE:
                numbers = range(instants.number(missed.first), instants.number(missed.last) + 1)
                assert missed.count == len(numbers)
                fates += numbers
        end = progress.next.number if progress.next else instants.end
        assert end is not None
        assert sorted(fates, key=lambda k: k or 0) == [*range(instants.first, end)], job.id
        if progress.next:
            assert progress.next.at == instants.at(end)
        # Of a backlog each waits for the one before (L11).
        runs_all = story.definitions[job.id].policy.catch_up is CatchUp.ALL
        if progress.next and not progress.disabled and not runs_all:
            # One that falls due while the last commit before the stop goes on waits for a new life.
            seen = story.ledger.stops[-1].shown_at - timedelta(seconds=1)
            assert progress.next.at > seen, f"{job.id} was overlooked"


class Instants(NamedTuple):
    """S(k) of a simple schedule, for k from ``first`` up to but without ``end``."""

    anchor: datetime
    step: timedelta
    first: int
    end: int | None

    @classmethod
    def of(cls, job: Job, definition: Definition) -> "Instants | None":
        """Read a job's schedule; None for a child, which has none."""
        if definition.parent_jobs:
            return None
        repeats, start, step = "0", "", "1"
        if found := _SCHEDULE.fullmatch(definition.schedule):
            repeats, start, step = found.groups()
        anchor = datetime.fromisoformat(start) if start else job.created_at
        interval = timedelta(seconds=int(step))
        end = int(repeats) + 1 if repeats else None
        first = max(0, -((anchor - job.created_at) // interval))
        # One that is late by ε at most is still heard (rule S9).
        return cls(anchor, interval, first if end is None else min(first, end - 1), end)

    def at(self, number: int) -> datetime:
        """Return S(k)."""
        return self.anchor + number * self.step

    def number(self, at: datetime) -> int:
        """Return k of S(k)."""
        assert (at - self.anchor) % self.step == timedelta()
        return (at - self.anchor) // self.step


def attempts_are_limited(story: Story) -> None:
    """A1: a run makes 1 + retries attempts at most, and a further one only after a failure."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for run_id, number in story.starts:
        numbers[run_id].add(number)
        before = story.ends.get((run_id, number - 1), [])
        results = [attempt.result for _, attempt in before if attempt.result]
        assert all(outcome_of(result) is Outcome.FAILED for result in results)
        assert len(results) == (number > 1), (run_id, number)
    for run_id, made in numbers.items():
        allowed = 1 + story.definitions[story.runs[run_id].job_id].retries
        assert made == set(range(1, len(made) + 1))
        assert len(made) <= allowed, (run_id, made)


def followers_follow(story: Story) -> None:
    """D1, D3, D9: children run after a success of a parent, failure jobs after a failure; once."""
    seen: set[tuple[str, str]] = set()
    for run in story.runs.values():
        source = run.trigger.source
        if source is None:
            assert run.trigger.cause in (Cause.OCCURRENCE, Cause.MANUAL)
            continue
        assert (source, run.job_id) not in seen, (source, run.job_id)
        seen.add((source, run.job_id))
        origin = story.runs[source]
        starts = story.starts[run.id, 1]
        assert all(commit.began_at >= _end_of(story, origin) for commit, _ in starts)
        if run.trigger.cause is Cause.PARENT:
            assert origin.outcome is Outcome.SUCCEEDED, (source, run.id)
            assert origin.job_id in story.definitions[run.job_id].parent_jobs
        elif run.trigger.cause is Cause.RERUN:
            assert origin.outcome is Outcome.LOST, (source, run.id)
            assert story.definitions[run.job_id].rerun_lost
            assert (origin.job_id, origin.trigger.scheduled_at) == (
                run.job_id,
                run.trigger.scheduled_at,
            )
        else:
            ends = (Outcome.SUCCEEDED, Outcome.CANCELLED, None)
            assert origin.outcome not in ends, (source, run.id)
            assert story.definitions[origin.job_id].on_failure_job == run.job_id


def _end_of(story: Story, run: Run) -> int:
    return story.kept[story.run_ends[run.id]].began_at


def every_success_triggers(story: Story) -> None:
    """D1: each success of a parent triggers each child, which then runs, waits or misses it.

    Held for children to which, and to whose ancestors, nobody did anything.
    """
    touched = _touched(story)
    pending = story.pending(story.closed.snapshot)
    waiting = Counter(
        child
        for queue in story.closed.snapshot.queues
        for child in queue.children[queue.position + 1 :]
    )
    for job_id, definition in story.definitions.items():
        family = {job_id} | _ancestors(story, job_id)
        if job_id not in story.jobs or not definition.parent_jobs or family & touched:
            continue
        successes = [
            run
            for parent in definition.parent_jobs
            for run in story.runs_of(parent)
            if run.outcome is Outcome.SUCCEEDED
        ]
        moments = [story.run_ends[run.id] - story.job_commits[job_id] for run in successes]
        if 0 in moments:  # created while the parent ended: which was first can't be told from here
            continue
        caused = [run.trigger for run in story.runs_of(job_id)]
        caused += [pending[job_id]] if job_id in pending else []
        count = sum(each.cause is Cause.PARENT for each in caused) + waiting[job_id]
        count += sum(each.count for each in story.misses(job_id) if each.cause is Cause.PARENT)
        assert count == sum(moment > 0 for moment in moments), job_id


def _touched(story: Story) -> set[str]:
    """Return the jobs that somebody deleted, or disabled; all, where all were deleted."""
    touched = {job_id for job_id, each in story.definitions.items() if each.disabled}
    for asked in story.ledger.asks:
        match asked.request:
            case Delete(job_id) | Disable(job_id):
                touched.add(job_id)
            case DeleteAll():
                touched |= story.definitions.keys()
    return touched


def no_bug_shows(story: Story) -> None:
    """C1: a daemon ends when it is told to, is killed, or its store fails; no error ends it."""
    assert not story.ledger.bugs, story.ledger.bugs


def what_is_kept_fits_together(story: Story) -> None:
    """C1, C2: no crash parts what was committed at once."""
    for opened in story.openings:
        try:
            checked(opened.snapshot)
        except ValueError as error:
            raise AssertionError(f"life {opened.life}: {error}") from error


CHECKERS: tuple[Callable[[Story], None], ...] = (
    acknowledged_is_there,
    enabledness_holds,
    start_is_durable_first,
    cut_off_is_lost,
    runs_do_not_overlap,
    outcomes_are_recorded,
    nothing_starts_after_a_stop,
    pending_triggers_survive,
    no_start_after_epsilon,
    occurrences_end_as_one_thing,
    attempts_are_limited,
    followers_follow,
    every_success_triggers,
    failures_are_told,
    what_is_kept_fits_together,
    no_bug_shows,
)


def broken_rules(ledger: Ledger) -> dict[str, str]:
    """Return the names of the checkers that a ledger does not pass, each with what it found."""
    story = Story(ledger)
    broken = {}
    for checker in CHECKERS:
        try:
            checker(story)
        except AssertionError as error:
            broken[checker.__name__] = str(error)
    return broken
