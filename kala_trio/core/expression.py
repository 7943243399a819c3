"""Cron expressions on a clock that never jumps: which walls match (rule S11).

cronsim reads them and judges dates. A day's matching seconds are the bits of one number, so that a
day is searched, counted and united with another at once; a month's matching days are the bits of
another. So nothing walks through what matches. Walls are seconds since 1970 on the clock, days are
counted from there too.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError
from msgspec import Struct

from kala_trio.core.errors import Malformed
from kala_trio.core.zones import DAY, EPOCH

EXAMPLE: Final = '"0 9 * * MON-FRI" or "@daily"'

_LONGEST_TEXT: Final = 500
_SHORT: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PROBLEMS: Final = {
    "Bad second": "seconds are 0 to 59",
    "Bad minute": "minutes are 0 to 59",
    "Bad hour": "hours are 0 to 23",
    "Bad day-of-month": "days are 1 to 31, L or LW, and one of the months must have them",
    "Bad month": "months are 1 to 12, or JAN to DEC",
    "Bad day-of-week": "weekdays are 0 to 7, or SUN to SAT, with L or #1 to #5 after it",
}
_FIRST_ORDINAL: Final = date(1970, 1, 1).toordinal()


class Expression(Struct, frozen=True):
    """A cron expression of five or six fields; ``parse_expression`` makes the valid ones.

    ``is_fixed`` tells that it names minutes and hours, so that rule S12 treats it specially.
    """

    text: str
    is_fixed: bool


Expressions = tuple[Expression, ...]
"""Several that count as one: what more than one matches is there once."""


@lru_cache(maxsize=1024)
def parse_expression(text: str, field: str) -> Expression:
    """Read a cron expression by rule S11; raises ``Malformed``, naming ``field``."""
    if len(text) > _LONGEST_TEXT:
        problem = f"is longer than {_LONGEST_TEXT} characters"
        raise Malformed(field, problem, found=text, example=EXAMPLE)
    written = text.strip(" \t")
    fields = _SHORT.get(written.lower(), written.upper()).split() if text.isascii() else []
    if len(fields) not in (5, 6) or not text.isprintable():
        problem = (
            "must be five fields, minute hour day month weekday, or six with seconds before "
            f"them, or one of {' '.join(_SHORT)}"
        )
        raise Malformed(field, problem, found=text, example=EXAMPLE)
    is_fixed = not any(each.startswith("*") for each in fields[-5:-3])
    expression = Expression(" ".join(fields), is_fixed)
    try:
        _matcher(expression.text)
    except CronSimError as error:
        problem = _PROBLEMS.get(str(error), str(error))
        raise Malformed(field, problem, found=text, example=EXAMPLE) from None
    years = (
        date(year, 1, 1).toordinal() - _FIRST_ORDINAL for year in (2000, 2400)
    )  # all there are
    start, end = (day * DAY for day in years)
    if first_wall((expression,), start, end) is None:
        raise Malformed(field, "matches no date that there is", found=text, example=EXAMPLE)
    return expression


def first_wall(some: Expressions, start: int, end: int) -> int | None:
    """Return the first wall from ``start`` on, before ``end``, that matches."""
    for day in _matching_days(some, start, end):
        if bits := _seconds_on(some, day, start, end):
            return day * DAY + (bits & -bits).bit_length() - 1
    return None


def last_wall(some: Expressions, start: int, end: int) -> int | None:
    """Return the last wall before ``end``, not before ``start``, that matches."""
    for day in _matching_days(some, start, end, backwards=True):
        if bits := _seconds_on(some, day, start, end):
            return day * DAY + bits.bit_length() - 1
    return None


def count_walls(some: Expressions, start: int, end: int) -> int:
    """Return how many walls from ``start`` on, before ``end``, match."""
    whole = range(-(-start // DAY), end // DAY)
    if not whole:
        days = _matching_days(some, start, end)
        return sum(_seconds_on(some, day, start, end).bit_count() for day in days)
    return (
        count_walls(some, start, whole[0] * DAY)
        + sum(_count_in(some, month, days) for month, days in _months(whole[0], whole[-1]))
        + count_walls(some, (whole[-1] + 1) * DAY, end)
    )


def count_common(some: Expressions, start: int, end: int, first: int, step: int) -> int:
    """Return how many of these walls are multiples of ``step`` away from ``first``."""
    common = 0
    for day in _matching_days(some, start, end):
        if (shift := (first - day * DAY) % step) < DAY:
            bits = _seconds_on(some, day, start, end)
            common += (bits & (_every(step) << shift)).bit_count()
    return common


def _matching_days(
    some: Expressions, start: int, end: int, *, backwards: bool = False
) -> Iterator[int]:
    """Yield the days that an expression matches and that have some of these walls."""
    if start >= end:
        return
    for month, days in _months(start // DAY, (end - 1) // DAY, backwards=backwards):
        dates = _dates(some, month)
        for day in reversed(days) if backwards else days:
            if dates >> (day - month.first) & 1:
                yield day


class _Month(Struct, frozen=True):
    """A month: its ``first`` day, and all that decides which dates match."""

    first: int
    number: int
    weekday: int
    length: int


def _months(first: int, last: int, *, backwards: bool = False) -> Iterator[tuple[_Month, range]]:
    """Yield the months of days ``first`` to ``last``, both included, each with those it has."""
    one, other = (date.fromordinal(day + _FIRST_ORDINAL) for day in (first, last))
    numbers = range(12 * one.year + one.month - 1, 12 * other.year + other.month)
    for number in reversed(numbers) if backwards else numbers:
        year, month = number // 12, number % 12 + 1
        weekday, length = monthrange(year, month)
        begin = date(year, month, 1).toordinal() - _FIRST_ORDINAL
        days = range(max(first, begin), min(last, begin + length - 1) + 1)
        yield _Month(begin, month, weekday, length), days


def _dates(some: Expressions, month: _Month) -> int:
    """Return the days of a month that an expression matches, as bits."""
    dates = 0
    for each in some:
        dates |= _dates_of(each.text, month.number, month.weekday, month.length)
    return dates


def _count_in(some: Expressions, month: _Month, days: range) -> int:
    """Return how much matches on these days of a month."""
    whole = len(days) == month.length
    low, high = (0, 31) if whole else (days[0] - month.first, days[-1] - month.first)
    return _count_of(some, (month.number, month.weekday, month.length), low, high)


@lru_cache(maxsize=4096)
def _count_of(some: Expressions, month: tuple[int, int, int], low: int, high: int) -> int:
    texts = [each.text for each in some]
    dates = [_dates_of(text, *month) for text in texts]
    if len(some) == 1:
        within = (dates[0] >> low) & ((1 << (high - low + 1)) - 1)
        return within.bit_count() * _clock(texts[0]).bit_count()
    return sum(
        _united(
            tuple(text for text, its in zip(texts, dates, strict=True) if its >> day & 1)
        ).bit_count()
        for day in range(low, high + 1)
    )


def _seconds_on(some: Expressions, day: int, start: int, end: int) -> int:
    """Return the seconds of a day that match, as bits, if they are from ``start`` to ``end``."""
    ((month, _),) = _months(day, day)
    place = day - month.first
    bits = _united(
        tuple(
            each.text
            for each in some
            if _dates_of(each.text, month.number, month.weekday, month.length) >> place & 1
        )
    )
    low, high = start - day * DAY, end - day * DAY
    if high < DAY:
        bits &= (1 << max(high, 0)) - 1
    return bits >> low << low if low > 0 else bits


@lru_cache(maxsize=256)
def _united(texts: tuple[str, ...]) -> int:
    bits = 0
    for text in texts:
        bits |= _clock(text)
    return bits


@lru_cache(maxsize=256)
def _clock(text: str) -> int:
    """Return the seconds of a day that an expression matches, as bits."""
    matcher = _matcher(text)
    bits = 0
    for hour in matcher.hours:
        for minute in matcher.minutes:
            for second in matcher.seconds:
                bits |= 1 << (3600 * hour + 60 * minute + second)
    return bits


@lru_cache(maxsize=256)
def _every(step: int) -> int:
    """Return every ``step``-th second of a day, from its first, as bits."""
    bits, width = 1, step
    while width < DAY:
        bits |= bits << width
        width *= 2
    return bits


@lru_cache(maxsize=8192)
def _dates_of(text: str, number: int, weekday: int, length: int) -> int:
    """Return the days of such a month that an expression matches, as bits."""
    matcher = _matcher(text)
    if number not in matcher.months:
        return 0
    year = next(y for y in range(2000, 2400) if monthrange(y, number) == (weekday, length))
    dates = (date(year, number, day) for day in range(1, length + 1))
    return sum(1 << (each.day - 1) for each in dates if matcher.match_day(each))


@lru_cache(maxsize=256)
def _matcher(text: str) -> CronSim:
    """Return what knows which fields match; its own instant is of no account."""
    return CronSim(text, EPOCH)
