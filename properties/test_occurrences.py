"""The life of an occurrence: rules S9, S10 and L, of any implementation.

``T(n)`` is n seconds after the moment at which jobs are created. Time is watched (``watch``: the
scheduler is called at each instant that it asks for) or passes unwatched (``look``).
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.implementation import Fate, Refusal, Scheduling, Story
from properties.judged import implementation

START = datetime(2026, 3, 1, tzinfo=UTC)
EVERY_10_S = "R/2026-03-01T00:00:10Z/PT10S"  # S(k) is T(10 k + 10)

seconds = st.integers(0, 100) | st.sampled_from([0.000001, 9.999999, 10.000001])


def T(n: float) -> datetime:  # noqa: N802 - it reads as in the rules
    return START + timedelta(seconds=n)


def watch(scheduling: Scheduling, until: datetime) -> None:
    """Let time pass, calling at each instant that the scheduler asks for."""
    while (wake := scheduling.next_wake()) and wake <= until:
        scheduling.look(wake)
    scheduling.look(until)


def with_job(schedule: str = EVERY_10_S, epsilon: str = "", *, resume: bool = False) -> Scheduling:
    """Return a scheduler with job a, created at T(0)."""
    scheduling = implementation().scheduling()
    scheduling.create(
        "a", T(0), schedule=schedule, epsilon=epsilon, resume_at_next_scheduled_time=resume
    )
    return scheduling


def ran(story: Story) -> list[int | None]:
    """Return the occurrences that ran, oldest first."""
    return [fate.k for fate, _ in story.runs]


def missed(story: Story) -> list[tuple[str, int]]:
    """Return the reasons and counts of what was missed, oldest first."""
    return [(miss.reason, miss.count) for miss in story.missed]


# S9, S10


@given(st.integers(0, 50), st.integers(0, 60))
def test_occurrences_before_creation_count_but_do_not_run(repeats: int, late: int) -> None:
    """S9: what lies before creation uses up repeats; with nothing left the job is refused."""
    scheduling = implementation().scheduling()
    schedule = f"R{repeats}/2026-03-01T00:00:00Z/PT1S"
    if late > repeats:
        with pytest.raises(Refusal):
            scheduling.create("a", T(late), schedule=schedule)
        return
    scheduling.create("a", T(late), schedule=schedule)
    for n in range(late, 100):
        watch(scheduling, T(n))
        if scheduling.story("a").busy:
            scheduling.end("a", T(n))
    assert ran(scheduling.story("a")) == list(range(late, repeats + 1))
    assert scheduling.story("a").missed == []


@given(st.integers(0, 5), st.integers(1, 20), st.integers(1, 20))
def test_a_request_late_by_epsilon_at_most_runs_the_last_occurrence(
    repeats: int, late: int, epsilon: int
) -> None:
    """S9: where none is left, the last one is due at once if it is at most ε ago."""
    scheduling = implementation().scheduling()
    schedule, at = f"R{repeats}/2026-03-01T00:00:00Z/PT1S", T(repeats + late)
    if late > epsilon:
        with pytest.raises(Refusal):
            scheduling.create("a", at, schedule=schedule, epsilon=f"PT{epsilon}S")
    else:
        scheduling.create("a", at, schedule=schedule, epsilon=f"PT{epsilon}S")
        assert scheduling.story("a").runs == [(Fate("occurrence", T(repeats), repeats), at)]


def test_a_job_without_schedule_runs_once_at_its_creation() -> None:
    """S10: no schedule and no parents is one occurrence, at the moment of creation."""
    scheduling = with_job("")
    scheduling.end("a", T(1))
    watch(scheduling, T(10**7))
    story = scheduling.story("a")
    assert story.runs == [(Fate("occurrence", T(0), 0), T(0))]
    assert story.is_done


# L1, L2, L3


@given(st.integers(1, 200))
def test_a_watched_idle_job_runs_each_occurrence_at_its_instant(count: int) -> None:
    """L2: a trigger of an idle job starts its run, at S(k) itself: nothing drifts (S4)."""
    scheduling = with_job()
    for k in range(count):
        watch(scheduling, T(10 * k + 10))
        scheduling.end("a", T(10 * k + 13))
    runs = scheduling.story("a").runs
    assert runs == [(Fate("occurrence", T(10 * k + 10), k), T(10 * k + 10)) for k in range(count)]


@given(seconds)
def test_a_busy_job_has_one_pending_trigger_the_newest(busy_until: float) -> None:
    """L1, L2: a trigger of a busy job becomes pending; the one before it is missed: overlap."""
    scheduling = with_job()
    watch(scheduling, T(10 + busy_until))
    story = scheduling.story("a")
    triggered = int(busy_until // 10)
    assert ran(story) == [0]
    pending = Fate("occurrence", T(10 * triggered + 10), triggered) if triggered else None
    assert story.pending == pending
    assert missed(story) == ([("overlap", triggered - 1)] if triggered > 1 else [])
    scheduling.end("a", T(10 + busy_until))
    assert ran(scheduling.story("a")) == ([0, triggered] if triggered else [0])
    assert scheduling.story("a").pending is None


@given(st.integers(1, 60))
def test_a_manual_start_of_a_busy_job_is_pending_too(later: int) -> None:
    """L1, M1: a pending trigger is of whatever kind; a manual one replaces an occurrence."""
    scheduling = with_job()
    watch(scheduling, T(10 + later))
    scheduling.start("a", T(10 + later))
    assert scheduling.story("a").pending == Fate("manual", T(10 + later), None)
    scheduling.end("a", T(10 + later))
    assert ran(scheduling.story("a")) == [0, None]


@given(seconds, st.integers(1, 12))
def test_a_pending_trigger_starts_within_epsilon_or_is_missed(took: float, epsilon: int) -> None:
    """L3: when a run ends, the pending trigger starts at once if now ≤ S + ε, else is missed."""
    scheduling = with_job(epsilon=f"PT{epsilon}S")
    watch(scheduling, T(10 + took))
    pending = scheduling.story("a").pending
    scheduling.end("a", T(10 + took))
    story = scheduling.story("a")
    if pending is None:
        assert ran(story) == [0]
    elif T(10 + took) <= pending.scheduled_at + timedelta(seconds=epsilon):
        assert ran(story) == [0, pending.k]
    else:
        assert ran(story) == [0]
        assert story.missed[-1].reason == "epsilon"
        assert story.missed[-1].last == pending.scheduled_at
    assert story.pending is None


@given(seconds, st.integers(1, 12))
def test_no_first_attempt_starts_later_than_epsilon(unwatched: float, epsilon: int) -> None:
    """L3: nor where it is lateness that made it late."""
    scheduling = with_job(epsilon=f"PT{epsilon}S")
    scheduling.look(T(unwatched))
    for fate, started_at in scheduling.story("a").runs:
        assert started_at <= fate.scheduled_at + timedelta(seconds=epsilon)


# L4, L8: being away


AWAY = ["downtime", "disabled", "late"]


def be_away(scheduling: Scheduling, reason: str, since: float, until: float) -> None:
    """Let the scheduler be down or held up, or job a disabled, for that time."""
    match reason:
        case "downtime":
            watch(scheduling, T(since))
            scheduling.restart(T(until))
        case "disabled":
            watch(scheduling, T(since))
            scheduling.disable("a", T(since))
            watch(scheduling, T(until))
            scheduling.enable("a", T(until))
        case _:
            scheduling.look(T(since))
            scheduling.look(T(until))


@pytest.mark.parametrize("reason", AWAY)
@given(since=st.integers(0, 9), length=seconds)
def test_after_being_away_the_latest_occurrence_runs_and_older_ones_are_missed(
    reason: str, since: int, length: float
) -> None:
    """L4, L8: down, disabled and held up are alike but for the reason that is kept."""
    scheduling = with_job()
    be_away(scheduling, reason, since, since + length)
    story = scheduling.story("a")
    due = int((since + length) // 10)
    assert ran(story) == ([due - 1] if due else [])
    assert missed(story) == ([(reason, due - 1)] if due > 1 else [])


@pytest.mark.parametrize("reason", AWAY)
@given(since=st.integers(0, 9), length=seconds, epsilon=st.integers(1, 9))
def test_being_away_too_long_for_epsilon_leaves_nothing_to_run(
    reason: str, since: int, length: float, epsilon: int
) -> None:
    """L3, L4: the latest due occurrence is pending, and then L3 holds for it."""
    scheduling = with_job(epsilon=f"PT{epsilon}S")
    be_away(scheduling, reason, since, since + length)
    late = (since + length) % 10
    due = int((since + length) // 10)
    assert ran(scheduling.story("a")) == ([due - 1] if due and late <= epsilon else [])
    assert (
        sum(count for _, count in missed(scheduling.story("a"))) + len(scheduling.story("a").runs)
        == due
    )


@pytest.mark.parametrize("reason", ["downtime", "disabled"])
@given(since=st.integers(0, 9), length=seconds)
def test_a_job_may_ask_to_go_on_with_the_next_occurrence(
    reason: str, since: int, length: float
) -> None:
    """L4: with resume_at_next_scheduled_time, all that came due meanwhile are missed."""
    scheduling = with_job(resume=True)
    be_away(scheduling, reason, since, since + length)
    due = int((since + length) // 10)
    assert ran(scheduling.story("a")) == []
    assert missed(scheduling.story("a")) == ([(reason, due)] if due else [])
    watch(scheduling, T(10 * due + 10))
    assert ran(scheduling.story("a")) == [due]


# L5


@given(st.lists(st.tuples(st.sampled_from([*AWAY, "busy", "watched"]), st.integers(1, 60))))
def test_every_occurrence_ends_as_exactly_one_thing(
    phases: list[tuple[str, int]],
) -> None:
    """L5: each k ≤ now is run, pending or missed with a reason, whatever happens to the job."""
    scheduling, now = with_job(epsilon="PT7S"), 0
    for phase, length in phases:
        now += length
        match phase:
            case "busy":
                watch(scheduling, T(now))
                scheduling.start("a", T(now))
                now += length
                watch(scheduling, T(now))
            case "watched":
                watch(scheduling, T(now))
            case _:
                be_away(scheduling, phase, now - length, now)
        while scheduling.story("a").busy:
            scheduling.end("a", T(now))
    story = scheduling.story("a")
    fates = [k for k in ran(story) if k is not None]
    for miss in (miss for miss in story.missed if miss.cause == "occurrence"):
        first, last = ((at - T(10)) // timedelta(seconds=10) for at in (miss.first, miss.last))
        assert miss.count == last - first + 1
        fates += range(first, last + 1)
    fates += [story.pending.k] if story.pending and story.pending.k is not None else []
    assert sorted(fates) == list(range(now // 10))


@given(st.integers(1, 30), st.integers(10, 1000))
def test_history_does_not_grow_with_idle_time(restarts: int, length: int) -> None:
    """L5: adjacent missed occurrences of one reason are one record, over any downtime."""
    scheduling = with_job(resume=True)
    for restart in range(restarts):
        scheduling.restart(T(length * (restart + 1)))
    (miss,) = scheduling.story("a").missed
    due = length * restarts // 10
    assert (miss.reason, miss.count, miss.first, miss.last) == ("downtime", due, T(10), T(10 * due))


# L6, L7


@given(st.integers(0, 5), seconds)
def test_a_job_is_done_when_nothing_is_to_come(repeats: int, now: float) -> None:
    """L6: no occurrence left, no trigger pending, no run in progress; it may still be started."""
    scheduling = with_job(f"R{repeats}/2026-03-01T00:00:10Z/PT10S")
    watch(scheduling, T(now))
    while scheduling.story("a").busy:
        assert not scheduling.story("a").is_done
        scheduling.end("a", T(now))
    done = scheduling.story("a").is_done
    assert done == (now >= 10 * repeats + 10)
    scheduling.start("a", T(now))
    assert scheduling.story("a").busy
    assert not scheduling.story("a").is_done


@given(seconds, st.booleans())
def test_the_next_run_is_the_first_occurrence_that_is_not_due(now: float, disabled: bool) -> None:
    """L7: next_run_at is the least S(k) not yet due, and never for a disabled job."""
    scheduling = with_job("R5/2026-03-01T00:00:10Z/PT10S")
    watch(scheduling, T(now))
    if disabled:
        scheduling.disable("a", T(now))
    coming = [T(10 * k + 10) for k in range(6) if T(10 * k + 10) > T(now)]
    expected = None if disabled or not coming else coming[0]
    assert scheduling.story("a").next_run_at == expected


# L9


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=80))
def test_triggers_are_served_by_scheduled_time_and_then_by_creation(
    instants: list[tuple[int, bool]],
) -> None:
    """L9: in the order of S, then of the jobs' creation, however many are due at one look."""
    scheduling = implementation().scheduling()
    for number, (n, _) in enumerate(instants):
        scheduling.create(f"{number}", T(0), schedule=f"R0/{T(n).isoformat()}/PT1S")
    scheduling.look(T(5))
    expected = sorted(range(len(instants)), key=lambda number: instants[number][0])
    assert scheduling.started() == [str(number) for number in expected]


@given(st.integers(65, 300))
def test_any_number_of_jobs_due_at_one_instant_is_served(count: int) -> None:
    """L9: in the order of creation."""
    scheduling = implementation().scheduling()
    for number in range(count):
        scheduling.create(f"{number}", T(0), schedule=EVERY_10_S)
    scheduling.look(T(10))
    assert scheduling.started() == [str(number) for number in range(count)]


# C6, as far as it is about occurrences


@given(st.lists(st.integers(0, 100), min_size=2, max_size=20))
def test_a_clock_that_goes_back_makes_nothing_run_twice(clock: list[int]) -> None:
    """C6: an earlier instant counts as the latest one seen; occurrences run once, in order."""
    scheduling, latest = with_job(), 0
    for n in clock:
        scheduling.look(T(n))
        latest = max(latest, n)
        if scheduling.story("a").busy:
            scheduling.end("a", T(n))
    story = scheduling.story("a")
    assert all(one < other for one, other in pairwise(k for k in ran(story) if k is not None))
    assert len(story.runs) + sum(count for _, count in missed(story)) == latest // 10
