"""A schedule in words, and what is odd about its next occurrences: to be checked by eye."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.cron import Cron
from kala_trio.core.definition import Definition, ParentRule
from kala_trio.core.duration import Duration
from kala_trio.core.expression import count_walls
from kala_trio.core.job import Occurrence
from kala_trio.core.occurrences import is_scheduled
from kala_trio.core.schedule import Schedule, later
from kala_trio.core.timetable import Times, Timetable, times_of
from kala_trio.core.zones import EPOCH, jumps
from kala_trio.cron_words import cron_in_words
from kala_trio.phrases import (
    WEEKDAYS,
    clock_of,
    day_of,
    every,
    listed,
    moment_of,
    ordinal,
    place_of,
    shown,
    span_of,
)

_MOMENT: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_NOTHING: Final = timedelta()
_MOST_LISTED: Final = 8
_ENDS_WITH_CLOCK: Final = re.compile(r"\d\d:\d\d(:\d\d)?$")
_UNITS: Final = {Duration(months=1), Duration(months=12), Duration(days=1), Duration(days=7)}
# Changes of three hours or more are corrections (rule S12).
_CORRECTION: Final = 3 * 3600


class Note(StrEnum):
    """What may be odd about an occurrence (rules S4, S5, S12, S14)."""

    MOVED = "moved forward, since the clock skips its own time"
    FIRST = "the first of two equal times"
    SECOND = "the second of two equal times"
    CHANGED = "the offset from UTC has changed since the one before"
    CLAMPED = "the last day of a month that has no such day"
    SKIPPED = "one before it is left out, since its zone skipped that date"
    EXCLUDED = "one before it is left out, since its date is excluded"


class Remark(Struct, frozen=True):
    """An occurrence, as the clock of its job's zone shows it, and what is odd about it.

    ``local`` is in UTC where that clock has no year from 1 to 9999; ``offset`` is its own.
    """

    occurrence: Occurrence
    local: datetime
    offset: timedelta
    notes: tuple[Note, ...] = ()


def in_words(definition: Definition, accepted_at: datetime) -> str:
    """Say in English when a job runs by itself; its definition must be a good one.

    ``accepted_at`` is the start of what leaves its start empty, given to the second.
    """
    if parents := len(definition.parent_jobs):
        if parents == 1:
            return "after its parent"
        if definition.policy.parent_rule is ParentRule.ALL:
            return f"once all of its {parents} parents have succeeded"
        return f"after any of its {parents} parents"
    accepted_at = accepted_at.replace(microsecond=0)
    times = _times(definition, accepted_at)
    if not is_scheduled(definition):
        parts = ["once, as soon as it is accepted"]
    else:
        parts = [_recurrence(each, accepted_at) for each in _schedules(times)]
        parts += _expressions(times)
        if (more := len(parts) - _MOST_LISTED) > 1:
            parts[_MOST_LISTED:] = [f"{more} more schedules"]
    # After several a comma would seem to be of the last one.
    exceptions = ", ".join(_exceptions(definition, times))
    return "; and ".join(parts) + (exceptions and ("; " if parts[1:] else ", ") + exceptions)


def remarks(
    definition: Definition, accepted_at: datetime, after: datetime, count: int, job_id: str = ""
) -> list[Remark]:
    """Return the next ``count`` occurrences after an instant, and none before the acceptance.

    Jitter moves them if ``job_id`` is given, since it decides how far. A child has none.
    """
    if definition.parent_jobs:
        return []
    times = _times(definition, accepted_at, job_id)
    # Two of one other zone would be compared by its clock.
    before = shown(accepted_at, UTC) - _MOMENT
    after = max(shown(after, UTC), before)
    found = times.last_at(after)
    last = found if found and found.at > before else None
    made: list[Remark] = []
    while len(made) < count and (coming := times.next_after(after)):
        made.append(_remark(times, coming, last, before))
        after, last = coming.at, coming
    return made


def _times(definition: Definition, accepted_at: datetime, job_id: str = "") -> Times:
    timing = definition.timing if job_id else replace(definition.timing, jitter="")
    return times_of(job_id, definition.schedule, definition.time_zone, timing, accepted_at)


def _schedules(times: Times) -> tuple[Schedule, ...]:
    return (times,) if isinstance(times, Schedule) else times.schedules


def _recurrence(schedule: Schedule, accepted_at: datetime) -> str:
    """Say when a schedule of ISO 8601 has its occurrences."""
    anchor, interval, repeats = schedule.anchor, schedule.interval, schedule.repeats
    clock = f"{clock_of(anchor.time())} {place_of(schedule.zone)}"
    if interval is None or repeats == 0:
        which = ", the second of two" if anchor.fold else ""
        return f"once, on {day_of(anchor)} at {clock}{which}"
    said = every(interval)
    times = "" if repeats is None else f", {repeats + 1:,} times"
    if interval.microseconds:
        return f"{said}, from {moment_of(anchor)}{times}"
    said += f"{_day_in(interval, anchor)} at {clock}"
    if interval in _UNITS and repeats is None and anchor <= accepted_at:
        return said
    return f"{said}, from {day_of(anchor)}{times}"


def _day_in(interval: Duration, anchor: datetime) -> str:
    """Say on which day of a calendar interval its occurrences are, where that is always one."""
    if interval.months and interval.days:
        return ""
    if not interval.months:
        return "" if interval.days % 7 else f" on {WEEKDAYS[anchor.weekday()]}"
    if interval.months % 12:
        last = " or its last day," if interval.months == 1 else " or the month's last day,"
        return f" on the {ordinal(anchor.day)}{last if anchor.day > 28 else ''}"
    day = day_of(anchor).rpartition(" ")[0]
    return f" on {day}{' or the 28th,' if day == '29 February' else ''}"


def _expressions(times: Times) -> Iterator[str]:
    """Say when each cron expression has its occurrences, and where if it tells hours or days."""
    cron = None if isinstance(times, Schedule) else times.cron
    for each in cron.expressions if cron else ():
        said = cron_in_words(each.text)
        if re.fullmatch(r"every( \d+)? (second|minute|hour)s?", said):
            yield said
        else:
            comma = "" if _ENDS_WITH_CLOCK.search(said) else ","
            yield f"{said}{comma} {place_of(times.zone)}"


def _exceptions(definition: Definition, times: Times) -> Iterator[str]:
    """Say what is left out of a job's schedules, and how far they are moved (S14 to S16)."""
    timing = definition.timing
    if isinstance(times, Timetable) and times.excluded:
        dates = [_dates(*each) for each in times.excluded]
        if (more := len(dates) - _MOST_LISTED) > 1:
            dates[_MOST_LISTED:] = [f"{more} more"]
        yield f"but not on {listed(dates)}"
    if isinstance(times, Timetable) and timing.not_after:
        yield f"not after {moment_of(shown(times.not_after, times.zone))}"
    if timing.jitter:
        yield f"moved by less than {span_of(Duration.parse(timing.jitter))}"


def _dates(first: int, last: int) -> str:
    """Say which dates are from one wall second to another."""
    begin, end = (day_of(EPOCH + wall * _SECOND) for wall in (first, last))
    return begin if begin == end else f"{begin} to {end}"


def _remark(times: Times, coming: Occurrence, last: Occurrence | None, start: datetime) -> Remark:
    local = shown(coming.at, times.zone)
    offset = _offset(local)
    shift = times.shift if isinstance(times, Timetable) else _NOTHING
    at = coming.at - shift
    since = last.at if last else start
    candidates = {
        Note.MOVED: any(_is_moved(each, at) for each in _parts(times)),
        Note.FIRST: not local.fold and _offset(local.replace(fold=1)) != offset,
        Note.SECOND: bool(local.fold),
        Note.CHANGED: last is not None and _offset(shown(last.at, times.zone)) != offset,
        Note.CLAMPED: any(_is_clamped(each, at) for each in _schedules(times)),
        Note.SKIPPED: any(_skips(each, since - shift, at) for each in _schedules(times)),
        Note.EXCLUDED: isinstance(times, Timetable) and _excludes(times, since, coming.at),
    }
    return Remark(coming, local, offset, tuple(note for note, holds in candidates.items() if holds))


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or _NOTHING


def _parts(times: Times) -> tuple[Schedule | Cron, ...]:
    cron = None if isinstance(times, Schedule) else times.cron
    return (*_schedules(times), cron) if cron else _schedules(times)


def _at(schedule: Schedule, at: datetime) -> Occurrence | None:
    """Return the occurrence of a schedule at that instant, if it has one."""
    found = schedule.next_after(at - _MOMENT)
    return found if found and found.at == at else None


def _is_moved(times: Schedule | Cron, at: datetime) -> bool:
    """Tell whether an occurrence is where a gap has moved it (rules S5, S12)."""
    if isinstance(times, Schedule):
        found = _at(times, at)
        return found is not None and _is_in_gap(times, found.number)
    instant = (at - EPOCH) // _SECOND
    fixed = tuple(each for each in times.expressions if each.is_fixed)
    return EPOCH + instant * _SECOND == at and any(
        0 < jump.length < _CORRECTION
        and count_walls(fixed, instant + jump.before, instant + jump.after)
        for jump in jumps(times.zone, instant, instant)
    )


def _is_in_gap(schedule: Schedule, k: int) -> bool:
    """Tell whether the clock skips what the calendar part of k intervals leads to."""
    interval = schedule.interval
    if k and not (interval and (interval.months or interval.days)):
        return False
    by_calendar = replace(schedule, interval=interval and replace(interval, microseconds=0))
    at = by_calendar.occurrence(k)
    local = shown(at, schedule.zone) if at else schedule.anchor
    return local.time() != schedule.anchor.time()


def _is_clamped(schedule: Schedule, at: datetime) -> bool:
    """Tell whether an occurrence's month is too short for the day of the start (rule S4)."""
    if not schedule.interval or not schedule.interval.months:
        return False
    found, anchor = _at(schedule, at), schedule.anchor
    if found is None:
        return False
    years, month = divmod(anchor.month - 1 + found.number * schedule.interval.months, 12)
    return anchor.day > monthrange(anchor.year + years, month + 1)[1]


def _skips(schedule: Schedule, since: datetime, at: datetime) -> bool:
    """Tell whether a skipped date takes an occurrence from between two instants (rule S5)."""
    last = schedule.last_at(since)
    k = last.number + 1 if last else 0
    while (would_be := _if_not_skipped(schedule, k)) and would_be <= at:
        if schedule.occurrence(k):
            return False
        if would_be > since:
            return True
        k += 1
    return False


def _if_not_skipped(schedule: Schedule, k: int) -> datetime | None:
    """Return where S(k) would be if each date had been there; None past the last one."""
    if schedule.repeats is not None and k > schedule.repeats:
        return None
    interval = schedule.interval or Duration()
    return later(schedule.anchor, interval.scaled(k), schedule.zone)


def _excludes(times: Timetable, since: datetime, at: datetime) -> bool:
    """Tell whether an excluded date takes an occurrence from between two instants (rule S14)."""
    everything = replace(times, excluded=())
    coming = everything.next_after(since)
    return coming is not None and coming.at < at
