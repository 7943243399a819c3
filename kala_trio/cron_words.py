"""Cron expressions in words, as far as they have a shape that words are shorter for.

What counts is what the fields mean, not how they are written: ``0,30`` is ``*/30``.
"""

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import Final

from cronsim import CronSim

from kala_trio.core.duration import SECOND, Duration
from kala_trio.phrases import MONTHS, WEEKDAYS, clock_of, every, listed, ordinal

_DAY: Final = 86_400
_MOST_LISTED: Final = 6
_EVERY_DAY: Final = frozenset(range(1, 32))
_EVERY_MONTH: Final = frozenset(range(1, 13))
_EVERY_WEEKDAY: Final = frozenset(range(7))
_WHICH: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}


@lru_cache(maxsize=1024)
def cron_in_words(text: str) -> str:
    """Say when an expression of five or six good fields, in capitals, has its times.

    Where there are no words for it, ``at the times of`` it.
    """
    matcher = CronSim(text, datetime(1970, 1, 1, tzinfo=UTC))
    times = _times(matcher.seconds, matcher.minutes, matcher.hours)
    days = _days(matcher)
    if times is None or days is None:
        return f"at the times of {text}"
    if not times.startswith("at"):
        return f"{times} {days}".rstrip()
    return f"{days} {times}" if days.startswith("on") else f"{f'every day {days}'.rstrip()} {times}"


def _times(seconds: set[int], minutes: set[int], hours: set[int]) -> str | None:
    """Say at which times of day, None where that would be long."""
    clocks = [
        3600 * hour + 60 * minute + second
        for hour in sorted(hours)
        for minute in sorted(minutes)
        for second in sorted(seconds)
    ]
    if len(clocks) <= _MOST_LISTED:
        return f"at {listed([_clock(each) for each in clocks])}"
    step = clocks[1] - clocks[0]
    if clocks == [*range(clocks[0], clocks[-1] + 1, step)]:
        said = every(Duration(microseconds=step * SECOND))
        if clocks[0] == 0 and clocks[-1] + step == _DAY:
            return said
        return f"{said} from {_clock(clocks[0])} to {_clock(clocks[-1])}"
    if len(hours) == 24 and seconds == {0} and len(minutes) <= _MOST_LISTED:
        return f"every hour at minutes {listed([str(each) for each in sorted(minutes)])}"
    return None


def _days(matcher: CronSim) -> str | None:
    """Say on which days, nothing for every day, None where that would be long."""
    dates = frozenset(matcher.days)
    weekdays = {each % 7 if isinstance(each, int) else each for each in matcher.weekdays}
    by_date, by_weekday = dates != _EVERY_DAY, not weekdays >= _EVERY_WEEKDAY
    if by_date and by_weekday:
        return None
    in_months = _months(matcher.months)
    if in_months is None:
        return None
    # If no field begins with a star either is enough, and one of them has every day.
    if not matcher.day_and or not (by_date or by_weekday):
        return in_months and f"in {in_months}"
    if by_date:
        named = _dates(dates)
        return named and f"on {named} of {in_months or 'the month'}"
    return _weekdays(weekdays, in_months)


def _months(months: AbstractSet[int]) -> str | None:
    if months == _EVERY_MONTH:
        return ""
    if len(months) > _MOST_LISTED:
        return None
    return listed([MONTHS[each - 1] for each in sorted(months)])


def _dates(dates: AbstractSet[int]) -> str | None:
    special = {CronSim.LAST: "the last day", CronSim.LAST_WEEKDAY: "the last working day"}
    numbers = sorted(dates - special.keys())
    named = [f"the {ordinal(each)}" for each in numbers]
    if len(named) > 2 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        named = [f"{named[0]} to the {ordinal(numbers[-1])}"]
    named += [text for each, text in special.items() if each in dates]
    return listed(named) if len(named) <= _MOST_LISTED else None


def _weekdays(weekdays: AbstractSet[int | tuple[int, int]], in_months: str) -> str | None:
    plain = {(each - 1) % 7 for each in weekdays if isinstance(each, int)}
    nth = sorted(each for each in weekdays if isinstance(each, tuple))
    if (plain and nth) or len(nth) > _MOST_LISTED:
        return None
    if nth:
        named = [
            f"the {_WHICH.get(which, 'last')} {WEEKDAYS[(each - 1) % 7]}" for each, which in nth
        ]
        return f"on {listed(named)} of {in_months or 'the month'}"
    within = f" in {in_months}" if in_months else ""
    if plain == {*range(5)}:
        return f"on weekdays{within}"
    if plain == {5, 6}:
        return f"on weekends{within}"
    return f"on {listed([f'{WEEKDAYS[each]}s' for each in sorted(plain)])}{within}"


def _clock(seconds: int) -> str:
    return clock_of(time(seconds // 3600, seconds // 60 % 60, seconds % 60))
