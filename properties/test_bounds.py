"""The bounds of texts, to the character, and of counts beside a date that a zone left out."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed, Refused
from kala_trio.core.job import Job, Occurrence, Progress
from kala_trio.core.occurrences import Due, due_of, schedule_of
from kala_trio.core.schedule import Schedule, parse_schedule

ACCEPTED_AT = datetime(2026, 5, 1, tzinfo=UTC)
NOON_BEFORE = datetime(2011, 12, 29, 22, tzinfo=UTC)  # December 29 in Apia, which had no 30th
MICROSECOND = timedelta(microseconds=1)


def parsed(text: str) -> Schedule:
    """Parse as if accepted at ``ACCEPTED_AT``."""
    return parse_schedule(text, accepted_at=ACCEPTED_AT)


@pytest.mark.parametrize("length", [500, 501])
def test_a_text_may_have_500_characters(length: int) -> None:
    """S1, S3, S7: of a schedule as of a duration."""
    duration = f"PT{'1'.zfill(length - 3)}S"
    schedule = f"R//PT{'1'.zfill(length - 6)}S"
    assert len(duration) == len(schedule) == length
    if length == 500:
        assert Duration.parse(duration) == parsed(schedule).interval == Duration(0, 0, 1_000_000)
        return
    with pytest.raises(Malformed, match="longer than 500 characters") as refusal:
        Duration.parse(duration)
    assert refusal.value.field == "interval"
    with pytest.raises(Malformed, match="longer than 500 characters") as refusal:
        parsed(schedule)
    assert refusal.value.field == "schedule"


@pytest.mark.parametrize("unit", ["M", "D", "Y", "W"])
def test_a_part_of_a_duration_stays_below_ten_to_the_thirtieth(unit: str) -> None:
    """S3: in months, days or microseconds, whatever it was written in."""
    worth = {"M": 1, "D": 1, "Y": 12, "W": 7}[unit]
    most = (10**30 - 1) // worth
    Duration.parse(f"P{most}{unit}")
    with pytest.raises(Malformed, match="far too long"):
        Duration.parse(f"P{most + 1}{unit}")


def test_repetitions_may_have_30_digits() -> None:
    """S1: more are refused, by name."""
    assert parsed(f"R{'9' * 30}//PT1S").repeats == 10**30 - 1
    with pytest.raises(Malformed) as refusal:
        parsed(f"R{'9' * 31}//PT1S")
    assert refusal.value.field == "repetitions"


def test_a_date_that_was_left_out_is_counted_out_where_it_lies_and_nowhere_else() -> None:
    """S5: of five days in Apia the second does not exist."""
    schedule = parsed("R4/2011-12-29T12:00:00[Pacific/Apia]/P1D")
    counts = {(0, 0): 1, (0, 1): 1, (1, 1): 0, (1, 2): 1, (2, 4): 3, (0, 9): 4, (3, 2): 0}
    assert {pair: schedule.count(*pair) for pair in counts} == counts


def test_the_last_occurrence_is_not_on_a_date_that_was_left_out() -> None:
    """S5, S6: it is the one before, though n counts them both."""
    schedule = parsed("R1/2011-12-29T12:00:00[Pacific/Apia]/P1D")
    last = schedule.last_at(ACCEPTED_AT)
    assert last is not None
    assert (last.number, last.at) == (0, NOON_BEFORE)
    assert schedule.next_after(NOON_BEFORE) is None
    first = schedule.next_after(NOON_BEFORE - MICROSECOND)
    assert first == last


LONGEST: dict[str, str] = {
    "name": "n" * 1_000,
    "command": "c" * 10_000,
    "owner": "o" * 1_000,
    "schedule": f"R//PT{'1'.zfill(494)}S",
    "on_failure_job": "i" * 100,
    "epsilon": f"PT{'1'.zfill(497)}S",
}


@pytest.mark.parametrize("field", LONGEST)
def test_a_field_of_a_job_may_be_as_long_as_its_bound(field: str) -> None:
    """S1, S3: and what has one character more is refused, with the bound."""
    fields: dict[str, Any] = {"name": "a", "command": "true", field: LONGEST[field]}
    assert check(Definition(**fields), ACCEPTED_AT) == Definition(**fields)
    fields[field] = LONGEST[field][:-1] + "0" + LONGEST[field][-1]
    with pytest.raises(Refused, match=f"{len(LONGEST[field])} characters") as refusal:
        check(Definition(**fields), ACCEPTED_AT)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("found", "quoted"),
    [
        ("x" * 118, "'" + "x" * 118 + "'"),
        ("x" * 119, "'" + "x" * 57 + "..." + "x" * 58 + "'"),
        (10**5_000, "a number of very many digits"),
    ],
    ids=["whole", "cut", "digits"],
)
def test_a_refusal_quotes_120_characters(found: object, quoted: str) -> None:
    """S1: the beginning and the end of what is longer."""
    refusal = Refused("name", "must be short", found=found, example="'a'")
    assert str(refusal) == f"name: must be short, found {quoted}; for example 'a'"


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_what_follows_an_occurrence_has_the_next_number(hours: int) -> None:
    """L5: also where the zone database says another instant now than it did when it was noted."""
    definition = Definition("a", "true", schedule="R/2026-07-01T09:00:00[Europe/Berlin]/P1D")
    noted = datetime(2026, 7, 4, 7, tzinfo=UTC) + timedelta(hours=hours)
    schedule = schedule_of(Job("a", 1, ACCEPTED_AT, definition))
    assert schedule
    noted_occurrence = Occurrence(3, noted)
    coming = Due(schedule, noted_occurrence, noted_occurrence).after(noted_occurrence)
    assert coming == Occurrence(4, datetime(2026, 7, 5, 7, tzinfo=UTC))


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_what_was_noted_as_due_is_due(hours: int) -> None:
    """L4, L5: as it was noted, also where the zone database says by now that it is at another."""
    definition = Definition("a", "true", schedule="2026-07-01T09:00:00[Europe/Berlin]")
    noted = Occurrence(0, datetime(2026, 7, 1, 7, tzinfo=UTC) + timedelta(hours=hours))
    progress = Progress("a", disabled=False, next=noted)
    due = due_of(Job("a", 1, ACCEPTED_AT, definition), progress, noted.at)
    assert due
    assert (due.first, due.latest) == (noted, noted)


@pytest.mark.parametrize("length", [100, 101])
def test_a_parents_id_has_100_characters_at_most(length: int) -> None:
    """D1: whether there is such a job is asked elsewhere."""
    definition = Definition("a", "true", parent_jobs=("i" * length,))
    if length == 100:
        assert check(definition, ACCEPTED_AT) == definition
        return
    with pytest.raises(Refused, match="100 characters at most") as refusal:
        check(definition, ACCEPTED_AT)
    assert refusal.value.field == "parent_jobs"


def test_a_command_may_end_in_an_empty_word_but_not_begin_with_one() -> None:
    """A1: the first word is a program, the others are whatever it takes."""
    definition = Definition("a", "printf ''")
    assert check(definition, ACCEPTED_AT) == definition
    with pytest.raises(Refused) as refusal:
        check(Definition("a", "'' printf"), ACCEPTED_AT)
    assert refusal.value.field == "command"


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        ("0001-01-01T00:59:59+01:00", "must be within the years 1 to 9999 of UTC"),
        ("9999-12-31T23:00:00-01:00", "must be within the years 1 to 9999 of UTC"),
        ("9999-12-31T23:00:00[America/New_York]", "must be within the years 1 to 9999 of UTC"),
        ("2026-02-29T09:00:00Z", "must be a date that the calendar has"),
    ],
)
def test_a_start_is_an_instant_of_the_years_1_to_9999(start: str, problem: str) -> None:
    """S2, S7: and the refusal quotes it, and shows one that works."""
    for text in (start, f"R/{start}/P1D"):
        with pytest.raises(Malformed) as refusal:
            parsed(text)
        assert str(refusal.value).startswith(f"start: {problem}, found {start!r}; for example ")
        assert parsed(refusal.value.example.strip('"')).occurrence(0)


@pytest.mark.parametrize("text", ["R//", "R0//", "R1//"])
def test_without_a_start_there_is_an_interval(text: str) -> None:
    """S1: also where there are no repeats."""
    with pytest.raises(Malformed) as refusal:
        parsed(text)
    assert refusal.value.field == "interval"


def test_the_first_and_the_last_instant_of_all_are_starts() -> None:
    """S2, S7: to the second, whatever their offsets."""
    for start in ("0001-01-01T01:00:00+01:00", "9999-12-31T22:59:59-01:00"):
        assert parsed(start).occurrence(0) == datetime.fromisoformat(start)


@pytest.fixture
def _elsewhere() -> Iterator[None]:
    """Let the system's own zone be another than UTC."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("zone", ["Z", "", "+00:00", "Z[Africa/Abidjan]", "[Africa/Abidjan]"])
def test_the_zone_of_the_system_does_not_matter(zone: str) -> None:
    """S2: a start is in the zone that it or its job names, or else in UTC."""
    at = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
    assert parsed(f"2031-02-03T04:05{zone}").occurrence(0) == at


def test_the_second_of_two_equal_times_is_written_with_its_offset() -> None:
    """S5, S8: without it the text would mean the first of them."""
    text = "R/2026-10-25T02:30:00+01:00[Europe/Berlin]/P1D"
    assert str(parsed(text)) == text
    assert parsed(text).occurrence(0) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    first = parsed("R/2026-10-25T02:30:00+02:00[Europe/Berlin]/P1D")
    assert str(first) == "R/2026-10-25T02:30:00[Europe/Berlin]/P1D"


def test_there_are_no_occurrences_before_the_first() -> None:
    """S1, S7: k begins with 0, and what would come before is not even looked for."""
    schedule = parsed("R4/2026-01-01T00:00:00Z/P1D")
    assert schedule.count(-3, 2) == 3
    assert schedule.occurrence(-1) is None
    assert parsed("R/0001-01-03T00:00:00[Pacific/Apia]/P1Y").occurrence(-1) is None


def test_a_step_over_a_date_that_was_left_out_loses_nothing() -> None:
    """S5: only an occurrence on that very date does not exist."""
    schedule = parsed("R4/2011-12-29T12:00:00[Pacific/Apia]/P2D")
    assert schedule.count(0, 4) == 5


def test_what_is_once_on_a_date_that_was_left_out_is_never() -> None:
    """S5: and the day before it is once."""
    never, once = (parsed(f"2011-12-{day}T12:00:00[Pacific/Apia]") for day in (30, 29))
    assert never.occurrence(0) is None
    assert (never.count(0, 9), once.count(0, 9)) == (0, 1)
