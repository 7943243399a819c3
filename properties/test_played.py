"""The simulation beside the model: both come to the same, and what is told is told once."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.job import Cause, Job
from kala_trio.core.messages import Create
from kala_trio.core.occurrences import schedule_of
from kala_trio.core.slots import Limits
from kala_trio.simulation.happenings import Ended, Happening, MissedSome, Started, Waiting
from kala_trio.simulation.plan import Failure, Plan
from kala_trio.simulation.play import Downtime, Simulation
from properties.model import Model
from properties.test_machine import drafts
from properties.world import START

# All that is drawn is of whole seconds, and schedules are of whole halves.
HALF = timedelta(seconds=0.5)
MOMENT = timedelta(microseconds=1)
GRACE = timedelta(seconds=10)


class Story(Struct, frozen=True):
    """Jobs that are created at START, what becomes of their attempts, and what comes between."""

    creates: tuple[Create, ...]
    plan: Plan
    limits: dict[str, int]
    downtimes: tuple[Downtime, ...]
    end: datetime

    def simulation(self) -> Simulation:
        """Return the simulation at its start."""
        tags = {tag: most for tag, most in self.limits.items() if tag}
        limits = Limits(self.limits.get("", 0), tags)
        simulation = Simulation(self.plan, START, limits, grace=GRACE)
        for each in self.creates:
            simulation.do(each)
        return simulation

    def told(self) -> list[Happening]:
        """Return what the simulation tells."""
        return [*self.simulation().play(self.end, self.downtimes)]


def at(seconds: int) -> datetime:
    """Return the instant so many seconds after START."""
    return START + timedelta(seconds=seconds)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw a story, in which jobs may follow those before them."""
    creates: list[Create] = []
    for number in range(draw(st.integers(1, 6))):
        earlier = [each.job_id for each in creates]
        creates.append(Create(f"j{number}", _following(draw, f"j{number}", earlier)))
    names = [each.job_id for each in creates]
    durations = st.dictionaries(
        st.sampled_from(names), st.integers(1, 40).map(lambda each: timedelta(seconds=each))
    )
    failing = st.builds(
        Failure,
        st.none() | st.integers(1, 4),
        st.none() | st.integers(1, 2),
    )
    failures = st.dictionaries(
        st.sampled_from(names), st.lists(failing, min_size=1, max_size=2).map(tuple)
    )
    edges = sorted(draw(st.lists(st.integers(1, 119), max_size=4, unique=True)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return Story(
        tuple(creates),
        Plan(timedelta(seconds=2), draw(durations), draw(failures)),
        draw(st.sampled_from([{}, {}, {"": 2}, {"a": 1}, {"": 3, "a": 2, "b": 1}])),
        tuple(Downtime(at(begin), at(end)) for begin, end in pairs),
        at(draw(st.integers(120, 240))),
    )


def _following(draw: st.DrawFn, name: str, earlier: list[str]) -> Definition:
    """Draw a definition, and whom of the jobs before it follows."""
    draft = draw(drafts)
    others = st.lists(st.sampled_from(earlier), unique=True, min_size=1, max_size=3)
    parents = draw(st.just([]) | others) if earlier else []
    # No occurrence of before START is left.
    schedule = "" if parents or draft.schedule.startswith("R5/") else draft.schedule
    return replace(draft, name=name, schedule=schedule, parent_jobs=tuple(parents))


class Replay:
    """The model, played by half seconds as the story goes."""

    def __init__(self, story: Story) -> None:
        """Create the jobs."""
        self.story = story
        self.model = Model(START, story.limits)
        self.order = count()
        self.ends: dict[str, tuple[datetime, int, str]] = {}
        self.seen = [0, 0]
        self.cancelled: set[str] = set()
        for each in story.creates:
            self.model._accept(each.job_id, each.definition)

    def play(self) -> Model:
        """Return the model at the end."""
        now = START
        for downtime in (*self.story.downtimes, Downtime(self.story.end, self.story.end)):
            # A daemon that is still stopping starts later.
            now = max(now, self.model.now)
            while now < downtime.begin:
                self.look(now)
                now += HALF
            if downtime.begin < self.story.end:
                now = max(self.be_down(now), downtime.end)
                self.model.restart(now)
        return self.model

    def look(self, now: datetime) -> None:
        """Let all happen that happens at this instant: what is due, and then what ends."""
        self.model.now = max(self.model.now, now)
        self.model.look()
        self.end_due(now)

    def end_due(self, now: datetime) -> None:
        """End the attempts whose time has come, one after the other."""
        self.note_started()
        while due := [(end, run_id) for run_id, end in self.ends.items() if end[0] <= now]:
            (_, _, outcome), run_id = min(due)
            del self.ends[run_id]
            codes = self.model.job(run_id.split(".")[0]).definition.retrying.retry_exit_codes
            code = {"succeeded": 0, "failed": next(iter(codes), 1)}.get(outcome)
            self.model.end(run_id, outcome, code, now)
            self.note_started()

    def note_started(self) -> None:
        """Plan the end of what has started, and of what is to be cancelled."""
        model, plan = self.model, self.story.plan
        for run_id, attempt in model.started[self.seen[0] :]:
            name, number = run_id.split(".")
            failures = plan.failures.get(name, ())
            fails = any(
                each.run in (None, int(number)) and each.attempt in (None, attempt)
                for each in failures
            )
            end = model.now + plan.durations.get(name, plan.usual)
            self.ends[run_id] = (end, next(self.order), "failed" if fails else "succeeded")
        for run_id in model.ended[self.seen[1] :]:
            self.ends[run_id] = (model.now, next(self.order), "cancelled")
        self.seen = [len(model.started), len(model.ended)]

    def be_down(self, now: datetime) -> datetime:
        """Stop, and return when the last attempt was over."""
        self.model.stopping = True
        self.model.now = now
        over = now + GRACE
        for run_id, (end, *_) in sorted(self.ends.items(), key=lambda each: each[1][1]):
            if end > over:
                self.ends[run_id] = (over, next(self.order), "stopped")
        while self.ends:
            now = self.model.now = max(now, min(end for end, *_ in self.ends.values()))
            self.end_due(now)
        return now


@given(stories())
def test_the_simulation_comes_to_what_the_model_says(story: Story) -> None:
    """L1, L2, L3, L4, L8, L9, L10, L11, L12, A1, A2, A6, A7, D1, D2, D9, D10, C4, C5."""
    told, model = story.told(), Replay(story).play()
    starts = [(it.run_id, it.attempt) for it in told if isinstance(it, Started)]
    assert starts == model.started
    ends = Counter((it.job_name, it.outcome == "succeeded") for it in told if isinstance(it, Ended))
    for job in model.jobs:
        good, bad = ends[job.name, True], ends[job.name, False]
        assert (good, good + bad) == (job.successes, job.finished)
        truth = [
            (miss.trigger.cause, miss.reason, miss.trigger.at) for miss in model.misses[job.name]
        ]
        assert sorted(misses(told, story, job.name)) == sorted(truth)


def misses(told: list[Happening], story: Story, name: str) -> Iterator[tuple[str, str, datetime]]:
    """Yield cause, reason and S of each trigger of a job that was missed, one by one."""
    definition = next(each.definition for each in story.creates if each.job_id == name)
    schedule = schedule_of(Job(name, 1, START, definition))
    for it in told:
        if isinstance(it, MissedSome) and it.job_name == name:
            yield it.cause, it.reason, it.first
            if it.cause is not Cause.OCCURRENCE:
                # Together with one that was pending, those of one moment are missed.
                yield from [(it.cause, it.reason, it.last)] * (it.count - 1)
                continue
            assert schedule
            missed, following = 1, schedule.next_after(it.first)
            while following and following.at <= it.last:
                missed += 1
                yield it.cause, it.reason, following.at
                following = schedule.next_after(following.at)
            assert missed == it.count


@given(stories())
def test_each_occurrence_is_told_once_and_is_one_of_the_schedule(story: Story) -> None:
    """L5: and each attempt, too, in the order of time."""
    told = story.told()
    attempts = [(it.run_id, it.attempt) for it in told if isinstance(it, Started)]
    assert len(attempts) == len({*attempts})
    ends = [it.run_id for it in told if isinstance(it, Ended)]
    assert len(ends) == len({*ends})
    assert [it.at for it in told] == sorted(it.at for it in told)
    for create in story.creates:
        schedule = schedule_of(Job(create.job_id, 1, START, create.definition))
        ran = [
            it.scheduled_at
            for it in told
            if isinstance(it, Started)
            if it.job_id == create.job_id and it.cause is Cause.OCCURRENCE and it.attempt == 1
        ]
        missed = [
            scheduled_at
            for cause, _, scheduled_at in misses(told, story, create.job_id)
            if cause == Cause.OCCURRENCE
        ]
        assert len(ran + missed) == len({*ran, *missed})
        for scheduled_at in ran + missed:
            assert schedule
            coming = schedule.next_after(scheduled_at - MOMENT)
            assert coming
            assert coming.at == scheduled_at


@given(stories(), st.lists(st.integers(1, 239), max_size=3))
def test_to_play_on_is_to_play_all_at_once(story: Story, cuts: list[int]) -> None:
    story = replace(story, downtimes=())
    simulation, told = story.simulation(), list[Happening]()
    for cut in sorted({*cuts}):
        told += simulation.play(min(at(cut), story.end))
    told += simulation.play(story.end)
    assert told == story.told()


@given(stories())
def test_what_waits_is_told_once_and_nothing_that_is_over_is_kept(story: Story) -> None:
    """L1: a trigger that starts at once does not wait."""
    simulation = story.simulation()
    told = [*simulation.play(story.end, story.downtimes)]
    running = [run for run in simulation.runs.values() if run.outcome]
    assert (running, simulation.missed, simulation.notices) == ([], {}, {})
    waits = [(it.job_id, it.scheduled_at, it.why) for it in told if isinstance(it, Waiting)]
    starts = {(it.job_id, it.scheduled_at, it.at) for it in told if isinstance(it, Started)}
    for it in told:
        if isinstance(it, Waiting) and it.cause is Cause.OCCURRENCE:
            assert waits.count((it.job_id, it.scheduled_at, it.why)) == 1
            assert (it.job_id, it.scheduled_at, it.at) not in starts
