"""What the properties draw: durations, zones and schedules, most of them near the odd places."""

from datetime import UTC, datetime, timedelta
from importlib import resources

from hypothesis import strategies as st

from kala_trio.core.duration import Duration
from kala_trio.core.schedule import Schedule, find_zone, parse_schedule

ACCEPTED_AT = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)

# Wall times in or just beside a gap, a fold or a skipped date of the zone.
ODD_PLACES = {
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

zone_names = st.sampled_from(sorted(ODD_PLACES)) | st.sampled_from(
    sorted(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())
)

offsets = st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(
    lambda minutes: f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
)

exact_durations = st.builds(
    Duration,
    microseconds=st.integers(1, 10**14)
    | st.sampled_from([1, 1_000_000, 3_600_000_000, 86_400_000_000])
    | st.integers(1, 10**29),
)

calendar_durations = st.builds(
    Duration,
    months=st.integers(0, 3) | st.sampled_from([12, 48, 1200, 9999 * 12]) | st.integers(0, 10**29),
    days=st.integers(0, 3) | st.sampled_from([7, 28, 365, 3_652_058]) | st.integers(0, 10**29),
    microseconds=st.just(0),
).filter(lambda duration: duration != Duration())

durations = (
    exact_durations
    | calendar_durations
    | st.builds(
        lambda calendar, exact: Duration(calendar.months, calendar.days, exact.microseconds),
        calendar_durations,
        exact_durations,
    )
)

# Short enough that a schedule has many occurrences before it meets the year 9999.
steps = st.sampled_from(
    ["P1D", "P1D", "P1W", "P1M", "P1Y", "PT1H", "PT24H", "P2D", "P1DT12H", "P1M1D", "P1MT0.000001S"]
).map(Duration.parse)

month_ends = st.builds(
    lambda first, back: first - timedelta(days=back),
    st.builds(datetime, st.integers(1600, 2400), st.integers(1, 12), st.just(1)),
    st.integers(1, 3),
)

# Two days from either end of time, no offset leads out of it.
ordinary_walls = (
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))
    | month_ends
    | st.datetimes(datetime(9996, 1, 1), datetime(9999, 12, 29))
)


def walls_in(zone: str) -> st.SearchStrategy[datetime]:
    """Draw wall times for ``zone``, given its odd places within three days of them."""
    places = ODD_PLACES.get(zone)
    if places is None:
        return ordinary_walls
    near = st.builds(
        lambda place, days, minutes: place - timedelta(days=days) + timedelta(minutes=minutes),
        st.sampled_from([datetime.fromisoformat(place) for place in places]),
        st.integers(0, 3),
        st.integers(-90, 90) | st.just(0),
    )
    return near | near | ordinary_walls


@st.composite
def starts(draw: st.DrawFn) -> str:
    """Draw the canonical or a lesser text of a start: with a zone, an offset, both or none."""
    kind = draw(st.sampled_from(["zone", "zone", "instant", "offset", "plain"]))
    if kind in ("offset", "plain"):
        wall = draw(ordinary_walls)
        return wall.isoformat() + (
            draw(offsets) if kind == "offset" else draw(st.just("Z") | st.just(""))
        )
    name = draw(zone_names)
    wall = draw(walls_in(name))
    if kind == "zone":
        return f"{wall.isoformat()}[{name}]"
    return instant_in(wall.replace(tzinfo=UTC), name)


def instant_in(instant: datetime, name: str) -> str:
    """Write ``instant`` as the zone ``name`` shows it, offset and suffix and all."""
    return f"{instant.astimezone(find_zone(name)).isoformat()}[{name}]"


repetitions = st.just("R") | st.integers(0, 40).map(lambda n: f"R{n}") | st.just(f"R{10**30 - 1}")

schedule_texts = (
    st.builds("{}/{}/{}".format, repetitions, starts(), steps | durations)
    | st.builds("{}//{}".format, repetitions, steps | durations)
    | st.builds("R0/{}/".format, starts())
    | starts()
)


def parsed(text: str, time_zone: str = "") -> Schedule:
    """Parse as if accepted at ``ACCEPTED_AT``."""
    return parse_schedule(text, time_zone, accepted_at=ACCEPTED_AT)


schedules = schedule_texts.map(parsed)

# With an interval that steps along the odd places, instead of leaping over them.
stepping_schedules = st.builds("{}/{}/{}".format, repetitions, starts(), steps).map(parsed)

instants = (
    st.datetimes(timezones=st.just(UTC))
    | st.datetimes(datetime(1840, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
    | st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
)
