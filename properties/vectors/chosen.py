"""The schedules that the vectors are made of, chosen for the corners they are in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from properties.stepping import HOUR, Interval, Moment, Spec, offset_at, showings, shown
from properties.strategies import ODD_PLACES

ACCEPTED_AT = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)

DAILY = Interval(days=1)
HOURLY = Interval(hours=1)
MICROSECONDS = Interval(seconds=0, fraction="000001")
FEW = (0, 1, 2, 3)
SOME = (0, 1, 2, 3, 4, 5, 6, 7, 12, 24, 48, 100, 1000)


class Chosen(NamedTuple):
    """A schedule, the numbers of the occurrences to find, and why."""

    why: str
    spec: Spec
    numbers: tuple[int, ...] = SOME


def chosen() -> Iterator[Chosen]:
    """Return them all."""
    yield from _at_odd_places()
    yield from _on_the_calendar()
    yield from _in_each_form()
    yield from _at_the_end_of_time()


def _at_odd_places() -> Iterator[Chosen]:
    """Go through each gap, fold and skipped date by days and by hours (S4, S5)."""
    day = timedelta(days=1)
    for name, places in ODD_PLACES.items():
        zone = ZoneInfo(name)
        for place in map(datetime.fromisoformat, places):
            there = f"{name} near {place.isoformat(' ', 'minutes')}"
            yield Chosen(f"{there}, by days", Spec(Moment(place - day, None, name), DAILY), FEW)
            before = (showings(place - day, zone) or [place.replace(tzinfo=UTC)])[0] + 22 * HOUR
            by_hours = Moment(shown(before, zone), offset_at(before, zone), name)
            yield Chosen(f"{there}, by hours", Spec(by_hours, HOURLY), (0, 1, 2, 3, 4, 24, 48))
            for nth, instant in enumerate(showings(place, zone), 1):
                start = Moment(place, offset_at(instant, zone), name)
                why = f"{there}, from there, showing {nth}"
                yield Chosen(why, Spec(start, Interval(weeks=1)), (0, 1, 26, 52))


def _on_the_calendar() -> Iterator[Chosen]:
    """Meet the ends of months and leap days, and mix the parts (S3, S4)."""
    starts = [(2026, 1, 29), (2026, 1, 31), (2026, 7, 31), (2024, 2, 29), (1896, 2, 29)]
    intervals = [
        Interval(months=1),
        Interval(months=13),
        Interval(years=1),
        Interval(years=4),
        Interval(years=1, months=2, weeks=3, days=4, hours=5, minutes=6, seconds=7),
    ]
    for start in starts:
        for interval in intervals:
            why = "months end where they end, and each is counted from the start"
            yield Chosen(why, Spec(Moment(datetime(*start, 18)), interval))
    berlin = Moment(datetime(2026, 10, 24, 2, 30), None, "Europe/Berlin")
    for interval, why in [
        (Interval(days=1, hours=24), "the days first, and then the hours elapse"),
        (Interval(hours=24), "24 hours are no day"),
        (Interval(weeks=1, days=2), "weeks beside days"),
        (Interval(years=0, months=0, days=1, hours=0), "parts that are zero"),
        (Interval(hours=1, fraction="5"), "a fraction of an hour"),
        (Interval(minutes=0, fraction="0000001"), "a fraction, cut to 6 microseconds"),
        (Interval(seconds=1, fraction="9999999"), "a fraction, cut and not rounded"),
        (Interval(months=1, seconds=0, fraction="000001"), "a month and a microsecond"),
    ]:
        yield Chosen(why, Spec(berlin, interval), FEW)
    for hours in (-23, -5, 0, 5, 14):
        there = Moment(datetime(2026, 3, 28, 12), timedelta(hours=hours, minutes=30))
        yield Chosen("an offset stays for ever", Spec(there, DAILY))


def _in_each_form() -> Iterator[Chosen]:
    """Write schedules in all the ways there are (S1, S2)."""
    wall = datetime(2026, 3, 28, 2, 30, 0, 250000)
    plain = Moment(wall)
    berlin, hour = Moment(wall, None, "Europe/Berlin"), timedelta(hours=1)
    yield Chosen("R0 is once", Spec(plain, DAILY, repeats=0), FEW)
    yield Chosen("R2 is three times", Spec(plain, DAILY, repeats=2), (0, 1, 2, 3, -1))
    yield Chosen("n of thirty digits", Spec(plain, DAILY, repeats=10**30 - 1))
    yield Chosen("R0/start/", Spec(berlin, repeats=0), FEW)
    yield Chosen("a bare start", Spec(berlin, repeats=0, bare=True), FEW)
    yield Chosen("no start: when it is accepted", Spec(None, HOURLY, repeats=2), FEW)
    yield Chosen("no start, in a zone", Spec(None, DAILY, time_zone="America/New_York"), (0, 184))
    yield Chosen("an end", Spec(plain, end=Moment(datetime(2026, 3, 28, 8, 30)), repeats=2), FEW)
    yield Chosen("an end in the zone of the start", Spec(berlin, end=Moment(datetime(2026, 3, 29))))
    end = Moment(datetime(2026, 3, 29), timedelta(), "")
    yield Chosen("an end in another", Spec(berlin, end=end))
    yield Chosen("the basic format", Spec(Moment(wall, hour, basic=True), DAILY), FEW)
    yield Chosen(
        "the basic format in a zone", Spec(Moment(wall, hour, "Europe/Berlin", True), DAILY)
    )
    yield Chosen("the job's zone", Spec(plain, DAILY, time_zone="Europe/Berlin"))
    yield Chosen("a zone at both places", Spec(berlin, DAILY, time_zone="Europe/Berlin"))
    yield Chosen(
        "an offset and the job's", Spec(Moment(wall, hour), DAILY, time_zone="Europe/Berlin")
    )
    yield Chosen(
        "a skipped date counts toward n", Spec(_apia(29, 12), DAILY, repeats=3), (0, 1, 2, 3, 4)
    )
    yield Chosen("a start on a skipped date", Spec(_apia(30, 12), DAILY, repeats=2), FEW)
    yield Chosen("and once", Spec(_apia(30, 12), repeats=0, bare=True), FEW)
    yield Chosen("hours pass over no date", Spec(_apia(30, 12), HOURLY), FEW)


def _at_the_end_of_time() -> Iterator[Chosen]:
    """Go past the year 9999, by large steps, small ones and many (S7)."""
    start = Moment(datetime(2026, 1, 31))
    late = Moment(datetime(9999, 12, 29, 23, 59, 59))
    far = (0, 1, 2, 3, 10**6, 10**9, 10**12, 10**15)
    yield Chosen("a large interval", Spec(start, Interval(years=7973)), FEW)
    yield Chosen("a larger one", Spec(start, Interval(years=7974)), FEW)
    yield Chosen("months without number", Spec(start, Interval(months=10**29)), FEW)
    yield Chosen("days without number", Spec(start, Interval(days=10**29)), FEW)
    yield Chosen("seconds without number", Spec(start, Interval(seconds=10**22)), FEW)
    yield Chosen("microseconds", Spec(start, MICROSECONDS), far)
    yield Chosen(
        "microseconds from the year 1 on", Spec(Moment(datetime(1, 1, 3)), MICROSECONDS), far
    )
    yield Chosen("the last days", Spec(late, DAILY), FEW)
    yield Chosen(
        "the last days of New York", Spec(Moment(late.wall, None, "America/New_York"), DAILY), FEW
    )
    yield Chosen("the last days of Apia", Spec(Moment(late.wall, None, "Pacific/Apia"), DAILY), FEW)
    yield Chosen("the last seconds", Spec(late, Interval(seconds=86_400, fraction="4")), FEW)
    yield Chosen("the last months", Spec(Moment(datetime(9999, 9, 30)), Interval(months=1)), SOME)


def _apia(day: int, hour: int) -> Moment:
    return Moment(datetime(2011, 12, day, hour), None, "Pacific/Apia")


_D = "2026-01-31T00:00:00Z"

# By the part at fault: texts, each with the job's zone.
REFUSED: dict[str, list[tuple[str, str]]] = {
    "schedule": [
        *[(text, "") for text in ("", "R", "R/", "P1D", "R/P1D", "hourly", "* * * * *")],
        (f"r/{_D}/P1D", ""),
        (f" R/{_D}/P1D", ""),
        (f"R/{_D}/P1D/", ""),
        (f"{_D}/P1D", ""),
        ("R/" * 250, ""),
    ],
    "repetitions": [
        (f"R{n}/{_D}/P1D", "") for n in ("-2", "+1", "1.5", "x", " 1", "٣", "-", "9" * 31)
    ],
    "start": [
        *[(f"R/{text}/P1D", "") for text in ("today", "2026-01-31", "20260131", "12:00")],
        *[(f"R/2026-{text}Z/P1D", "") for text in ("02-29T00:00", "13-01T00:00", "04-31T00:00")],
        *[(f"R/2026-01-31{text}Z/P1D", "") for text in ("T24:00", "T23:60", "T23:59:60", " 12:00")],
        *[(f"R/2026-01-31T00:00{text}/P1D", "") for text in ("+24:00", "+1", "z", "-00:60")],
        *[
            (f"R/{text}/P1D", "")
            for text in ("2026-01-31T0000Z", "20260131T00:00Z", "26-01-31T00:00")
        ],
        ("R/0000-01-01T00:00Z/P1D", ""),
        ("R/2026-01-31T00:00:00.Z/P1D", ""),
        ("R/2026-01-31T00:00+02:00[Europe/Berlin]/P1D", ""),
        ("R/2026-03-29T02:30+01:00/P1D", "Europe/Berlin"),
        ("R//2026-01-31T00:00Z", ""),
        ("2026-02-30T00:00", ""),
    ],
    "interval": [
        (f"R/{start}/{text}", "")
        for start in (_D, "")
        for text in [
            *("", "P", "PT", "P1DT", "D", "PD", "T1H", "PT1D", "P1H"),
            *("P0D", "PT0S", "P0Y0M0W0DT0H0M0S", "PT0.0S", "PT0.0000009S"),
            *("-P1D", "+P1D", "P-1D", "PT+1S"),
            *("P1.5D", "P0.5Y", "P1.5W", "PT1.5H1M", "PT1.5M1S", "PT.5S", "PT1.S", "PT1.5.5S"),
            *("P1M1Y", "P1D1W", "PT1S1M", "P1D1D"),
            *("p1d", "P1d", "P 1D", " P1D", "P1D ", "P1D\n", "P１D", "P1٣D"),
            *("P0001-01-01T00:00:00", "P" + "9" * 31 + "D"),
        ]
    ],
    "end": [
        (f"R/{_D}/{_D}", ""),
        (f"R/{_D}/2026-01-30T00:00:00Z", ""),
        (f"R/{_D}/2026-01-31T01:00:00+02:00", ""),
        (f"R/{_D}/2026-02-29T00:00:00Z", ""),
        (f"R/{_D}/2027", ""),
    ],
    "time zone": [
        ("R/2026-01-31T00:00[Mars/Olympus]/P1D", ""),
        ("R/2026-01-31T00:00[europe/berlin]/P1D", ""),
        ("R/2026-01-31T00:00[../../etc/passwd]/P1D", ""),
        ("R/2026-01-31T00:00/P1D", "Mars/Olympus"),
        ("R//P1D", "Mars/Olympus"),
        ("R/2026-01-31T00:00[Europe/Berlin]/P1D", "Asia/Tokyo"),
    ],
}
