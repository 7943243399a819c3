"""Several schedules as one, less what is excluded, moved by the jitter: beside plain sets."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kala_trio.core.cron import Cron
from kala_trio.core.definition import Timing
from kala_trio.core.duration import Duration
from kala_trio.core.expression import parse_expression
from kala_trio.core.schedule import find_zone, parse_schedule
from kala_trio.core.timetable import Times, is_cron, shift_of, times_of
from kala_trio.core.zones import DAY, _jumps_in, showing

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
END = START + timedelta(days=5)
_MOMENT = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

texts = st.sampled_from(
    [
        "R/2026-03-27T12:00:00Z/PT1H",
        "R/2026-03-27T12:30:00Z/PT90M",
        "R5/2026-03-28T00:00:00Z/PT1S",
        "R/2026-03-27T18:00:00/P1D",
        "R/2026-01-31T00:00:00/P1M",
        "R/2026-03-28T02:30:00[Europe/Berlin]/P1D",
        "2026-03-29T01:00:00Z",
        "*/30 * * * *",
        "0 18 * * *",
        "30 2 * * *",
        "@daily",
    ]
)
dates = st.sampled_from(
    ["2026-03-28", "2026-03-29", "2026-03-29/2026-03-30", "2026-01-01/2026-03-27"]
)
zones = st.sampled_from(["", "Europe/Berlin", "America/New_York", "Pacific/Apia"])


def walked(times: Times, first: datetime, last: datetime) -> list[datetime]:
    """Return the occurrences from one instant to another, one after the other."""
    found, t = [], first - _MOMENT
    while (coming := times.next_after(t)) and coming.at <= last:
        found.append(coming.at)
        t = coming.at
    return found


def of(text: str, zone: str) -> Times | Cron:
    """Return one schedule by itself."""
    if is_cron(text):
        return Cron((parse_expression(text, "cron"),), find_zone(zone))
    own = "" if "[" in text else zone
    return parse_schedule(text, own, accepted_at=START)


def apart(some: list[str], zone: str) -> set[datetime]:
    """Return the instants of all schedules, each looked at by itself."""
    found = set()
    for text in some:
        times, t = of(text, zone), START - _MOMENT
        while (coming := times.next_after(t)) and coming.at <= END:
            found.add(coming.at)
            t = coming.at
    return found


drawn = st.lists(texts, min_size=1, max_size=4)


def fitting(some: list[str], zone: str) -> list[str]:
    """Leave out what contradicts the zone."""
    return [text for text in some if not (zone and ("[" in text or "Z" in text))] or ["@daily"]


@given(zones, st.integers(-30_000, 60_000), st.integers(1, 300))
@example("Pacific/Apia", 14_900, 200)  # across a day that was skipped
def test_a_long_stretch_of_days_shows_when_one_of_its_days_does(
    name: str, first: int, days: int
) -> None:
    """S14: however long it is, though clocks are looked at near its ends only."""
    zone = find_zone(name)
    by_day = [
        stretch
        for day in range(first, first + days)
        for stretch in showing(zone, day * DAY, (day + 1) * DAY)
    ]
    whole = showing(zone, first * DAY, (first + days) * DAY)
    assert joined(whole) == joined(by_day)


def joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same stretches of time, without seams."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def test_centuries_that_are_left_out_are_passed_over_at_once() -> None:
    """S14: to the ends of time, of which clocks are asked near the ends of the stretch only."""
    _jumps_in.cache_clear()
    for left_out in ("0001-01-01/2026-12-31", "2027-01-02/9999-12-31"):
        timing = Timing(cron="0 0 * * *", excluded_dates=(left_out,))
        times = times_of("a", "", "America/New_York", timing, START)
        assert len({times.next_after(START), times.last_at(START + timedelta(days=400))}) == 2
    assert _jumps_in.cache_info().currsize < 20


@given(drawn, zones, st.lists(dates, max_size=3), st.none() | st.integers(0, 120))
@settings(max_examples=max(50, (settings.default or settings()).max_examples // 2))
def test_a_job_runs_when_one_of_its_schedules_says_so_but_on_excluded_dates_or_too_late(
    some: list[str], zone: str, excluded: list[str], until: int | None
) -> None:
    """S13, S14, S15: and the next, the last and the count agree, which is what L5 counts by."""
    some = fitting(some, zone)
    not_after = None if until is None else START + timedelta(hours=until)
    timing = Timing(
        schedules=tuple(some),
        excluded_dates=tuple(excluded),
        not_after=not_after.isoformat() if not_after else "",
    )
    times = times_of("job", "", zone, timing, START)
    clock = find_zone(zone)
    expected = sorted(
        at
        for at in apart(some, zone)
        if not any(_is_on(at.astimezone(clock).date().isoformat(), each) for each in excluded)
        and (not_after is None or at <= not_after)
    )
    assert walked(times, START, END) == expected
    first, last = (times.next_after(START - _MOMENT), times.last_at(END))
    if expected:
        assert first
        assert last
        assert (first.at, last.at) == (expected[0], expected[-1])
        assert times.count(first.number, last.number) == len(expected)
        for place, at in enumerate(expected[:20]):
            found = times.last_at(at)
            assert found
            assert found.at == at
            assert times.count(first.number, found.number) == place + 1


def _is_on(day: str, dates: str) -> bool:
    first, _, last = dates.partition("/")
    return first <= day <= (last or first)


@given(drawn, zones, st.sampled_from(["PT1S", "PT1H", "PT100H"]), st.integers(0, 10**6))
def test_jitter_moves_all_of_a_jobs_occurrences_by_the_same_less_than_itself(
    some: list[str], zone: str, jitter: str, number: int
) -> None:
    """S16, C5: always as far, so order and distances stay."""
    some = fitting(some, zone)
    still = times_of(f"j{number}", "", zone, Timing(schedules=tuple(some)), START)
    timing = Timing(schedules=tuple(some), jitter=jitter)
    moved = times_of(f"j{number}", "", zone, timing, START)
    shift = shift_of(f"j{number}", Duration.parse(jitter))
    assert timedelta() <= shift < timedelta(microseconds=Duration.parse(jitter).microseconds)
    expected = [at + shift for at in walked(still, START, END)]
    assert walked(moved, START + shift, END + shift) == expected


def test_jitter_spreads_jobs_over_all_of_it() -> None:
    """S16."""
    hour = Duration.parse("PT1H")
    tenths = [shift_of(f"job {number}", hour) // timedelta(minutes=6) for number in range(400)]
    assert {*tenths} == {*range(10)}


@given(texts.filter(lambda text: not is_cron(text)))
def test_a_job_with_one_plain_schedule_keeps_its_own_numbers(text: str) -> None:
    """S13, S4: k, as ever."""
    assert times_of("a", text, "", Timing(), START) == parse_schedule(text, accepted_at=START)
