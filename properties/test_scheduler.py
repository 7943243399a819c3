"""Attempts, requests and restarts, one rule at a time: A, M and C of kala-trio's scheduler."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Conflict, KalaTrioError, NotFound, Refused
from kala_trio.core.job import Cause, Exited, Lost, Stopped, Trigger
from kala_trio.core.messages import (
    AttemptEnded,
    Create,
    CreateAll,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Event,
    ForgetJob,
    Start,
    StartAttempt,
    Stop,
    Tick,
)
from kala_trio.core.scheduler import Scheduler
from properties.world import LATER, START, World

EVERY_10_S = "R/2026-03-01T00:00:10Z/PT10S"


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


@pytest.mark.parametrize("end", [Delete("a"), Stop()])
def test_retries_go_on_when_disabled_but_not_when_deleted_or_stopped(end: Event) -> None:
    """A2, M2, M3, C4: nor when the daemon stops."""
    world = World()
    world.create("a", retries=2)
    world.do(Disable("a"))
    world.fail("a")
    assert world.in_progress == {"a.1": 2}
    world.do(end)
    world.fail("a")
    assert (world.in_progress, world.outcomes("a")) == ({}, ["failed"])


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


def test_a_lost_run_is_run_once_more_as_of_its_scheduled_time_where_the_job_says_so() -> None:
    """C3: by a run of its own, before what came due meanwhile; its failure job runs as well."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", EVERY_10_S, rerun=True, failure="alarm")
    world.pass_time(10)
    lost = world.runs["a.1"].trigger
    world.crash(15, orphans=True)
    world.end("a.1", Lost())
    assert world.started() == ["a", "a", "alarm"]
    assert world.runs["a.2"].trigger == Trigger(Cause.RERUN, lost.scheduled_at, source="a.1")
    pending = world.progress["a"].pending
    assert pending
    assert pending.cause is Cause.OCCURRENCE
    world.succeed("a")
    assert world.outcomes("a") == ["lost", "succeeded", None]


def test_a_rerun_starts_no_later_than_epsilon_after_the_lost_runs_scheduled_time() -> None:
    """C3, L3: it is then missed, and so it is where the job was disabled meanwhile."""
    world = World()
    world.create("late", EVERY_10_S, rerun=True, epsilon="PT8S")
    world.create("off", EVERY_10_S, rerun=True)
    world.pass_time(10)
    world.do(Disable("off"))
    world.crash(9)
    assert world.outcomes("late") == world.outcomes("off") == ["lost"]
    assert world.other_misses("late") == [("rerun", "epsilon")]
    assert world.other_misses("off") == [("rerun", "disabled")]


def test_a_rerun_is_run_once_more_if_it_is_lost_itself() -> None:
    """C3: and a stop makes it wait, as any trigger (C4)."""
    world = World()
    world.create("a", LATER, rerun=True)
    world.do(Start("a"))
    world.crash()
    world.crash()
    assert world.outcomes("a") == ["lost", "lost", None]
    world.crash(orphans=True)
    world.do(Stop())
    world.end("a.3", Lost())
    assert world.outcomes("a") == ["lost"] * 3
    world.crash()
    assert world.outcomes("a") == ["lost"] * 3 + [None]


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


GOOD = Create("b", Definition("b", "true", parent_jobs=("a",)))
BAD: list[tuple[Event, type[KalaTrioError]]] = [
    (Create("b", Definition("b", "true", schedule="R0/2020-01-01T00:00:00Z/P1D")), Refused),
    (Create("b", Definition("b", "true", parent_jobs=("nobody",))), Refused),
    (Create("b", Definition("b", "true", parent_jobs=("a",), on_failure_job="a")), Refused),
    (CreateAll((GOOD, Create("a", Definition("a", "true")))), Conflict),
    (CreateAll((GOOD, GOOD)), Conflict),
    (CreateAll((GOOD, Create("c", Definition("c", "true", parent_jobs=("d",))))), Refused),
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


def test_a_job_that_is_created_again_stays_as_it_is() -> None:
    """M7: whatever is said of it the second time, even what would be refused by now."""
    worlds = World(), World()
    for world in worlds:
        world.create("a", EVERY_10_S)
    worlds[0].do(Create("a", Definition("a", "false", parent_jobs=("nobody",))))
    for world in worlds:
        world.pass_time(25)
        world.create("c")
        world.check()
    assert worlds[0].log == worlds[1].log


def test_jobs_that_are_created_together_may_follow_each_other() -> None:
    """D6, D2, S10: those that stand before; all are there, numbered as they stand, or none is."""
    world = World()
    world.create("p", LATER)
    children = [Create(name, Definition(name, "true", parent_jobs=("p",))) for name in "yx"]
    world.do(CreateAll((*children, Create("z", Definition("z", "true", parent_jobs=("x", "p"))))))
    world.do(CreateAll(()))
    world.check()
    assert [job.number for job in world.jobs.values()] == [1, 2, 3, 4]
    world.do(Start("p"))
    for name in "pyxzz":
        world.succeed(name)
    assert world.started() == ["p", "y", "x", "z", "z"]


def test_of_jobs_that_are_created_together_the_one_at_fault_is_named() -> None:
    """D6: by its position in the list and its field."""
    world = World()
    world.create("0")
    with pytest.raises(Refused, match=r"^1\.parent_jobs: there is no such job, found 'nobody'"):
        world.do(
            CreateAll(
                (
                    Create("a", Definition("a", "true")),
                    Create("b", Definition("b", "true", parent_jobs=("nobody",))),
                )
            )
        )


def test_jobs_created_after_a_restart_come_after_those_from_before() -> None:
    """L9: whatever has become of them."""
    world = World()
    for job_id in ("c", "b", "a"):
        world.create(job_id, LATER)
    world.crash()
    world.create("0", LATER)
    assert [(job.id, job.number) for job in world.jobs.values()][2:] == [("a", 3), ("0", 4)]


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


def test_a_request_overtakes_nothing_that_was_due_or_waiting() -> None:
    """L2, L3: of two triggers the older S gives way; an idle job's waiting trigger goes first."""
    busy = World()
    busy.create("a", EVERY_10_S)
    busy.pass_time(10)
    busy.now += timedelta(seconds=10.5)
    busy.do(Start("a"))
    busy.settle()
    pending = busy.progress["a"].pending
    assert pending is not None
    assert pending.cause is Cause.MANUAL
    assert busy.misses("a") == [("overlap", 1)]
    idle = World()
    idle.create("a", "R0/2026-03-01T00:00:10Z/PT1S", epsilon="PT1M")
    idle.do(Disable("a"))
    idle.now += timedelta(seconds=15)
    idle.do(Enable("a"))
    idle.do(Start("a"))
    assert idle.runs["a.1"].trigger.cause is Cause.OCCURRENCE
    waiting = idle.progress["a"].pending
    assert waiting is not None
    assert waiting.cause is Cause.MANUAL


def test_what_falls_due_after_a_waiting_trigger_overlaps_its_run() -> None:
    """L2, L8: though one look at the clock finds all of them."""
    world = World()
    world.create("a", EVERY_10_S)
    world.do(Disable("a"))
    world.now += timedelta(seconds=15)
    world.do(Enable("a"))
    world.advance(25)
    assert world.runs["a.1"].trigger.occurrence == 0
    assert world.misses("a") == [("overlap", 2)]
    pending = world.progress["a"].pending
    assert pending is not None
    assert pending.occurrence == 3


def test_the_times_of_a_run_never_go_back_though_the_wall_clock_does() -> None:
    """A4, C6: nor do the job's."""
    world = World()
    world.create("a", retries=1)
    world.pass_time(5)
    world.fail("a")
    world.now -= timedelta(seconds=100)
    world.in_progress.clear()
    world.do(AttemptEnded("a.1", 2, world.now, world.now + timedelta(seconds=1), Exited(0)))
    run, progress = world.runs["a.1"], world.progress["a"]
    assert run.ended_at == progress.last_success == START + timedelta(seconds=5)
    assert run.started_at == START
    assert progress.last_error == progress.last_attempted_run == START + timedelta(seconds=5)


def test_a_failure_job_that_waited_for_the_next_start_counts_from_it() -> None:
    """D9: a run that was stopped triggers its failure job at the next start, whatever its ε."""
    world = World()
    world.create("alarm", LATER, epsilon="PT5M")
    world.create("a", failure="alarm")
    world.do(Stop())
    world.end("a.1", Stopped())
    world.crash(3600)
    assert world.started() == ["a", "alarm"]


def test_a_busy_jobs_missed_occurrences_are_one_record_however_they_are_looked_at() -> None:
    """L5: adjacent misses of one reason are one record, whether watched or not."""
    world = World()
    world.create("a", "R/2026-03-01T00:00:10Z/PT0.001S")
    world.pass_time(10)
    for _ in range(100):
        world.advance(0.005)
    assert world.misses("a") == [("overlap", 499)]
