"""Schedules against other people's arithmetic, and where that differs on purpose."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import isodate  # type: ignore[import-untyped]  # it has no annotations
import whenever
from dateutil import rrule, tz  # type: ignore[import-untyped]  # nor has this
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]
from hypothesis import assume, example, given
from hypothesis import strategies as st

from properties.asking import parsed, stepped
from properties.stepping import MICROSECOND, Interval, Moment, Spec
from properties.strategies import (
    LAST,
    aimed,
    calendar_intervals,
    calendar_steps,
    intervals,
    month_ends,
    numbers,
    offsets,
    ordinary_walls,
    specs,
    steps,
)

NOON = datetime(2000, 1, 1, 12)


# --- dateutil


@given(month_ends | ordinary_walls, calendar_intervals | calendar_steps, numbers)
@example(datetime(2026, 7, 31), Interval(months=1), 2)  # September 30
@example(datetime(2024, 2, 29), Interval(months=12), 4)  # February 29 again
def test_relativedelta_agrees_on_the_calendar(wall: datetime, interval: Interval, k: int) -> None:
    """S4: dateutil moves by k months, to the month's end at most, and then by days.

    It is given k times the parts: to add them k times gives August 31, September 30, October 30.
    """
    at = parsed(Spec(Moment(wall), interval)).occurrence(k)
    moved = wall
    try:
        moved += relativedelta(months=k * interval.all_months())
        moved += timedelta(days=k * interval.all_days())
    except (OverflowError, ValueError):
        assert at is None
    else:
        assert at == moved.replace(tzinfo=UTC) + k * interval.microseconds() * MICROSECOND


@given(
    month_ends | ordinary_walls,
    st.sampled_from(
        [
            (rrule.YEARLY, 1, Interval(years=1)),
            (rrule.YEARLY, 4, Interval(years=4)),
            (rrule.MONTHLY, 1, Interval(months=1)),
            (rrule.MONTHLY, 5, Interval(months=5)),
            (rrule.WEEKLY, 2, Interval(weeks=2)),
            (rrule.DAILY, 40, Interval(days=40)),
            (rrule.HOURLY, 7, Interval(hours=7)),
            (rrule.SECONDLY, 90, Interval(minutes=1, seconds=30)),
        ]
    ),
    st.integers(1, 30),
)
@example(datetime(9999, 12, 24), (rrule.WEEKLY, 2, Interval(weeks=2)), 2)  # year 10000
def test_rrule_agrees_but_for_the_ends_of_months(
    wall: datetime, rule: tuple[int, int, Interval], n: int
) -> None:
    """S4, S6: the instants of an RFC 5545 rule are the occurrences whose day was not clamped.

    A rule leaves out a month that has no 31st; a schedule is then at the month's end. A rule also
    knows no fraction of a second, and dateutil's weekly ones raise after year 9999.
    """
    wall = wall.replace(microsecond=0)
    frequency, every, interval = rule
    schedule = parsed(Spec(Moment(wall), interval))
    ours = [at for k in range(n) if (at := schedule.occurrence(k))]
    unclamped = [at for at in ours if at.day == wall.day or not interval.all_months()]
    theirs = []
    with suppress(ValueError):
        for at in rrule.rrule(frequency, dtstart=wall, interval=every, count=n):
            theirs.append(at.replace(tzinfo=UTC))
    assert unclamped == theirs[: len(unclamped)]


@given(aimed())
def test_dateutils_zones_agree_on_the_instant(question: tuple[Spec, int]) -> None:
    """S5: dateutil's reader of zone files and its resolve_imaginary find the same instant.

    It reads the years 1901 to 2037 of them, and gives an instant to a date that was skipped.
    """
    spec, k = question
    expected = stepped(spec)
    assume(1902 < expected.wall_of(k).year < 2037 and not expected.passes_over(k))
    zone = tz.gettz(spec.zone_name())
    wall = tz.resolve_imaginary(expected.wall_of(k).replace(tzinfo=zone))
    assert parsed(spec).occurrence(k) == wall.astimezone(UTC)


# --- isodate


@given(intervals | steps, st.sampled_from([1, 7, 100]))
@example(Interval(months=10**28), 1)  # more digits than isodate's Decimal adds exactly
@example(Interval(seconds=2**34, fraction="1"), 1)  # more than its float holds to the microsecond
def test_isodate_agrees_on_intervals(interval: Interval, k: int) -> None:
    """S3: k times isodate's duration, its months and then its rest, is where the occurrence is.

    It rounds a fraction where rule S3 cuts, hence k microseconds, and has it in a float of 53 bits.
    """
    at = parsed(Spec(Moment(NOON), interval)).occurrence(k)
    try:
        theirs = isodate.parse_duration(interval.text(), as_timedelta_if_possible=False)
        months = 12 * int(theirs.years) + int(theirs.months)
        moved = NOON + relativedelta(months=k * months) + k * theirs.tdelta
    except (OverflowError, ValueError, ArithmeticError):
        assert at is None or at > LAST - k * MICROSECOND
    else:
        close = k * (MICROSECOND + theirs.tdelta / 2**52)
        assert at is None or abs(at - moved.replace(tzinfo=UTC)) <= close
        assert at is not None or moved.replace(tzinfo=UTC) > LAST - close


@given(ordinary_walls, offsets, st.booleans(), st.text("0123456789", max_size=20))
def test_isodate_agrees_on_starts(
    wall: datetime, offset: timedelta, basic: bool, digits: str
) -> None:
    """S2: extended and basic format, offsets and any number of digits are the instant it reads."""
    text = Moment(wall.replace(microsecond=0), offset, basic=basic).text()
    if digits:
        length = 15 if basic else 19
        text = f"{text[:length]},{digits}{text[length:]}"
    assert parsed(text).occurrence(0) == isodate.parse_datetime(text)


# --- whenever


@given(aimed() | st.tuples(specs(steps), st.integers(0, 60)))
def test_whenever_agrees_on_calendar_and_zone(question: tuple[Spec, int]) -> None:
    """S4, S5: to add k times the parts to a time in a zone is its own calendar and zone arithmetic.

    It counts nanoseconds, and gives an instant to a date that was skipped. Offsets with seconds
    and days that came twice it knows as well.
    """
    spec, k = question
    expected = stepped(spec)
    interval = spec.interval or Interval()
    assume(spec.end is None and spec.zone_name() and k > 0 and expected.has(k))
    assume(not expected.passes_over(k) and interval.all_months() + interval.all_days() > 0)
    moved = whenever.PlainDateTime(expected.wall).add(
        months=k * interval.all_months(), days=k * interval.all_days()
    )
    there = moved.assume_tz(spec.zone_name(), disambiguation="compatible")
    theirs = there.to_instant().add(microseconds=k * interval.microseconds())
    assert parsed(spec).occurrence(k) == theirs.to_stdlib()
