"""What only kala-trio's schedules have: messages, the cost of a search, ``count`` and ``later``."""

from datetime import datetime, timedelta, tzinfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed
from kala_trio.core.schedule import Schedule, find_zone, later, parse_schedule
from properties.stepping import MICROSECOND, Interval, Spec
from properties.strategies import (
    ACCEPTED_AT,
    DAY,
    FIRST,
    LAST,
    exact_intervals,
    instants,
    intervals,
    moment_at,
    numbers,
    ordinary_walls,
    questions,
    specs,
    steps,
    zone_names,
)


def schedule_of(spec: Spec) -> Schedule:
    """Read a schedule that is accepted at ``ACCEPTED_AT``."""
    return parse_schedule(spec.text(), spec.time_zone, accepted_at=ACCEPTED_AT)


def duration_of(interval: Interval) -> Duration:
    """Read an interval."""
    return Duration.parse(interval.text())


@pytest.mark.parametrize(
    ("text", "time_zone", "message"),
    [
        ("R/2026-01-02T00:00Z/2026-01-01T00:00Z", "", "end: must be later than the start"),
        ("2026-03-29T02:30+01:00", "Europe/Berlin", "start: has an offset that Europe/Berlin does"),
        ("2026-01-01T00:00[Asia/Tokyo]", "UTC", "time zone: must be that of the start, Asia/Tokyo"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, time_zone: str, message: str) -> None:
    """S1, S2: the message names the part, its problem, and what works."""
    with pytest.raises(Malformed, match=f"^{message}.*; for example "):
        parse_schedule(text, time_zone, accepted_at=ACCEPTED_AT)


@given(specs())
def test_equal_texts_are_equal_values(spec: Spec) -> None:
    """S8: parse(format(s)) = s, the fold of the start included."""
    schedule = schedule_of(spec)
    again = parse_schedule(str(schedule), accepted_at=ACCEPTED_AT)
    assert again == schedule
    assert again.anchor.fold == schedule.anchor.fold
    assert again.zone == find_zone(spec.zone_name()) or not spec.zone_name()


class CountingZone(tzinfo):
    """An hour ahead of UTC; ``asked`` tells how often it was asked."""

    asked = 0

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Answer and count."""
        self.asked += 1
        return timedelta(hours=1)

    def dst(self, _: datetime | None) -> None:
        """Tell nothing."""

    def tzname(self, _: datetime | None) -> None:
        """Tell nothing."""


@given(ordinary_walls, steps | intervals, instants)
@example(datetime(1, 1, 3), Interval(days=1), LAST)
@example(datetime(1, 1, 3), Interval(seconds=0, fraction="000001"), LAST)
@example(datetime(1, 1, 3), Interval(days=1, seconds=0, fraction="000001"), LAST)
def test_the_cost_of_a_search_is_bounded(wall: datetime, interval: Interval, t: datetime) -> None:
    """S6, S7: however many occurrences are passed over, a search looks at a handful."""
    zone = CountingZone()
    schedule = Schedule(wall.replace(tzinfo=zone), duration_of(interval), None)
    schedule.next_after(t)
    schedule.last_at(t)
    schedule.count(0, 10**30)
    assert zone.asked < 60


@given(questions, st.integers(-1, 60))
def test_count_counts_those_that_exist(question: tuple[Spec, int], length: int) -> None:
    """S5, S6: the count of a stretch is the number of its occurrences that exist."""
    spec, first = question
    schedule = schedule_of(spec)
    stretch = range(first, first + length + 1)
    expected = sum(schedule.occurrence(k) is not None for k in stretch)
    assert schedule.count(first, first + length) == expected


@given(specs(), numbers)
def test_no_count_is_too_long(spec: Spec, k: int) -> None:
    """S7: the count of any stretch has an answer, which is no longer than the stretch."""
    assert 0 <= schedule_of(spec).count(0, k) <= k + 1


# --- later(): S4 and S5 from any instant, as ε is added to S


@given(instants, exact_intervals, zone_names)
def test_later_by_an_exact_duration_is_elapsed_time(
    instant: datetime, interval: Interval, name: str
) -> None:
    """S4: without a calendar part, the zone does not matter."""
    assume(instant > FIRST + DAY)
    found = later(instant, duration_of(interval), find_zone(name))
    if interval.microseconds() > (LAST - instant) // MICROSECOND:
        assert found is None
    elif instant > LAST - DAY:  # where the zone's clock may be past the year 9999
        assert found in (None, instant + MICROSECOND * interval.microseconds())
    else:
        assert found == instant + MICROSECOND * interval.microseconds()


@given(instants, intervals | steps, zone_names)
def test_later_is_the_next_occurrence_of_a_schedule_from_there(
    instant: datetime, interval: Interval, name: str
) -> None:
    """S4, S5: S ⊕ ε is where a schedule from S by ε is next; and it is later than S."""
    assume(FIRST + DAY < instant < LAST - DAY)
    found = later(instant, duration_of(interval), find_zone(name))
    schedule = schedule_of(Spec(moment_at(instant, name), interval))
    if found is None or not schedule._is_skipped(1):
        assert found == schedule.occurrence(1)
    assert found is None or found > instant
