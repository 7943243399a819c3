"""What a simulation tells, in words for people: a sentence for each happening, and tables."""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from kala_trio.core.duration import Duration
from kala_trio.core.job import Cause
from kala_trio.phrases import shown, span_of
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
    Why,
)
from kala_trio.simulation.summary import Summary

SUMMARY_HEADS = (
    *("JOB", "RUNS", "OUTCOMES", "MISSED", "WAITED", "LATENESS", "AT ONCE", "FIRST", "LAST"),
)
"""What stands above the rows of summaries."""

_MICROSECOND = timedelta(microseconds=1)


class Words:
    """Says what happens by the clock of one zone; ``names`` are those of jobs by their ids."""

    def __init__(self, zone: tzinfo, names: Mapping[str, str]) -> None:
        """Speak of these jobs."""
        self._zone = zone
        self._names = names

    def time(self, at: datetime) -> str:
        """Return an instant as the clock of the zone shows it, with a fraction if it has one."""
        return shown(at, self._zone).isoformat(" ")

    def sentence(self, it: Happening) -> str:
        """Say what happened."""
        match it:
            case WentDown():
                return "the daemon stops"
            case CameUp():
                return "the daemon starts"
            case Started() | AttemptFailed() | Ended():
                return f"run {it.number} {self._of_run(it)}"
            case MissedSome() | Waiting() | Late():
                return self._of_trigger(it)
            case _:
                assert_never(it)

    def _of_run(self, it: Started | AttemptFailed | Ended) -> str:
        match it:
            case Started(attempt=1):
                return f"starts{self._cause(it)}{_lateness(it)}"
            case Started():
                return f"starts attempt {it.attempt}"
            case AttemptFailed():
                again = self.time(it.next_attempt_at)
                return f"failed in attempt {it.attempt} ({it.reason}), the next is at {again}"
            case Ended():
                reason = f" ({it.reason})" if it.reason else ""
                return f"{_plain(it.outcome)} after {span(it.ended_at - it.started_at)}{reason}"
            case _:
                assert_never(it)

    def _of_trigger(self, it: MissedSome | Waiting | Late) -> str:
        match it:
            case MissedSome(count=1):
                return f"missed ({it.reason}): {self._trigger(it.cause, it.first)}"
            case MissedSome():
                since, until = self.time(it.first), self.time(it.last)
                return f"missed {it.count:,} times ({it.reason}): {since} to {until}"
            case Waiting():
                trigger = self._trigger(it.cause, it.scheduled_at)
                return f"waits for {_AWAITED[it.why]}: {trigger}"
            case Late():
                return f"is late: no success yet of {self.time(it.scheduled_at)}"
            case _:
                assert_never(it)

    def row(self, it: Summary) -> tuple[str, ...]:
        """Return what a job comes to, below ``SUMMARY_HEADS``."""
        ends = [f"{count:,} {_plain(outcome)}" for outcome, count in it.outcomes.items()]
        ends += [f"{it.in_progress:,} in progress"] if it.in_progress else []
        return (
            it.job_name,
            f"{it.runs:,}",
            ", ".join(ends) or "-",
            ", ".join(f"{count:,} {reason}" for reason, count in it.missed.items()) or "-",
            f"{it.waits:,}",
            span(it.greatest_lateness) if it.greatest_lateness else "-",
            f"{it.most_at_once:,}",
            self.time(it.first) if it.first else "-",
            self.time(it.last) if it.last else "-",
        )

    def _cause(self, it: Started) -> str:
        match it.cause:
            case Cause.OCCURRENCE:
                cause = ""
            case Cause.MANUAL:
                cause = " by hand"
            case Cause.PARENT:
                cause = f" after {self._run(it.source)}"
            case Cause.FAILURE:
                cause = f" because {self._run(it.source)} did not succeed"
            case Cause.RERUN:
                cause = f" in place of {self._run(it.source)}"
            case _:
                assert_never(it.cause)
        return cause

    def _run(self, run_id: str | None) -> str:
        job_id, _, number = (run_id or "").rpartition(".")
        return f"run {number} of {self._names.get(job_id, 'a job that was deleted')}"

    def _trigger(self, cause: Cause, scheduled_at: datetime) -> str:
        """Say which trigger is meant; an occurrence needs no word for what it is."""
        kind = "" if cause is Cause.OCCURRENCE else f"{_TRIGGERS[cause]} "
        return f"{kind}{self.time(scheduled_at)}"


_AWAITED = {
    Why.BUSY: "its own run in progress",
    Why.LIMIT: "runs of other jobs to end",
    Why.DOWN: "the next start",
}
_TRIGGERS = {
    Cause.MANUAL: "by hand",
    Cause.PARENT: "by a parent",
    Cause.FAILURE: "by a failure",
    Cause.RERUN: "by a run that was lost",
}


def span(duration: timedelta) -> str:
    """Return how long something takes: ``5 minutes``."""
    return span_of(Duration(microseconds=duration // _MICROSECOND))


def _plain(outcome: str) -> str:
    return outcome.replace("_", " ")


def _lateness(it: Started) -> str:
    late = it.at - it.scheduled_at
    return f", {span(late)} late" if late else ""
