"""The scheduler beside the model, under any sequence of events: after each of them they agree."""

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from kala_trio.core.definition import (
    CatchUp,
    Definition,
    Overlap,
    ParentRule,
    Policy,
    Reporting,
    Retrying,
)
from kala_trio.core.errors import Conflict, KalaTrioError, NotFound, Outdated, Refused
from kala_trio.core.job import (
    Answered,
    Cause,
    Ending,
    Exited,
    Lost,
    NoAnswer,
    NotStarted,
    Outcome,
    Queue,
    Reason,
    Result,
    Signalled,
    Stopped,
    TimedOut,
    Trigger,
    outcome_of,
)
from kala_trio.core.messages import (
    AttemptEnded,
    Cancel,
    Create,
    CreateAll,
    Delete,
    DeleteAll,
    Disable,
    Edit,
    Enable,
    EndAttempt,
    Event,
    Start,
    StartAttempt,
    Stop,
    Tick,
)
from kala_trio.core.slots import Limits
from kala_trio.store.reader import JobView
from kala_trio.wire import encode_job
from properties import model_values
from properties.model import Model, Refusal
from properties.world import START, World

schedules = st.sampled_from(
    [
        "",
        "R//PT10S",
        "R3//PT7S",
        "R0/2026-03-01T00:01:00Z/PT1S",
        "R/2026-03-01T00:00:05Z/P1D",
        "R/2026-02-28T00:00:00[Europe/Berlin]/P1M",
        "R5/2026-02-28T23:59:55Z/PT1.5S",
    ]
)
results: st.SearchStrategy[Result] = st.sampled_from(
    [
        *(Exited(0), Exited(0), Exited(0), Exited(1), Exited(7), Signalled("SIGKILL")),
        *(NotStarted("no such program"), Lost(), TimedOut(), Answered(200, is_expected=True)),
        *(Answered(404, is_expected=False), NoAnswer("refused")),
    ]
)
# The better half is as usual, so that what is unusual meets what is not.
policies = st.just(Policy()) | st.builds(
    Policy,
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from([CatchUp.LATEST, CatchUp.NONE]),
    max_running=st.sampled_from([0, 2]),
    parent_rule=st.sampled_from(ParentRule),
)
policies |= st.builds(
    Policy,
    overlap=st.sampled_from([Overlap.QUEUE, Overlap.ALLOW]),
    catch_up=st.just(CatchUp.ALL),
    catch_up_limit=st.sampled_from([1, 3, 100]),
    max_running=st.sampled_from([0, 2]),
)
retryings = st.just(Retrying()) | st.builds(
    Retrying,
    retry_delay=st.sampled_from(["", "PT5S", "PT20S"]),
    retry_backoff=st.sampled_from([1.0, 2.0]),
    retry_max_delay=st.sampled_from(["", "PT8S"]),
    retry_exit_codes=st.sampled_from([(), (1,), (7,)]),
)
TELLING = Reporting("http://a", expect_within="PT3S", ping_url="http://a")


def telling(draft: Definition) -> Definition:
    """Let every third draft tell of itself, which is to change nothing else."""
    return replace(draft, reporting=TELLING) if draft.retries == 1 else draft


drafts = st.builds(
    Definition,
    name=st.just("job"),
    command=st.just("true"),
    disabled=st.sampled_from([False, False, False, True]),
    schedule=schedules,
    retries=st.integers(0, 2),
    epsilon=st.sampled_from(["", "PT5S", "PT1M"]),
    resume_at_next_scheduled_time=st.booleans(),
    rerun_lost=st.booleans(),
    tags=st.sampled_from([(), (), ("a",), ("b", "a")]),
    policy=policies,
    retrying=retryings,
).map(telling)
spans = st.sampled_from([0, 0.000001, 1, 7, 10, 25, 60, 600])
kinds = st.sampled_from([Start, Start, Start, Enable, Disable, Disable, Delete])

Request = Start | Enable | Disable | Delete


class Machine(RuleBasedStateMachine):
    """Drives a world and the model through everything that can happen to them."""

    corners: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        """Begin with an empty world."""
        super().__init__()
        self.begin_with({})

    def begin_with(self, limits: dict[str, int]) -> None:
        """Begin with an empty world that has these limits (L12); an empty text is that over all."""
        tags = {tag: most for tag, most in limits.items() if tag}
        self.world = World(limits=Limits(limits.get("", 0), tags))
        self.world.do(Tick())
        self.model = Model(START, limits)
        self.created = 0

    def both(self, happen: Event, told: Callable[[], None]) -> None:
        """Let an event happen, and tell the model; both accept it, or both refuse it."""
        try:
            self.world.do(happen)
        except (Refused, NotFound, Conflict, Outdated):
            accepted = False
        else:
            accepted = True
        try:
            told()
        except Refusal:
            assert not accepted
        else:
            assert accepted
        self.world.settle()

    @initialize(
        data=st.data(),
        count=st.integers(2, 8),
        limits=st.sampled_from([{}, {}, {"": 2}, {"a": 1}, {"": 3, "a": 2, "b": 1}]),
    )
    def begin(self, data: st.DataObject, count: int, limits: dict[str, int]) -> None:
        """Create a few jobs that follow each other."""
        self.begin_with(limits)
        for _ in range(count):
            self.create(data, data.draw(drafts))

    @rule(data=st.data(), draft=drafts)
    def create(self, data: st.DataObject, draft: Definition) -> None:
        """Create a job, a child of others more often than not; it may well be refused."""
        names = [job.name for job in self.model.jobs] or ["nobody"]
        job_id, definition = self.drawn(data, draft, names)
        self.both(Create(job_id, definition), lambda: self.model.create(job_id, definition))

    @rule(data=st.data(), some=st.lists(drafts, max_size=4))
    def create_all(self, data: st.DataObject, some: list[Definition]) -> None:
        """Create jobs together, which may follow each other; if one is refused, all are."""
        names = [job.name for job in self.model.jobs] or ["nobody"]
        wanted: list[tuple[str, Definition]] = []
        for draft in some:
            wanted.append(self.drawn(data, draft, [*names, *(name for name, _ in wanted)]))
        event = CreateAll(tuple(Create(*each) for each in wanted))
        self.both(event, lambda: self.model.create_all(wanted))

    @rule(data=st.data(), draft=drafts)
    def edit(self, data: st.DataObject, draft: Definition) -> None:
        """Put another definition in the place of a job's own; it may well be refused."""
        names = [job.name for job in self.model.jobs]
        waiting = [job.name for job in self.model.jobs if self.waits(job)]
        if names:
            name = data.draw(st.sampled_from(waiting or names) | st.sampled_from(names))
            _, definition = self.drawn(data, draft, names)
            self.edit_to(data, name, definition)

    def waits(self, job: model_values.Job) -> bool:
        """Tell whether an occurrence of a job was due and has not run."""
        is_pending = job.pending is not None and job.pending.cause == "occurrence"
        return is_pending or (job.next is not None and job.next.at <= self.model.now)

    @rule(data=st.data(), policy=policies, retrying=retryings)
    def edit_policy(self, data: st.DataObject, policy: Policy, retrying: Retrying) -> None:
        """Change how runs of a job bear with each other, and nothing else."""
        if self.model.jobs:
            job = data.draw(st.sampled_from(self.model.jobs))
            definition = replace(
                job.definition, policy=policy, retrying=retrying, disabled=job.disabled
            )
            self.edit_to(data, job.name, definition)

    def edit_to(self, data: st.DataObject, name: str, definition: Definition) -> None:
        """Edit a job as of the present version, of any, or of one that there never was."""
        version = data.draw(st.sampled_from([None, None, self.model.job(name).version, 0]))
        self.both(
            Edit(name, definition, version), lambda: self.model.edit(name, definition, version)
        )

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """End a run by hand, if it is there."""
        run_id = data.draw(
            st.sampled_from([*(run.id for run in self.model.in_progress), "nobody.1"])
        )
        self.both(Cancel(run_id), lambda: self.model.cancel(run_id))

    def drawn(
        self, data: st.DataObject, draft: Definition, names: list[str]
    ) -> tuple[str, Definition]:
        """Draw whom a job follows, of those that have these names."""
        self.created += 1
        job_id = f"j{self.created}"
        parents = data.draw(
            st.just([]) | st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=3)
        )
        failure = data.draw(st.just("") | st.sampled_from(names))
        return job_id, replace(
            draft,
            name=job_id,
            schedule="" if parents else draft.schedule,
            parent_jobs=tuple(parents),
            on_failure_job=failure,
        )

    @rule(data=st.data(), kind=kinds)
    def request(self, data: st.DataObject, kind: type[Request]) -> None:
        """Ask for something that may be refused."""
        waiting = [job.name for job in self.model.jobs if job.pending]
        others = [*(job.name for job in self.model.jobs), "nobody"]
        job_id = data.draw(st.sampled_from(waiting or others) | st.sampled_from(others))
        told = {
            Start: self.model.start,
            Enable: self.model.enable,
            Disable: self.model.disable,
            Delete: self.model.delete,
        }
        self.both(kind(job_id), lambda: told[kind](job_id))

    @rule(sure=st.integers(0, 9))
    def delete_all(self, sure: int) -> None:
        """Delete every job, now and then."""
        if sure == 9:
            self.both(DeleteAll(), self.model.delete_all)

    @rule(seconds=spans)
    def sleep(self, seconds: float) -> None:
        """Let time pass unwatched."""
        self.world.advance(seconds)
        self.look()

    def look(self) -> None:
        """Show both what time it is; it never goes back (C6)."""
        self.world.do(Tick())
        self.world.settle()
        self.model.now = max(self.model.now, self.world.now)
        self.model.look()

    @rule(seconds=st.sampled_from([1, 10, 60]))
    def watch(self, seconds: float) -> None:
        """Let time pass, looking whenever the scheduler wants to."""
        for now in self.world.wakes(seconds):
            self.model.now = max(self.model.now, now)
            self.model.look()
        self.look()

    @rule(seconds=spans)
    def set_clock_back(self, seconds: float) -> None:
        """Let somebody set the wall clock back."""
        self.world.advance(-min(seconds, 25))
        self.look()

    @rule(data=st.data(), result=results, count=st.integers(1, 4))
    def end(self, data: st.DataObject, result: Result, count: int) -> None:
        """Let attempts end, one after the other."""
        for _ in range(count):
            if self.world.in_progress:
                run_id = data.draw(st.sampled_from(sorted(self.world.in_progress)))
                self.end_run(run_id, result)

    @rule()
    def succeed(self) -> None:
        """Let all that is in progress succeed, and what that starts, for a while."""
        for _ in range(10):
            if self.world.in_progress:
                self.end_run(next(iter(self.world.in_progress)), Exited(0))

    def end_run(self, run_id: str, result: Result) -> None:
        """Let the attempt of that run end."""
        code = result.code if isinstance(result, Exited) else None
        self.model.end(run_id, outcome_of(result), code, self.world.now)
        self.world.end(run_id, result)

    @rule(downtime=spans, orphans=st.booleans())
    def crash(self, downtime: float, orphans: bool) -> None:
        """Die at once, and start again some time later; processes die too, or live on (C3)."""
        self.world.crash(downtime, orphans=True)
        self.model.restart(max([self.world.now, *self.world.load().instants()]))
        for run_id in [] if orphans else self.world.cut_off:
            self.end_run(run_id, Lost())

    @rule(finish=st.booleans(), downtime=spans)
    def stop(self, finish: bool, downtime: float) -> None:
        """Stop, with attempts that end by themselves or are stopped, and start again (C4)."""
        self.model.stopping = True
        self.world.do(Stop())
        before = len(self.world.log)
        for run_id in sorted(self.world.in_progress):
            self.end_run(run_id, Exited(0) if finish else Stopped())
        assert not [each for each in self.world.log[before:] if isinstance(each, StartAttempt)]
        if any(job.pending for job in self.model.jobs):
            self.corners["a stop while triggers wait"] += 1
        self.crash(downtime, orphans=False)

    @rule(data=st.data(), kind=kinds)
    def fail_to_commit(self, data: st.DataObject, kind: type[Request]) -> None:
        """Decide on things that then can't be made durable: nothing has happened (C1)."""
        if self.model.jobs:
            job_id = data.draw(st.sampled_from([job.name for job in self.model.jobs]))
            self.decide_in_vain(kind(job_id), Tick())

    @rule(data=st.data())
    def fail_to_commit_an_end(self, data: st.DataObject) -> None:
        """The same for an attempt that ended: its end is told again later."""
        if self.world.in_progress:
            run_id = data.draw(st.sampled_from(sorted(self.world.in_progress)))
            number, now = self.world.in_progress[run_id], self.world.now
            self.decide_in_vain(AttemptEnded(run_id, number, now, now, Exited(0)), DeleteAll())

    def decide_in_vain(self, *events: Event) -> None:
        """Let events be decided on and taken back."""
        scheduler, now = self.world.scheduler, self.world.now
        wake = scheduler.next_wake()
        for each in events:
            try:
                scheduler.handle(each, now)
            except KalaTrioError:
                break
        scheduler.rollback()
        assert scheduler.next_wake() == wake

    @invariant()
    def holds(self) -> None:
        """Hold what must always hold."""
        self.world.check()

    @invariant()
    def agrees(self) -> None:
        """Hold that the scheduler came to what the model says."""
        world, truth = self.world, self.model
        starts = [each for each in world.log if isinstance(each, StartAttempt)]
        assert [(each.run.id, each.number) for each in starts] == truth.started
        ends = [each.run_id for each in world.log if isinstance(each, EndAttempt)]
        assert ends == truth.ended
        paused = {run.id: run.pause for run in world.runs.values() if run.pause}
        assert {run_id: pause.until for run_id, pause in paused.items()} == {
            run.id: run.pause.until for run in truth.in_progress if run.pause
        }
        assert sorted(world.jobs) == sorted(job.name for job in truth.jobs)
        left = {queue.run_id: _left(queue) for queue in world.queues.values()}
        assert left == truth.queues
        for job in truth.jobs:
            progress = world.progress[job.name]
            assert world.jobs[job.name].definition == job.definition
            assert progress.disabled == job.disabled
            assert progress.running == tuple(run.id for run in job.running)
            assert progress.version == job.version
            assert {*progress.parents_done} == job.parents_done
            assert (progress.runs, progress.finished) == (job.runs, job.finished)
            assert (progress.success_count, progress.error_count) == (job.successes, job.errors)
            assert _as_model(progress.pending) == job.pending
            assert (progress.next and progress.next.at) == (job.next and job.next.at)
            assert (progress.next and progress.next.number) == (job.next and job.next.k)
            view = JobView(world.jobs[job.name], progress, (), ())
            assert encode_job(view)["is_done"] == truth.is_done(job)
        for name in truth.misses:
            assert world.missed_occurrences(name) == truth.missed_occurrences(name)
            assert world.other_misses(name) == truth.other_misses(name)

    def teardown(self) -> None:
        """Note what was reached."""
        misses = [miss for each in self.model.misses.values() for miss in each]
        for each in misses:
            kind = "occurrence" if each.trigger.cause == "occurrence" else "other trigger"
            self.corners[f"{kind} missed: {each.reason}"] += 1
        triggers = {run_id: run.trigger for run_id, run in self.world.runs.items()}
        self.corners.update({f"run by {each.cause}" for each in triggers.values()})
        self.corners.update({f"run {run.outcome}" for run in self.world.runs.values()})
        if any(number > 2 for _, number in self.model.started):
            self.corners["two retries"] += 1
        self.corners.update(f"ended {run.ending}" for run in self.world.runs.values() if run.ending)
        sources = Counter(each.source for each in triggers.values() if each.cause == "parent")
        if max(sources.values(), default=0) > 1:
            self.corners["a queue of two children"] += 1
        if any(triggers[source].cause == "parent" for source in sources if source):
            self.corners["a chain of three"] += 1


def _as_model(trigger: Trigger | None) -> model_values.Trigger | None:
    if trigger is None:
        return None
    return model_values.Trigger(
        trigger.cause, trigger.scheduled_at, trigger.occurrence, trigger.source
    )


def _left(queue: Queue) -> list[str]:
    return list(queue.children[queue.position + 1 :])


CORNERS = {
    *[f"run by {cause}" for cause in Cause],
    *[f"run {outcome}" for outcome in Outcome],
    *[f"occurrence missed: {reason}" for reason in Reason],
    *[f"other trigger missed: {why}" for why in ("overlap", "epsilon", "disabled", "deleted")],
    *[f"ended {why}" for why in Ending],
    "two retries",
    "a queue of two children",
    "a chain of three",
    "a stop while triggers wait",
}


def test_the_scheduler_comes_to_what_the_model_says_whatever_happens() -> None:
    """L1, L2, L3, L4, L5, L6, L8, L9, L10, L11, L12, A1, A2, A3, A6, A7, D1, D2, D3, D4, D5, D6.

    D8, D9, D10, M1, M2, M3, M4, M5, M6, S9.

    After any sequence of events, restarts, stops and failed commits the two agree.
    """
    profile = settings.default
    assert profile is not None
    count = 2 * profile.max_examples
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=count, stateful_step_count=50)
    )
    if profile.derandomize and count >= 1000:  # few examples, or others each time, may miss some
        assert Machine.corners.keys() >= CORNERS
