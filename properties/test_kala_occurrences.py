"""Where one microsecond decides, and what is said where nothing is left to decide."""

from datetime import UTC, datetime, timedelta

import pytest

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import Job
from kala_trio.core.occurrences import in_time
from properties.world import START, World

MICROSECOND = timedelta(microseconds=1)


def test_the_moment_of_creation_is_not_the_past_but_the_one_before_is() -> None:
    """S9: an occurrence at the instant of creation runs, one a microsecond older does not."""
    world = World(START)
    world.create("now", f"R0/{START.isoformat()}/PT1S")
    assert world.started() == ["now"]
    with pytest.raises(Refused) as refusal:
        world.create("before", f"R0/{(START - MICROSECOND).isoformat()}/PT1S")
    assert "in the past" in refusal.value.problem
    world.create("every", f"R/{(START - MICROSECOND).isoformat()}/PT0.000002S")
    coming = world.progress["every"].next
    assert coming is not None
    assert (coming.number, coming.at) == (1, START + MICROSECOND)


def test_occurrences_a_microsecond_apart_are_all_accounted_for() -> None:
    """L5, L8: of four that turn out to be due at once three are missed."""
    world = World(START)
    world.create("a", f"R3/{(START + MICROSECOND).isoformat()}/PT0.000001S")
    world.advance(1)
    assert world.misses("a") == [("late", 3)]
    (record,) = world.missed.values()
    assert (record.first, record.last) == (START + MICROSECOND, START + 3 * MICROSECOND)
    assert world.started() == ["a"]
    world.check()


def test_a_schedule_of_a_skipped_date_alone_is_refused_as_one_without_occurrence() -> None:
    """S5, S9: what is told is the schedule, and one that works."""
    world = World(START)
    text = "R0/2011-12-30T09:00:00[Pacific/Apia]/"
    with pytest.raises(Refused) as refusal:
        world.create("a", text, epsilon="PT1H")
    assert refusal.value.field == "schedule"
    assert refusal.value.found == text
    world.create("a", refusal.value.example.strip('"'))


NOON = datetime(2026, 3, 28, 11, tzinfo=UTC)  # in Berlin, the day before its clocks go forward
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("definition", "hours"),
    [
        (Definition("a", "true", time_zone=BERLIN, epsilon="P1D"), 23),
        (Definition("a", "true", time_zone=BERLIN, epsilon="PT24H"), 24),
        (Definition("a", "true", parent_jobs=("p",), time_zone=BERLIN, epsilon="P1D"), 23),
        (Definition("a", "true", parent_jobs=("p",), epsilon="P1D"), 24),
        (Definition("a", "true", schedule="R//P1D", time_zone=BERLIN, epsilon="P1D"), 23),
        (Definition("a", "true", schedule=f"20260328T120000[{BERLIN}]", epsilon="P1D"), 23),
        (Definition("a", "true", schedule="2026-03-28T12:00:00+01:00", epsilon="P1D"), 24),
    ],
)
def test_epsilon_is_counted_on_the_clock_of_the_jobs_zone(
    definition: Definition, hours: int
) -> None:
    """L3, S4, S5: a day of epsilon has 23 hours where the zone's day has, to the microsecond."""
    job = Job("a", 1, NOON, definition)
    end = NOON + timedelta(hours=hours)
    assert in_time(job, NOON, end)
    assert not in_time(job, NOON, end + MICROSECOND)


@pytest.mark.parametrize("epsilon", ["", "P9999Y", "PT99999999999999999999S"])
def test_an_epsilon_that_ends_after_the_year_9999_is_no_limit(epsilon: str) -> None:
    """L3, S7: nor is an empty one."""
    job = Job("a", 1, NOON, Definition("a", "true", epsilon=epsilon))
    assert in_time(job, NOON, datetime.max.replace(tzinfo=UTC))
