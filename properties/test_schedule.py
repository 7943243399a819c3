"""Schedules, rules S4 to S7: when the occurrences are, against a count that takes one at a time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

from hypothesis import assume, example, given
from hypothesis import strategies as st

from properties.asking import assert_answers, existing, parsed, stepped
from properties.corners import note_corners
from properties.implementation import Point
from properties.stepping import (
    HOUR,
    MICROSECOND,
    Interval,
    Moment,
    Spec,
    is_skipped,
    minus,
    offset_at,
    showings,
    shown,
)
from properties.strategies import (
    DAY,
    FIRST,
    LAST,
    aimed,
    calendar_intervals,
    calendar_steps,
    exact_intervals,
    instants,
    intervals,
    moments,
    near_questions,
    numbers,
    odd_zone_names,
    offsets,
    ordinary_walls,
    questions,
    specs,
    steps,
    walls_in,
)

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"


def every(interval: Interval, wall: datetime, zone: str = "", *, n: int | None = None) -> Spec:
    """Return a schedule from a wall time on."""
    return Spec(Moment(wall, None, zone), interval, repeats=n)


# --- S4: scaling


@given(questions)
@example((every(Interval(months=1), datetime(2026, 7, 31)), 2))  # September 30
@example((every(Interval(years=1), datetime(2024, 2, 29)), 4))  # February 29 again
@example((every(Interval(days=1, hours=24), datetime(2026, 10, 24, 2, 30), BERLIN), 1))
@example((every(Interval(days=1), datetime(2011, 12, 29, 12), "Pacific/Apia"), 1))
@example((every(Interval(seconds=1), datetime(2011, 12, 30, 12), "Pacific/Apia"), 1))
@example((every(Interval(days=1), datetime(9999, 12, 29, 22), NEW_YORK), 2))
def test_an_occurrence_is_where_counting_finds_it(question: tuple[Spec, int]) -> None:
    """S4, S5, S7: k times the calendar part, read in the zone, and then k times the exact part."""
    spec, k = question
    note_corners(spec, k)
    assert parsed(spec).occurrence(k) == stepped(spec).occurrence(k)


@given(moments(), intervals, numbers)
def test_to_scale_is_to_multiply_each_component(start: Moment, interval: Interval, k: int) -> None:
    """S4: S(k) of an interval is S(1) of the interval whose components are k times as large."""
    k = min(k, 10**10)
    parts = (interval.all_months(), interval.all_days(), interval.microseconds())
    assume(0 < k * max(parts) < 10**30)
    months, days, microseconds = (k * part for part in parts)
    seconds, fraction = divmod(microseconds, 10**6)
    scaled = Interval(None, months, None, days, None, None, seconds, f"{fraction:06}")
    one = parsed(Spec(start, interval))
    other = parsed(Spec(start, scaled))
    assert one.occurrence(k) == other.occurrence(1)


@given(moments(), exact_intervals, numbers)
def test_exact_time_is_multiplied(start: Moment, interval: Interval, k: int) -> None:
    """S4, S5: with hours, minutes and seconds alone, S(k) is k times their sum after the anchor."""
    spec = Spec(start, interval)
    anchor = stepped(spec).anchor
    at = parsed(spec).occurrence(k)
    elapsed = k * interval.microseconds()
    if elapsed > (LAST - anchor) // MICROSECOND:
        assert at is None
    elif k > 0:
        assert at == anchor + elapsed * MICROSECOND


@given(ordinary_walls, offsets, calendar_intervals | calendar_steps, numbers)
def test_an_offset_without_a_zone_stays(
    wall: datetime, offset: timedelta, interval: Interval, k: int
) -> None:
    """S4: a start with an offset and no zone keeps that offset for ever."""
    spec = Spec(Moment(wall, offset), interval)
    at = parsed(spec).occurrence(k)
    assume(at is not None)
    assert at == minus(stepped(spec).wall_of(k), offset)


# --- S5: daylight saving


@given(aimed() | st.tuples(specs(calendar_steps), st.integers(1, 60)))
def test_the_wall_clock_stays_except_in_gaps(question: tuple[Spec, int]) -> None:
    """S5: the clock shows the time asked for, the first time it does; in a gap, moved forward.

    It moves by the gap's length, which is how much the offset grows there.
    """
    spec, k = question
    assume(k > 0 and spec.interval is not None)
    at = parsed(spec).occurrence(k)
    assume(at is not None)
    assert at is not None
    wall, zone = stepped(spec).wall_of(k), spec.zone()
    if found := showings(wall, zone):
        assert at == found[0]
    else:
        gap = shown(at, zone) - wall
        assert gap > timedelta()
        assert offset_at(at, zone) - offset_at(at - gap, zone) == gap


@given(odd_zone_names, st.data(), calendar_steps)
def test_the_anchors_own_offset_decides_for_the_first_occurrence_alone(
    zone: str, data: st.DataObject, interval: Interval
) -> None:
    """S5: of two equal times the first counts, unless the offset says otherwise for k = 0."""
    plain = every(interval, data.draw(walls_in(zone)), zone)
    assert plain.start
    wall = plain.start.wall
    assume(not is_skipped(wall.date(), plain.zone()))
    later = parsed(plain).occurrence(1)
    for instant in showings(wall, plain.zone()):
        offset = offset_at(instant, plain.zone())
        schedule = parsed(Spec(Moment(wall, offset, zone), interval))
        assert schedule.occurrence(0) == instant
        assert schedule.occurrence(1) == later


@given(questions)
@example((every(Interval(days=1), datetime(2011, 12, 29, 12), "Pacific/Apia"), 1))
@example((every(Interval(seconds=1), datetime(2011, 12, 30, 12), "Pacific/Apia"), 1))
def test_only_skipped_dates_have_no_occurrence(question: tuple[Spec, int]) -> None:
    """S5: before the end, one is left out just where the zone's clock never shows its date."""
    spec, k = question
    at = parsed(spec).occurrence(k)
    expected = stepped(spec)
    if at is None and expected.has(k):
        assert is_skipped(expected.wall_of(k).date(), spec.zone())
    elif at is not None and (k == 0 or expected.months or expected.days):
        assert not is_skipped(expected.wall_of(k).date(), spec.zone())


@given(st.integers(0, 9), st.integers(0, 23), st.sampled_from(["", "Pacific/Apia"]))
def test_a_skipped_date_counts_toward_n(n: int, hour: int, zone: str) -> None:
    """S1, S5: Rn ends n intervals after its start, whether or not a date on the way was skipped."""
    spec = every(Interval(days=1), datetime(2011, 12, 25, hour), zone, n=n)
    found = existing(parsed(spec), range(20))
    skipped = zone != "" and n >= 5
    assert len(found) == n + 1 - skipped
    assert not skipped or 5 not in {point.k for point in found}


@given(aimed())
@example((every(Interval(days=1), datetime(2026, 3, 28, 12), BERLIN), 1))  # 23 hours
@example((every(Interval(days=1), datetime(2026, 10, 24, 12), BERLIN), 1))  # 25 hours
def test_a_day_is_as_long_as_its_zone_makes_it(question: tuple[Spec, int]) -> None:
    """S5: from one P1D to the next it is 24 hours, less what clocks were set forward."""
    spec, k = question
    assert spec.start
    days = parsed(Spec(spec.start, Interval(days=1)))
    hours = parsed(Spec(spec.start, Interval(hours=24)))
    one, other = (days.occurrence(each) for each in (k, k + 1))
    assume(one is not None and other is not None)
    assert one is not None
    assert other is not None
    walls = [shown(each, spec.zone()) for each in (one, other)]
    set_forward = offset_at(other, spec.zone()) - offset_at(one, spec.zone())
    assert other - one == walls[1] - walls[0] - set_forward
    elapsed = [hours.occurrence(each) for each in range(k + 2)]
    assert all(b - a == 24 * HOUR for a, b in pairwise(elapsed) if a and b and a != elapsed[0])


# --- S6: order and inverses


@given(specs(steps) | specs(), numbers)
def test_occurrences_come_in_order(spec: Spec, first: int) -> None:
    """S6: S is strictly increasing over the occurrences that exist."""
    found = existing(parsed(spec), range(first, first + 20))
    assert all(one.at < other.at for one, other in pairwise(found))


@given(questions)
def test_the_searches_invert_the_occurrence(question: tuple[Spec, int]) -> None:
    """S6: last_at(S(k)) is k, and so is the next after the microsecond before S(k)."""
    spec, k = question
    schedule = parsed(spec)
    at = schedule.occurrence(k)
    assume(at is not None and at > FIRST)
    assert at is not None
    assert schedule.last_at(at) == Point(k, at)
    assert schedule.next_after(at - MICROSECOND) == Point(k, at)


@given(near_questions, st.timedeltas(-3 * DAY, 3 * DAY) | st.just(timedelta()))
@example((every(Interval(days=1), datetime(2011, 12, 28, 12), "Pacific/Apia"), 1), DAY)
def test_the_searches_find_what_a_scan_finds(question: tuple[Spec, int], beside: timedelta) -> None:
    """S6: next_after(t) is the least S(k) > t and last_at(t) the greatest S(k) ≤ t."""
    spec, k = question
    expected = stepped(spec)
    at = expected.occurrence(k)
    assume(at is not None and FIRST + 3 * DAY < at < LAST - 3 * DAY)
    assert at is not None
    step = expected.occurrence(k + 1)
    if step is not None:  # else the scan goes on for too long
        beside = min(beside, 3 * (step - at))
    schedule = parsed(spec)
    assert schedule.next_after(at + beside) == expected.next_after(at + beside)
    assert schedule.last_at(at + beside) == expected.last_at(at + beside)


@given(specs(steps) | specs(), instants)
def test_between_the_two_searches_lies_no_occurrence(spec: Spec, t: datetime) -> None:
    """S6: no occurrence that exists lies between last_at(t) and next_after(t)."""
    schedule = parsed(spec)
    before, after = schedule.last_at(t), schedule.next_after(t)
    assert before is None or before.at == schedule.occurrence(before.k)
    assert after is None or after.at == schedule.occurrence(after.k)
    low = -1 if before is None else before.k
    high = low + 5 if after is None else after.k
    assert high - low <= 5
    assert not existing(schedule, range(low + 1, high))


# --- S7: the end of time


@given(specs(), instants, st.integers(0, 10**40))
@example(Spec(Moment(datetime(2026, 1, 31)), Interval(years=9999)), LAST, 1)
@example(every(Interval(seconds=0, fraction="4"), datetime(9999, 12, 31, 23, 59, 59)), LAST, 2)
@example(every(Interval(seconds=0, fraction="000001"), datetime(1, 1, 1)), LAST, 10**17)
@example(every(Interval(hours=1), datetime(9999, 12, 31, 12), "Pacific/Apia"), LAST, 12)
def test_no_schedule_raises_or_leaves_the_years_1_to_9999(spec: Spec, t: datetime, k: int) -> None:
    """S7: every question has an answer at every instant, and none is past year 9999."""
    schedule = parsed(spec)
    assert_answers(schedule, t, k)
    assert schedule.next_after(LAST) is None


@given(specs())
def test_the_last_occurrence_is_the_last(spec: Spec) -> None:
    """S7: what last_at(the end of time) finds is followed by nothing."""
    schedule = parsed(spec)
    last = schedule.last_at(LAST)
    if last is not None:
        assert schedule.next_after(last.at) is None
        assert schedule.occurrence(last.k + 1) is None


@given(st.datetimes(datetime(9999, 12, 1), datetime(9999, 12, 29)), calendar_steps | steps)
def test_the_year_9999_is_counted_to_its_end(wall: datetime, interval: Interval) -> None:
    """S7: the last occurrence is the last that counting finds before the end of the year 9999."""
    spec = every(interval, wall)
    points = list(takewhile(lambda point: point.at.year < 10_000, stepped(spec).points()))
    assert parsed(spec).last_at(LAST) == points[-1]
    assert parsed(spec).last_at(datetime(9999, 1, 1, tzinfo=UTC)) is None
