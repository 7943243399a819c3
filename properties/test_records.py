"""What a scheduler hands out to be made durable, and from where it takes up again."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import (
    Answered,
    Attempt,
    Cause,
    Exited,
    Job,
    Lost,
    Missed,
    NoAnswer,
    NotStarted,
    Occurrence,
    Progress,
    Reason,
    Result,
    Run,
    Signalled,
    Stopped,
    Trigger,
    reason_of,
)
from kala_trio.core.messages import (
    AttemptEnded,
    AwaitOrphan,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Event,
    ForgetJob,
    Keep,
    Snapshot,
    Start,
    Stop,
    Tick,
)
from kala_trio.core.scheduler import Scheduler
from properties.world import LATER, START, World

EVERY_10_S = "R/2026-03-01T00:00:10Z/PT10S"


def test_a_start_with_nothing_due_writes_nothing() -> None:
    """C1: what is on the disk already is not written again."""
    world = World()
    world.create("a", LATER)
    world.create("b", parents=("a",))
    world.do(Start("a"))
    _, commands = Scheduler.restore(world.load(), world.now)
    assert [type(each) for each in commands] == [AwaitOrphan]


def test_a_failed_commit_after_a_start_takes_back_nothing_but_itself() -> None:
    """C1: what the disk held at the start is no part of it."""
    world = World()
    world.create("a", LATER)
    scheduler, commands = Scheduler.restore(world.load(), world.now)
    assert commands == []
    scheduler.handle(Disable("a"), world.now)
    scheduler.rollback()
    assert scheduler.next_wake() == world.scheduler.next_wake()
    assert Keep(world.jobs["a"]) not in scheduler.handle(Disable("a"), world.now)


def test_jobs_are_deleted_in_the_order_of_their_creation() -> None:
    """C5, L9: not in that of their ids."""
    world = World()
    for job_id in ("z", "a", "m"):
        world.create(job_id, LATER)
    world.do(DeleteAll())
    gone = [each.job_id for each in world.log if isinstance(each, ForgetJob)]
    assert gone == ["z", "a", "m"]


def test_an_attempt_is_on_record_from_the_moment_at_which_it_was_decided_on() -> None:
    """A3: last_attempted_run does not wait for the attempt's end; other times do."""
    world = World()
    world.create("a", LATER)
    world.now += timedelta(seconds=7)
    world.do(Start("a"))
    progress = world.progress["a"]
    assert progress.last_attempted_run == world.now
    assert (progress.last_success, progress.last_error) == (None, None)


@pytest.mark.parametrize("failures", [0, 2])
def test_a_run_began_when_the_process_of_its_first_attempt_did(failures: int) -> None:
    """A4: not when it was decided on, and not when a later attempt began."""
    world = World()
    world.create("a", LATER, retries=failures)
    world.do(Start("a"))
    (run_id,) = world.runs
    began = [START + timedelta(seconds=10 * number + 0.25) for number in range(failures + 1)]
    for number, at in enumerate(began, 1):
        ended_at = world.now = at + timedelta(seconds=1)
        result = Exited(int(number <= failures))
        world.do(AttemptEnded(run_id, number, at, ended_at, result))
    (ended,) = (
        each.value
        for each in world.log
        if isinstance(each, Keep) and isinstance(each.value, Run) and each.value.outcome
    )
    assert (ended.started_at, ended.ended_at) == (began[0], world.now)
    assert world.progress["a"].last_attempted_run == began[-1]


def test_a_look_at_nothing_does_nothing() -> None:
    """C5: a Tick before anything is due decides nothing."""
    world = World()
    world.create("a", LATER)
    assert world.scheduler.handle(Tick(), world.now) == []


def test_a_definition_asks_for_nothing_that_it_does_not_say() -> None:
    """A1, L4: no retries, no limit, and the latest occurrence after a downtime."""
    plain = Definition("a", "true")
    assert (plain.retries, plain.epsilon, plain.disabled) == (0, "", False)
    assert (plain.resume_at_next_scheduled_time, plain.rerun_lost) == (False, False)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Exited(0), ""),
        (Exited(1), "exit code 1"),
        (Exited(-1), "exit code -1"),
        (Signalled("SIGKILL"), "killed by SIGKILL"),
        (NotStarted("no such file: 'x'"), "no such file: 'x'"),
        (Answered(200, is_expected=True), ""),
        (
            Answered(503, is_expected=False),
            "status 503, which is not among expected_response_codes",
        ),
        (NoAnswer("nobody answers"), "nobody answers"),
        (Lost(), "the daemon died while it was in progress"),
        (Stopped(), "stopped with the daemon"),
    ],
)
def test_an_attempt_says_why_it_did_not_succeed(result: Result, reason: str) -> None:
    """A1: and says nothing where it did."""
    assert reason_of(result) == reason


def test_every_instant_on_record_is_part_of_the_floor() -> None:
    """C6: each of them had come when it was written down, so time goes on from the latest."""
    world = World()
    world.create("a", LATER)
    (job,) = world.load().jobs
    hours = iter(START + timedelta(hours=number) for number in range(1, 9))
    manual = Trigger(Cause.MANUAL, next(hours))
    missed = Missed("a", "a", 1, Cause.MANUAL, Reason.OVERLAP, 2, START, next(hours))
    progress = Progress(
        "a",
        disabled=False,
        pending=manual,
        last_success=next(hours),
        last_error=next(hours),
        last_attempted_run=next(hours),
        latest_missed=(missed,),
    )
    run = Run("a.1", "a", "a", 1, manual, next(hours))
    attempt = Attempt("a.1", 1, next(hours))
    snapshot = Snapshot(
        jobs=(replace(job, created_at=next(hours)),),
        progress=(progress,),
        runs=(run,),
        attempts=(attempt,),
    )
    assert sorted(snapshot.instants()) == [
        START + timedelta(hours=number) for number in range(1, 9)
    ]
    assert list(Snapshot(jobs=(job,), progress=(Progress("a", disabled=False),)).instants()) == [
        START
    ]


def test_a_jobs_missed_records_are_numbered_from_one() -> None:
    """L5: so that a reader can tell whether it has seen all of them."""
    world = World()
    world.create("a", LATER)
    for _ in range(3):
        world.do(Start("a"))
    world.do(Disable("a"))
    assert sorted(world.missed) == [("a", 1), ("a", 2)]


def test_misses_of_one_cause_are_one_record_until_an_attempt_lies_between() -> None:
    """L5: of starts by hand as of occurrences, and an attempt at the same instant is none."""
    world = World()
    world.create("a", LATER)
    for _ in range(4):
        world.do(Start("a"))
    assert world.misses("a") == [("overlap", 2)]
    world.now += timedelta(seconds=1)
    world.do(Start("a"))
    assert world.misses("a") == [("overlap", 3)]
    world.now += timedelta(seconds=1)
    world.succeed("a")
    world.now += timedelta(seconds=1)
    for _ in range(3):
        world.do(Start("a"))
    assert world.misses("a") == [("overlap", 3), ("overlap", 2)]


def test_misses_before_the_first_attempt_are_one_record() -> None:
    """L5: nothing lies between them."""
    world = World()
    world.create("p", LATER)
    world.create("a", parents=("p",), epsilon="PT1S")
    for _ in range(2):
        world.do(Start("p"))
        world.do(Stop())
        world.succeed("p")
        world.crash(10)
    assert world.misses("a") == [("epsilon", 2)]
    assert world.progress["a"].last_attempted_run is None


def test_jobs_are_numbered_from_one_in_the_order_of_their_creation() -> None:
    """L9: a job that is refused, or deleted, takes no later one's number."""
    world = World()
    for job_id in "ab":
        world.create(job_id, LATER)
    with pytest.raises(Refused):
        world.create("c", "R0/2020-01-01T00:00:00Z/PT1S")
    world.do(Delete("b"))
    world.create("d", LATER)
    assert {job.id: job.number for job in world.jobs.values()} == {"a": 1, "d": 3}


def test_one_look_at_the_clock_serves_64_jobs_at_most() -> None:
    """L9: so the first of many starts before the last was decided on."""
    world = World()
    for number in range(65):
        world.create(f"j{number}", EVERY_10_S)
    world.now += timedelta(seconds=10)
    world.do(Tick())
    assert len(world.started()) == 64
    world.do(Tick())
    assert len(world.started()) == 65


@pytest.mark.parametrize("event", [Enable("on"), Disable("off")])
def test_what_is_so_already_writes_nothing(event: Enable | Disable) -> None:
    """M2: enable and disable are idempotent."""
    world = World()
    world.create("on", LATER)
    world.create("off", LATER, disabled=True)
    assert world.scheduler.handle(event, world.now) == []


def test_a_failure_jobs_trigger_that_waits_for_an_orphan_keeps_its_time() -> None:
    """D9, C3: it was noticed in time, and only the job's own run holds it up."""
    world = World()
    world.create("alarm", LATER)
    world.create("a", LATER, failure="alarm")
    world.do(Start("alarm"))
    world.do(Start("a"))
    world.fail("a")
    pending = world.progress["alarm"].pending
    assert pending
    world.crash(60, orphans=True)
    assert world.progress["alarm"].pending == pending


def test_a_queue_goes_on_when_the_child_whose_turn_it_is_goes_with_its_trigger_pending() -> None:
    """D2, M3: deleted while it was busy with another run."""
    world = World()
    world.create("p", LATER)
    for child in "xy":
        world.create(child, parents=("p",))
    world.do(Start("x"))
    world.do(Start("p"))
    world.succeed("p")
    assert world.started() == ["x", "p"]
    world.do(Delete("x"))
    assert world.started() == ["x", "p", "y"]
    world.succeed("y")
    assert world.queues == {}


@pytest.mark.parametrize("how", ["restart", "enable", "delete"])
def test_an_occurrence_that_a_new_zone_database_puts_off_is_still_the_next_one(how: str) -> None:
    """L5: though it is due already by what was noted, none before it comes up again."""
    definition = Definition("a", "true", schedule="R/2026-07-01T09:00:00[Europe/Berlin]/P1D")
    noted = datetime(2026, 7, 5, 6, tzinfo=UTC)  # an hour earlier than it is by now
    progress = Progress("a", how != "restart", Occurrence(4, noted), runs=4, finished=4)
    snapshot = Snapshot((Job("a", 1, START, definition),), (progress,))
    now = noted + timedelta(minutes=30)
    scheduler, commands = Scheduler.restore(snapshot, now)
    events: dict[str, Event] = {"restart": Tick(), "enable": Enable("a"), "delete": Delete("a")}
    for event in (events[how], Tick()):
        commands += scheduler.handle(event, now)
    kept = [each.value for each in commands if isinstance(each, Keep)]
    runs = [each.trigger.occurrence for each in kept if isinstance(each, Run)]
    missed = [each for each in kept if isinstance(each, Missed)]
    if how == "delete":
        assert not runs
        assert [(each.count, each.first, each.last) for each in missed] == [(1, noted, noted)]
    else:
        assert runs == [4]
        assert not missed


@pytest.mark.parametrize("event", [Tick(), Delete("a")])
@pytest.mark.parametrize(
    ("schedule", "noted", "due"),
    [
        ("R1/2011-12-29T12:00:00[Pacific/Apia]/P1D", "2011-12-30T21:00Z", 1),  # on no day there
        ("R2/2011-12-29T12:00:00[Pacific/Apia]/P1D", "2011-12-30T21:00Z", 2),
        ("R3/2026-07-01T09:00:00[Europe/Berlin]/PT30M", "2026-07-01T09:00Z", 3),  # late by 1:30
    ],
)
def test_what_was_noted_as_the_next_occurrence_is_one_whatever_a_new_zone_database_says(
    schedule: str, noted: str, due: int, event: Event
) -> None:
    """L5: it is run or missed, and counted, though it should have been earlier or not at all."""
    first = Occurrence(1, datetime.fromisoformat(noted))
    job = Job("a", 1, first.at - timedelta(days=2), Definition("a", "true", schedule=schedule))
    progress = Progress("a", False, first, runs=1, finished=1)
    scheduler, _ = Scheduler.restore(Snapshot((job,), (progress,)), first.at - timedelta(hours=1))
    now = first.at + timedelta(hours=2)
    commands = scheduler.handle(event, now) + scheduler.handle(Tick(), now)
    kept = [each.value for each in commands if isinstance(each, Keep)]
    runs = [each for each in kept if isinstance(each, Run)]
    missed = [each for each in kept if isinstance(each, Missed)]
    assert len(runs) + sum(each.count for each in missed) == due
    assert all(each.count and each.first <= each.last for each in missed)


def test_what_was_pending_at_a_restart_is_missed_before_what_came_due_meanwhile() -> None:
    """L4, L5: so the records lie in the order of the occurrences."""
    world = World()
    world.create("a", "R/2026-03-01T00:00:10Z/PT10S")
    world.pass_time(20)
    assert world.progress["a"].pending == Trigger(
        Cause.OCCURRENCE, START + timedelta(seconds=20), 1
    )
    world.crash(downtime=41, orphans=True)
    assert world.misses("a") == [("overlap", 1), ("downtime", 3)]
