"""Jobs of other schedules than a plain one, in the scheduler: what is due, missed, and counted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.definition import CatchUp, Definition, Policy, Timing
from kala_trio.core.errors import Refused
from kala_trio.core.messages import Create, Edit
from properties.world import START, World

MINUTELY = Timing(cron="* * * * *")


def world_of(timing: Timing, policy: Policy | None = None) -> World:
    """Return a world with one job, which ran or not by now."""
    world = World()
    definition = Definition("a", "true", timing=timing, policy=policy or Policy())
    world.do(Create("a", definition))
    world.settle()
    return world


def test_a_cron_job_runs_at_each_instant_that_it_names() -> None:
    """S11, L2."""
    world = world_of(Timing(cron="*/5 * * * *"))
    for now in world.wakes(1800):
        assert now.minute % 5 == 0
        world.succeed("a")
    assert len(world.started()) == 6 + 1  # one at the start itself, which is a full hour


@given(st.integers(1, 5000), st.booleans())
def test_what_a_cron_job_misses_while_down_is_one_record_of_as_many(
    minutes: int, excluded: bool
) -> None:
    """L4, L5, S14: excluded dates are not missed, they are not there."""
    timing = replace(MINUTELY, excluded_dates=("2026-03-02",) if excluded else ())
    world = world_of(timing)
    world.succeed("a")
    world.crash(60 * minutes)
    instants = [START + timedelta(minutes=each) for each in range(1, minutes + 1)]
    if excluded:
        instants = [at for at in instants if at.date() != datetime(2026, 3, 2).date()]
    *missed, latest = instants
    assert world.progress["a"].running
    assert world.runs["a.2"].trigger.scheduled_at == latest
    expected = [("downtime", len(missed), missed[0], missed[-1])] if missed else []
    assert world.missed_occurrences("a") == expected


def test_a_backlog_of_several_schedules_runs_in_order() -> None:
    """L11, S13."""
    timing = Timing(schedules=("0 * * * *", "R/2026-03-01T00:30:00Z/PT2H"))
    world = world_of(timing, Policy(catch_up=CatchUp.ALL))
    world.succeed("a")
    world.crash(3 * 3600)
    while world.in_progress:
        world.succeed("a")
    hours = [run.trigger.scheduled_at.strftime("%H:%M") for run in world.runs.values()]
    assert hours == ["00:00", "00:30", "01:00", "02:00", "02:30", "03:00"]


def test_what_is_left_of_a_backlog_has_its_turn_in_the_order_of_its_own_time() -> None:
    """L9, L11: and not in that of the oldest, which was missed."""
    world = World()
    one = Policy(catch_up=CatchUp.ALL, catch_up_limit=1)
    world.do(Create("a", Definition("a", "true", schedule="R//PT7S", policy=one)))
    world.do(Create("b", Definition("b", "true", schedule="R//PT10S")))
    world.settle()
    for job_id in "ab":
        world.succeed(job_id)
    world.advance(25)
    assert world.started() == ["a", "b", "b", "a"]


@pytest.mark.parametrize(
    "timing",
    [
        Timing(cron="0 0 1 1 *", not_after="2026-06-01T00:00:00Z"),
        Timing(schedules=("2026-03-02T00:00:00Z",), excluded_dates=("2026-03-02",)),
        Timing(cron="0 0 * * *", excluded_dates=("2026-01-01/9999-12-31",)),
    ],
)
def test_a_job_of_which_nothing_is_left_is_refused(timing: Timing) -> None:
    """S9, S14, S15."""
    with pytest.raises(Refused):
        World().do(Create("a", Definition("a", "true", timing=timing)))


def test_an_edit_of_any_part_of_the_timing_lets_occurrences_start_anew() -> None:
    """M4, S16."""
    world = world_of(MINUTELY)
    world.succeed("a")
    definition = Definition("a", "true", timing=Timing(cron="0 0 * * *"))
    world.do(Edit("a", definition))
    coming = world.progress["a"].next
    assert coming
    assert coming.at == datetime(2026, 3, 1, tzinfo=UTC)  # it is midnight still
    world.settle()
    assert world.started() == ["a", "a"]
