"""The slow, obvious truth about schedules: what is written, and the occurrences one by one.

Nothing of kala-trio is used here. A ``Spec`` is what a text says; ``Stepped`` counts k = 0, 1, 2, …
and looks at a calendar and at the zone's clock each time, by rules S1 to S7.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import count, pairwise
from zoneinfo import ZoneInfo

from properties.implementation import Point

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


# --- What is written


@dataclass(frozen=True)
class Moment:
    """What a clock shows, with its offset and the name of its zone where they are given."""

    wall: datetime
    offset: timedelta | None = None
    zone: str = ""
    basic: bool = False

    def text(self) -> str:
        """Write it by rule S2."""
        clock, offset = self.wall.isoformat(), self._offset()
        if self.basic:
            clock, offset = clock.replace("-", "").replace(":", ""), offset.replace(":", "")
        return clock + offset + (f"[{self.zone}]" if self.zone else "")

    def _offset(self) -> str:
        if self.offset is None:
            return ""
        if not self.offset and not self.zone:
            return "Z"
        return datetime.min.replace(tzinfo=timezone(self.offset)).isoformat()[19:]


@dataclass(frozen=True)
class Interval:
    """An ISO 8601 duration as written: None is a part left out, 0 one that is written as zero.

    ``fraction`` holds the decimals of the last of hours, minutes and seconds.
    """

    years: int | None = None
    months: int | None = None
    weeks: int | None = None
    days: int | None = None
    hours: int | None = None
    minutes: int | None = None
    seconds: int | None = None
    fraction: str = ""

    def text(self) -> str:
        """Write it by rule S3."""
        date_parts = (self.years, "Y"), (self.months, "M"), (self.weeks, "W"), (self.days, "D")
        time_parts = (self.hours, "H"), (self.minutes, "M"), (self.seconds, "S")
        on_date = "".join(f"{n}{letter}" for n, letter in date_parts if n is not None)
        in_time = "".join(f"{n}{letter}" for n, letter in time_parts if n is not None)
        if self.fraction:
            in_time = f"{in_time[:-1]}.{self.fraction}{in_time[-1]}"
        return f"P{on_date}T{in_time}" if in_time else f"P{on_date}"

    def all_months(self) -> int:
        """Return the years and months, in months."""
        return 12 * (self.years or 0) + (self.months or 0)

    def all_days(self) -> int:
        """Return the weeks and days, in days."""
        return 7 * (self.weeks or 0) + (self.days or 0)

    def microseconds(self) -> int:
        """Return the hours, minutes and seconds; what is finer than a microsecond is cut."""
        minutes = 60 * (self.hours or 0) + (self.minutes or 0)
        whole = 10**6 * (60 * minutes + (self.seconds or 0))
        if not self.fraction:
            return whole
        unit = 3600 if self.minutes is None and self.seconds is None else 60
        unit = 10**6 * (1 if self.seconds is not None else unit)
        finer: int = int(self.fraction) * unit // 10 ** len(self.fraction)
        return whole + finer

    def is_empty(self) -> bool:
        """Tell whether it is no time at all, which rule S3 refuses."""
        return not (self.all_months() or self.all_days() or self.microseconds())


@dataclass(frozen=True)
class Spec:
    """A schedule as it is written, by rule S1, and the ``time_zone`` of its job.

    Without a start it begins when it is accepted. It has an interval, or an end, or neither and
    then is once, which is written as a ``bare`` start or as ``R0/start/``.
    """

    start: Moment | None
    interval: Interval | None = None
    end: Moment | None = None
    repeats: int | None = None
    bare: bool = False
    time_zone: str = ""

    def text(self) -> str:
        """Write it."""
        start = self.start.text() if self.start else ""
        if self.bare:
            return start
        rest = self.interval or self.end
        repeats = "" if self.repeats is None else self.repeats
        return f"R{repeats}/{start}/{rest.text() if rest else ''}"

    def zone_name(self) -> str:
        """Return the zone's name, wherever it is given, or nothing."""
        return (self.start.zone if self.start else "") or self.time_zone

    def zone(self) -> tzinfo:
        """Return where its clock hangs: in a zone, at an offset, or else in UTC."""
        if name := self.zone_name():
            return ZoneInfo(name)
        if self.start is None or self.start.offset is None:
            return UTC
        return timezone(self.start.offset)


# --- The zone's clock


def shown(instant: datetime, zone: tzinfo) -> datetime:
    """Return what a clock in ``zone`` shows, without any offset."""
    return instant.astimezone(zone).replace(tzinfo=None)


def offset_at(instant: datetime, zone: tzinfo) -> timedelta:
    """Return how far the zone's clock is ahead of UTC."""
    return shown(instant, zone) - shown(instant, UTC)


def minus(wall: datetime, offset: timedelta) -> datetime:
    """Return the instant at which a clock that is ahead by ``offset`` shows ``wall``."""
    return wall.replace(tzinfo=UTC) - offset


@lru_cache(maxsize=100_000)
def offsets_around(day: date, zone: tzinfo) -> list[timedelta]:
    """Return the offsets of the zone around ``day``, oldest first, by looking once an hour.

    No clock is ahead of UTC by more than a day, or behind it.
    """
    found: list[timedelta] = []
    for hours in range(-26, 51):
        try:
            offset = offset_at(datetime.combine(day, time(), UTC) + hours * HOUR, zone)
        except OverflowError:  # before the year 1 or after 9999
            continue
        if found[-1:] != [offset]:
            found.append(offset)
    return found


def showings(wall: datetime, zone: tzinfo) -> list[datetime]:
    """Return the instants at which the zone's clock shows ``wall``: one, none, or two (S5)."""
    candidates = {minus(wall, offset) for offset in offsets_around(wall.date(), zone)}
    return sorted(instant for instant in candidates if shown(instant, zone) == wall)


def resolved(wall: datetime, zone: tzinfo) -> datetime:
    """Return the instant that ``wall`` stands for (S5).

    It is the first one that shows it; in a gap, the clock is as if it had not been set forward.
    """
    if instants := showings(wall, zone):
        return instants[0]
    for before, after in pairwise(offsets_around(wall.date(), zone)):
        as_before, as_after = minus(wall, before), minus(wall, after)
        if offset_at(as_before, zone) == after and offset_at(as_after, zone) == before:
            return as_before
    raise AssertionError(f"{wall} is neither shown in {zone} nor in a gap")


@lru_cache(maxsize=100_000)
def is_skipped(day: date, zone: tzinfo) -> bool:
    """Tell whether the zone left out a date: no quarter of an hour of it is ever shown (S5)."""
    midnight = datetime.combine(day, time())
    return not any(showings(midnight + quarter * HOUR / 4, zone) for quarter in range(96))


# --- The calendar


def days_in(year: int, month: int) -> int:
    """Return the length of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def moved(day: date, months: int, days: int) -> date:
    """Return ``day`` moved by months, at most to the end of the month, and then by days (S4).

    Raises OverflowError past the year 9999.
    """
    months += 12 * day.year + day.month - 1
    year, month = months // 12, months % 12 + 1
    if year > MAXYEAR:
        raise OverflowError
    in_month = day.replace(year=year, month=month, day=min(day.day, days_in(year, month)))
    return in_month + timedelta(days=days)


# --- Its occurrences


class Stepped:
    """The occurrences of ``spec``, accepted at an instant."""

    def __init__(self, spec: Spec, accepted_at: datetime) -> None:
        """Find the anchor and the interval."""
        self.zone = spec.zone()
        self.repeats = spec.repeats
        if spec.start is None:
            self.anchor = accepted_at
            self.wall = shown(accepted_at, self.zone)
        else:
            self.anchor = self._instant_of(spec.start)
            self.wall = spec.start.wall
        self.months = spec.interval.all_months() if spec.interval else 0
        self.days = spec.interval.all_days() if spec.interval else 0
        self.microseconds = spec.interval.microseconds() if spec.interval else 0
        if spec.end:
            self.microseconds = (self._instant_of(spec.end) - self.anchor) // MICROSECOND

    def _instant_of(self, moment: Moment) -> datetime:
        """Return what a start or an end means; the start's zone is the end's, if it has none."""
        if moment.offset is not None:
            return minus(moment.wall, moment.offset)
        return resolved(moment.wall, ZoneInfo(moment.zone) if moment.zone else self.zone)

    def occurrence(self, k: int) -> datetime | None:
        """Return S(k), None where there is none."""
        at = self._if_not_skipped(k)
        return None if at is None or self.passes_over(k) else at

    def has(self, k: int) -> bool:
        """Tell whether ``k`` is within n and the year 9999, on a skipped date or not (S1, S7)."""
        return self._if_not_skipped(k) is not None

    def wall_of(self, k: int) -> datetime:
        """Return what the clock should show k calendar parts on; OverflowError past 9999 (S4)."""
        day = moved(self.wall.date(), k * self.months, k * self.days)
        return datetime.combine(day, self.wall.time())

    def passes_over(self, k: int) -> bool:
        """Tell whether occurrence ``k`` falls on a date that the zone skipped (S5)."""
        is_by_calendar = k == 0 or self.months > 0 or self.days > 0
        return is_by_calendar and is_skipped(self.wall_of(k).date(), self.zone)

    def _if_not_skipped(self, k: int) -> datetime | None:
        """Return S(k), as if each date had been there; None past n or the year 9999 (S1, S7)."""
        if k < 0 or (self.repeats is not None and k > self.repeats):
            return None
        try:
            if k == 0 or (self.months == 0 and self.days == 0):
                start = self.anchor
            else:
                start = resolved(self.wall_of(k), self.zone)
            return start + timedelta(microseconds=k * self.microseconds)
        except OverflowError:
            return None

    def points(self) -> Iterator[Point]:
        """Count k = 0, 1, 2, … until there are no more."""
        for k in count():
            at = self._if_not_skipped(k)
            if at is None:
                return
            if not self.passes_over(k):
                yield Point(k, at)

    def next_after(self, t: datetime) -> Point | None:
        """Return the first occurrence later than ``t`` (S6)."""
        for point in self.points():
            if point.at > t:
                return point
        return None

    def last_at(self, t: datetime) -> Point | None:
        """Return the last occurrence that is not later than ``t`` (S6)."""
        last = None
        for point in self.points():
            if point.at > t:
                break
            last = point
        return last
