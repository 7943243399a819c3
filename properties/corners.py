"""The odd places that the properties have to reach, by name, and when a question reaches one."""

from datetime import date, datetime, time, timedelta, tzinfo

from hypothesis import event

from properties.stepping import (
    HOUR,
    Spec,
    Stepped,
    is_skipped,
    offset_at,
    resolved,
    showings,
    shown,
)
from properties.strategies import ACCEPTED_AT, DAY

# How many of 1,500 questions have to reach each corner at least.
WANTED = {
    "a gap": 15,
    "a gap of half an hour": 1,
    "a gap of two hours": 1,
    "a gap at midnight": 5,
    "a fold": 20,
    "the second of two equal times": 2,
    "a fold of half an hour": 1,
    "summer time that is the standard": 1,
    "a skipped date": 8,
    "a skipped date at the start": 2,
    "a date that came twice": 4,
    "an offset with seconds": 30,
    "a day of 23 hours": 8,
    "a day of 25 hours": 8,
    "the end of a month, clamped": 6,
    "a 29th of February": 4,
    "a 29th of February, clamped": 3,
    "past the year 9999": 20,
    "in the year 9999": 2,
    "a microsecond interval": 6,
    "a fraction that is cut": 3,
    "a part that is written as zero": 20,
    "calendar and exact parts": 20,
    "R0": 50,
    "n has thirty digits": 15,
    "k is huge": 10,
    "past n": 50,
    "no start": 6,
    "an end": 10,
    "a bare start": 8,
    "R0 and no interval": 6,
    "the basic format": 50,
    "a zone of the job": 20,
    "a zone at both places": 15,
    "an offset and a zone": 30,
    "an offset and no zone": 15,
    "neither offset nor zone": 30,
}


def corners_of(spec: Spec, k: int) -> set[str]:
    """Return the names of the corners that occurrence ``k`` of a schedule is in."""
    corners = {name for name, holds in _written(spec, k).items() if holds}
    stepped = Stepped(spec, ACCEPTED_AT)
    if k > 0 and not stepped.months and not stepped.days:
        if spec.repeats is None and stepped.occurrence(k) is None:
            corners.add("past the year 9999")
        return corners
    return corners | {name for name, holds in _on_calendar(stepped, k).items() if holds}


def note_corners(spec: Spec, k: int) -> None:
    """Let Hypothesis count them, for ``--hypothesis-show-statistics``."""
    for corner in corners_of(spec, k):
        event(corner)


def _written(spec: Spec, k: int) -> dict[str, bool]:
    """Judge what the text says."""
    start, interval = spec.start, spec.interval
    has_offset = start is not None and start.offset is not None
    zone = spec.zone_name()
    exact = interval.microseconds() if interval else 0
    on_calendar = interval is not None and interval.all_months() + interval.all_days() > 0
    return {
        "a microsecond interval": exact == 1,
        "a fraction that is cut": interval is not None and len(interval.fraction) > 6,
        "a part that is written as zero": interval is not None and 0 in vars(interval).values(),
        "calendar and exact parts": on_calendar and exact > 0,
        "R0": spec.repeats == 0,
        "n has thirty digits": spec.repeats == 10**30 - 1,
        "k is huge": k > 10**20,
        "past n": spec.repeats is not None and k > spec.repeats,
        "no start": start is None,
        "an end": spec.end is not None,
        "a bare start": spec.bare,
        "R0 and no interval": not spec.bare and interval is None and spec.end is None,
        "the basic format": start is not None and start.basic,
        "a zone of the job": bool(spec.time_zone) and (start is None or not start.zone),
        "a zone at both places": start is not None and bool(start.zone and spec.time_zone),
        "an offset and a zone": has_offset and zone != "",
        "an offset and no zone": has_offset and zone == "",
        "neither offset nor zone": start is not None and not has_offset and zone == "",
    }


def _on_calendar(stepped: Stepped, k: int) -> dict[str, bool]:
    """Judge what the calendar and the zone's clock do where ``k`` calendar parts lead."""
    zone, anchor = stepped.zone, stepped.wall
    try:
        wall = stepped.wall_of(k)
        instants, instant = showings(wall, zone), resolved(wall, zone)
    except OverflowError:
        return {"past the year 9999": True}
    skipped = is_skipped(wall.date(), zone)
    gap = timedelta() if skipped else shown(instant, zone) - wall
    fold = instants[-1] - instants[0] if instants else timedelta()
    offset = offset_at(instant, zone)
    is_leap_day = (wall.month, wall.day) == (2, 29)
    was_leap_day = (anchor.month, anchor.day) == (2, 29)
    return {
        "a gap": bool(gap),
        "a gap of half an hour": gap == HOUR / 2,
        "a gap of two hours": gap == 2 * HOUR,
        "a gap at midnight": bool(gap) and (wall - gap).date() < wall.date(),
        "a fold": bool(fold),
        "a fold of half an hour": fold == HOUR / 2,
        "the second of two equal times": bool(fold) and k == 0 and stepped.anchor == instants[-1],
        "summer time that is the standard": bool(gap or fold) and str(zone) == "Europe/Dublin",
        "a skipped date": skipped,
        "a skipped date at the start": skipped and k == 0,
        "a date that came twice": fold == DAY,
        "an offset with seconds": offset % timedelta(minutes=1) != timedelta(),
        "a day of 23 hours": _length_of(wall.date(), zone) == 23 * HOUR,
        "a day of 25 hours": _length_of(wall.date(), zone) == 25 * HOUR,
        "the end of a month, clamped": stepped.days == 0 and wall.day < anchor.day,
        "a 29th of February": is_leap_day and k > 0,
        "a 29th of February, clamped": was_leap_day and wall.day == 28 and stepped.days == 0,
        "in the year 9999": wall.year == 9999,
    }


def _length_of(day: date, zone: tzinfo) -> timedelta | None:
    """Return how long a date lasts; None at the end of time."""
    try:
        midnights = [datetime.combine(day + n * DAY, time()) for n in (0, 1)]
        return resolved(midnights[1], zone) - resolved(midnights[0], zone)
    except OverflowError:
        return None
