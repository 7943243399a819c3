"""Where the clock of a zone jumps, found by looking: the standard library doesn't tell.

Instants are whole seconds since 1970 in UTC; *walls* are what a clock shows, counted the same way.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from msgspec import Struct

DAY: Final = 86_400
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST: Final = -62_135_596_800
"""The first instant of the year 1."""
LAST: Final = 253_402_300_799
"""The last second of the year 9999."""

# No zone of the database jumps twice within 95 hours.
_STEP: Final = 2 * DAY
_SECOND: Final = timedelta(seconds=1)


class Jump(Struct, frozen=True):
    """At the instant ``at`` the offset from UTC becomes ``after`` and is no longer ``before``."""

    at: int
    before: int
    after: int

    @property
    def length(self) -> int:
        """How far the clock is set forward; less than 0 where it is set back."""
        return self.after - self.before


def jumps(zone: tzinfo, first: int, last: int) -> Iterator[Jump]:
    """Yield the jumps of a zone's clock from one instant to another, both included, in order."""
    for year in range(_year(first), _year(last) + 1):
        yield from (jump for jump in _jumps_in(zone, year) if first <= jump.at <= last)


def offset_at(zone: tzinfo, instant: int) -> int:
    """Return what a zone's clock shows beyond UTC; at the ends of time, that of two days off."""
    at = EPOCH + _SECOND * min(max(instant, FIRST + _STEP), LAST - _STEP)
    return (at.astimezone(zone).utcoffset() or timedelta()) // _SECOND


def showing(zone: tzinfo, first: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of instants, without ends, in which walls ``first`` to ``end`` show.

    That is one as a rule, none for a day that was skipped, and more where clocks are set back. It
    takes no longer for centuries than for days: far from both ends it is no matter how clocks jump.
    """
    low, high = first - _STEP, end + _STEP
    offset = offset_at(zone, low)
    if (near_end := end - 2 * _STEP) > (near_first := first + 2 * _STEP):
        turn = Jump(near_end, 0, offset_at(zone, near_end))
        turns = [*jumps(zone, low, near_first), turn, *jumps(zone, near_end, high)]
    else:
        turns = [*jumps(zone, low, high)]
    for jump in (*turns, Jump(high, 0, 0)):
        start, stop = max(low, first - offset), min(jump.at, end - offset)
        if start < stop:
            yield start, stop
        low, offset = jump.at, jump.after


@lru_cache(maxsize=4096)
def _jumps_in(zone: tzinfo, year: int) -> tuple[Jump, ...]:
    """Return the jumps of a year of UTC."""
    found = []
    first = int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) / _SECOND)
    end = (
        LAST + 1 if year == 9999 else int((datetime(year + 1, 1, 1, tzinfo=UTC) - EPOCH) / _SECOND)
    )
    one, before = first - 1, offset_at(zone, first - 1)
    while one < end - 1:
        other = min(one + _STEP, end - 1)
        after = offset_at(zone, other)
        if after != before:
            stretch = range(one, other)
            at = one + bisect_left(stretch, True, key=lambda t: offset_at(zone, t) == after)
            found.append(Jump(at, before, after))
        one, before = other, after
    return tuple(found)


def _year(instant: int) -> int:
    return (EPOCH + _SECOND * min(max(instant, FIRST), LAST)).year
