"""The supervisor under a wall clock that is set and smeared, and in a process that stands still.

That a machine was suspended shows as a wall clock that jumps forward while trio's clock, which is
``CLOCK_MONOTONIC`` and stands still meanwhile, does not.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import Phase, find, given, note, settings
from hypothesis import strategies as st

from kala_trio.core.definition import Definition
from kala_trio.core.job import Attempt, Progress
from kala_trio.core.messages import Create, Keep, Start
from kala_trio.supervisor import Supervisor
from properties import checkers, sabotage
from properties.ledger import Ledger, trace
from properties.scripts import EPOCH, Ask, Behaviour, ClockStep, Life, Pause, Script
from properties.simulation import play
from properties.story import Story

PROFILE = settings.default or settings()
often = settings(max_examples=PROFILE.max_examples // 2)

SECOND = 1_000_000
HOURS = 3 * 3600
DRIFTS = (0, 0, 12, -12, 500, -500, 100_000, -100_000)
# What a play lets decisions and commits take, in microseconds.
SLACK = 1_000


@st.composite
def jobs(draw: st.DrawFn, job_id: str) -> Create:
    """Draw a job; one that is still busy when it is due again is among them."""
    step = draw(st.sampled_from([5, 60, 1800, 3600]))
    start = EPOCH + timedelta(seconds=draw(st.integers(1, 2 * HOURS)))
    schedule = draw(st.sampled_from(["R//", "R9//", f"R/{start.isoformat()}/"]))
    epsilon = draw(st.sampled_from(["", "PT2S", "PT600S"]))
    retries = draw(st.integers(0, 1))
    definition = Definition(
        job_id, "true", schedule=f"{schedule}PT{step}S", epsilon=epsilon, retries=retries
    )
    return Create(job_id, definition)


@st.composite
def troubles(draw: st.DrawFn) -> Script:
    """Draw one life of a daemon, whose clocks do anything that clocks do, and that is stopped."""
    behaviours = st.builds(Behaviour, st.sampled_from([0, 0, 1, 30]), st.sampled_from([0, 0, 1]))
    asks = [Ask(n, draw(jobs(f"j{n}"))) for n in range(draw(st.integers(1, 3)))]
    steps: list[ClockStep] = []
    pauses: list[Pause] = []
    at = 1
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.integers(2, 90))
        if draw(st.integers(0, 3)):
            seconds = draw(st.one_of(st.just(0), st.integers(-HOURS, HOURS)))
            steps.append(ClockStep(at, seconds, draw(st.sampled_from(DRIFTS))))
        else:
            pauses.append(Pause(at, draw(st.integers(1, 600))))
            at += pauses[-1].seconds
        if draw(st.booleans()):
            asks.append(Ask(10 * at + 5, Start("j0")))
    life = Life(
        lasts=at + draw(st.integers(5, 90)),
        stops=True,
        grace=100,
        asks=tuple(asks),
        clock_steps=tuple(steps),
        pauses=tuple(pauses),
    )
    return Script(0, (draw(behaviours), draw(behaviours)), (life,))


class Stretch(NamedTuple):
    """A time, in true microseconds, in which the wall clock was not set."""

    begins: int
    ends: int
    shows: datetime
    drift: int

    def reaches(self, instant: datetime) -> float:
        """Return when ``instant`` is shown, or has been already."""
        missing = max(timedelta(), instant - self.shows) / timedelta(microseconds=1)
        return self.begins + missing / (1 + self.drift / SECOND)


def stretches(ledger: Ledger) -> Iterator[Stretch]:
    """Return the stretches of a play of one life, up to its stop."""
    (stop,) = ledger.stops
    begins, shows, drift = 0, EPOCH, 0
    for each in ledger.clock_sets:
        yield Stretch(begins, each.at, shows, drift)
        begins, shows, drift = each.at, each.shown_at, each.drift
    yield Stretch(begins, stop.at, shows, drift)


def latest(ledger: Ledger, instant: datetime) -> float:
    """Return by when it has to be noticed that ``instant`` has come; never, if it has not.

    A clock that is set is noticed within a second, if it is not set again before; one that is not
    set is read exactly, save for what it gains in a second.
    """
    for stretch in stretches(ledger):
        reached = stretch.reaches(instant)
        just_set = reached < stretch.begins + SECOND
        bound = reached + SLACK + (SECOND if just_set else abs(stretch.drift))
        if bound <= stretch.ends:
            standing = [
                (pause.at * SECOND, (pause.at + pause.seconds) * SECOND)
                for pause in ledger.script.lives[0].pauses
            ]
            woken = [
                end + SLACK for begin, end in standing if begin - SLACK <= bound <= end + SLACK
            ]
            return max([bound, *woken])
    return math.inf


def is_noticed_in_time(story: Story) -> None:
    """C6, L8: each occurrence is decided on once its instant has been shown, within a second."""
    for progress in story.closed.snapshot.progress:
        job_id = progress.job_id
        instants = checkers.Instants.of(story.jobs[job_id], story.definitions[job_id])
        assert instants
        known = instants.first
        for commit in story.kept:
            for record in commit.records:
                match record:
                    case Keep(Progress(job_id=other) as found) if other == job_id:
                        upto = found.next.number if found.next else instants.end
                        assert upto is not None
                        for number in {known, upto - 1} if upto > known else ():
                            at = instants.at(number)
                            assert commit.began_at <= latest(story.ledger, at), (job_id, number)
                            assert earliest(story, at) <= commit.began_at, (job_id, number)
                        known = max(known, upto)
        if progress.next:
            stop = story.ledger.stops[-1].at
            assert latest(story.ledger, progress.next.at) > stop, (job_id, progress.next.number)


def earliest(story: Story, instant: datetime) -> float:
    """Return when ``instant`` was shown first."""
    shown = (
        stretch.reaches(instant)
        for stretch in stretches(story.ledger)
        if stretch.reaches(instant) <= stretch.ends
    )
    return next(shown, math.inf) - 1  # the clock shows whole microseconds


def time_never_goes_back(story: Story) -> None:
    """C6: for the scheduler."""
    now = EPOCH
    for commit in story.kept:
        for record in commit.records:
            match record:
                case Keep(Attempt(started_at=started_at, ended_at=None)):
                    assert started_at >= now, record
                    now = started_at
                case Keep(Attempt(started_at=started_at, ended_at=ended_at)):
                    assert ended_at is not None
                    assert ended_at >= started_at, record


JUDGES: tuple[Callable[[Story], None], ...] = (
    is_noticed_in_time,
    time_never_goes_back,
    checkers.start_is_durable_first,
    checkers.runs_do_not_overlap,
    checkers.no_start_after_epsilon,
    checkers.occurrences_end_as_one_thing,
    checkers.outcomes_are_recorded,
    checkers.attempts_are_limited,
    checkers.no_bug_shows,
)


@often
@given(troubles())
def test_whatever_clocks_do_each_occurrence_has_one_fate_and_soon(script: Script) -> None:
    """C6, L5, L8, C2, L3: nothing runs twice, nothing is skipped without a record."""
    ledger = play(script)
    note(f"{script}\n{trace(ledger)}")
    for judge in JUDGES:
        judge(Story(ledger))


@pytest.mark.parametrize(
    ("supervisor", "judge"),
    [
        (sabotage.SleepsUntilItIsTime, is_noticed_in_time),
        (sabotage.BelievesTheClock, time_never_goes_back),
    ],
)
def test_a_supervisor_that_trusts_in_clocks_is_caught(
    supervisor: type[Supervisor], judge: Callable[[Story], None]
) -> None:
    def is_caught(script: Script) -> bool:
        try:
            judge(Story(play(script, supervisor=supervisor)))
        except AssertionError:
            return True
        return False

    some = settings(PROFILE, max_examples=500, derandomize=True, phases=[Phase.generate])
    find(troubles(), is_caught, settings=some)
