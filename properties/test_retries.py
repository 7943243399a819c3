"""Pauses between attempts: how long they are, and that they follow from the run alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.definition import Definition, Retrying
from kala_trio.core.job import Cause, Exited, Job, Run, Signalled, TimedOut, Trigger
from kala_trio.core.retries import next_attempt_at

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def pause(retrying: Retrying, attempts: int, run_id: str = "j.1") -> float | None:
    """Return the seconds until the next attempt; None if there is none."""
    definition = Definition("j", "false", retries=1_000_000, retrying=retrying)
    run = Run(run_id, "j", "j", 1, Trigger(Cause.MANUAL, NOW), NOW, attempts)
    at = next_attempt_at(Job("j", 1, NOW, definition), run, Exited(1), NOW, NOW)
    return None if at is None else (at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("retrying", "pauses"),
    [
        (Retrying(), [0, 0, 0]),
        (Retrying(retry_delay="PT10S"), [10, 10, 10]),
        (Retrying(retry_delay="PT10S", retry_backoff=2), [10, 20, 40]),
        (Retrying(retry_delay="PT10S", retry_backoff=3, retry_max_delay="PT1M"), [10, 30, 60]),
        (Retrying(retry_delay="PT10S", retry_max_delay="PT1S"), [1, 1, 1]),
    ],
)
def test_each_pause_is_longer_by_the_backoff_up_to_the_longest(
    retrying: Retrying, pauses: list[float]
) -> None:
    """A6."""
    assert [pause(retrying, attempts) for attempts in (1, 2, 3)] == pauses


@given(st.floats(0, 1), st.integers(1, 100), st.integers(1, 10**6))
def test_jitter_takes_its_part_of_a_pause_at_most_and_the_same_each_time(
    jitter: float, attempts: int, number: int
) -> None:
    """A6, C5: an amount that follows from the run and the number of the attempt."""
    retrying = Retrying(retry_delay="PT100S", retry_jitter=jitter)
    found = pause(retrying, attempts, f"j.{number}")
    assert found is not None
    assert 100 * (1 - jitter) - 0.001 <= found <= 100
    assert pause(retrying, attempts, f"j.{number}") == found


def test_jitter_spreads_the_pauses_of_runs_that_failed_together() -> None:
    """A6: over all of the part that it may take, as evenly as chance does."""
    retrying = Retrying(retry_delay="PT100S", retry_jitter=0.5)
    pauses = [pause(retrying, 1, f"j{number}.1") or 0 for number in range(400)]
    tenths = [int((each - 50) // 5) for each in pauses]
    assert {*tenths} == {*range(10)}
    assert all(20 <= tenths.count(tenth) <= 60 for tenth in range(10))


@given(st.integers(1, 10**6), st.floats(1, 1000), st.sampled_from(["PT1S", "PT87600H"]))
def test_no_backoff_is_too_much_to_count_with(attempts: int, backoff: float, most: str) -> None:
    """A6: however often it was tried, no pause is longer than the longest."""
    longest = Retrying(retry_delay="PT1S", retry_backoff=backoff, retry_max_delay=most)
    bound = 1 if most == "PT1S" else 87_600 * 3600
    found = pause(longest, attempts)
    assert found is not None
    assert 1 <= found <= bound
    without = pause(Retrying(retry_delay="PT1S", retry_backoff=backoff), attempts)
    assert without is not None
    assert without <= 87_600 * 3600


@pytest.mark.parametrize(
    ("result", "retried"), [(Exited(75), True), (Exited(1), False), (TimedOut(), False)]
)
def test_only_chosen_exit_codes_are_retried(
    result: Exited | TimedOut | Signalled, retried: bool
) -> None:
    """A7: of other ends it is not said that trying again helps."""
    definition = Definition("j", "x", retries=1, retrying=Retrying(retry_exit_codes=(75,)))
    run = Run("j.1", "j", "j", 1, Trigger(Cause.MANUAL, NOW), NOW)
    found = next_attempt_at(Job("j", 1, NOW, definition), run, result, NOW, NOW)
    assert (found is not None) == retried


def test_a_pause_that_would_end_after_epsilon_is_not_begun() -> None:
    """A6, A2."""
    for epsilon, expected in (("PT9S", None), ("PT10S", NOW + timedelta(seconds=10))):
        retrying = Retrying(retry_delay="PT10S")
        definition = Definition("j", "x", retries=1, epsilon=epsilon, retrying=retrying)
        run = Run("j.1", "j", "j", 1, Trigger(Cause.MANUAL, NOW), NOW)
        assert next_attempt_at(Job("j", 1, NOW, definition), run, Exited(1), NOW, NOW) == expected
