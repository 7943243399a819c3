"""Cron schedules beside a slow reading of Debian's manual, cronsim, and each other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from kala_trio.core.cron import Cron
from kala_trio.core.errors import Malformed
from kala_trio.core.expression import parse_expression
from kala_trio.core.schedule import find_zone

_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

fields = st.one_of(
    st.just("*"),
    st.sampled_from(["*/5", "*/7", "*/20", "0", "30", "59", "0,30", "10-20", "1-59/13"]),
)
hours = st.one_of(st.just("*"), st.sampled_from(["*/2", "0", "1", "2", "3", "1-3", "23", "0,2,12"]))
days = st.sampled_from(["*", "*", "*", "1", "25-31", "L", "15"])
months = st.sampled_from(["*", "*", "MAR", "3,10,11", "4-9"])
weekdays = st.sampled_from(["*", "*", "SUN", "MON-FRI", "0", "7#5", "5L"])
expressions = st.tuples(fields, hours, days, months, weekdays).map(" ".join)
zones = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Nuuk"),
        *("Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "America/Sao_Paulo"),
    ]
)
# Around these, clocks of some of the zones are set.
turns = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
        datetime(2026, 2, 15, 2, tzinfo=UTC),
        datetime(2018, 11, 4, 3, tzinfo=UTC),
        datetime(2018, 2, 18, 2, tzinfo=UTC),
    ]
)


def cron_of(zone: str, *texts: str) -> Cron:
    """Return the union of these expressions."""
    return Cron(tuple(parse_expression(text, "cron") for text in texts), find_zone(zone))


def walked(cron: Cron, first: datetime, last: datetime) -> list[datetime]:
    """Return the occurrences from one instant to another, one after the other."""
    found = []
    t = first - timedelta(microseconds=1)
    while (coming := cron.next_after(t)) and coming.at <= last:
        found.append(coming.at)
        t = coming.at
    return found


def slowly(text: str, zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield when Debian's cron runs a job, looking at the clock each minute.

    What names minutes and hours runs once where the clock is set back by less than three hours, and
    at once where it is set forward past it; what has a * in one of them goes by the clock.
    """
    matcher = CronSim(text, _EPOCH)
    minute, hour = text.split()[:2]
    is_fixed = not (minute.startswith("*") or hour.startswith("*"))

    def fits(wall: datetime) -> bool:
        return (
            wall.minute in matcher.minutes
            and wall.hour in matcher.hours
            and wall.month in matcher.months
            and bool(matcher.match_day(wall.date()))
        )

    now = first - timedelta(hours=6)
    seen = (now - _MINUTE).astimezone(zone).replace(tzinfo=None, fold=0)
    while now <= last:
        wall = now.astimezone(zone).replace(tzinfo=None, fold=0)
        step = wall - seen
        due = fits(wall)
        if is_fixed and _MINUTE < step < timedelta(hours=3):
            skipped = (seen + _MINUTE * n for n in range(1, step // _MINUTE))
            due = due or any(map(fits, skipped))
        elif is_fixed and -timedelta(hours=3) < step < _MINUTE:
            due = False
        if due and now >= first:
            yield now
        # The clock that fixed jobs go by stands still until it has caught up.
        seen = max(seen, wall) if is_fixed and step > -timedelta(hours=3) else wall
        now += _MINUTE


@given(expressions, zones, turns, st.integers(-8, 8))
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC), 0)  # in the gap
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), 0)  # in the fold
@example("*/5 * * * *", "Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), 0)
def test_an_expression_runs_when_debians_cron_runs_it(
    text: str, zone: str, turn: datetime, hours: int
) -> None:
    """S11, S12: also where clocks are set."""
    first = turn + timedelta(hours=hours)
    last = first + timedelta(hours=14)
    expected = [*slowly(text, ZoneInfo(zone), first, last)]
    assert walked(cron_of(zone, text), first, last) == expected


@given(expressions, turns, st.integers(0, 10**6))
def test_where_clocks_are_never_set_cronsim_says_the_same(
    text: str, turn: datetime, seconds: int
) -> None:
    """S11."""
    start = turn + timedelta(seconds=seconds)
    simulated = CronSim(text, start)
    expected = [next(simulated) for _ in range(20)]
    assert walked(cron_of("UTC", text), start + timedelta(seconds=1), expected[-1]) == expected


@given(st.lists(expressions, min_size=1, max_size=3), zones, turns, st.integers(0, 10**5))
def test_the_questions_about_a_cron_schedule_agree_with_each_other(
    texts: list[str], zone: str, turn: datetime, seconds: int
) -> None:
    """S6, S11, S13: the next, the last and the count; several count each instant once."""
    cron = cron_of(zone, *texts)
    first, last = turn - timedelta(days=2), turn + timedelta(seconds=seconds)
    found = walked(cron, first, last)
    apart = {at for text in texts for at in walked(cron_of(zone, text), first, last)}
    assert found == sorted(apart)
    numbers = [(at - _EPOCH) // timedelta(microseconds=1) for at in (first, last)]
    assert cron.count(*numbers) == len(found)
    latest = cron.last_at(last)
    assert (latest and latest.at) == (found[-1] if found else (latest and latest.at))
    assert not found or latest


def test_a_year_of_minutes_and_eight_thousand_years_are_counted_without_a_walk() -> None:
    """S6: so many that to walk through them would take hours."""
    cron = cron_of("UTC", "* * * * *")
    year = timedelta(days=365) // timedelta(microseconds=1)
    assert cron.count(0, year - 1) == 365 * 24 * 60
    ages = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
    assert cron.count(0, ages) == -(-ages // 60_000_000)
    assert cron.next_after(datetime.max.replace(tzinfo=UTC)) is None
    assert cron_of("UTC", "0 0 29 2 *").last_at(datetime.min.replace(tzinfo=UTC)) is None


@given(st.text(max_size=30) | st.text("0123456789*/-,LW#?@ SUNMO", max_size=20))
@example("0 0 30 2 *")
@example("* * * * 8")
@example("*/0 * * * *")
@example("@reboot")
@example("９ * * * *")
@example("0 0 31 2,4 *")
def test_any_text_is_a_cron_expression_or_is_refused_as_none(text: str) -> None:
    """S11, S7: with the part at fault, and one that works."""
    refusal: Malformed | None = None
    try:
        parse_expression(text, "cron")
    except Malformed as error:
        refusal = error
    assert refusal is None or refusal.field == "cron"
    assert refusal is None or "0 9 * * MON-FRI" in str(refusal)


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 2,4 *", "0 0 31 4-6/2 *"])
def test_an_expression_that_matches_no_date_is_refused(text: str) -> None:
    """S11, S9: instead of a job that never runs."""
    with pytest.raises(Malformed):
        parse_expression(text, "cron")
