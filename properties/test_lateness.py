"""When a job is late: rule N4, judged from all successes at once."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from kala_trio.core.definition import Definition, News, Overlap, Policy, Reporting
from kala_trio.core.job import Cancelled, Exited, Outcome, Result
from kala_trio.core.messages import Create
from properties.test_notices import HOOK
from properties.world import START, World


class Life(NamedTuple):
    """A job that is due each ``period`` seconds; what its runs do, in turn, and for how long."""

    period: int
    within: int
    overlap: Overlap
    runs: list[tuple[Result, int]]
    crash: tuple[int, int] | None
    """When the daemon dies, and for how long."""


END = START + timedelta(seconds=120)

lives = st.builds(
    Life,
    st.integers(3, 20),
    st.integers(1, 40),
    st.sampled_from([*Overlap]),
    st.lists(st.tuples(st.sampled_from([Exited(0), Exited(1)]), st.integers(0, 30)), max_size=40),
    st.none() | st.tuples(st.integers(5, 80), st.integers(1, 60)),
)


def play(life: Life) -> World:
    """Let it happen, for two minutes; no two things happen at one instant."""
    world = World()
    schedule = f"R/{START + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}/PT{life.period}S"
    reporting = Reporting(HOOK, expect_within=f"PT{life.within}.5S")
    policy = Policy(overlap=life.overlap)
    definition = Definition("a", "true", schedule=schedule, policy=policy, reporting=reporting)
    world.do(Create("a", definition))
    crash_at = START + timedelta(seconds=life.crash[0], microseconds=-7) if life.crash else None
    while True:
        ends = {_ends_at(world, life, run_id): run_id for run_id in world.in_progress}
        wake = world.scheduler.next_wake()
        at = min(each for each in (*ends, wake, crash_at, END) if each)
        if at >= END:
            return world
        world.now = max(world.now, at)
        if at == crash_at and life.crash:
            crash_at = None
            world.crash(life.crash[1])
        elif at in ends:
            _end(world, life, ends[at])
        else:
            world.settle()


def _plan(life: Life, run_id: str) -> tuple[int, Result, int]:
    number = int(run_id.rpartition(".")[2])
    result, seconds = life.runs[number - 1] if number <= len(life.runs) else (Exited(1), 0)
    return number, result, seconds


def _ends_at(world: World, life: Life, run_id: str) -> datetime:
    number, _, seconds = _plan(life, run_id)
    return world.runs[run_id].started_at + timedelta(seconds=seconds, microseconds=number)


def _end(world: World, life: Life, run_id: str) -> None:
    _, result, _ = _plan(life, run_id)
    world.end(run_id, Cancelled() if world.runs[run_id].ending else result)


@given(lives)
@example(Life(3, 1, Overlap.QUEUE, [(Exited(0), 10), (Exited(0), 0)], None))
@example(Life(3, 1, Overlap.QUEUE, [(Exited(1), 0)] * 5, (10, 20)))
def test_a_job_is_late_as_often_as_a_scheduled_time_was_not_answered_in_time(life: Life) -> None:
    """N4: each scheduled time by itself, with all successes at hand, and nothing remembered."""
    world = play(life)
    successes = [
        (run.ended_at, run.trigger.scheduled_at)
        for run in world.runs.values()
        if run.outcome is Outcome.SUCCEEDED and run.ended_at
    ]
    never = END + timedelta(days=1)
    first = START + timedelta(seconds=1)
    times = [first + timedelta(seconds=life.period) * k for k in range(200)]

    def answered_at(scheduled_at: datetime) -> datetime:
        return min((end for end, of in successes if of >= scheduled_at), default=never)

    expected = []
    was_late: dict[datetime, bool] = {}  # whether it was, when what is before was answered
    for before, scheduled_at in zip([START - timedelta(days=1), *times], times, strict=False):
        due = scheduled_at + timedelta(seconds=life.within, milliseconds=500)
        # As long as an earlier one is not answered it is late already.
        free_at = START if before < START else answered_at(before)
        at, answered = max(due, free_at), answered_at(scheduled_at)
        is_late = at < answered
        if is_late and (lived := _when_up(life, at)) < END:
            is_news = not (was_late.get(free_at) and due <= free_at)
            expected += [(lived, scheduled_at)] if is_news else []
        was_late[answered] = was_late.get(answered, False) or is_late
    found = sorted(
        (each.at, each.scheduled_at)
        for each in world.notices.values()
        if each.news is News.LATE and each.at < END
    )
    assert found == expected


def _when_up(life: Life, at: datetime) -> datetime:
    """Return when a daemon that is down at ``at`` is back."""
    if life.crash is None:
        return at
    down = START + timedelta(seconds=life.crash[0], microseconds=-7)
    up = down + timedelta(seconds=life.crash[1])
    return up if down < at < up else at
