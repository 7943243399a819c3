"""The loop under virtual time: what is durable before it acts, and what it does when it can't."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Conflict, NotFound, Refused, Unavailable
from kala_trio.core.job import Attempt, Exited, Job, Lost, Outcome, Progress, Run
from kala_trio.core.messages import (
    AttemptEnded,
    AwaitOrphan,
    Create,
    CreateAll,
    Delete,
    Keep,
    Record,
    Snapshot,
    Start,
    StartAttempt,
)
from kala_trio.core.scheduler import Scheduler
from kala_trio.supervisor import Supervisor
from properties.clock import VirtualClock

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
LATER = "R/2027-01-01T00:00:00Z/P1D"


class World:
    """A store in memory and a runner whose attempts take a given time, both with switches."""

    def __init__(self, clock: VirtualClock) -> None:
        """Begin with a store that works and attempts that succeed at once."""
        self.clock = clock
        self.commits: list[list[Record]] = []
        self.may_commit = trio.Event()
        self.may_commit.set()
        self.is_full = False
        self.started: list[tuple[str, datetime]] = []
        self.takes = 0.0
        self.orphan_is_gone = trio.Event()

    async def commit(self, records: Sequence[Record]) -> None:
        """Keep the records, when that is allowed, unless the disk is full."""
        await self.may_commit.wait()
        if self.is_full:
            raise Unavailable("the database cannot be written: the disk is full")
        if records:
            self.commits.append(list(records))

    def deliver(self) -> None:
        """Have nobody to tell."""

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Succeed after ``takes`` seconds."""
        started_at = self.clock.now()
        self.started.append((act.run.job_id, started_at))
        await trio.sleep(self.takes)
        return AttemptEnded(act.run.id, act.number, started_at, self.clock.now(), Exited(0))

    async def await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> AttemptEnded:
        """Wait until the orphan is said to be gone."""
        await self.orphan_is_gone.wait()
        run_id, number = act.attempt.run_id, act.attempt.number
        return AttemptEnded(run_id, number, act.attempt.started_at, self.clock.now(), Lost())

    def runs(self) -> list[Run]:
        """Return the records of runs, in the order of their commits."""
        values = [
            record.value for batch in self.commits for record in batch if isinstance(record, Keep)
        ]
        return [value for value in values if isinstance(value, Run)]


def create(job_id: str, schedule: str = "R//PT1H", disabled: bool = False) -> Create:
    return Create(job_id, Definition(job_id, "true", schedule=schedule, disabled=disabled))


@asynccontextmanager
async def supervised(world: World, snapshot: Snapshot | None = None) -> AsyncIterator[Supervisor]:
    """Run a supervisor until the block ends, then stop it."""
    scheduler, first = Scheduler.restore(snapshot or Snapshot(), world.clock.now())
    supervisor = Supervisor(
        clock=world.clock, commit=world.commit, runner=world, deliver=world.deliver
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run, scheduler, first)
        yield supervisor
        supervisor.stop()


@pytest.fixture
async def world() -> World:
    """Begin a world at EPOCH, whose time jumps to when something happens."""
    return World(VirtualClock(EPOCH))


async def test_occurrences_start_at_their_very_instants_however_many(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R1000//PT7S"))
        await trio.sleep(7 * 1000 + 1)
    assert [at for _, at in world.started] == [
        EPOCH + k * timedelta(seconds=7) for k in range(1001)
    ]


async def test_a_request_is_answered_only_once_it_is_durable(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C1."""
    async with supervised(world) as supervisor, trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        world.may_commit = trio.Event()
        nursery.start_soon(supervisor.ask, create("a"))
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        world.may_commit.set()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
        assert Job in {
            type(record.value) for record in world.commits[0] if isinstance(record, Keep)
        }


async def test_no_process_starts_before_its_run_is_durable(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C2."""
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R0/2026-03-01T00:01:00Z/PT1S"))
        world.may_commit = trio.Event()
        await trio.sleep(120)
        assert not world.started
        world.may_commit.set()
        await wait_all_tasks_blocked()
        assert [job_id for job_id, _ in world.started] == ["a"]


async def test_requests_that_arrive_together_are_committed_together(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor:
        await wait_all_tasks_blocked()
        world.commits.clear()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(supervisor.ask, create(f"job {number}", LATER))
        assert len(world.commits) == 1


async def test_a_list_of_jobs_waits_for_one_commit_of_what_came_before(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor, trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        world.commits.clear()
        world.may_commit = trio.Event()
        together = CreateAll((create("c", LATER), create("d", LATER)))
        for request in (create("a", LATER), create("b", LATER), together, create("e", LATER)):
            nursery.start_soon(supervisor.ask, request)
            await wait_all_tasks_blocked()
        world.may_commit.set()
    kept = [[each.value for each in some if isinstance(each, Keep)] for some in world.commits]
    ids = [[value.id for value in some if isinstance(value, Job)] for some in kept]
    assert ids == [["a"], ["b"], ["c", "d", "e"]]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (create("late", "R0/2025-01-01T00:00:00Z/PT1S"), Refused),
        (Delete("nobody"), NotFound),
        (Start("off"), Conflict),
    ],
)
async def test_a_refusal_reaches_the_one_who_asked_and_leaves_no_record(
    autojump_clock: MockClock,
    world: World,
    request_: Create | Delete | Start,
    error: type[Exception],
) -> None:
    async with supervised(world) as supervisor:
        await supervisor.ask(create("off", LATER, disabled=True))
        before = len(world.commits)
        with pytest.raises(error):
            await supervisor.ask(request_)
        assert len(world.commits) == before


async def test_a_request_whose_commit_fails_changes_nothing(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor:
        await wait_all_tasks_blocked()
        world.is_full = True
        with pytest.raises(Unavailable, match="disk is full"):
            await supervisor.ask(create("a"))
        world.is_full = False
        with pytest.raises(NotFound):
            await supervisor.ask(Delete("a"))
        await supervisor.ask(create("a"))


async def test_the_end_of_an_attempt_outlives_a_store_that_fails_for_a_while(
    autojump_clock: MockClock, world: World
) -> None:
    world.takes = 10
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R0//PT1S"))
        await trio.sleep(5)
        world.is_full = True
        await trio.sleep(60)
        world.is_full = False
        await trio.sleep(2)
        assert world.runs()[-1].outcome is Outcome.SUCCEEDED
        assert world.runs()[-1].ended_at == EPOCH + timedelta(seconds=10)


async def test_an_occurrence_is_not_lost_to_a_store_that_fails_for_a_while(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R0/2026-03-01T00:00:30Z/PT1S"))
        world.is_full = True
        await trio.sleep(60)
        assert not world.started
        world.is_full = False
        await trio.sleep(2)
        assert len(world.started) == 1


async def test_a_store_that_failed_is_tried_until_it_works_though_nothing_happens(
    autojump_clock: MockClock, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", LATER))
        world.is_full = True
        with pytest.raises(Unavailable):
            await supervisor.ask(Delete("a"))
        await trio.sleep(600)
        assert len(caplog.records) <= 11
        world.is_full = False
        await trio.sleep(2)
        assert "written again" in caplog.messages[-1]


async def test_a_stop_while_the_store_fails_waits_for_attempts_and_for_nothing_else(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C4."""
    world.takes = 100
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R0//PT1S"))
        world.is_full = True
        with pytest.raises(Unavailable):
            await supervisor.ask(Delete("a"))
        supervisor.stop()
        await trio.sleep(99)
        world.is_full = False
    assert world.runs()[-1].outcome is Outcome.SUCCEEDED


async def test_a_stop_while_the_store_fails_is_a_clean_one_if_nothing_is_to_be_kept(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C4."""
    async with supervised(world) as supervisor:
        await wait_all_tasks_blocked()
        world.is_full = True
        with pytest.raises(Unavailable):
            await supervisor.ask(create("a", LATER))


async def test_stop_waits_for_attempts_and_refuses_requests_meanwhile(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C4."""
    world.takes = 10
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R//PT1S"))
        await trio.sleep(0.5)
        supervisor.stop()
        await trio.sleep(5)
        with pytest.raises(Unavailable, match="stopping"):
            await supervisor.ask(Delete("a"))
    assert world.clock.now() == EPOCH + timedelta(seconds=10)
    assert len(world.started) == 1
    assert world.runs()[-1].outcome is Outcome.SUCCEEDED


async def test_who_asks_after_the_end_is_told_so(autojump_clock: MockClock, world: World) -> None:
    """Rule C4: and does not wait for ever."""
    async with supervised(world) as supervisor:
        pass
    with trio.fail_after(60), pytest.raises(Unavailable, match="stopping"):
        await supervisor.ask(Delete("a"))


async def test_a_store_that_fails_to_the_end_is_told_and_not_passed_over(
    autojump_clock: MockClock, world: World
) -> None:
    world.takes = 10

    async def fill_and_stop() -> None:
        async with supervised(world) as supervisor:
            await supervisor.ask(create("a", "R0//PT1S"))
            await trio.sleep(1)
            world.is_full = True

    with pytest.raises(ExceptionGroup) as caught:
        await fill_and_stop()
    assert caught.group_contains(Unavailable)


async def test_a_bug_ends_the_loop_loudly(autojump_clock: MockClock, world: World) -> None:
    """An end of an attempt that nobody started can only come from a bug."""

    async def end_of_another(act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        await trio.lowlevel.checkpoint()
        return AttemptEnded("another.1", 1, EPOCH, EPOCH, Exited(0))

    async def run_one_job() -> None:
        async with supervised(world) as supervisor:
            await supervisor.ask(create("a", "R0//PT1S"))
            await trio.sleep(1)

    world.run_attempt = end_of_another  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        await run_one_job()
    assert caught.group_contains(KeyError)


def interrupted() -> Snapshot:
    """Return what the store of a daemon holds that died while a job was running."""
    scheduler = Scheduler()
    commands = scheduler.handle(create("a", LATER), EPOCH) + scheduler.handle(Start("a"), EPOCH)
    held: dict[type, Any] = {
        type(each.value): each.value for each in commands if isinstance(each, Keep)
    }
    return Snapshot((held[Job],), (held[Progress],), (held[Run],), (held[Attempt],))


async def test_a_job_stays_busy_until_its_orphan_is_gone(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C3."""
    async with supervised(world, interrupted()) as supervisor:
        await supervisor.ask(Start("a"))
        await trio.sleep(5)
        assert not world.started
        world.orphan_is_gone.set()
        await trio.sleep(1)
        assert [run.outcome for run in world.runs()] == [Outcome.LOST, None, Outcome.SUCCEEDED]


async def test_stop_does_not_wait_for_orphans(autojump_clock: MockClock, world: World) -> None:
    async with supervised(world, interrupted()):
        await wait_all_tasks_blocked()
    assert not world.runs()


async def test_a_wall_clock_set_forward_is_noticed_within_a_second(
    autojump_clock: MockClock, world: World
) -> None:
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R0/2026-03-01T06:00:00Z/PT1S"))
        world.clock.set(6 * 3600)
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert len(world.started) == 1


async def test_what_is_due_later_waits_for_a_wall_clock_set_back(
    autojump_clock: MockClock, world: World
) -> None:
    """Rule C6: and what is due at an instant already seen does not wait."""
    async with supervised(world) as supervisor:
        await supervisor.ask(create("a", "R/2026-03-01T00:00:10Z/PT10S"))
        await trio.sleep(15)
        world.clock.set(-3600)
        await supervisor.ask(create("b", "R0//PT1S"))
        await trio.sleep(3000)
        assert [job_id for job_id, _ in world.started] == ["a", "b"]
