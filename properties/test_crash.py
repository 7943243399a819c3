"""The supervisor over several lives that end in crashes: what was promised holds in the next one.

A failure tells the command that plays its script again.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import msgspec
import pytest
from hypothesis import event, example, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.job import Cause, Outcome, Reason
from kala_trio.simulation.memory import MemoryStore
from kala_trio.supervisor import Supervisor
from properties import checkers, sabotage
from properties.checkers_of_notices import failures_are_told
from properties.ledger import Ledger
from properties.scripts import Point, Script, script_of
from properties.simulation import command_for, play, reduced, report
from properties.story import Story

scripts = st.integers(0, 2**32 - 1).map(script_of)
PROFILE = settings.default or settings()
often = settings(max_examples=PROFILE.max_examples // 5)  # a play takes some 20 ms

# Enough for each corner to be reached several times.
SAMPLE = range(320)

CORNERS = {
    *(f"death: {point}" for point in Point),
    "death: at an instant",
    "death: while stopping",
    "death: it gave up, because the store failed",
    "some were spawned and some were not",
    "requests waited when it died",
    "a commit: fail",
    "a commit: slow",
    "a commit: hang",
    "an attempt was cut off, its process lives",
    "an attempt was cut off, its process is gone",
    "a lost run is run once more",
    "an attempt was stopped",
    "an attempt was cancelled",
    "an orphan was cancelled",
    "an attempt came too late to start",
    "a trigger is pending across a restart",
    "a queue across a restart",
    "clock set back while down",
    "clock set forward while down",
    "clock set back while running",
    "clock set forward while running",
    "stop",
}


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Spare the daemons' log: so many of them die here."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def judged(script: Script, *judges: Callable[[Story], None]) -> None:
    """Play a script, and let judges look at it."""
    ledger = play(script)
    for corner in ledger.marks:
        event(corner)
    with told(ledger):
        for judge in (*judges, checkers.no_bug_shows):
            judge(Story(ledger))


@contextmanager
def told(ledger: Ledger) -> Iterator[None]:
    """Where something fails, tell what happened and how to play it again."""
    try:
        yield
    except AssertionError:
        note(report(ledger))
        note(command_for(ledger.script))
        raise


@often
@given(scripts)
def test_what_was_acknowledged_is_there(script: Script) -> None:
    """C1: jobs, deletions and enabled states outlive any crash, and refusals change nothing."""
    judged(script, checkers.acknowledged_is_there, checkers.enabledness_holds)


@often
@given(scripts)
def test_no_process_starts_before_its_start_is_durable_nor_twice(script: Script) -> None:
    """C2: over all lives of the daemon each attempt starts once at most, after its commit."""
    judged(script, checkers.start_is_durable_first)


@often
@given(scripts)
def test_what_was_cut_off_is_lost(script: Script) -> None:
    """C3: an attempt without an outcome is lost and not retried, and no two runs overlap."""
    judged(script, checkers.cut_off_is_lost, checkers.runs_do_not_overlap)


@often
@given(scripts)
def test_a_stop_starts_nothing_and_loses_nothing(script: Script) -> None:
    """C4: after a stop nothing starts, outcomes are recorded, and pending triggers survive (D8)."""
    judged(
        script,
        checkers.nothing_starts_after_a_stop,
        checkers.outcomes_are_recorded,
        checkers.pending_triggers_survive,
    )


@often
@given(scripts)
@example(script_of(1095))  # it dies after one of several answers, whichever task gives its first
def test_the_same_script_gives_the_same_bytes(script: Script) -> None:
    """C5: whatever the order in which trio runs tasks that are ready at once."""
    ledger = play(script)
    with told(ledger):
        assert _bytes(ledger) == _bytes(play(script))


def _bytes(ledger: Ledger) -> bytes:
    """Write down what happened, without which corners that was."""
    return msgspec.msgpack.encode(replace(ledger, marks={}))


@often
@given(scripts)
def test_no_attempt_is_decided_on_after_epsilon(script: Script) -> None:
    """L3, A2, C6: nor before S, wherever the wall clock is set."""
    judged(script, checkers.no_start_after_epsilon)


@often
@given(scripts)
def test_each_occurrence_has_one_fate(script: Script) -> None:
    """L5: run, pending or missed, over all crashes and downtimes."""
    judged(script, checkers.occurrences_end_as_one_thing)


@often
@given(scripts)
def test_a_run_has_no_more_attempts_than_it_may(script: Script) -> None:
    """A1: 1 + retries at most, over all crashes."""
    judged(script, checkers.attempts_are_limited)


@often
@given(scripts)
def test_followers_run_once_after_what_they_follow(script: Script) -> None:
    """D1, D3, D8, D9: each success triggers each child once, each failure the failure job."""
    judged(script, checkers.followers_follow, checkers.every_success_triggers)


# Can it fail, and does it reach what it is about?


@cache
def sampled(seed: int) -> Ledger:
    """Play a script of the sample."""
    return play(script_of(seed))


@pytest.mark.thorough
@often
@given(scripts)
def test_every_failure_is_told_with_its_outcome_and_once(script: Script) -> None:
    """N5: over all lives of the daemon."""
    judged(script, failures_are_told)


def test_every_corner_is_reached() -> None:
    """C1, C2, C3, C4, C6: each point where a daemon may die, and whatever else may go wrong."""
    reached: Counter[str] = Counter()
    for seed in SAMPLE:
        reached.update(sampled(seed).marks)
    assert {corner: reached[corner] for corner in CORNERS if reached[corner] < 3} == {}
    assert reached.keys() == CORNERS


@pytest.mark.thorough
def test_every_fate_is_met() -> None:
    """L2, L3, L4, L8: each reason to be missed, each cause to run, and each outcome.

    But for those of edits and timeouts, which scripts don't have.
    """
    reasons: set[Reason] = set()
    triggers: set[Cause] = set()
    outcomes: set[Outcome | None] = set()
    for seed in SAMPLE:
        story = Story(sampled(seed))
        reasons |= {each.reason for each in story.missed.values()}
        triggers |= {each.trigger.cause for each in story.runs.values()}
        outcomes |= {each.outcome for each in story.runs.values()}
    assert reasons == set(Reason) - {Reason.EDITED}
    assert triggers == set(Cause)
    assert outcomes - {None} == set(Outcome) - {Outcome.TIMED_OUT}


def test_two_plays_of_a_long_sample_are_the_same() -> None:
    """C5: the sample leaves no order to chance."""
    for seed in SAMPLE[:60]:
        assert sampled(seed) == play(script_of(seed)), command_for(script_of(seed))


BROKEN_SUPERVISORS = [
    (sabotage.AnswersTooEarly, checkers.acknowledged_is_there),
    (sabotage.StartsTooEarly, checkers.start_is_durable_first),
    (sabotage.NeverRollsBack, checkers.occurrences_end_as_one_thing),
    (sabotage.IgnoresTheStop, checkers.nothing_starts_after_a_stop),
    (sabotage.DoesNotWaitForOrphans, checkers.runs_do_not_overlap),
    (sabotage.RetriesWhatWasLost, checkers.cut_off_is_lost),
    (sabotage.CallsEveryEndASuccess, checkers.outcomes_are_recorded),
]
BROKEN_STORES = [
    (sabotage.LosesACommit, checkers.acknowledged_is_there),
    (sabotage.IsOneCommitBehind, checkers.acknowledged_is_there),
    (sabotage.ForgetsEpsilon, checkers.no_start_after_epsilon),
    (sabotage.AddsARetry, checkers.attempts_are_limited),
    (sabotage.ForgetsWhatIsDisabled, checkers.enabledness_holds),
    (sabotage.ForgetsWhatIsPending, checkers.pending_triggers_survive),
    (sabotage.ForgetsWhatIsNext, checkers.occurrences_end_as_one_thing),
    (sabotage.ForgetsWhatIsInProgress, checkers.cut_off_is_lost),
    (sabotage.TurnsQueuesBack, checkers.followers_follow),
    (sabotage.CutsQueuesShort, checkers.every_success_triggers),
    (sabotage.ForgetsWhatWasTold, failures_are_told),
    (sabotage.ForgetsAttempts, checkers.what_is_kept_fits_together),
]


def is_caught_by(checker: Callable[[Story], None], ledger: Ledger) -> bool:
    """Tell whether a checker finds a fault."""
    return checker.__name__ in checkers.broken_rules(ledger)


@pytest.mark.parametrize(("supervisor", "checker"), BROKEN_SUPERVISORS)
def test_a_broken_supervisor_is_caught(
    supervisor: type[Supervisor], checker: Callable[[Story], None]
) -> None:
    assert any(
        is_caught_by(checker, play(script_of(seed), supervisor=supervisor)) for seed in SAMPLE
    )


@pytest.mark.parametrize(("store", "checker"), BROKEN_STORES)
def test_a_broken_store_is_caught(
    store: type[MemoryStore], checker: Callable[[Story], None]
) -> None:
    assert any(is_caught_by(checker, play(script_of(seed), store=store)) for seed in SAMPLE)


def test_a_daemon_that_lets_chance_decide_is_caught() -> None:
    """C5: a batch that is served in a drawn order gives other bytes."""
    plays = (play(script_of(seed), supervisor=sabotage.ShufflesItsInbox) for seed in SAMPLE)
    assert any(ledger != sampled(seed) for seed, ledger in zip(SAMPLE, plays, strict=False))


def test_no_checker_is_left_without_a_fault_that_it_catches() -> None:
    proven = {checker for _, checker in (*BROKEN_SUPERVISORS, *BROKEN_STORES)}
    assert set(checkers.CHECKERS) - proven == {checkers.no_bug_shows}


def test_a_bad_script_is_reduced_to_what_makes_it_bad() -> None:
    def is_bad(script: Script) -> bool:
        return is_caught_by(
            checkers.start_is_durable_first, play(script, supervisor=sabotage.StartsTooEarly)
        )

    script = next(script for script in map(script_of, SAMPLE) if is_bad(script))
    least = reduced(script, is_bad)
    assert is_bad(least)
    assert len(least.lives) <= 2
    assert len(least.lives[0].asks) <= 2
