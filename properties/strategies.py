"""What the properties draw: schedules as they are written, most of them near the odd places."""

from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from properties.stepping import Interval, Moment, Spec, Stepped, offset_at, showings, shown

ACCEPTED_AT = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
DAY = timedelta(days=1)

# Wall times in or just beside a gap, a fold or a skipped date of the zone.
ODD_PLACES = {
    "Africa/Casablanca": ["2026-02-15T02:30", "2026-03-22T02:30"],
    "Africa/Monrovia": ["1972-01-07T00:20"],
    "America/Caracas": ["2007-12-09T02:45", "2016-05-01T02:45"],
    "America/Juneau": ["1867-10-18T20:00"],
    "America/New_York": ["2026-03-08T02:30", "2026-11-01T01:30"],
    "America/Nuuk": ["2023-03-25T22:30", "2026-03-28T23:30"],
    "America/Santiago": ["2026-04-04T23:30", "2026-09-06T00:30"],
    "Antarctica/Troll": ["2026-03-29T01:30", "2026-10-25T02:30"],
    "Asia/Manila": ["1844-12-31T12:00"],
    "Australia/Lord_Howe": ["2026-04-05T01:45", "2026-10-04T02:15"],
    "Australia/Sydney": ["2026-04-05T02:30", "2026-10-04T02:30"],
    "Europe/Amsterdam": ["1937-07-01T00:00"],
    "Europe/Berlin": ["2026-03-29T02:30", "2026-10-25T02:30"],
    "Europe/Dublin": ["2026-03-29T01:30", "2026-10-25T01:30"],
    "Pacific/Apia": ["1892-07-04T12:00", "2011-12-30T09:00"],
    "Pacific/Kiritimati": ["1994-12-31T09:00"],
    "Pacific/Kwajalein": ["1969-09-30T12:00", "1993-08-21T00:00"],
}

odd_zone_names = st.sampled_from(sorted(ODD_PLACES))
zone_names = odd_zone_names | st.sampled_from(
    sorted(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())
)
offsets = st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(lambda minutes: timedelta(minutes=minutes))


# --- Intervals


def parts(small: int, large: int) -> st.SearchStrategy[int | None]:
    """Draw what one part of an interval says, and often nothing."""
    return st.none() | st.integers(0, small) | st.integers(0, large)


fractions = st.just("") | st.text("0123456789", min_size=1, max_size=9) | st.just("0000009")

exact_intervals = st.sampled_from(
    [
        Interval(seconds=0, fraction="000001"),
        Interval(seconds=1),
        Interval(hours=1),
        Interval(hours=24),
        Interval(hours=0, fraction="5"),
        Interval(minutes=1, fraction="75"),
    ]
) | st.builds(
    Interval,
    hours=parts(40, 10**19),
    minutes=parts(90, 10**20),
    seconds=parts(90, 10**22),
).flatmap(
    lambda interval: (
        st.just(interval)
        if (interval.hours, interval.minutes, interval.seconds) == (None, None, None)
        else fractions.map(lambda digits: with_exact(Interval(fraction=digits), interval))
    )
).filter(lambda interval: not interval.is_empty())

calendar_intervals = st.builds(
    Interval,
    years=parts(3, 10**27) | st.sampled_from([4, 100, 9998]),
    months=parts(3, 10**29) | st.sampled_from([12, 48]),
    weeks=parts(3, 10**28),
    days=parts(40, 10**29) | st.sampled_from([365, 3_652_058]),
).filter(lambda interval: not interval.is_empty())


def with_exact(interval: Interval, exact: Interval) -> Interval:
    """Return ``interval`` with the hours, minutes and seconds of ``exact`` beside what it has."""
    return Interval(
        *(interval.years, interval.months, interval.weeks, interval.days),
        *(exact.hours, exact.minutes, exact.seconds),
        interval.fraction or exact.fraction,
    )


intervals = (
    exact_intervals
    | calendar_intervals
    | st.builds(with_exact, calendar_intervals, exact_intervals)
)

# Short enough that a schedule has many occurrences before it meets the year 9999.
calendar_steps = st.sampled_from(
    [
        Interval(days=1),
        Interval(days=1, hours=0),
        Interval(days=2),
        Interval(weeks=1),
        Interval(months=1),
        Interval(months=1, weeks=1, days=1),
        Interval(years=1),
    ]
)
steps = (
    calendar_steps
    | calendar_steps
    | st.sampled_from(
        [
            Interval(hours=1),
            Interval(hours=24),
            Interval(days=1, hours=12),
            Interval(months=1, seconds=0, fraction="000001"),
        ]
    )
)


# --- Starts

month_ends = st.builds(
    lambda first, back: first - timedelta(days=back),
    st.builds(datetime, st.integers(1600, 2400), st.integers(1, 12), st.just(1)),
    st.integers(1, 3),
)
leap_days = st.builds(
    lambda fours, hour: datetime(4 * fours, 2, 29, hour),
    st.integers(400, 600).filter(lambda fours: fours % 25 != 0 or fours % 100 == 0),
    st.integers(0, 23),
)
last_years = st.datetimes(datetime(9996, 1, 1), datetime(9999, 12, 29))

# Two days from either end of time, no offset leads out of it.
ordinary_walls = (
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)) | month_ends | leap_days | last_years
)


def places_in(zone: str) -> st.SearchStrategy[datetime]:
    """Draw wall times within an hour and a half of an odd place of ``zone``."""
    return st.builds(
        lambda place, minutes: place + timedelta(minutes=minutes),
        st.sampled_from([datetime.fromisoformat(place) for place in ODD_PLACES[zone]]),
        st.integers(-90, 90) | st.just(0),
    )


def walls_in(zone: str) -> st.SearchStrategy[datetime]:
    """Draw wall times for ``zone``, given its odd places within three days of them."""
    if zone not in ODD_PLACES:
        return ordinary_walls
    near = st.builds(lambda place, days: place - days * DAY, places_in(zone), st.integers(0, 3))
    return near | near | ordinary_walls


def moment_at(instant: datetime, zone: str) -> Moment:
    """Return ``instant`` as ``zone`` shows it, with offset and zone."""
    there = ZoneInfo(zone)
    return Moment(shown(instant, there), offset_at(instant, there), zone)


@st.composite
def moments(draw: st.DrawFn) -> Moment:
    """Draw a start: with a zone, an offset, both or neither."""
    kind = draw(st.sampled_from(["zone", "zone", "both", "both", "offset", "plain"]))
    basic = draw(st.booleans())
    if kind == "plain":
        return Moment(draw(ordinary_walls), basic=basic)
    if kind == "offset":
        return Moment(draw(ordinary_walls), draw(offsets | st.just(timedelta())), basic=basic)
    zone = draw(zone_names)
    wall = draw(walls_in(zone))
    if kind == "zone":
        return Moment(wall, None, zone, basic)
    # A wall time in a gap is no instant's, and has no offset.
    instant = draw(st.sampled_from(showings(wall, ZoneInfo(zone)) or [wall.replace(tzinfo=UTC)]))
    moment = moment_at(instant, zone)
    return Moment(moment.wall, moment.offset, zone, basic)


# --- Schedules

repetitions = (
    st.none()
    | st.none()
    | st.just(0)
    | st.integers(0, 40)
    | st.integers(40, 80)
    | st.sampled_from([10**20, 10**30 - 1])
)


@st.composite
def specs(draw: st.DrawFn, intervals: st.SearchStrategy[Interval] = steps | intervals) -> Spec:
    """Draw a schedule in any of the forms of rule S1, its zone here, there or at both places."""
    form = draw(st.sampled_from(["interval"] * 5 + ["accepted", "end", "once", "bare"]))
    repeats = draw(repetitions)
    if form == "accepted":
        name = draw(st.just("") | zone_names)
        return Spec(None, draw(intervals), repeats=repeats, time_zone=name)
    start = draw(moments())
    zone, job_zone = draw(st.sampled_from([(start.zone, ""), ("", start.zone), (start.zone,) * 2]))
    start = Moment(start.wall, start.offset, zone, start.basic)
    if form == "bare":
        return Spec(start, repeats=0, bare=True, time_zone=job_zone)
    if form == "once":
        return Spec(start, repeats=0, time_zone=job_zone)
    if form == "interval":
        return Spec(start, draw(intervals), repeats=repeats, time_zone=job_zone)
    once = Stepped(Spec(start, repeats=0, time_zone=job_zone), ACCEPTED_AT)
    elapsed = draw(st.sampled_from([1, 3600 * 10**6, 86400 * 10**6]) | st.integers(1, 10**16))
    end = once.anchor + min(timedelta(microseconds=elapsed), LAST - once.anchor)
    return Spec(
        start, end=Moment(shown(end, UTC), timedelta()), repeats=repeats, time_zone=job_zone
    )


@st.composite
def aimed(draw: st.DrawFn) -> tuple[Spec, int]:
    """Draw a schedule of days whose k-th occurrence is at an odd place, and that k."""
    zone = draw(odd_zone_names)
    interval, days = draw(
        st.sampled_from([(Interval(days=1), 1), (Interval(days=2), 2), (Interval(weeks=1), 7)])
    )
    k = draw(st.integers(1, 40))
    wall = draw(places_in(zone)) - k * days * DAY
    repeats = draw(repetitions.filter(lambda n: n is None or n >= k))
    return Spec(Moment(wall, None, zone), interval, repeats=repeats), k


@st.composite
def anchored(draw: st.DrawFn) -> tuple[Spec, int]:
    """Draw a schedule whose start is at an odd place, with an offset or without, and 0 or 1."""
    zone = draw(odd_zone_names)
    wall = draw(places_in(zone))
    found = showings(wall, ZoneInfo(zone))
    meant = [moment_at(instant, zone) for instant in found + found[1:]]
    start = draw(st.sampled_from([Moment(wall, None, zone), *meant]))
    return Spec(start, draw(steps), repeats=draw(repetitions)), draw(st.integers(0, 1))


@st.composite
def dated(draw: st.DrawFn) -> tuple[Spec, int]:
    """Draw a schedule of months or years from the end of a month or near that of time, and a k."""
    start = Moment(
        draw(month_ends | leap_days | last_years | last_years), zone=draw(st.just("") | zone_names)
    )
    interval = draw(
        st.sampled_from(
            [
                Interval(months=1),
                Interval(months=5),
                Interval(months=12),
                Interval(years=1),
                Interval(years=4),
                Interval(months=1, days=1),
            ]
        )
    )
    return Spec(start, interval, repeats=draw(repetitions)), draw(
        st.integers(0, 3) | st.integers(0, 60)
    )


numbers = (
    st.integers(0, 60)
    | st.integers(0, 60)
    | st.integers(0, 3_000_000)
    | st.integers(10**20, 10**40)
)

# A schedule and the number of one of its occurrences, that often exists; where it is near, a count
# from k = 0 gets there soon.
near_questions = aimed() | anchored() | dated() | st.tuples(specs(steps), st.integers(0, 60))
questions = near_questions | st.tuples(specs(), numbers)

schedule_texts = specs().filter(lambda spec: not spec.time_zone).map(Spec.text)

instants = (
    st.datetimes(timezones=st.just(UTC))
    | st.datetimes(datetime(1840, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
    | st.sampled_from([FIRST, LAST])
)
