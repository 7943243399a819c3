"""Schedules, rules S1 to S3 and S8: what a text means, which ones are refused, and for what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given
from hypothesis import strategies as st

from properties.asking import (
    assert_judged,
    assert_same,
    existing,
    parsed,
    part_at_fault,
    stepped,
)
from properties.judged import implementation
from properties.stepping import MICROSECOND, Interval, Moment, Spec, shown
from properties.strategies import (
    ACCEPTED_AT,
    DAY,
    FIRST,
    LAST,
    exact_intervals,
    instants,
    intervals,
    moment_at,
    moments,
    numbers,
    offsets,
    ordinary_walls,
    schedule_texts,
    specs,
    walls_in,
    zone_names,
)

SOME = (0, 1, 2, 3, 40, 10**6)

characters = st.sampled_from("RTZPDYM0123456789-+:/[].,\n ２") | st.characters()
noise = st.text("RTZPD01239-+:/[].,", max_size=40) | st.text(max_size=40)
interval_noise = st.text("PYMWDTHS019.,", max_size=20).map(lambda text: "P" + text) | st.text(
    st.sampled_from("PYMWDTHS0123456789.,-+ \n１pd") | st.characters()
)


# --- S1: grammar


@given(specs())
def test_the_first_occurrence_is_the_anchor(spec: Spec) -> None:
    """S1, S2: in each form the start is what it says, in the zone that is named anywhere."""
    assert parsed(spec).occurrence(0) == stepped(spec).occurrence(0)


@given(st.integers(0, 300), moments(), exact_intervals)
def test_n_repeats_are_n_plus_1_occurrences(n: int, start: Moment, interval: Interval) -> None:
    """S1: Rn is the first occurrence and n more, as far as the year 9999 allows (S7)."""
    spec = Spec(start, interval, repeats=n)
    schedule = parsed(spec)
    assume(schedule.occurrence(0) is not None)
    fitting = (LAST - stepped(spec).anchor) // MICROSECOND // interval.microseconds()
    assert len(existing(schedule, range(n + 10))) == min(n, fitting) + 1


@given(moments(), intervals)
def test_the_other_forms_mean_the_canonical_one(start: Moment, interval: Interval) -> None:
    """S1: R-1 is R; a bare start and R0/start/ are once."""
    text = f"{start.text()}/{interval.text()}"
    endless = parsed(f"R/{text}")
    assert_same(parsed(f"R-1/{text}"), endless, SOME)
    once = parsed(start.text())
    assert_same(parsed(f"R0/{start.text()}/"), once, SOME)
    assert once.occurrence(1) is None
    assert once.occurrence(0) == parsed(f"R0/{text}").occurrence(0)


@given(zone_names, instants, instants)
def test_an_end_gives_the_elapsed_time_since_the_start(
    name: str, one: datetime, other: datetime
) -> None:
    """S1: the interval of R/start/end is end − start, so the end is the second occurrence."""
    first, second = sorted([one, other])
    assume(first < second and first > FIRST + DAY and second < LAST - DAY)
    start = moment_at(first, name).text()
    for end in (
        moment_at(second, name).text(),
        Moment(shown(second, UTC), timedelta()).text(),
        moment_at(second, "Asia/Tokyo").text(),
    ):
        schedule = parsed(f"R/{start}/{end}")
        assert [schedule.occurrence(k) for k in (0, 1)] == [first, second]
        assert part_at_fault(f"R/{end}/{start}") == "end"
        assert part_at_fault(f"R/{end}/{end}") == "end"


@given(moments(), ordinary_walls)
def test_an_end_without_a_zone_is_in_that_of_the_start(start: Moment, wall: datetime) -> None:
    """S1: the start's zone or offset is the end's too."""
    spec = Spec(start, end=Moment(wall))
    expected = stepped(spec)
    if expected.microseconds > 0:
        assert parsed(spec).occurrence(1) == expected.occurrence(1)
    else:
        assert part_at_fault(spec.text()) == "end"


@given(zone_names, intervals, st.none() | st.integers(0, 40))
def test_no_start_means_the_moment_of_acceptance(
    name: str, interval: Interval, repeats: int | None
) -> None:
    """S1: R//interval starts when the job is accepted, as a start of that very instant does."""
    schedule = parsed(Spec(None, interval, repeats=repeats, time_zone=name))
    start = moment_at(ACCEPTED_AT, name)
    assert schedule.occurrence(0) == ACCEPTED_AT
    assert_same(schedule, parsed(Spec(start, interval, repeats=repeats)), SOME)


@given(noise, noise)
@example("R/" * 250, "")
@example("R/2026-01-01T00:00Z[" + "/" * 400 + "]/P1D", "")
@example("R" + "9" * 5000 + "/2026-01-01T00:00Z/P1D", "")  # more digits than int() takes
@example("R/2026-01-01T00:00:00." + "9" * 400 + "Z/PT0.000001S", "")
@example("R/2026-01-01T00:00[../../etc/passwd]/P1D", "../../etc/passwd")
def test_any_text_is_a_schedule_or_is_refused(text: str, time_zone: str) -> None:
    """S1, S7: no text makes the parser raise anything but a refusal, which names a part."""
    assert_judged(text, time_zone)
    assert_judged("R/" + text, time_zone)


@given(schedule_texts, st.data())
def test_a_changed_text_is_still_judged(text: str, data: st.DataObject) -> None:
    """S1, S7: a schedule with one character changed is another schedule or refused."""
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(characters) + text[place + data.draw(st.integers(0, 1)) :]
    assert_judged(changed)


# --- S2: start


@given(ordinary_walls, offsets, st.text("0123456789", max_size=20))
def test_formats_marks_and_digits_make_no_difference(
    wall: datetime, offset: timedelta, digits: str
) -> None:
    """S2: extended or basic, dot or comma, any number of digits; microseconds of them count."""
    whole = wall.replace(microsecond=0)
    extended, basic = (Moment(whole, offset, basic=each).text() for each in (False, True))
    instant = Moment(whole.replace(microsecond=int(digits[:6].ljust(6, "0"))), offset)
    expected = parsed(instant.text())
    for mark in ".,":
        fraction = mark + digits if digits else ""
        for text, length in ((extended, 19), (basic, 15)):
            found = parsed(text[:length] + fraction + text[length:])
            assert_same(found, expected, (0, 1))


@given(ordinary_walls, st.sampled_from(["", "Z", "+02:00", "[Europe/Berlin]"]))
def test_seconds_of_zero_may_be_left_out(wall: datetime, place: str) -> None:
    """S2: a time of hours and minutes is one of no seconds."""
    short = parsed(wall.isoformat(timespec="minutes") + place)
    whole = wall.replace(second=0, microsecond=0).isoformat() + place
    assert_same(short, parsed(whole), (0, 1))


@given(zone_names, instants)
@example("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # both sides of a fold
@example("Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
@example("Europe/Amsterdam", datetime(1900, 1, 1, tzinfo=UTC))  # an offset with seconds
def test_an_instant_with_its_offset_and_zone_is_that_instant(name: str, instant: datetime) -> None:
    """S2, S5: where the offset is the zone's, it decides; the zone may also be the job's own."""
    assume(FIRST + DAY < instant < LAST - DAY)
    start = moment_at(instant, name)
    schedule = parsed(start.text())
    assert schedule.occurrence(0) == instant
    for text in (start.text(), replace(start, zone="").text()):
        assert_same(parsed(text, name), schedule, (0, 1))


@given(zone_names, st.data(), offsets)
@example("Europe/Berlin", None, timedelta(hours=1))
def test_an_offset_that_the_zone_does_not_have_is_refused(
    name: str, data: st.DataObject | None, offset: timedelta
) -> None:
    """S2: a wall time with an offset is what the zone shows at that instant, or is refused."""
    wall = data.draw(walls_in(name)) if data else datetime(2026, 3, 29, 2, 30)
    text = Moment(wall, offset).text()
    instant = datetime.fromisoformat(text).astimezone(UTC)
    if shown(instant, ZoneInfo(name)) == wall:
        assert parsed(text, name).occurrence(0) == instant
    else:
        assert part_at_fault(text, name) == "start"
        assert part_at_fault(f"R/{text}[{name}]/P1D") == "start"


@given(ordinary_walls, zone_names, zone_names)
def test_a_suffix_and_a_time_zone_agree(wall: datetime, one: str, other: str) -> None:
    """S2: a zone in the start and one of the job that differ are refused; UTC is the default."""
    text = f"R/{wall.isoformat()}[{one}]/P1D"
    expected = parsed(text)
    assert_same(parsed(text, one), expected, SOME)
    assert_same(parsed(f"R/{wall.isoformat()}/P1D", one), expected, SOME)
    plain = parsed(wall.isoformat())
    assert_same(plain, parsed(f"{wall.isoformat()}Z"), (0, 1))
    if one != other:
        assert part_at_fault(text, other) == "time zone"


# --- S3: interval


@given(moments(), intervals, st.sampled_from(".,"))
def test_each_part_of_an_interval_has_its_worth(
    start: Moment, interval: Interval, mark: str
) -> None:
    """S3: years are months, weeks are days; hours, minutes, seconds and a fraction are one time.

    Of the fraction whole microseconds count, after a dot or a comma.
    """
    microseconds = interval.microseconds()
    seconds, rest = divmod(microseconds, 10**6)
    plain = Interval(
        months=interval.all_months(),
        days=interval.all_days(),
        seconds=seconds,
        fraction=f"{rest:06}",
    )
    text = f"R/{start.text()}/{interval.text().replace('.', mark)}"
    assert_same(parsed(text), parsed(Spec(start, plain)), SOME)


@given(moments(), intervals, numbers)
def test_a_day_is_no_number_of_hours(start: Moment, interval: Interval, days: int) -> None:
    """S3: the calendar part and the exact part never mix: P1D and PT24H have two texts."""
    assume(interval.all_days() + days > 0)
    by_days = replace(interval, days=(interval.days or 0) + days)
    by_hours = replace(interval, hours=(interval.hours or 0) + 24 * by_days.all_days())
    by_hours = replace(by_hours, weeks=None, days=None)
    assume(by_hours.microseconds() < 10**30 and by_days.all_days() < 10**30)
    one, other = (parsed(Spec(start, each)) for each in (by_days, by_hours))
    assert one.text() != other.text()


@given(interval_noise)
@example("P" + "9" * 499)
@example("P" + "9" * 6000 + "D")  # more digits than int() takes
@example("PT" + "0" * 480 + ".1S")
@example("PT1.5H\n")
def test_any_text_is_an_interval_or_is_refused(text: str) -> None:
    """S3, S7: whatever stands for the interval is one, or is refused."""
    assert_judged(f"R/2026-01-31T00:00:00Z/{text}")
    assert_judged(f"R//{text}")


@given(intervals.map(Interval.text), st.data())
def test_a_changed_interval_is_still_judged(text: str, data: st.DataObject) -> None:
    """S3: an interval with one character changed is another interval or refused."""
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(characters) + text[place + data.draw(st.integers(0, 1)) :]
    assert_judged(f"R//{changed}")


# --- S8: text


@given(specs(), numbers)
def test_the_text_round_trips(spec: Spec, k: int) -> None:
    """S8: the canonical text is read back as the same schedule, whenever and with its zone."""
    schedule = parsed(spec)
    text = schedule.text()
    for time_zone in {"", spec.zone_name()}:
        again = implementation().parse(text, time_zone, ACCEPTED_AT + 400 * DAY)
        assert_same(again, schedule, (*SOME, k))


@given(specs())
def test_ways_of_writing_a_schedule_have_one_text(spec: Spec) -> None:
    """S8: basic or extended, the zone here or there, in years or months: one canonical text."""
    ways = [spec]
    if spec.start:
        start, zone = spec.start, spec.zone_name()
        ways += [replace(spec, start=replace(start, basic=not start.basic))]
        ways += [replace(spec, start=replace(start, zone=zone), time_zone="")]
        ways += [replace(spec, start=replace(start, zone=""), time_zone=zone)]
    if spec.interval:
        months, days = spec.interval.all_months(), spec.interval.all_days()
        interval = replace(spec.interval, years=0, months=months, weeks=None, days=days)
        ways += [replace(spec, interval=interval)]
    assert len({parsed(way).text() for way in ways}) == 1
