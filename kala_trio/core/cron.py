"""Cron schedules: expressions on the clock of a zone, which is set forward and back (rule S12).

Time is cut into pieces in which the clock runs evenly. Instants are whole seconds since 1970.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from kala_trio.core.expression import (
    Expressions,
    count_common,
    count_walls,
    first_wall,
    last_wall,
)
from kala_trio.core.job import Occurrence
from kala_trio.core.progression import intersection
from kala_trio.core.zones import DAY, EPOCH, FIRST, LAST, jumps, offset_at

MICROSECONDS: Final = 1_000_000
"""Numbers of occurrences are microseconds, instants seconds."""

_SECOND: Final = timedelta(seconds=1)
_ALL_SECONDS: Final = range(FIRST * MICROSECONDS, (LAST + 1) * MICROSECONDS, MICROSECONDS)
# The manual of Debian's cron takes changes of three hours or more for corrections of the clock.
_CORRECTION: Final = 3 * 3600
# In so many days the calendar has been through all that it has, and then some.
_YEAR: Final = 366 * DAY
_HORIZON: Final = 450 * _YEAR


class Cron(Struct, frozen=True):
    """The union of cron expressions on the clock of a zone.

    An occurrence's number is its instant in microseconds since 1970.
    """

    expressions: Expressions
    zone: tzinfo

    def next_after(self, t: datetime) -> Occurrence | None:
        """Return the first occurrence later than the aware instant ``t`` (rule S6)."""
        first = (t - EPOCH) // _SECOND + 1
        end = min(first + _HORIZON, LAST)
        while first <= end:
            # A year at a time, since the jumps of a clock in all of them would take long to find.
            last = min(first + _YEAR, end)
            for piece in self._pieces(first, last):
                if (found := piece.first()) is not None:
                    return _occurrence(found)
            first = last + 1
        return None

    def last_at(self, t: datetime) -> Occurrence | None:
        """Return the last occurrence that is not later than the aware instant ``t`` (rule S6)."""
        last = (t - EPOCH) // _SECOND
        end = max(last - _HORIZON, FIRST)
        while last >= end:
            first = max(last - _YEAR, end)
            for piece in reversed([*self._pieces(first, last)]):
                if (found := piece.last()) is not None:
                    return _occurrence(found)
            last = first - 1
        return None

    def count(self, first: int, last: int) -> int:
        """Return how many occurrences have numbers from ``first`` to ``last``, both included."""
        return sum(piece.count() for piece in self._between(first, last))

    def has(self, number: int) -> bool:
        """Tell whether there is an occurrence of this number."""
        return self.count(number, number) == 1

    def common(self, numbers: range) -> int:
        """Return how many numbers of an arithmetic progression are those of occurrences."""
        whole = _whole_seconds(numbers)
        if not whole:
            return 0
        pieces = self._between(whole[0] * MICROSECONDS, whole[-1] * MICROSECONDS)
        return sum(piece.common(whole) for piece in pieces)

    def _between(self, first: int, last: int) -> Iterator["_Piece"]:
        low = max(-(-first // MICROSECONDS), FIRST)
        return self._pieces(low, min(last // MICROSECONDS, LAST))

    def _pieces(self, first: int, last: int) -> Iterator["_Piece"]:
        """Yield the pieces from ``first`` to ``last``, both included, in order (rule S12)."""
        loose = tuple(each for each in self.expressions if not each.is_fixed)
        fixed = tuple(each for each in self.expressions if each.is_fixed)
        low, offset = first - _CORRECTION, offset_at(self.zone, first - _CORRECTION)
        for jump in jumps(self.zone, low + 1, last):
            yield from _piece(self.expressions, max(low, first), jump.at, offset)
            low, offset, wall = jump.at, jump.after, jump.at + jump.before
            if -_CORRECTION < jump.length < 0:
                low -= jump.length
                yield from _piece(loose, max(jump.at, first), min(low, last + 1), offset)
            elif 0 < jump.length < _CORRECTION and count_walls(fixed, wall, wall + jump.length):
                low += 1
                if jump.at >= first:
                    yield _Piece((), jump.at, low, offset)
        yield from _piece(self.expressions, max(low, first), last + 1, offset)


class _Piece(Struct, frozen=True):
    """Instants, without ``end``, in which the clock runs evenly and these expressions count.

    With no expression it is one occurrence, at ``start``: what a gap had swallowed.
    """

    expressions: Expressions
    start: int
    end: int
    offset: int

    def first(self) -> int | None:
        """Return the first occurrence."""
        if not self.expressions:
            return self.start
        wall = first_wall(self.expressions, self.start + self.offset, self.end + self.offset)
        return None if wall is None else wall - self.offset

    def last(self) -> int | None:
        """Return the last occurrence."""
        if not self.expressions:
            return self.start
        wall = last_wall(self.expressions, self.start + self.offset, self.end + self.offset)
        return None if wall is None else wall - self.offset

    def count(self) -> int:
        """Return how many occurrences there are."""
        if not self.expressions:
            return 1
        return count_walls(self.expressions, self.start + self.offset, self.end + self.offset)

    def common(self, seconds: range) -> int:
        """Return how many occurrences an arithmetic progression has, too."""
        if not self.expressions:
            return int(self.start in seconds)
        first, step = seconds[0] + self.offset, seconds.step
        low, high = max(self.start, seconds[0]), min(self.end, seconds[-1] + 1)
        walls = low + self.offset, high + self.offset
        return count_common(self.expressions, *walls, first, step)


def _piece(some: Expressions, start: int, end: int, offset: int) -> Iterator[_Piece]:
    """Yield a piece if there is any of it between the years 1 and 9999 of the clock."""
    start, end = max(start, FIRST - offset), min(end, LAST + 1 - offset)
    if some and start < end:
        yield _Piece(some, start, end, offset)


def _occurrence(instant: int) -> Occurrence:
    return Occurrence(instant * MICROSECONDS, EPOCH + instant * _SECOND)


def _whole_seconds(numbers: range) -> range:
    """Return what of an arithmetic progression of microseconds is at whole seconds, in seconds."""
    whole = intersection(numbers, _ALL_SECONDS)
    return range(
        whole.start // MICROSECONDS,
        -(-whole.stop // MICROSECONDS),
        max(1, whole.step // MICROSECONDS),
    )
