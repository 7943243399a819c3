"""Pieces of English that sentences about schedules are made of: lists, days, clocks, spans."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from kala_trio.core.duration import HOUR, MINUTE, SECOND, Duration

# Those of ``calendar`` follow the locale.
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""The names of the months, from 0."""

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""The names of the weekdays, from 0."""

_AREAS: Final = {
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
}
_VAGUE: Final = {"North", "South", "West"}


def listed(some: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    *rest, last = some
    return f"{', '.join(rest)} and {last}" if rest else last


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``4th``; for the days of a month."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 11 <= number <= 13 else ending}"


def day_of(day: date) -> str:
    """Return a date such as ``1 March 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def clock_of(clock: time) -> str:
    """Return ``09:00``, with seconds and their fraction where they are not zero."""
    text = clock.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if clock.microsecond else text.removesuffix(":00")


def place_of(zone: tzinfo) -> str:
    """Return ``UTC``, ``UTC+02:00``, ``New York time``, or the key of a zone that is no town's."""
    if not isinstance(zone, ZoneInfo):
        return "UTC" if zone == UTC else str(zone)
    area, _, town = zone.key.partition("/")
    if area in _AREAS and "/" not in town and town not in _VAGUE:
        return f"{town.replace('_', ' ')} time"
    return f"{zone.key} time"


def moment_of(moment: datetime) -> str:
    """Return a moment as its own zone's clock shows it: ``1 March 2026 09:00 Berlin time``."""
    return f"{day_of(moment)} {clock_of(moment.time())} {place_of(moment.tzinfo or UTC)}"


def shown(instant: datetime, zone: tzinfo) -> datetime:
    """Return an instant as a zone's clock shows it; in UTC where it has no year from 1 to 9999."""
    try:
        return instant.astimezone(zone)
    except OverflowError:
        return instant


def span_of(duration: Duration) -> str:
    """Return how long a duration is: ``1 month``, ``2 weeks``, ``1 day and 12 hours``."""
    years, months = divmod(duration.months, 12)
    weeks, days = (0, duration.days) if duration.days % 7 else (duration.days // 7, 0)
    hours, rest = divmod(duration.microseconds, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    finer = f".{fraction:06}".rstrip("0") if fraction else ""
    parts = [
        *((years, "", "year"), (months, "", "month"), (weeks, "", "week"), (days, "", "day")),
        *((hours, "", "hour"), (minutes, "", "minute"), (seconds, finer, "second")),
    ]
    texts = [
        f"{count:,}{decimals} {unit}{'' if (count, decimals) == (1, '') else 's'}"
        for count, decimals, unit in parts
        if count or decimals
    ]
    return listed(texts or ["0 seconds"])


def every(duration: Duration) -> str:
    """Return ``every month``, ``every 2 weeks``, ``every 1 day and 12 hours``."""
    span = span_of(duration)
    return f"every {span if ' and ' in span else span.removeprefix('1 ')}"
