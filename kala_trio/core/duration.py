"""ISO 8601 durations that keep a day apart from 24 hours, which no ``timedelta`` can (rule S3)."""

import re
from typing import Final

from msgspec import Struct

from kala_trio.core.errors import Malformed

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_LONGEST_TEXT: Final = 500
_TOO_LARGE: Final = 10**30
_EXAMPLE: Final = "P1DT12H or PT0.5S"

_NUMBER = "([0-9]++)"
_LAST = "(?:[.,]([0-9]++)(?=.$))?"
_GRAMMAR: Final = re.compile(
    rf"P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}{_LAST}H)?(?:{_NUMBER}{_LAST}M)?(?:{_NUMBER}{_LAST}S)?)?"
)


class Duration(Struct, frozen=True):
    """``months`` and ``days`` of the calendar, and ``microseconds`` of elapsed time, never mixed.

    They stay apart because only a date and a zone can tell how long a month or a day is
    (rules S4, S5). Years are 12 months, weeks 7 days; hours never become days.
    """

    months: int = 0
    days: int = 0
    microseconds: int = 0

    @classmethod
    def parse(cls, text: str, *, field: str = "interval") -> "Duration":
        """Read ISO 8601 text by rule S3, cutting what is finer than a microsecond.

        Raises ``Malformed``, naming ``field``, for all else, and for a duration of zero.
        """
        if len(text) > _LONGEST_TEXT:
            problem = f"is longer than {_LONGEST_TEXT} characters"
            raise Malformed(field, problem, found=text, example=_EXAMPLE)
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            problem = (
                "must be an ISO 8601 duration, PnYnMnWnDTnHnMnS without a sign, "
                "where only the last of H, M and S may have a fraction"
            )
            raise Malformed(field, problem, found=text, example=_EXAMPLE)
        years, months, weeks, days = (int(number or 0) for number in match.groups()[:4])
        duration = cls(
            months=12 * years + months,
            days=7 * weeks + days,
            microseconds=_exact(match[5], match[6], HOUR)
            + _exact(match[7], match[8], MINUTE)
            + _exact(match[9], match[10], SECOND),
        )
        if duration == cls():
            problem = "must be at least a microsecond"
            raise Malformed(field, problem, found=text, example=_EXAMPLE)
        if max(duration.months, duration.days, duration.microseconds) >= _TOO_LARGE:
            raise Malformed(field, "is far too long", found=text, example=_EXAMPLE)
        return duration

    def scaled(self, k: int) -> "Duration":
        """Return ``k`` times this duration, part by part (rule S4)."""
        return Duration(k * self.months, k * self.days, k * self.microseconds)

    def __str__(self) -> str:
        """Return the canonical text, ``PnYnMnDTnHnMn.nS`` without the parts that are zero."""
        years, months = divmod(self.months, 12)
        hours, rest = divmod(self.microseconds, HOUR)
        minutes, rest = divmod(rest, MINUTE)
        seconds, fraction = divmod(rest, SECOND)
        date = _written((years, "Y"), (months, "M"), (self.days, "D"))
        time = _written((hours, "H"), (minutes, "M"))
        if fraction:
            time += f"{seconds}.{fraction:06}".rstrip("0") + "S"
        else:
            time += _written((seconds, "S"))
        return f"P{date}T{time}" if time else f"P{date}"


def _exact(whole: str | None, fraction: str | None, unit: int) -> int:
    microseconds = int(whole or 0) * unit
    if fraction is not None:
        microseconds += int(fraction) * unit // 10 ** len(fraction)
    return microseconds


def _written(*parts: tuple[int, str]) -> str:
    return "".join(f"{number}{letter}" for number, letter in parts if number)
