"""A second implementation: schedules as dateutil and isodate make them easy, to be judged likewise.

It is written as one would without the rules at hand, and shows that the properties judge any
scheduler, and what they find. ``KNOWN_FAILURES`` lists the properties that it fails, and why.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import isodate  # type: ignore[import-untyped]  # it has no annotations
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]  # nor has this

from properties.implementation import Fate, Point, Recurrence, Refusal, Scheduling, Story

_HOURS = "isodate makes 24 hours a day"
_SKIPPED = "a date that its zone skipped has an instant"
_NO_RECORD = "what did not run is forgotten, without a record"
_NOTHING_WAITS = "a trigger of a busy job is forgotten, and so is what was due while away"

KNOWN_FAILURES = {
    "test_a_day_is_as_long_as_its_zone_makes_it": _HOURS,
    "test_a_day_is_no_number_of_hours": _HOURS,
    "test_a_skipped_date_counts_toward_n": _SKIPPED,
    "test_an_end_gives_the_elapsed_time_since_the_start": _HOURS,
    "test_an_end_without_a_zone_is_in_that_of_the_start": _HOURS,
    "test_an_occurrence_is_where_counting_finds_it": _HOURS,
    "test_an_offset_that_the_zone_does_not_have_is_refused": "the instant is kept, the wall lost",
    "test_each_part_of_an_interval_has_its_worth": "the text says how it was written",
    "test_exact_time_is_multiplied": _HOURS,
    "test_occurrences_are_those_of_the_vectors": _SKIPPED,
    "test_only_skipped_dates_have_no_occurrence": _SKIPPED,
    "test_refusals_name_the_part_of_the_vectors": "much that is no schedule is read as one",
    "test_the_searches_find_what_a_scan_finds": _SKIPPED,
    "test_the_searches_invert_the_occurrence": _SKIPPED,
    "test_to_scale_is_to_multiply_each_component": _HOURS,
    "test_the_text_round_trips": "the text says how it was written",
    "test_ways_of_writing_a_schedule_have_one_text": "the text says how it was written",
    "test_a_busy_job_has_one_pending_trigger_the_newest": _NOTHING_WAITS,
    "test_a_clock_that_goes_back_makes_nothing_run_twice": _NO_RECORD,
    "test_a_job_may_ask_to_go_on_with_the_next_occurrence": _NO_RECORD,
    "test_a_manual_start_of_a_busy_job_is_pending_too": _NOTHING_WAITS,
    "test_a_pending_trigger_starts_within_epsilon_or_is_missed": _NOTHING_WAITS,
    "test_a_request_late_by_epsilon_at_most_runs_the_last_occurrence": "it knows no epsilon",
    "test_after_being_away_the_latest_occurrence_runs_and_older_ones_are_missed": _NOTHING_WAITS,
    "test_being_away_too_long_for_epsilon_leaves_nothing_to_run": "it knows no epsilon",
    "test_every_occurrence_ends_as_exactly_one_thing": _NO_RECORD,
    "test_history_does_not_grow_with_idle_time": _NO_RECORD,
    "test_no_first_attempt_starts_later_than_epsilon": "it knows no epsilon",
    "test_triggers_are_served_by_scheduled_time_and_then_by_creation": "by creation alone",
}


@dataclass
class DateutilRecurrence:
    """An anchor, and dateutil's delta, times k."""

    start: datetime
    zone_name: str
    duration: isodate.Duration | None
    repeats: int | None

    def occurrence(self, k: int) -> datetime | None:
        """Move the wall clock by k times the months and days, and then let time elapse."""
        if k < 0 or (self.repeats is not None and k > self.repeats):
            return None
        if k == 0 or self.duration is None:
            return self.start.astimezone(UTC)
        try:
            months = k * (12 * int(self.duration.years) + int(self.duration.months))
            days, exact = self.duration.tdelta.days, self.duration.tdelta % timedelta(days=1)
            moved: datetime = self.start
            if months or days:
                moved = moved.replace(fold=0) + relativedelta(months=months, days=k * days)
            at: datetime = moved.astimezone(UTC) + k * exact
        except (OverflowError, ValueError):
            return None
        return at

    def next_after(self, t: datetime) -> Point | None:
        """Search for the first occurrence later than ``t``, as if none were missing."""
        k = self._first(lambda at: at > t)
        at = self.occurrence(k)
        return Point(k, at) if at else None

    def last_at(self, t: datetime) -> Point | None:
        """Return the one before the next."""
        k = self._first(lambda at: at > t) - 1
        at = self.occurrence(k)
        return Point(k, at) if at else None

    def text(self) -> str:
        """Write it as the libraries do."""
        repeats = "" if self.repeats is None else self.repeats
        interval = isodate.duration_isoformat(self.duration) if self.duration else ""
        suffix = f"[{self.zone_name}]" if self.zone_name else ""
        return f"R{repeats}/{self.start.isoformat()}{suffix}/{interval}"

    def _first(self, holds: Callable[[datetime], bool]) -> int:
        """Return the least k that holds, or that has no instant: doubling, then halving."""
        low, high = 0, 1
        # isodate reads intervals of nothing and of less, which never get there.
        while high < 10**18 and (at := self.occurrence(high)) is not None and not holds(at):
            low, high = high, 2 * high
        while low < high:
            middle = (low + high) // 2
            at = self.occurrence(middle)
            if at is None or holds(at):
                high = middle
            else:
                low = middle + 1
        return low


class DateutilScheduling:
    """A loop that runs what is due unless it runs already, and then looks for what comes next."""

    def __init__(self) -> None:
        """Begin without any job."""
        self._jobs: dict[str, _Job] = {}
        self._started: list[str] = []

    def create(
        self,
        job: str,
        at: datetime,
        *,
        schedule: str = "",
        time_zone: str = "",
        epsilon: str = "",
        disabled: bool = False,
        resume_at_next_scheduled_time: bool = False,
    ) -> None:
        """Create a job; ``epsilon`` and ``resume_at_next_scheduled_time`` it does not know."""
        recurrence = Dateutil().parse(schedule or "R0//PT1S", time_zone, at)
        coming = recurrence.next_after(at - timedelta(microseconds=1))
        if coming is None:
            raise Refusal("schedule")
        self._jobs[job] = _Job(recurrence, coming, disabled)
        self.look(at)

    def look(self, at: datetime) -> None:
        """Run what is due."""
        for name, job in self._jobs.items():
            if not job.disabled and job.next and job.next.at <= at:
                if not job.busy:
                    self._run(name, Fate("occurrence", job.next.at, job.next.k), at)
                job.next = job.recurrence.next_after(at)

    def next_wake(self) -> datetime | None:
        """Return the earliest next run."""
        coming = [job.next.at for job in self._jobs.values() if job.next and not job.disabled]
        return min(coming, default=None)

    def start(self, job: str, at: datetime) -> None:
        """Run it now."""
        if self._jobs[job].disabled:
            raise Refusal("disabled")
        self._run(job, Fate("manual", at, None), at)
        self.look(at)

    def enable(self, job: str, at: datetime) -> None:
        """Go on with what is still to come."""
        self._jobs[job].disabled = False
        self._jobs[job].next = self._jobs[job].recurrence.next_after(at)
        self.look(at)

    def disable(self, job: str, at: datetime) -> None:
        """Run it no more."""
        self._jobs[job].disabled = True
        self.look(at)

    def end(self, job: str, at: datetime) -> None:
        """Be free for the next run."""
        self._jobs[job].busy = False
        self.look(at)

    def restart(self, at: datetime) -> None:
        """Go on with what is still to come."""
        for job in self._jobs.values():
            job.next = job.recurrence.next_after(at)

    def started(self) -> list[str]:
        """Return the jobs of the runs."""
        return self._started

    def story(self, job: str) -> Story:
        """Tell the runs; it keeps no record of anything else."""
        it = self._jobs[job]
        coming = None if it.disabled or it.next is None else it.next.at
        return Story(it.runs, it.busy, None, [], coming, it.next is None and not it.busy)

    def _run(self, job: str, fate: Fate, at: datetime) -> None:
        self._jobs[job].runs.append((fate, at))
        self._jobs[job].busy = True
        self._started.append(job)


class _Job:
    def __init__(self, recurrence: Recurrence, coming: Point, disabled: bool) -> None:
        self.recurrence = recurrence
        self.next: Point | None = coming
        self.disabled = disabled
        self.busy = False
        self.runs: list[tuple[Fate, datetime]] = []


class Dateutil:
    """isodate reads, dateutil counts."""

    def parse(self, text: str, time_zone: str, accepted_at: datetime) -> Recurrence:
        """Read a schedule."""
        parts = text.split("/") if "[" not in text else re.split(r"/(?![^\[]*\])", text)
        if len(parts) == 1:
            parts = ["R0", text, ""]
        if len(parts) != 3:
            raise Refusal("schedule")
        repetitions, start, rest = parts
        match = re.fullmatch(r"R(-1|\d*)", repetitions)
        if match is None:
            raise Refusal("repetitions")
        try:
            repeats = None if match[1] in ("", "-1") else int(match[1])
        except ValueError as error:
            raise Refusal("repetitions") from error
        if start:
            anchor, name = _date_time(start, time_zone, "start")
        else:
            anchor, name = accepted_at.astimezone(_zone(time_zone)), time_zone
        if not rest and repeats == 0:
            return DateutilRecurrence(anchor, name, None, 0)
        if rest.startswith("P"):
            try:
                duration = isodate.parse_duration(rest, as_timedelta_if_possible=False)
            except OverflowError:  # nothing comes after the first, then
                duration = isodate.Duration(years=10_000)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise Refusal("interval") from error
            if duration.tdelta <= timedelta() and not (duration.years or duration.months):
                raise Refusal("interval")
            return DateutilRecurrence(anchor, name, duration, repeats)
        end, _ = _date_time(rest, name, "end")
        elapsed = end.astimezone(UTC) - anchor.astimezone(UTC)
        if elapsed <= timedelta():
            raise Refusal("end")
        return DateutilRecurrence(
            anchor, name, isodate.Duration(seconds=elapsed.total_seconds()), repeats
        )

    def scheduling(self) -> Scheduling:
        """Return a scheduler without any job."""
        return DateutilScheduling()


def _date_time(text: str, time_zone: str, part: str) -> tuple[datetime, str]:
    clock, _, suffix = text.partition("[")
    name = suffix.rstrip("]") or time_zone
    if suffix and time_zone and name != time_zone:
        raise Refusal("time zone")
    try:
        read = datetime.fromisoformat(clock)
        if not name:
            return (read if read.tzinfo else read.replace(tzinfo=UTC)), ""
        if read.tzinfo:
            return read.astimezone(_zone(name)), name
        return read.replace(tzinfo=_zone(name)), name
    except (ValueError, OverflowError) as error:
        raise Refusal(part) from error


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, KeyError) as error:
        raise Refusal("time zone") from error
