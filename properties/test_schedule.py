"""Schedules: rules S1 to S8, against isodate, dateutil and slow but plain ways to find the same."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise

import isodate  # type: ignore[import-untyped]  # it has no annotations
import pytest
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]  # nor has this
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed
from kala_trio.core.job import Occurrence
from kala_trio.core.schedule import Schedule, find_zone, later
from properties.strategies import (
    ACCEPTED_AT,
    calendar_durations,
    durations,
    exact_durations,
    instant_in,
    instants,
    month_ends,
    offsets,
    ordinary_walls,
    parsed,
    schedule_texts,
    schedules,
    starts,
    stepping_schedules,
    steps,
    walls_in,
    zone_names,
)

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

numbers = st.integers(0, 60) | st.integers(0, 3_000_000)
characters = st.sampled_from("RTZPDYM0123456789-+:/[].,\n ２") | st.characters()
noise = st.text("RTZPD01239-+:/[].,", max_size=40) | st.text(max_size=40)


def wall_of(schedule: Schedule, k: int) -> datetime:
    """Return the wall time that rule S4 asks for, by dateutil."""
    interval = schedule.interval or Duration()
    moved: datetime = schedule.wall + relativedelta(months=k * interval.months)
    return moved + timedelta(days=k * interval.days)


def instant_of(schedule: Schedule, k: int) -> datetime | None:
    """Return what rules S4 and S5 say of S(k), skipped dates apart."""
    interval = schedule.interval or Duration()
    anchor = schedule.wall.replace(tzinfo=schedule.zone, fold=schedule.fold)
    if k > (schedule.repeats if schedule.repeats is not None else k):
        return None
    try:
        if k > 0 and interval.months + interval.days > 0:
            anchor = wall_of(schedule, k).replace(tzinfo=schedule.zone)
        return anchor.astimezone(UTC) + MICROSECOND * (k * interval.microseconds)
    except (OverflowError, ValueError):
        return None


def shown(instant: datetime, zone: tzinfo) -> datetime:
    """Return what a clock in ``zone`` shows."""
    return instant.astimezone(zone).replace(tzinfo=None)


def is_real(wall: datetime, zone: tzinfo) -> bool:
    """Tell whether a clock in ``zone`` ever shows ``wall``."""
    return shown(wall.replace(tzinfo=zone).astimezone(UTC), zone) == wall


def existing(schedule: Schedule, numbers: range) -> list[Occurrence]:
    """Look at each number in turn."""
    return [Occurrence(k, at) for k in numbers if (at := schedule.occurrence(k)) is not None]


# --- S1: grammar


@given(st.integers(0, 300), starts(), exact_durations)
def test_n_repeats_are_n_plus_1_occurrences(n: int, start: str, interval: Duration) -> None:
    """S1: Rn is the first occurrence and n more, as far as the year 9999 allows (S7)."""
    schedule = parsed(f"R{n}/{start}/{interval}")
    first = schedule.occurrence(0)
    assume(first is not None)
    assert first is not None
    fitting = (LAST - first) // MICROSECOND // interval.microseconds
    assert len(existing(schedule, range(n + 10))) == min(n, fitting) + 1


@given(starts(), durations)
def test_the_other_forms_mean_the_canonical_one(start: str, interval: Duration) -> None:
    """S1: R-1 is R, a bare start and R0/start/ are once."""
    assert parsed(f"R-1/{start}/{interval}") == parsed(f"R/{start}/{interval}")
    once = parsed(start)
    assert once == parsed(f"R0/{start}/")
    assert once.occurrence(1) is None
    assert once.occurrence(0) == parsed(f"R0/{start}/{interval}").occurrence(0)


@given(zone_names, instants, instants)
def test_an_end_gives_the_elapsed_time_since_the_start(
    name: str, one: datetime, other: datetime
) -> None:
    """S1: the interval of R/start/end is end − start, so the end is the second occurrence."""
    first, second = sorted([one, other])
    assume(first < second and first > FIRST + DAY and second < LAST - DAY)
    for end in (instant_in(second, name), second.isoformat(), instant_in(second, "Asia/Tokyo")):
        schedule = parsed(f"R/{instant_in(first, name)}/{end}")
        assert [schedule.occurrence(k) for k in (0, 1)] == [first, second]
        with pytest.raises(Malformed, match=r"^end: must be later"):
            parsed(f"R/{end}/{instant_in(first, name)}")


@given(starts(), walls_in("UTC"))
def test_an_end_without_a_zone_is_in_that_of_the_start(start: str, wall: datetime) -> None:
    """S1: the start's zone or offset is the end's too."""
    zone = parsed(start).zone
    with suppress(Malformed):
        schedule = parsed(f"R/{start}/{wall.isoformat()}")
        assert schedule.occurrence(1) == wall.replace(tzinfo=zone).astimezone(UTC)


@given(zone_names, durations)
def test_no_start_means_the_moment_of_acceptance(name: str, interval: Duration) -> None:
    """S1: R//interval starts when the job is accepted, which is its first occurrence."""
    schedule = parsed(f"R//{interval}", name)
    assert schedule.occurrence(0) == ACCEPTED_AT
    assert schedule.zone == find_zone(name)


def assert_judged(text: str, time_zone: str = "") -> None:
    """Hold that ``text`` is a schedule that all questions can be put to, or is refused."""
    try:
        schedule = parsed(text, time_zone)
    except Malformed as refusal:
        fields = ("schedule", "repetitions", "start", "interval", "end", "time zone")
        if refusal.field not in fields:
            raise
        return
    assert parsed(str(schedule)) == schedule
    assert_answers(schedule, ACCEPTED_AT, 10**12)


def assert_answers(schedule: Schedule, t: datetime, k: int) -> None:
    """Hold that no question raises or finds what rule S7 rules out."""
    before, after = schedule.last_at(t), schedule.next_after(t)
    assert before is None or FIRST <= before.at <= t
    assert after is None or t < after.at <= LAST
    assert schedule.occurrence(-1) is None
    at = schedule.occurrence(k)
    assert at is None or FIRST <= at <= LAST
    assert 0 <= schedule.count(0, k) <= k + 1


@given(noise, noise)
@example("R/" * 250, "")
@example("R/2026-01-01T00:00Z[" + "/" * 400 + "]/P1D", "")
@example("R" + "9" * 5000 + "/2026-01-01T00:00Z/P1D", "")
@example("R/2026-01-01T00:00:00." + "9" * 400 + "Z/PT0.000001S", "")
@example("R/2026-01-01T00:00[../../etc/passwd]/P1D", "../../etc/passwd")
def test_any_text_is_a_schedule_or_is_refused(text: str, time_zone: str) -> None:
    """S1, S7: no text makes the parser raise anything but Malformed, naming a part."""
    assert_judged(text, time_zone)
    assert_judged("R/" + text, time_zone)


@given(schedule_texts, st.data())
def test_a_changed_text_is_still_judged(text: str, data: st.DataObject) -> None:
    """S1, S7: a schedule with one character changed is another schedule or refused."""
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(characters) + text[place + data.draw(st.integers(0, 1)) :]
    assert_judged(changed)


# --- S2: start


@given(ordinary_walls, offsets | st.just("Z"), st.text("0123456789", max_size=20))
def test_isodate_agrees_on_offsets(wall: datetime, offset: str, digits: str) -> None:
    """S2: extended and basic format, dot and comma, any number of digits are one instant."""
    basic = f"{wall.year:04}{wall:%m%dT%H%M%S}"
    fractions = [f".{digits}", f",{digits}"] if digits else [""]
    texts = [
        f"{clock}{fraction}{zone}"
        for clock, zone in [
            (wall.isoformat(timespec="seconds"), offset),
            (basic, offset.replace(":", "")),
        ]
        for fraction in fractions
    ]
    found = {parsed(text).occurrence(0) for text in texts}
    assert found == {isodate.parse_datetime(text).astimezone(UTC) for text in texts}
    cut = int(digits[:6].ljust(6, "0"))
    assert [at.microsecond for at in found if at] == [cut]


@given(zone_names, instants)
@example("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # both sides of a fold
@example("Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
@example("Europe/Amsterdam", datetime(1900, 1, 1, tzinfo=UTC))  # an offset with seconds
def test_an_instant_with_its_offset_and_zone_is_that_instant(name: str, instant: datetime) -> None:
    """S2, S5: where the offset is the zone's, it decides; the zone may also be the job's own."""
    assume(FIRST + DAY < instant < LAST - DAY)
    text = instant_in(instant, name)
    schedule = parsed(text)
    assert schedule.occurrence(0) == instant
    assert schedule.zone == find_zone(name)
    assert parsed(text.partition("[")[0], name) == parsed(text, name) == schedule


@given(zone_names, st.data(), offsets)
@example("Europe/Berlin", None, "+01:00")
def test_an_offset_that_the_zone_does_not_have_is_refused(
    name: str, data: st.DataObject | None, offset: str
) -> None:
    """S2: a wall time with an offset is what the zone shows at that instant, or is refused."""
    wall = data.draw(walls_in(name)) if data else datetime(2026, 3, 29, 2, 30)
    text = f"{wall.isoformat()}{offset}"
    instant = datetime.fromisoformat(text).astimezone(UTC)
    if shown(instant, find_zone(name)) == wall:
        assert parsed(text, name).occurrence(0) == instant
    else:
        with pytest.raises(Malformed, match=r"^start: has an offset that .* does not have then"):
            parsed(text, name)


@given(ordinary_walls, zone_names, zone_names)
def test_a_suffix_and_a_time_zone_agree(wall: datetime, one: str, other: str) -> None:
    """S2: a zone in the start and one of the job that differ are refused; UTC is the default."""
    text = f"R/{wall.isoformat()}[{one}]/P1D"
    assert parsed(text, one) == parsed(text) == parsed(f"R/{wall.isoformat()}/P1D", one)
    assert parsed(wall.isoformat()) == parsed(f"{wall.isoformat()}Z")
    if one != other:
        with pytest.raises(Malformed, match=r"^time zone: "):
            parsed(text, other)


# --- S4: scaling


@given(month_ends | ordinary_walls, calendar_durations, numbers)
@example(datetime(2026, 7, 31), Duration(months=1), 2)  # Sep 30
@example(datetime(2024, 2, 29), Duration(months=12), 4)  # Feb 29 again
def test_dateutil_agrees_on_months(wall: datetime, interval: Duration, k: int) -> None:
    """S4: months are multiplied by k, clamped to the month's end, and then the days are added."""
    at = parsed(f"R/{wall.isoformat()}Z/{interval}").occurrence(k)
    try:
        expected = (wall + relativedelta(months=k * interval.months)) + timedelta(
            days=k * interval.days
        )
    except (OverflowError, ValueError):
        assert at is None
    else:
        assert at == expected.replace(tzinfo=UTC)


@given(starts(), exact_durations, numbers)
def test_exact_time_is_multiplied(start: str, interval: Duration, k: int) -> None:
    """S4, S5: with hours, minutes and seconds alone, S(k) is k times their sum after S(0)."""
    schedule = parsed(f"R/{start}/{interval}")
    first = schedule.occurrence(0)
    assume(first is not None)
    assert first is not None
    at = schedule.occurrence(k)
    elapsed = k * interval.microseconds
    if elapsed > (LAST - first) // MICROSECOND:
        assert at is None
    else:
        assert at is not None
        assert (at - first) // MICROSECOND == elapsed


@given(stepping_schedules | schedules, numbers)
@example(parsed("R/2026-10-24T02:30[Europe/Berlin]/P1DT24H"), 1)
def test_the_calendar_moves_first_and_then_time_elapses(schedule: Schedule, k: int) -> None:
    """S4: k times the calendar part, resolved in the zone, and then k times the exact part."""
    at = schedule.occurrence(k)
    assume(at is not None)
    assert at == instant_of(schedule, k)


@given(ordinary_walls, offsets, calendar_durations, numbers)
def test_an_offset_without_a_zone_stays(
    wall: datetime, offset: str, interval: Duration, k: int
) -> None:
    """S4: a start with an offset and no zone keeps that offset for ever."""
    with suppress(Malformed):
        schedule = parsed(f"R/{wall.isoformat()}{offset}/{interval}")
        at = schedule.occurrence(k)
        assume(at is not None)
        assert at is not None
        zone = datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
        assert isinstance(zone, timezone)
        assert shown(at, zone) == wall_of(schedule, k)


# --- S5: daylight saving


@given(stepping_schedules, numbers)
def test_the_wall_clock_stays_except_in_gaps(schedule: Schedule, k: int) -> None:
    """S5: the clock shows the time asked for, the first time it does; in a gap, moved forward.

    It moves by the gap's length, which is how much the two offsets there differ.
    """
    interval = schedule.interval
    assume(interval is not None and interval.microseconds == 0 and k > 0)
    at = schedule.occurrence(k)
    assume(at is not None)
    assert at is not None
    wall = wall_of(schedule, k)
    local = at.astimezone(schedule.zone)
    if is_real(wall, schedule.zone):
        assert local.replace(tzinfo=None) == wall
        assert local.fold == 0
    else:
        before, after = (wall.replace(tzinfo=schedule.zone, fold=f).utcoffset() for f in (0, 1))
        assert before is not None
        assert after is not None
        assert local.replace(tzinfo=None) == wall + (after - before)
        assert local.utcoffset() == after > before


@given(stepping_schedules, numbers)
def test_only_skipped_dates_have_no_occurrence(schedule: Schedule, k: int) -> None:
    """S5: an occurrence is left out just where the zone's clock never shows its date."""
    interval = schedule.interval
    assume(k == 0 or (interval is not None and interval.months + interval.days > 0))
    assume(interval is not None and instant_of(schedule, k) is not None)
    midnight = wall_of(schedule, k).replace(hour=0, minute=0, second=0, microsecond=0)
    quarters = [midnight + timedelta(minutes=15 * n) for n in range(96)]
    if midnight < datetime.max - 2 * DAY:
        is_shown = any(is_real(quarter, schedule.zone) for quarter in quarters)
        assert (schedule.occurrence(k) is not None) == is_shown


# --- S6: order and inverses


@given(stepping_schedules | schedules, numbers)
def test_occurrences_come_in_order(schedule: Schedule, first: int) -> None:
    """S6: S is strictly increasing over the occurrences that exist."""
    found = existing(schedule, range(first, first + 20))
    assert all(one.at < other.at for one, other in pairwise(found))


@given(stepping_schedules | schedules, numbers)
def test_the_searches_invert_the_occurrence(schedule: Schedule, k: int) -> None:
    """S6: last_at(S(k)) is k, and so is the next after the microsecond before S(k)."""
    at = schedule.occurrence(k)
    assume(at is not None and at > FIRST)
    assert at is not None
    assert schedule.last_at(at) == Occurrence(k, at)
    assert schedule.next_after(at - MICROSECOND) == Occurrence(k, at)


@given(stepping_schedules | schedules, st.integers(0, 40), st.timedeltas(-3 * DAY, 3 * DAY))
def test_the_searches_find_what_a_scan_finds(schedule: Schedule, k: int, beside: timedelta) -> None:
    """S6: next_after(t) is the least S(k) > t and last_at(t) the greatest S(k) ≤ t."""
    at = instant_of(schedule, k)
    assume(at is not None and FIRST + 3 * DAY < at < LAST - 3 * DAY)
    assert at is not None
    t = at + beside
    step = instant_of(schedule, k + 1)
    assume(step is None or step - at > timedelta(hours=12) or abs(beside) < step - at)
    found = existing(schedule, range(k + 50))
    assert schedule.last_at(t) == max(
        (o for o in found if o.at <= t), key=lambda o: o.at, default=None
    )
    assert schedule.next_after(t) == min(
        (o for o in found if o.at > t), key=lambda o: o.at, default=None
    )


@given(stepping_schedules | schedules, instants)
def test_the_searches_meet(schedule: Schedule, t: datetime) -> None:
    """S6: no occurrence that exists lies between last_at(t) and next_after(t)."""
    before, after = schedule.last_at(t), schedule.next_after(t)
    assert before is None or before.at == schedule.occurrence(before.number)
    assert after is None or after.at == schedule.occurrence(after.number)
    low = -1 if before is None else before.number
    high = low + 5 if after is None else after.number
    assert high - low <= 5
    assert not existing(schedule, range(low + 1, high))


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


@given(ordinary_walls, steps | durations, instants)
@example(datetime(1, 1, 3), Duration(days=1), LAST)
@example(datetime(1, 1, 3), Duration(microseconds=1), LAST)
@example(datetime(1, 1, 3), Duration(days=1, microseconds=1), LAST)
def test_the_cost_of_a_search_is_bounded(wall: datetime, interval: Duration, t: datetime) -> None:
    """S6, S7: however many occurrences are passed over, a search looks at a handful."""
    zone = CountingZone()
    schedule = Schedule(wall, zone, 0, interval, None)
    schedule.next_after(t)
    schedule.last_at(t)
    schedule.count(0, 10**30)
    assert zone.asked < 60


@given(stepping_schedules | schedules, numbers, st.integers(-1, 60))
def test_count_counts_those_that_exist(schedule: Schedule, first: int, length: int) -> None:
    """S5, S6: the count of a stretch is the number of its occurrences that exist."""
    stretch = range(first, first + length + 1)
    assert schedule.count(first, first + length) == len(existing(schedule, stretch))


# --- S7: the end of time


@given(schedules, instants, st.integers(0, 10**40))
@example(parsed("R/9999-12-31T23:59:59Z/PT0.4S"), LAST, 2)
@example(parsed("R/2026-01-31T00:00Z/P9999Y"), LAST, 1)
@example(parsed("R/0001-01-01T00:00Z/PT0.000001S"), LAST, 10**17)
@example(parsed("R/9999-12-31T12:00[Pacific/Apia]/PT1H"), LAST, 12)
def test_no_schedule_raises_or_leaves_the_years_1_to_9999(
    schedule: Schedule, t: datetime, k: int
) -> None:
    """S7: every question has an answer at every instant, and none is past year 9999."""
    assert_answers(schedule, t, k)
    assert schedule.next_after(LAST) is None


@given(schedules)
def test_the_last_occurrence_is_the_last(schedule: Schedule) -> None:
    """S7: what last_at(the end of time) finds is followed by nothing."""
    last = schedule.last_at(LAST)
    if last is not None:
        assert schedule.next_after(last.at) is None
        assert schedule.occurrence(last.number + 1) is None


# --- S8: text


@given(schedules | stepping_schedules)
def test_the_text_round_trips(schedule: Schedule) -> None:
    """S8: parse(format(s)) = s, and the text of equal schedules is the same."""
    again = parsed(str(schedule))
    assert again == schedule
    assert str(again) == str(schedule)
    assert again.occurrence(0) == schedule.occurrence(0)
    assert again.fold == schedule.fold


# --- later(): S4 and S5 from any instant, as ε is added to S


@given(instants, exact_durations, zone_names)
def test_later_by_an_exact_duration_is_elapsed_time(
    instant: datetime, duration: Duration, name: str
) -> None:
    """S4: without a calendar part, the zone does not matter."""
    assume(instant > FIRST + DAY)
    found = later(instant, duration, find_zone(name))
    if duration.microseconds > (LAST - instant) // MICROSECOND or instant > LAST - DAY:
        assert found is None or found == instant + MICROSECOND * duration.microseconds
    else:
        assert found == instant + MICROSECOND * duration.microseconds


@given(instants, durations, zone_names)
def test_later_is_the_next_occurrence_of_a_schedule_from_there(
    instant: datetime, duration: Duration, name: str
) -> None:
    """S4, S5: S ⊕ ε is where a schedule from S by ε is next; and it is later than S."""
    assume(FIRST + DAY < instant < LAST - DAY)
    found = later(instant, duration, find_zone(name))
    schedule = parsed(f"R/{instant_in(instant, name)}/{duration}")
    expected = instant_of(schedule, 1)
    assert found == expected
    assert found is None or found > instant
