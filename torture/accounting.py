"""Claims on where every trigger has gone: rules L5, M1, D1, D9, and the counters of A3.

Each claim yields what contradicts it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from torture.evidence import Evidence
from torture.ledgers import Ask, Ended, Started, microseconds

_SCHEDULE = re.compile(r"R(\d*)/(.+)/PT([\d.]+)S")


class Timetable(NamedTuple):
    """S(k) of a schedule of the torture, for k from 0 up to but without ``end``."""

    anchor: int
    step: int
    end: int | None

    @classmethod
    def of(cls, evidence: Evidence, job_id: str) -> "Timetable | None":
        """Read a job's schedule; None for a child. One without a schedule runs once (rule S10)."""
        body = evidence.body(job_id)
        if body.parent_jobs:
            return None
        if found := _SCHEDULE.fullmatch(body.schedule):
            repeats, start, seconds = found.groups()
            end = int(repeats) + 1 if repeats else None
            anchor = microseconds(datetime.fromisoformat(start))
            return cls(anchor, round(float(seconds) * 1_000_000), end)
        known = [evidence.jobs[job_id].created_at] if job_id in evidence.jobs else []
        known += [trigger.at for trigger in evidence.triggers(job_id, "occurrence")]
        known += [missed.first for missed in evidence.missed(job_id, "occurrence")]
        return cls(min(known, default=evidence.created[job_id].over), 1, 1)

    def at(self, number: int) -> int:
        """Return S of a number."""
        return self.anchor + number * self.step


def occurrences_are_accounted_for(evidence: Evidence) -> Iterator[str]:
    """L5: every occurrence that was due is exactly one of run, pending and missed."""
    for job_id, created in evidence.created.items():
        timetable = Timetable.of(evidence, job_id)
        if timetable is None:
            continue
        numbers = []
        for trigger in evidence.triggers(job_id, "occurrence"):
            numbers.append(trigger.occurrence or 0)
            if trigger.at != timetable.at(trigger.occurrence or 0):
                yield f"{job_id}: not at its time: {trigger}"
        for missed in evidence.missed(job_id, "occurrence"):
            last = missed.last_occurrence or 0
            first = last - missed.count + 1
            numbers += range(first, last + 1)
            if (missed.first, missed.last) != (timetable.at(first), timetable.at(last)):
                yield f"{job_id}: does not fit its count: {missed}"
        yield from _gaps(evidence, created, timetable, job_id, sorted(numbers))


def _gaps(
    evidence: Evidence, created: Ask, timetable: Timetable, job_id: str, numbers: list[int]
) -> Iterator[str]:
    """Look for occurrences with two fates or none."""
    progress = evidence.progress.get(job_id)
    latest_first = max(0, -((timetable.anchor - created.over) // timetable.step))
    first = numbers[0] if numbers else None
    if progress and progress.next_number is not None:
        end = progress.next_number
        if progress.next_at != timetable.at(end):
            yield f"{job_id}: the next one is not at its time: {progress}"
        if not progress.disabled and timetable.at(end) <= evidence.asks("create")[-1].sent:
            yield f"{job_id}: overlooked: {progress}"
    elif progress and timetable.end is not None:
        end = timetable.end
    else:
        end = numbers[-1] + 1 if numbers else latest_first
        seen = min((ask.sent for ask in evidence.carried_out(job_id, "delete")), default=0)
        if timetable.at(end) <= seen and end != timetable.end:
            yield f"{job_id}: number {end} was due before its deletion"
    begin = min(end, latest_first) if first is None else first
    if numbers != [*range(begin, end)] or begin > latest_first:
        counts = Counter(numbers)
        wrong = [k for k in range(min(begin, latest_first), end) if counts[k] != 1]
        wrong += [k for k in counts if k >= end]
        yield f"{job_id}: numbers {wrong[:10]} have no fate, or two; created by {created}"


def manual_starts_are_accounted_for(evidence: Evidence) -> Iterator[str]:
    """L5, M1: every start by hand that was acknowledged became one run, pending or missed."""
    started = {ask.job_id for ask in evidence.asks("start") if ask.may_be_done}
    for job_id in {*started, *evidence.runs_of, *evidence.missed_of}:
        asks = sorted(evidence.carried_out(job_id, "start"), key=lambda ask: ask.over)
        sure = sum(ask.is_done for ask in asks)
        missed = sum(each.count for each in evidence.missed(job_id, "manual"))
        triggers = sorted(evidence.triggers(job_id, "manual"), key=lambda each: each.at)
        if not sure <= len(triggers) + missed <= len(asks):
            yield f"{job_id}: {sure} acknowledged, {len(triggers)} runs, {missed} missed: {asks}"
        for trigger in triggers:
            fitting = [ask for ask in asks if ask.sent <= trigger.at <= ask.over]
            if not fitting:
                yield f"{job_id}: nobody asked for it: {trigger}"
                continue
            asks.remove(fitting[0])


def children_follow_successes(evidence: Evidence) -> Iterator[str]:
    """D1, D3: a child runs once for each success of a parent, if it is not missed."""
    leaders = {job_id: evidence.body(job_id).parent_jobs for job_id in evidence.created}
    yield from _followers(evidence, "parent", leaders, lambda outcome: outcome == "succeeded")
    begun: set[str] = set()
    for mark in evidence.ledgers.marks:
        if isinstance(mark, Started):
            begun.add(mark.run_id)
        elif isinstance(mark, Ended):
            for follower in evidence.caused_by[mark.run_id]:
                if follower.trigger.cause == "parent" and follower.id in begun:
                    yield f"started before its parent's run had ended: {follower}"


def failure_jobs_follow_failures(evidence: Evidence) -> Iterator[str]:
    """D9: a failure job runs once for each run that did not succeed, if it is not missed."""
    leaders: dict[str, tuple[str, ...]] = {}
    for job_id in evidence.created:
        heir = evidence.body(job_id).on_failure_job
        leaders[heir] = (*leaders.get(heir, ()), job_id)
    bad = {"failed", "lost", "stopped"}
    yield from _followers(evidence, "failure", leaders, lambda outcome: outcome in bad)


def reruns_follow_losses(evidence: Evidence) -> Iterator[str]:
    """C3: a job that says so runs once more for each run that was lost, if that is not missed."""
    leaders: dict[str, tuple[str, ...]] = {
        job_id: (job_id,) for job_id in evidence.created if evidence.body(job_id).rerun_lost
    }
    yield from _followers(evidence, "rerun", leaders, lambda outcome: outcome == "lost")


def _followers(
    evidence: Evidence,
    cause: str,
    leaders: dict[str, tuple[str, ...]],
    leads: Callable[[str | None], bool],
) -> Iterator[str]:
    for job_id in evidence.created:
        runs = [run for each in leaders.get(job_id, ()) for run in evidence.runs_of[each]]
        may = {run.id for run in runs if leads(run.outcome)}
        sources = [str(each.source) for each in evidence.triggers(job_id, cause)]
        if cause == "parent":
            turns = evidence.ledgers.store.turns
            sources += [turn.run_id for turn in turns if turn.child == job_id]
        for source, count in Counter(sources).items():
            if count > 1 or source not in may:
                yield f"{job_id}: triggered {count} times by run {source} ({cause})"
        left = may - set(sources)
        count = sum(missed.count for missed in evidence.missed(job_id, cause))
        sure = {run.id for run in runs if _must_lead(evidence, run.id, job_id)} & left
        if not (len(sure) if _is_at_hand(evidence, job_id) else 0) <= count <= len(left):
            yield f"{job_id}: {count} missed ({cause}), and nothing else came of {sorted(sure)}"


def _is_at_hand(evidence: Evidence, job_id: str) -> bool:
    """Tell whether a job was there and enabled since its creation."""
    disabled = evidence.carried_out(job_id, "disable")
    return not disabled and not evidence.body(job_id).disabled and job_id in evidence.jobs


def _must_lead(evidence: Evidence, run_id: str, follower: str) -> bool:
    """Tell whether the scheduler learnt of a run's end after one creation and before a deletion."""
    run = evidence.runs[run_id]
    created = evidence.created[follower].over
    is_followed = run.id != evidence.runs_of[run.job_id][-1].id
    return (run.ended_at or 0) > created and (run.job_id in evidence.jobs or is_followed)


def counters_agree(evidence: Evidence) -> Iterator[str]:
    """A3, L5: the counters of a job are the counts of its rows."""
    for progress in evidence.progress.values():
        runs = evidence.runs_of[progress.job_id]
        attempts = [each for run in runs for each in evidence.attempts_of[run.id]]
        counted = (
            len(runs),
            sum(run.outcome is not None for run in runs),
            sum(run.outcome == "succeeded" for run in runs),
            sum(each.result is not None and not each.is_success for each in attempts),
            len(evidence.missed_of[progress.job_id]),
        )
        said = (
            progress.runs,
            progress.finished,
            progress.success_count,
            progress.error_count,
            progress.misses,
        )
        if counted != said:
            yield f"counted {counted}, said {said}: {progress}"
