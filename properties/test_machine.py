"""The scheduler under any sequence of events: what must hold after each of them."""

from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from kala_trio.core.errors import KalaTrioError
from kala_trio.core.job import Definition, Exited, Lost, NotStarted, Result, Signalled
from kala_trio.core.messages import Create, Delete, DeleteAll, Disable, Enable, Event, Start, Tick
from kala_trio.core.validation import check
from properties.world import World

schedules = st.sampled_from(
    ["", "R//PT10S", "R3//PT7S", "R0/2026-03-01T00:01:00Z/PT1S", "R/2026-03-01T00:00:05Z/P1D"]
)
results: st.SearchStrategy[Result] = st.sampled_from(
    [Exited(0), Exited(0), Exited(1), Signalled("SIGKILL"), NotStarted("no such program"), Lost()]
)
spans = st.sampled_from([0, 0.000001, 1, 7, 10, 25, 3600, 86_400 * 3])


class Machine(RuleBasedStateMachine):
    """Drives a world through everything that can happen to it."""

    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        """Begin with an empty world."""
        super().__init__()
        self.world = World()
        self.created = 0

    @rule(
        target=jobs,
        schedule=schedules,
        parents=st.lists(jobs, max_size=3),
        failure=st.none() | jobs,
        retries=st.integers(0, 2),
        epsilon=st.sampled_from(["", "", "PT5S", "PT1M"]),
        disabled=st.sampled_from([False, False, True]),
        resume=st.booleans(),
    )
    def create(self, schedule: str, parents: list[str], failure: str | None, **fields: Any) -> str:
        """Create a job that may well be refused."""
        self.created += 1
        job_id = f"j{self.created}"
        try:
            definition = Definition(
                job_id,
                "true",
                disabled=fields["disabled"],
                schedule="" if parents else schedule,
                parent_jobs=tuple(parents),
                on_failure_job=failure or "",
                retries=fields["retries"],
                epsilon=fields["epsilon"],
                resume_at_next_scheduled_time=fields["resume"],
            )
            self.world.do(Create(job_id, check(definition, self.world.now)))
        except KalaTrioError:
            return job_id
        coming = self.world.progress[job_id].next
        self.world.first[job_id] = coming.number if coming else 0
        self.world.settle()
        return job_id

    @rule(job_id=jobs, kind=st.sampled_from([Start, Start, Enable, Disable, Delete]))
    def request(self, job_id: str, kind: type[Start | Enable | Disable | Delete]) -> None:
        """Ask for something that may be refused."""
        self.ask(kind(job_id))

    @rule()
    def delete_all(self) -> None:
        """Delete every job."""
        self.ask(DeleteAll())

    def ask(self, event: Event) -> None:
        """Let an event happen, or be refused."""
        with suppress(KalaTrioError):
            self.world.do(event)
        self.world.settle()

    @rule(seconds=spans)
    def sleep(self, seconds: float) -> None:
        """Let time pass unwatched."""
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([1, 10, 60]))
    def watch(self, seconds: float) -> None:
        """Let time pass, looking whenever the scheduler wants to."""
        self.world.pass_time(seconds)

    @rule(seconds=spans)
    def set_clock_back(self, seconds: float) -> None:
        """Let somebody set the wall clock back."""
        self.world.advance(-min(seconds, 25))

    @rule(data=st.data(), result=results)
    def end(self, data: st.DataObject, result: Result) -> None:
        """Let an attempt end."""
        if self.world.in_progress:
            self.world.end(data.draw(st.sampled_from(sorted(self.world.in_progress))), result)

    @rule(downtime=spans, orphans=st.booleans())
    def crash(self, downtime: float, orphans: bool) -> None:
        """Die at once, and start again some time later."""
        self.world.crash(downtime, orphans=orphans)

    @rule(finish=st.booleans())
    def stop(self, finish: bool) -> None:
        """Stop, and start again."""
        self.world.stop(finish=finish)

    @rule(job_id=jobs, kind=st.sampled_from([Start, Enable, Disable, Delete]))
    def fail_to_commit(self, job_id: str, kind: type[Start | Enable | Disable | Delete]) -> None:
        """Decide on things that then can't be made durable (C1)."""
        world = self.world
        wake = world.scheduler.next_wake()
        with suppress(KalaTrioError):
            world.scheduler.handle(kind(job_id), world.now)
            world.scheduler.handle(Tick(), world.now)
        world.scheduler.rollback()
        assert world.scheduler.next_wake() == wake

    @invariant()
    def holds(self) -> None:
        """Hold what must always hold."""
        self.world.check()


def test_whatever_happens_what_must_hold_holds() -> None:
    """L1, L5, C1, C2, D2: after any sequence of events, restarts and failed commits included."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=1000, stateful_step_count=40))
