"""The bounds of texts, to the character, and of counts beside a date that a zone left out."""

from datetime import UTC, datetime, timedelta

import pytest

from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed
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
