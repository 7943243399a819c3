"""Golden tables: what schedules mean at month ends, leap days and DST, written down by hand."""

from datetime import UTC, datetime

import pytest

from kala_trio.core.schedule import parse_schedule

ACCEPTED_AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

# A schedule, and its first occurrences in UTC.
TABLE = {
    "the ends of months": (
        "R/2026-07-31T00:00:00Z/P1M",
        "2026-07-31T00:00 2026-08-31T00:00 2026-09-30T00:00 2026-10-31T00:00 2026-11-30T00:00",
    ),
    "February after a 31st, and then the 31st again": (
        "R/2027-01-31T12:00:00Z/P1M",
        "2027-01-31T12:00 2027-02-28T12:00 2027-03-31T12:00",
    ),
    "a 29th of February once in four years is one each year, clamped": (
        "R/2028-02-29T00:00:00Z/P1Y",
        "2028-02-29T00:00 2029-02-28T00:00 2030-02-28T00:00 2031-02-28T00:00 2032-02-29T00:00",
    ),
    "2100 is no leap year": (
        "R/2096-02-29T00:00:00Z/P4Y",
        "2096-02-29T00:00 2100-02-28T00:00 2104-02-29T00:00",
    ),
    "New York in spring: 02:30 does not exist on March 8, so 03:30": (
        "R/2026-03-07T02:30:00[America/New_York]/P1D",
        "2026-03-07T07:30 2026-03-08T07:30 2026-03-09T06:30",
    ),
    "New York in autumn: 01:30 exists twice on November 1, the first counts": (
        "R/2026-10-31T01:30:00[America/New_York]/P1D",
        "2026-10-31T05:30 2026-11-01T05:30 2026-11-02T06:30",
    ),
    "New York in autumn: the second 01:30, where the anchor's offset says so": (
        "R/2026-11-01T01:30:00-05:00[America/New_York]/P1D",
        "2026-11-01T06:30 2026-11-02T06:30",
    ),
    "Berlin in spring: a day of 23 hours": (
        "R/2026-03-28T12:00:00[Europe/Berlin]/P1D",
        "2026-03-28T11:00 2026-03-29T10:00 2026-03-30T10:00",
    ),
    "Berlin in spring: 24 hours are 24 hours": (
        "R/2026-03-28T12:00:00[Europe/Berlin]/PT24H",
        "2026-03-28T11:00 2026-03-29T11:00 2026-03-30T11:00",
    ),
    "Berlin in autumn: a day of 25 hours": (
        "R/2026-10-24T12:00:00[Europe/Berlin]/P1D",
        "2026-10-24T10:00 2026-10-25T11:00 2026-10-26T11:00",
    ),
    "Berlin in autumn: each hour that elapses, both that are called two": (
        "R/2026-10-25T01:00:00[Europe/Berlin]/PT1H",
        "2026-10-24T23:00 2026-10-25T00:00 2026-10-25T01:00 2026-10-25T02:00",
    ),
    "Sydney's spring is in October: 02:30 becomes 03:30": (
        "R/2026-10-03T02:30:00[Australia/Sydney]/P1D",
        "2026-10-02T16:30 2026-10-03T16:30 2026-10-04T15:30",
    ),
    "Sydney's autumn is in April: the first 02:30 counts": (
        "R/2026-04-04T02:30:00[Australia/Sydney]/P1D",
        "2026-04-03T15:30 2026-04-04T15:30 2026-04-05T16:30",
    ),
    "Santiago changes at midnight: 00:30 becomes 01:30 on September 6": (
        "R/2026-09-05T00:30:00[America/Santiago]/P1D",
        "2026-09-05T04:30 2026-09-06T04:30 2026-09-07T03:30",
    ),
    "Lord Howe's clock moves by half an hour": (
        "R/2026-10-03T02:10:00[Australia/Lord_Howe]/P1D",
        "2026-10-02T15:40 2026-10-03T15:40 2026-10-04T15:10",
    ),
    "Apia had no December 30 in 2011": (
        "R3/2011-12-29T12:00:00[Pacific/Apia]/P1D",
        "2011-12-29T22:00 2011-12-30T22:00 2011-12-31T22:00",
    ),
    "an offset without a zone knows no summer": (
        "R/2026-03-28T12:00:00+01:00/P1D",
        "2026-03-28T11:00 2026-03-29T11:00",
    ),
    "months, then days, then hours": (
        "R/2026-01-30T23:00:00Z/P1M1DT2H",
        "2026-01-30T23:00 2026-03-02T01:00 2026-04-02T03:00 2026-05-04T05:00",
    ),
    "an end instead of an interval": (
        "R2/2026-01-01T00:00:00Z/2026-01-01T06:00:00Z",
        "2026-01-01T00:00 2026-01-01T06:00 2026-01-01T12:00",
    ),
    "no start is the moment of acceptance": (
        "R1//PT90M",
        "2026-05-01T12:00 2026-05-01T13:30",
    ),
    "a bare start is once": ("20260601T080000+0200", "2026-06-01T06:00"),
    "the end of time": (
        "R/9999-12-30T00:00:00Z/P1D",
        "9999-12-30T00:00 9999-12-31T00:00",
    ),
}


@pytest.mark.parametrize(("text", "expected"), TABLE.values(), ids=TABLE)
def test_occurrences_are_those_written_down(text: str, expected: str) -> None:
    schedule = parse_schedule(text, accepted_at=ACCEPTED_AT)
    instants = [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in expected.split()]
    found: list[datetime] = []
    coming = schedule.next_after(datetime.min.replace(tzinfo=UTC))
    while coming and len(found) < len(instants):
        found.append(coming.at)
        coming = schedule.next_after(coming.at)
    assert found == instants


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("R2/2026-01-01T00:00:00Z/P1D", "2026-01-03T00:00"),
        ("R0/2026-01-01T00:00:00Z/P1D", "2026-01-01T00:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00"),
        ("R3/2011-12-29T12:00:00[Pacific/Apia]/P1D", "2011-12-31T22:00"),
        ("R/9999-12-30T00:00:00Z/P1D", "9999-12-31T00:00"),
    ],
)
def test_after_the_last_occurrence_comes_none(text: str, last: str) -> None:
    schedule = parse_schedule(text, accepted_at=ACCEPTED_AT)
    found = schedule.last_at(datetime.max.replace(tzinfo=UTC))
    assert found is not None
    assert found.at == datetime.fromisoformat(last).replace(tzinfo=UTC)
    assert schedule.next_after(found.at) is None
