"""The scheduler, one rule at a time: a story for each of L, A, D, M, C, S9 and S10."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.errors import Conflict, KalaTrioError, NotFound, Refused
from kala_trio.core.job import Cause, Definition, Exited, Lost
from kala_trio.core.messages import (
    Create,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Event,
    ForgetJob,
    Start,
    StartAttempt,
    Tick,
)
from kala_trio.core.scheduler import Scheduler
from properties.world import LATER, START, World

EVERY_10_S = "R/2026-03-01T00:00:10Z/PT10S"


# S9, S10


@given(st.integers(0, 50), st.integers(0, 60))
def test_occurrences_before_creation_count_but_do_not_run(repeats: int, late: int) -> None:
    """S9: they use up repeats; if none is left, the job is refused."""
    world = World(START + timedelta(seconds=late))
    left = repeats + 1 - late
    schedule = f"R{repeats}/2026-03-01T00:00:00Z/PT1S"
    if left <= 0:
        with pytest.raises(Refused, match="cannot be scheduled in the past"):
            world.create("a", schedule)
        return
    world.create("a", schedule)
    for _ in range(100):
        if world.in_progress:
            world.succeed("a")
        world.pass_time(1)
    assert len(world.runs) == left


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_request_that_is_late_by_epsilon_at_most_runs_at_once(late: int, epsilon: int) -> None:
    """S9: the last occurrence is due at once if it is at most ε ago."""
    world = World(START + timedelta(seconds=late))
    schedule = "R0/2026-03-01T00:00:00Z/PT1S"
    if late > epsilon:
        with pytest.raises(Refused, match="in the past"):
            world.create("a", schedule, epsilon=f"PT{epsilon}S")
    else:
        world.create("a", schedule, epsilon=f"PT{epsilon}S")
        assert world.started() == ["a"]


def test_a_job_without_schedule_and_parents_runs_once_at_its_creation() -> None:
    """S10."""
    world = World()
    world.create("a")
    world.succeed("a")
    world.pass_time(10**6)
    assert world.outcomes("a") == ["succeeded"]
    assert world.runs["a.1"].trigger.scheduled_at == START


# L


def test_a_trigger_of_a_busy_job_waits_and_a_newer_one_replaces_it() -> None:
    """L1, L2: at most one is pending; the older one is missed."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(45)
    assert world.started() == ["a"]
    assert world.misses("a") == [("overlap", 2)]
    pending = world.progress["a"].pending
    assert pending is not None
    assert pending.occurrence == 3
    world.succeed("a")
    assert world.started() == ["a", "a"]
    assert world.runs["a.2"].trigger.occurrence == 3


@given(st.integers(0, 9), st.integers(1, 9))
def test_a_pending_trigger_starts_within_epsilon_or_is_missed(late: int, epsilon: int) -> None:
    """L3: at once if now ≤ S + ε."""
    world = World()
    world.create("a", "R1/2026-03-01T00:00:10Z/PT10S", epsilon=f"PT{epsilon}S")
    world.pass_time(20 + late)
    world.succeed("a")
    if late <= epsilon:
        assert world.started() == ["a", "a"]
    else:
        assert world.misses("a") == [("epsilon", 1)]


@pytest.mark.parametrize("reason", ["downtime", "disabled"])
def test_after_being_away_the_latest_occurrence_runs_and_the_older_are_missed(reason: str) -> None:
    """L4."""
    world = World()
    world.create("a", EVERY_10_S)
    be_away(world, reason, 55)
    assert world.started() == ["a"]
    assert world.runs["a.1"].trigger.occurrence == 4
    assert world.misses("a") == [(reason, 4)]


def be_away(world: World, reason: str, seconds: float) -> None:
    """Let a world be down, or job a disabled, for a while."""
    if reason == "downtime":
        world.crash(seconds)
    else:
        world.do(Disable("a"))
        world.pass_time(seconds)
        world.do(Enable("a"))
        world.settle()


@pytest.mark.parametrize("reason", ["downtime", "disabled"])
def test_a_job_may_ask_to_go_on_with_the_next_occurrence(reason: str) -> None:
    """L4: with resume_at_next_scheduled_time all are missed."""
    world = World()
    world.create("a", EVERY_10_S, resume=True)
    be_away(world, reason, 55)
    assert world.started() == []
    assert world.misses("a") == [(reason, 5)]
    world.pass_time(5)
    assert world.runs["a.1"].trigger.occurrence == 5


def test_history_does_not_grow_with_idle_time() -> None:
    """L5: adjacent misses of one reason are one record, over any number of restarts."""
    world = World()
    world.create("a", EVERY_10_S, resume=True)
    for _ in range(20):
        world.crash(100)
    assert world.misses("a") == [("downtime", 200)]
    assert world.missed["a", 1].first == START + timedelta(seconds=10)
    assert world.missed["a", 1].last == START + timedelta(seconds=2000)


def test_one_look_that_finds_several_occurrences_due_runs_the_latest() -> None:
    """L8: the older ones are missed, for being late."""
    world = World()
    world.create("a", EVERY_10_S)
    world.advance(55)
    assert world.runs["a.1"].trigger.occurrence == 4
    assert world.misses("a") == [("late", 4)]


def test_triggers_are_served_by_scheduled_time_and_then_by_creation() -> None:
    """L9."""
    world = World()
    world.create("c", "R0/2026-03-01T00:00:02Z/PT1S")
    world.create("b", "R0/2026-03-01T00:00:01Z/PT1S")
    world.create("a", "R0/2026-03-01T00:00:02Z/PT1S")
    world.advance(5)
    assert world.started() == ["b", "c", "a"]


@given(st.integers(65, 300))
def test_any_number_of_jobs_due_at_one_instant_is_served(count: int) -> None:
    """L9: in the order of creation, although one Tick serves only so many."""
    world = World()
    for number in range(count):
        world.do(Create(str(number), Definition("a", "true", schedule=EVERY_10_S)))
    world.advance(10)
    assert world.started() == [str(number) for number in range(count)]


# A


@given(st.integers(0, 5), st.integers(0, 7))
def test_a_run_ends_with_its_first_success_or_its_last_retry(retries: int, failures: int) -> None:
    """A1, A3: 1 + retries attempts at most; failed attempts and successful runs are counted."""
    world = World()
    world.create("a", retries=retries)
    while world.in_progress:
        (number,) = world.in_progress.values()
        (world.fail if number <= failures else world.succeed)("a")
    progress = world.progress["a"]
    succeeded = failures <= retries
    assert world.runs["a.1"].attempts == min(failures, retries) + 1
    assert world.outcomes("a") == ["succeeded" if succeeded else "failed"]
    assert progress.error_count == min(failures, retries + 1)
    assert progress.success_count == succeeded
    assert progress.finished == 1


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_retry_starts_only_within_epsilon(took: int, epsilon: int) -> None:
    """A2: while now ≤ S + ε."""
    world = World()
    world.create("a", retries=1, epsilon=f"PT{epsilon}S")
    world.pass_time(took)
    world.fail("a")
    assert bool(world.in_progress) == (took <= epsilon)


def test_retries_go_on_when_the_job_is_disabled_but_not_when_it_is_deleted() -> None:
    """A2, M2, M3."""
    world = World()
    world.create("a", retries=2)
    world.do(Disable("a"))
    world.fail("a")
    assert world.in_progress == {"a.1": 2}
    world.do(Delete("a"))
    world.fail("a")
    assert world.in_progress == {}
    assert world.outcomes("a") == ["failed"]


def test_the_times_of_the_latest_attempt_error_and_success_are_kept() -> None:
    """A3, A4: the run's own times span all of its attempts."""
    world = World()
    world.create("a", retries=1)
    world.pass_time(3)
    world.fail("a")
    world.pass_time(4)
    world.succeed("a")
    progress, run = world.progress["a"], world.runs["a.1"]
    assert progress.last_error == progress.last_attempted_run == START + timedelta(seconds=3)
    assert progress.last_success == START + timedelta(seconds=7)
    assert (run.started_at, run.ended_at) == (START, START + timedelta(seconds=7))


# D


def test_children_run_one_after_the_other_in_the_order_of_attachment() -> None:
    """D1, D2: each when the one before it is over, however it ended."""
    world = World()
    world.create("p", LATER)
    for child in "xyz":
        world.create(child, parents=("p",))
    world.do(Start("p"))
    world.succeed("p")
    assert world.started() == ["p", "x"]
    world.fail("x")
    assert world.started() == ["p", "x", "y"]
    world.succeed("y")
    world.succeed("z")
    assert world.started() == ["p", "x", "y", "z"]
    assert not world.queues


def test_a_childs_own_children_do_not_hold_up_its_siblings() -> None:
    """D2: they are a queue of their own."""
    world = World()
    world.create("p")
    world.create("x", parents=("p",))
    world.create("y", parents=("p",))
    world.create("xx", parents=("x",))
    world.succeed("p")
    world.succeed("x")
    assert set(world.in_progress) == {"y.1", "xx.1"}


def test_a_child_that_two_parents_trigger_at_one_instant_runs_for_both() -> None:
    """D1, L9: triggers of one job and one instant are served as they arose."""
    world = World()
    world.create("p")
    world.create("x", parents=("p",))
    world.create("y", parents=("x", "p"))
    world.succeed("p")
    world.succeed("x")
    world.succeed("y")
    world.succeed("y")
    assert world.started() == ["p", "x", "y", "y"]


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
def test_a_child_that_is_disabled_or_gone_at_its_turn_is_passed_over(gone: str) -> None:
    """D2, D4: and its own children with it; its siblings are not."""
    world = World()
    world.create("p")
    for child in "xyz":
        world.create(child, parents=("p",))
    world.create("yy", parents=("y",))
    world.succeed("p")
    world.do(Disable("y") if gone == "disabled" else Delete("y"))
    world.succeed("x")
    assert world.started() == ["p", "x", "z"]


def test_a_run_that_does_not_succeed_triggers_no_child() -> None:
    """D3."""
    world = World()
    world.create("p")
    world.create("x", parents=("p",))
    world.fail("p")
    assert world.started() == ["p"]


def test_deletion_takes_children_along_that_have_no_other_parent() -> None:
    """D5: on and on; deleting a child leaves its parent."""
    world = World()
    for parent in "pq":
        world.create(parent, LATER)
    world.create("x", parents=("p",))
    world.create("xx", parents=("x",))
    world.create("y", parents=("p", "q"))
    world.create("z", parents=("x", "y"))
    world.do(Delete("p"))
    assert set(world.jobs) == {"q", "y", "z"}
    assert world.jobs["y"].definition.parent_jobs == ("q",)
    assert world.jobs["z"].definition.parent_jobs == ("y",)
    world.do(Delete("z"))
    assert set(world.jobs) == {"q", "y"}
    world.check()


def test_unknown_followers_and_circles_are_refused() -> None:
    """D6: a circle can only close through a failure job, for a new job has no children."""
    world = World()
    world.create("p", LATER)
    world.create("x", parents=("p",))
    with pytest.raises(Refused, match=r"^parent_jobs: .*'nobody'"):
        world.create("y", parents=("nobody",))
    with pytest.raises(Refused, match=r"^on_failure_job: .*'nobody'"):
        world.create("y", failure="nobody")
    for loop in ("p", "x"):
        with pytest.raises(Refused, match="circle"):
            world.create("y", parents=("x",), failure=loop)
    world.create("alarm", LATER, failure="p")
    with pytest.raises(Refused, match="circle"):
        world.create("y", parents=("x",), failure="alarm")
    assert set(world.jobs) == {"p", "x", "alarm"}


def test_a_chain_of_10_000_jobs_runs_and_is_deleted() -> None:
    """D7: deeper than any stack."""
    world = World()
    world.create("0", LATER)
    for number in range(1, 10_000):
        definition = Definition("a", "true", parent_jobs=(str(number - 1),))
        world.do(Create(str(number), definition))
    world.do(Start("0"))
    for number in range(10_000):
        world.succeed(str(number))
    assert len(world.runs) == 10_000
    world.do(Delete("0"))
    assert not world.jobs


def test_a_busy_child_has_one_pending_trigger_and_holds_up_the_queue_behind_it() -> None:
    """D8: also over a restart; and the queue whose trigger is replaced goes on."""
    world = World()
    world.create("p", LATER)
    world.create("x", parents=("p",))
    world.create("y", parents=("p",))
    for _ in range(3):
        world.do(Start("p"))
        world.succeed("p")
    assert world.started() == ["p", "x", "p", "p", "y"]
    assert world.misses("x") == [("overlap", 1)]
    world.crash(orphans=True)
    world.check()
    world.succeed("y")
    world.succeed("x")
    assert world.started()[-2:] == ["x", "y"]
    world.succeed("y")
    world.succeed("x")
    assert world.started()[-1] == "y"


@pytest.mark.parametrize("result", [Exited(1), Lost()])
def test_the_failure_job_is_triggered_by_a_run_that_did_not_succeed(result: Exited | Lost) -> None:
    """D9: once, after the last attempt."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", failure="alarm", retries=1)
    world.end("a.1", result)
    if world.in_progress == {"a.1": 2}:
        assert world.started() == ["a"]
        world.fail("a")
    assert world.started() == ["a", "alarm"]
    assert world.runs["alarm.1"].trigger.cause is Cause.FAILURE


def test_a_failure_job_that_is_disabled_or_deleted_is_not_triggered() -> None:
    """D9: deleted, the reference is cleared."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", LATER, failure="alarm")
    world.do(Disable("alarm"))
    world.do(Start("a"))
    world.fail("a")
    world.do(Delete("alarm"))
    assert world.jobs["a"].definition.on_failure_job == ""
    world.do(Start("a"))
    world.fail("a")
    assert world.started() == ["a", "a"]


# M


def test_a_manual_start_does_not_touch_the_schedule() -> None:
    """M1."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(5)
    world.do(Start("a"))
    world.succeed("a")
    world.pass_time(5)
    assert world.runs["a.1"].trigger.cause is Cause.MANUAL
    assert world.runs["a.2"].trigger.occurrence == 0


def test_a_disabled_job_is_not_started_and_disabling_misses_what_is_pending() -> None:
    """M2."""
    world = World()
    world.create("a", LATER)
    world.do(Start("a"))
    world.do(Start("a"))
    for _ in range(2):
        world.do(Disable("a"))
    assert world.misses("a") == [("disabled", 1)]
    with pytest.raises(Conflict, match="disabled"):
        world.do(Start("a"))
    world.succeed("a")
    for _ in range(2):
        world.do(Enable("a"))
    world.do(Start("a"))
    assert world.started() == ["a", "a"]


def test_a_deleted_job_triggers_nothing_and_its_run_is_kept() -> None:
    """M3."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", EVERY_10_S, failure="alarm", retries=3)
    world.pass_time(25)
    world.do(DeleteAll())
    world.fail("a")
    world.pass_time(1000)
    assert world.started() == ["a"]
    assert world.outcomes("a") == ["failed"]
    assert world.runs["a.1"].job_name == "a"


def test_what_a_deleted_job_misses_is_recorded_in_the_order_of_its_occurrences() -> None:
    """L5, M3: first the pending one, then what fell due unseen."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(20)
    world.now += timedelta(seconds=15)
    world.do(Delete("a"))
    (missed,) = world.missed.values()
    assert missed.count == 2
    assert (missed.first, missed.last) == (
        START + timedelta(seconds=20),
        START + timedelta(seconds=30),
    )


# C


def test_what_was_cut_off_is_lost_and_not_retried_and_the_job_is_busy_until_its_orphan_ends() -> (
    None
):
    """C3."""
    world = World()
    world.create("a", EVERY_10_S, retries=5)
    world.pass_time(10)
    world.crash(15, orphans=True)
    assert world.started() == ["a"]
    world.end("a.1", Lost())
    assert world.outcomes("a") == ["lost", None]
    assert world.progress["a"].error_count == 1


def test_a_stopping_scheduler_starts_nothing_and_pending_triggers_wait() -> None:
    """C4: neither a retry, nor a child, nor what is due; the next start goes on."""
    world = World()
    world.create("p", LATER, retries=1)
    world.create("x", parents=("p",))
    world.create("a", LATER)
    for job_id in "paa":
        world.do(Start(job_id))
    world.stop()
    assert world.outcomes("p") == ["succeeded"]
    assert world.outcomes("x") == [None]
    assert world.outcomes("a") == ["succeeded", None]
    assert world.missed == {}


def test_a_stopped_run_has_not_succeeded_and_its_failure_job_waits() -> None:
    """C4, D9: it is triggered at the next start."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", failure="alarm", retries=3)
    world.stop(finish=False)
    assert world.outcomes("a") == ["stopped"]
    assert world.started() == ["a", "alarm"]


def test_time_never_goes_back() -> None:
    """C6: an instant already seen counts as now, and what is due later waits for the clock."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(15)
    world.succeed("a")
    world.now -= timedelta(seconds=12)
    world.settle()
    assert world.started() == ["a"]
    world.create("b")
    assert world.jobs["b"].created_at == START + timedelta(seconds=15)
    assert world.started() == ["a", "b"]
    world.pass_time(16)
    assert world.started() == ["a", "b"]
    world.pass_time(1)
    assert world.started() == ["a", "b", "a"]


@given(st.sampled_from([5, 15, 3600]))
def test_time_does_not_go_back_over_a_restart(seconds: int) -> None:
    """C6: what the store tells of as past stays past."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(10)
    world.succeed("a")
    world.crash(-seconds)
    world.pass_time(seconds)
    assert world.started() == ["a"]


def test_a_pending_trigger_tells_what_time_it_was_before_a_restart() -> None:
    """C6: its S was seen, so the run that it starts does not come before it."""
    world = World()
    world.create("a", EVERY_10_S)
    world.pass_time(20)
    world.crash(-8)
    run = world.runs["a.2"]
    assert run.trigger.scheduled_at == START + timedelta(seconds=20)
    assert run.started_at == START + timedelta(seconds=20)


# All of them


BAD: list[tuple[Event, type[KalaTrioError]]] = [
    (Create("a", Definition("a", "true")), Conflict),
    (Create("b", Definition("b", "true", schedule="R0/2020-01-01T00:00:00Z/P1D")), Refused),
    (Create("b", Definition("b", "true", parent_jobs=("nobody",))), Refused),
    (Create("b", Definition("b", "true", parent_jobs=("a",), on_failure_job="a")), Refused),
    (Delete("nobody"), NotFound),
    (Start("nobody"), NotFound),
    (Start("off"), Conflict),
    (Enable("nobody"), NotFound),
    (Disable("nobody"), NotFound),
]


@pytest.mark.parametrize(("event", "error"), BAD)
def test_a_refusal_leaves_no_trace(event: Event, error: type[KalaTrioError]) -> None:
    """C5: a scheduler that refused decides as one that was never asked."""
    worlds = World(), World()
    for world in worlds:
        world.create("a", EVERY_10_S)
        world.create("off", LATER, disabled=True)
    with pytest.raises(error):
        worlds[0].do(event)
    for world in worlds:
        world.pass_time(25)
        world.create("c")
        world.check()
    assert worlds[0].log == worlds[1].log


def test_a_chain_of_decisions_that_is_rolled_back_is_made_again() -> None:
    """C1: what could not be made durable has not happened."""
    world = World()
    world.create("a", EVERY_10_S)
    at = START + timedelta(seconds=10)
    decided = world.scheduler.handle(Tick(), at)
    assert any(isinstance(each, StartAttempt) for each in decided)
    world.scheduler.rollback()
    assert world.scheduler.is_due(at)
    assert world.scheduler.handle(Tick(), at) == decided
    world.scheduler.rollback()
    assert ForgetJob("a") in world.scheduler.handle(Delete("a"), at)
    world.scheduler.rollback()
    assert world.scheduler.handle(Tick(), at) == decided


def test_a_new_scheduler_has_nothing_to_do() -> None:
    """L7: no job, no wake."""
    assert Scheduler().next_wake() is None
