"""Recurrences as arithmetic: an occurrence's instant is a function of its number, so none drifts.

The grammar is rule S1, the meaning rules S4 to S7. Nothing here reads a clock.
"""

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable
from datetime import MAXYEAR, UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import isodate  # type: ignore[import-untyped]  # it has no annotations
from msgspec import Struct

from kala_trio.core.duration import SECOND, Duration
from kala_trio.core.errors import Malformed
from kala_trio.core.job import Occurrence

_LONGEST_TEXT: Final = 500
_EXAMPLE: Final = "R/2026-03-01T09:00:00[Europe/Berlin]/P1D"
_START_EXAMPLE: Final = "2026-03-01T09:00:00+01:00[Europe/Berlin]"

_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_INSTANT: Final = datetime.max.replace(tzinfo=UTC)

_MEAN_DAY: Final = 86_400 * SECOND
_MEAN_MONTH: Final = 2_629_746 * SECOND
# Leap years, month lengths and a zone's changes never add up to this much beside the mean.
_MARGIN: Final = 10 * _MEAN_DAY

_PART = r"[^/\[\]]*+(?:\[[^\[\]]*+\])?+"
_SHAPE: Final = re.compile(rf"(R[^/\[\]]*+)/({_PART})/({_PART})|([0-9]{_PART})")
_REPETITIONS: Final = re.compile("R(-1|[0-9]{0,30})")
_HH = "(?:[01][0-9]|2[0-3])"
_MM = "[0-5][0-9]"
_FRACTION = "(?:[.,][0-9]+)?"
_EXTENDED = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_HH}:{_MM}(?::{_MM}{_FRACTION})?"
_BASIC = rf"[0-9]{{8}}T{_HH}{_MM}(?:{_MM}{_FRACTION})?"
_DATE_TIME: Final = re.compile(
    rf"(?:({_EXTENDED})(Z|[+-]{_HH}:{_MM}(?::{_MM})?)?|({_BASIC})(Z|[+-]{_HH}{_MM}(?:{_MM})?)?)"
    r"(?:\[(.+)\])?"
)


class Schedule(Struct, frozen=True):
    """A recurrence; ``parse_schedule`` makes the valid ones.

    ``anchor`` is S(0) as a clock in its zone shows it, with the zone and the fold. ``repeats`` is
    None for a schedule without end; only where it is 0 may ``interval`` be None.
    """

    anchor: datetime
    interval: Duration | None
    repeats: int | None

    @property
    def zone(self) -> tzinfo:
        """The zone in which days and months are counted."""
        return self.anchor.tzinfo or UTC

    def occurrence(self, k: int) -> datetime | None:
        """Return S(k) in UTC, or None where occurrence ``k`` does not exist (rules S4, S5, S7)."""
        instant = self._instant(k)
        return None if instant is None or self._is_skipped(k) else instant

    def next_after(self, t: datetime) -> Occurrence | None:
        """Return the first occurrence later than the aware instant ``t`` (rule S6)."""
        k = self._first_after(t)
        while (instant := self._instant(k)) is not None:
            if not self._is_skipped(k):
                return Occurrence(k, instant)
            k += 1
        return None

    def last_at(self, t: datetime) -> Occurrence | None:
        """Return the last occurrence that is not later than the aware instant ``t`` (rule S6)."""
        k = self._first_after(t) - 1
        while (instant := self._instant(k)) is not None:
            if not self._is_skipped(k):
                return Occurrence(k, instant)
            k -= 1
        return None

    def count(self, first: int, last: int) -> int:
        """Return how many of the occurrences ``first`` to ``last``, both included, exist."""
        first = max(first, 0)
        last = min(last, self._first_after(_LAST_INSTANT) - 1)
        skipped = {self._first_on(day) for day in _skipped_dates(self.zone)}
        missing = sum(first <= k <= last and self._is_skipped(k) for k in skipped)
        return max(0, last - first + 1) - missing

    def __str__(self) -> str:
        """Return the canonical text, which parses to an equal schedule (rule S8)."""
        repeats = "" if self.repeats is None else self.repeats
        return f"R{repeats}/{self._start()}/{self.interval or ''}"

    def _start(self) -> str:
        wall = self.anchor.replace(tzinfo=None)
        if self.zone == UTC:
            return f"{wall.isoformat()}Z"
        if not isinstance(self.zone, ZoneInfo):
            return self.anchor.isoformat()
        return f"{(self.anchor if self.anchor.fold else wall).isoformat()}[{self.zone.key}]"

    def _instant(self, k: int) -> datetime | None:
        """Return where S(k) is, or would be if no date were skipped: this never decreases."""
        if k < 0 or (self.repeats is not None and k > self.repeats):
            return None
        if self.interval is None:
            return _resolved(self.anchor)
        try:
            return _added(self.anchor, self.interval.scaled(k))
        except OverflowError:
            return None

    def _date(self, k: int) -> date:
        """Return the date in ``zone`` that the calendar part of ``k`` intervals leads to.

        It must be one before the end of time.
        """
        if self.interval is None:
            return self.anchor.date()
        return _moved(self.anchor, self.interval.scaled(k)).date()

    def _is_skipped(self, k: int) -> bool:
        """Tell whether ``k`` falls on a skipped date; an exact interval leads to none."""
        has_date = k == 0 or self._calendar_interval() is not None
        return has_date and any(self._date(k) == day for day in _skipped_dates(self.zone))

    def _calendar_interval(self) -> Duration | None:
        """Return the interval if it has a calendar part."""
        interval = self.interval
        return interval if interval and (interval.months or interval.days) else None

    def _first_after(self, t: datetime) -> int:
        """Return the least k whose instant is later than ``t``, or that has none."""
        elapsed = (t - _resolved(self.anchor)) // _MICROSECOND
        if self.interval is None:
            return int(elapsed >= 0)
        if interval := self._calendar_interval():
            mean = _mean(interval) + interval.microseconds
            k = _least(lambda k: (at := self._instant(k)) is None or at > t, elapsed, mean)
        else:
            k = max(0, elapsed // self.interval.microseconds + 1)
        return k if self.repeats is None else min(k, self.repeats + 1)

    def _first_on(self, day: date) -> int:
        """Return the least k whose date is ``day`` or later."""
        interval = self._calendar_interval()
        if interval is None:
            return 0
        elapsed = (day - self.anchor.date()) // _MICROSECOND
        return _least(lambda k: self._date(k) >= day, elapsed, _mean(interval))


def parse_schedule(text: str, time_zone: str = "", *, accepted_at: datetime) -> Schedule:
    """Read a schedule by rules S1 to S3; ``time_zone`` is the job's own, or empty.

    ``accepted_at``, an aware instant, is the start of one that leaves its start empty. Raises
    ``Malformed``; its ``field`` is the part at fault: schedule, repetitions, start, interval, end
    or time zone.
    """
    # Where it makes no difference it is one instant, so that each text is read once.
    return _parsed(text, time_zone, accepted_at if "//" in text else _LAST_INSTANT)


def find_zone(name: str) -> tzinfo:
    """Return the IANA zone of that exact name, UTC for an empty one; raises ``Malformed``."""
    if name in ("", "UTC"):
        return UTC
    if name not in _zone_names():
        problem = "must be the name of an IANA time zone, in its exact spelling"
        raise Malformed("time zone", problem, found=name, example="Europe/Berlin")
    return ZoneInfo(name)


def later(instant: datetime, duration: Duration, zone: tzinfo) -> datetime | None:
    """Return ``instant`` ⊕ ``duration`` in UTC, its calendar part by the clock of ``zone``.

    None where that is outside the years 1 to 9999. ``instant`` must be aware. (Rules S4, S5.)
    """
    try:
        return _added(instant.astimezone(zone), duration)
    except OverflowError:
        return None


@lru_cache(maxsize=4096)  # jobs share texts, but clients may send any number of them
def _parsed(text: str, time_zone: str, accepted_at: datetime) -> Schedule:
    if len(text) > _LONGEST_TEXT:
        problem = f"is longer than {_LONGEST_TEXT} characters"
        raise Malformed("schedule", problem, found=text, example=_EXAMPLE)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        problem = "must be R[n]/start/interval, R[n]/start/end or a single date-time"
        raise Malformed("schedule", problem, found=text, example=_EXAMPLE)
    repetitions, start, rest, once = shape.groups()
    if once is not None:
        return Schedule(date_time(once, "start", time_zone, UTC), None, 0)
    repeats = _repeats(repetitions)
    if start:
        anchor = date_time(start, "start", time_zone, UTC)
    elif not _is_date_time(rest):
        anchor = accepted_at.astimezone(find_zone(time_zone))
    else:
        problem = "may be left out only before an interval"
        raise Malformed("start", problem, found=text, example="R/2026-03-01T09:00Z/P1D or R//P1D")
    if not rest and start and repeats == 0:
        return Schedule(anchor, None, 0)
    if _is_date_time(rest):
        end = _resolved(date_time(rest, "end", "", anchor.tzinfo or UTC))
        elapsed = (end - _resolved(anchor)) // _MICROSECOND
        if elapsed <= 0:
            raise Malformed("end", "must be later than the start", found=rest, example=_EXAMPLE)
        return Schedule(anchor, Duration(microseconds=elapsed), repeats)
    return Schedule(anchor, Duration.parse(rest), repeats)


def _is_date_time(part: str) -> bool:
    return "0" <= part[:1] <= "9"


def _repeats(text: str) -> int | None:
    match = _REPETITIONS.fullmatch(text)
    if match is None:
        problem = "must be R, for no end, or R and the number of repeats, in at most 30 digits"
        raise Malformed("repetitions", problem, found=text, example="R or R5")
    return None if match[1] in ("", "-1") else int(match[1])


def date_time(text: str, field: str, time_zone: str, default: tzinfo) -> datetime:
    """Read one date-time by rule S2; without an offset and any zone it is one of ``default``."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        problem = "must be an ISO 8601 date and time of day, with Z, ±hh:mm or [Zone] after it"
        raise Malformed(field, problem, found=text, example=_START_EXAMPLE)
    clock, offset, suffix = match[1] or match[3], match[2] or match[4], match[5]
    if suffix and time_zone and suffix != time_zone:
        problem = f"must be that of the start, {suffix}, or be left out"
        raise Malformed("time zone", problem, found=time_zone, example=suffix)
    name = suffix or time_zone
    given = _fixed(offset) if offset else default
    zone = find_zone(name) if name else given
    try:
        wall: datetime = isodate.parse_datetime(clock)
        start = wall.replace(tzinfo=given if offset else zone)
        if offset:
            start = start.astimezone(zone)
            if start.replace(tzinfo=None) != wall:
                problem = f"has an offset that {name} does not have then"
                raise Malformed(field, problem, found=text, example=f"{clock}[{name}]")
        _resolved(start)
    except OverflowError:
        problem = "must be within the years 1 to 9999 of UTC"
        raise Malformed(field, problem, found=text, example=_START_EXAMPLE) from None
    except ValueError:
        problem = "must be a date that the calendar has"
        raise Malformed(field, problem, found=text, example=_START_EXAMPLE) from None
    return start


def _fixed(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:] or 0))
    return timezone(-ahead if offset[0] == "-" else ahead)


def _resolved(local: datetime) -> datetime:
    """Return the instant in UTC by rule S5: a wall time in a gap moves forward by its length."""
    return local.astimezone(UTC)


def _moved(wall: datetime, duration: Duration) -> datetime:
    """Return ``wall`` moved by the calendar part; raises ``OverflowError`` past year 9999 (S4)."""
    if duration.months:
        years, month = divmod(wall.month - 1 + duration.months, 12)
        year, month = wall.year + years, month + 1
        if year > MAXYEAR:
            raise OverflowError
        day = min(wall.day, monthrange(year, month)[1])
        wall = wall.replace(year=year, month=month, day=day)
    return wall + timedelta(days=duration.days)


def _added(local: datetime, duration: Duration) -> datetime:
    """Return ``local`` ⊕ ``duration`` in UTC; raises ``OverflowError`` past year 9999 (S4, S5)."""
    if duration.months or duration.days:
        local = _moved(local, duration).replace(fold=0)
    return _resolved(local) + timedelta(microseconds=duration.microseconds)


def _mean(interval: Duration) -> int:
    return interval.months * _MEAN_MONTH + interval.days * _MEAN_DAY


def _least(holds: Callable[[int], bool], elapsed: int, mean: int) -> int:
    """Return the least k ≥ 0 that ``holds``, known to be near ``elapsed / mean`` microseconds."""
    low = max(0, (elapsed - _MARGIN) // mean)
    high = (elapsed + _MARGIN) // mean + 1
    return low + bisect_left(range(low, high), True, key=holds)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=1024)  # more than there are zones
def _skipped_dates(zone: tzinfo) -> frozenset[date]:
    """Return the dates that ``zone`` left out when it crossed the date line (rule S5)."""
    if not isinstance(zone, ZoneInfo):
        return frozenset()

    def wall(t: datetime) -> datetime:
        return t.astimezone(zone).replace(tzinfo=None)

    def is_jump(t: datetime, elapsed: timedelta) -> bool:
        """Tell whether the clock gains most of a day on the time that elapses from ``t`` on."""
        return wall(t + elapsed) - wall(t) - elapsed > _DAY / 2

    dates = set()
    for one, other in pairwise(datetime(year, 1, 1, tzinfo=UTC) for year in range(1800, 2100)):
        if is_jump(one, other - one):
            days = range((other - one) // _DAY)
            day = bisect_left(days, True, key=lambda day: is_jump(one, day * _DAY))
            dates.add((wall(one + day * _DAY) - _DAY).date())
    return frozenset(dates)
