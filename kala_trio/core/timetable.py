"""All that says when a job runs by itself: the union of its schedules, less some (S13 to S16).

It answers the questions that a ``Schedule`` answers; a number is what S was before the shift, in
microseconds since 1970.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.cron import MICROSECONDS, Cron
from kala_trio.core.definition import Timing
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed
from kala_trio.core.expression import parse_expression
from kala_trio.core.job import Occurrence
from kala_trio.core.progression import inclusion_exclusion
from kala_trio.core.schedule import Schedule, date_time, find_zone, parse_schedule
from kala_trio.core.zones import DAY, EPOCH, offset_at, showing

_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_INSTANT: Final = datetime.min.replace(tzinfo=UTC)
_LAST_INSTANT: Final = datetime.max.replace(tzinfo=UTC)
_FIRST_ORDINAL: Final = date(1970, 1, 1).toordinal()
_ONCE: Final = "R0//PT1S"
_DATES: Final = re.compile("([0-9]{4}-[0-9]{2}-[0-9]{2})(?:/([0-9]{4}-[0-9]{2}-[0-9]{2}))?")
_DATES_EXAMPLE: Final = '["2026-12-25", "2026-12-24/2027-01-01"]'
_NO_TIMING: Final = Timing()

Dates = tuple[int, int]
"""The first and the last wall second of days that are left out."""


class Timetable(Struct, frozen=True):
    """The union of a cron schedule and others in which equal instants count once.

    Occurrences whose date in ``zone`` is in ``excluded``, in order and without overlaps, or that
    are later than ``not_after``, do not exist. What is left is moved by ``shift``.
    """

    schedules: tuple[Schedule, ...]
    cron: Cron | None
    zone: tzinfo
    excluded: tuple[Dates, ...] = ()
    not_after: datetime = _LAST_INSTANT
    shift: timedelta = timedelta()

    def next_after(self, t: datetime) -> Occurrence | None:
        """Return the first occurrence later than the aware instant ``t`` (rule S6)."""
        t = t - self.shift if t - _FIRST_INSTANT >= self.shift else _FIRST_INSTANT
        while found := self._next_of_all(t):
            if found > self._end():
                return None
            if (away := self._excluding(found)) is None:
                return self._occurrence(found)
            t = away[1]
        return None

    def last_at(self, t: datetime) -> Occurrence | None:
        """Return the last occurrence that is not later than the aware instant ``t`` (rule S6)."""
        if t - _FIRST_INSTANT < self.shift:
            return None
        t = min(t - self.shift, self._end())
        while found := self._last_of_all(t):
            if (away := self._excluding(found)) is None:
                return self._occurrence(found)
            if away[0] == _FIRST_INSTANT:
                return None
            t = away[0] - _MICROSECOND
        return None

    def count(self, first: int, last: int) -> int:
        """Return how many occurrences have numbers from ``first`` to ``last``, both included.

        It takes some microseconds for each day in between, if there are several schedules.
        """
        last = min(last, _number(self._end()))
        if first > last:
            return 0
        left_out = (
            self._count_all(max(first, start), min(last, end))
            for start, end in self._away(first, last)
        )
        return self._count_all(first, last) - sum(left_out)

    def _occurrence(self, at: datetime) -> Occurrence:
        return Occurrence(_number(at), at + self.shift)

    def _end(self) -> datetime:
        return min(self.not_after, _LAST_INSTANT - self.shift)

    def _parts(self) -> Iterator[Schedule | Cron]:
        yield from self.schedules
        if self.cron:
            yield self.cron

    def _next_of_all(self, t: datetime) -> datetime | None:
        found = (each.next_after(t) for each in self._parts())
        return min((each.at for each in found if each), default=None)

    def _last_of_all(self, t: datetime) -> datetime | None:
        found = (each.last_at(t) for each in self._parts())
        return max((each.at for each in found if each), default=None)

    def _excluding(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return the first and the last instant of the stretch around one that is left out."""
        if not self.excluded:
            return None
        instant = (at - EPOCH) // timedelta(seconds=1)
        wall = instant + offset_at(self.zone, instant)
        place = bisect_right(self.excluded, wall, key=lambda dates: dates[0]) - 1
        if place < 0 or self.excluded[place][1] < wall:
            return None
        first, last = self.excluded[place]
        return next(
            (_instant(start * MICROSECONDS), _instant(end * MICROSECONDS - 1))
            for start, end in showing(self.zone, first, last + 1)
            if start <= instant < end
        )

    def _away(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last numbers of the stretches that are left out, near these two."""
        low, high = first // MICROSECONDS - 3 * DAY, last // MICROSECONDS + 3 * DAY
        begin = bisect_left(self.excluded, low, key=lambda dates: dates[1])
        for dates in self.excluded[begin:]:
            if dates[0] > high:
                return
            for start, end in showing(self.zone, dates[0], dates[1] + 1):
                yield start * MICROSECONDS, end * MICROSECONDS - 1

    def _count_all(self, first: int, last: int) -> int:
        """Return how many distinct instants the schedules have from one number to another."""
        if first > last:
            return 0
        one, other = EPOCH + first * _MICROSECOND, EPOCH + last * _MICROSECOND
        some = [(each, *within) for each in self.schedules if (within := _within(each, one, other))]
        total = self.cron.count(first, last) if self.cron else 0
        if not total and len(some) == 1:
            schedule, begin, end = some[0]
            return schedule.count(begin.number, end.number)
        even = [_progression(*each) for each in some if not _is_calendar(each[0])]
        for numbers, factor in inclusion_exclusion(even).items():
            total += factor * (len(numbers) - (self.cron.common(numbers) if self.cron else 0))
        days = {
            _number(at)
            for schedule, begin, end in some
            if _is_calendar(schedule)
            for k in range(begin.number, end.number + 1)
            if (at := schedule.occurrence(k))
        }
        return total + sum(not self._has(number, even) for number in days)

    def _has(self, number: int, even: list[range]) -> bool:
        return any(number in each for each in even) or bool(self.cron and self.cron.has(number))


Times = Schedule | Timetable
"""What says when a job runs by itself."""


def times_of(
    job_id: str, schedule: str, time_zone: str, timing: Timing, accepted_at: datetime
) -> Times:
    """Return when a job without parents runs; the texts are as ``checks.timing`` lets them pass.

    ``accepted_at`` is the start of what leaves its start empty, as a job does that has no schedule
    at all (rules S1, S10).
    """
    if timing == _NO_TIMING:
        return parse_schedule(schedule or _ONCE, time_zone, accepted_at=accepted_at)
    texts = schedule, *timing.schedules
    is_relative = any("//" in text for text in texts) or not (any(texts) or timing.cron)
    timetable = _timetable(
        schedule, time_zone, timing, accepted_at if is_relative else _LAST_INSTANT
    )
    if not timing.jitter:
        return timetable
    return replace(timetable, shift=shift_of(job_id, Duration.parse(timing.jitter)))


def shift_of(job_id: str, jitter: Duration) -> timedelta:
    """Return by how much a job of this id is moved: always as much, and less than ``jitter``."""
    drawn = int.from_bytes(blake2b(job_id.encode(), digest_size=16).digest())
    return drawn % jitter.microseconds * _MICROSECOND


def is_cron(text: str) -> bool:
    """Tell whether an entry of ``schedules`` is a cron expression, and not one of ISO 8601."""
    return text.startswith("@") or " " in text or "\t" in text


def zone_of(schedule: str, time_zone: str, accepted_at: datetime) -> tzinfo:
    """Return a job's zone: its ``time_zone``, or else that of its ``schedule``, or UTC."""
    if time_zone or not schedule:
        return find_zone(time_zone)
    return parse_schedule(schedule, accepted_at=accepted_at).zone


def parse_dates(text: str) -> Dates:
    """Read a date, or two with a slash between them, both included; raises ``Malformed``."""
    match = _DATES.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        first, last = date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])
    except ValueError:
        problem = "must be a date, or the first and the last of several with / between them"
        raise Malformed("excluded_dates", problem, found=text, example=_DATES_EXAMPLE) from None
    if last < first:
        problem = "ends before it begins"
        raise Malformed("excluded_dates", problem, found=text, example=_DATES_EXAMPLE)
    begin, end = (each.toordinal() - _FIRST_ORDINAL for each in (first, last))
    return begin * DAY, (end + 1) * DAY - 1


@lru_cache(maxsize=512)
def _timetable(schedule: str, time_zone: str, timing: Timing, accepted_at: datetime) -> Timetable:
    zone = zone_of(schedule, time_zone, accepted_at)
    recurrences = [schedule, *(each for each in timing.schedules if not is_cron(each))]
    expressions = [timing.cron, *(each for each in timing.schedules if is_cron(each))]
    some = tuple(parse_expression(each, "cron") for each in dict.fromkeys(expressions) if each)
    texts = [each for each in recurrences if each] or ([] if some else [_ONCE])
    return Timetable(
        tuple(parse_schedule(text, time_zone, accepted_at=accepted_at) for text in texts),
        Cron(some, zone) if some else None,
        zone,
        _merged(parse_dates(each) for each in timing.excluded_dates),
        date_time(timing.not_after, "not_after", "", zone).astimezone(UTC)
        if timing.not_after
        else _LAST_INSTANT,
    )


def _merged(some: Iterable[Dates]) -> tuple[Dates, ...]:
    merged: list[Dates] = []
    for first, last in sorted(some):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return tuple(merged)


def _within(
    schedule: Schedule, first: datetime, last: datetime
) -> tuple[Occurrence, Occurrence] | None:
    """Return the first and the last occurrence from one instant to another; None without any."""
    end = schedule.last_at(last)
    if end is None or end.at < first:
        return None
    before = first - _MICROSECOND if first > _FIRST_INSTANT else first
    begin = schedule.next_after(before)
    return (begin, end) if begin else None


def _is_calendar(schedule: Schedule) -> bool:
    interval = schedule.interval
    return interval is not None and bool(interval.months or interval.days)


def _progression(schedule: Schedule, begin: Occurrence, end: Occurrence) -> range:
    step = schedule.interval.microseconds if schedule.interval else 1
    return range(_number(begin.at), _number(end.at) + 1, step)


def _number(at: datetime) -> int:
    return (at - EPOCH) // _MICROSECOND


def _instant(number: int) -> datetime:
    """Return an instant by its number, or the first or the last one that there is."""
    since = timedelta(microseconds=number)
    return EPOCH + min(max(since, _FIRST_INSTANT - EPOCH), _LAST_INSTANT - EPOCH)
