"""When a job is late: rule N4, judged from all successes at once, and in single cases."""

from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kala_trio.core.definition import CatchUp, Definition, News, Overlap, Policy, Reporting
from kala_trio.core.job import Cancelled, Channel, Exited, Outcome, Result, Standing
from kala_trio.core.messages import Create, Disable, Edit, Enable, Start, Stop
from properties.test_notices import FAR, HOOK, told
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


def late(world: World) -> list[tuple[float, str]]:
    """Return how many seconds after the beginning it was told that a job is late, and why."""
    return [
        ((each.at - START).total_seconds(), each.reason)
        for each in world.notices.values()
        if each.news is News.LATE
    ]


def expecting(**more: object) -> Definition:
    """Return a job that is due each minute, and expected to succeed within ten seconds."""
    fields: dict[str, object] = {"schedule": "R/2026-03-01T00:01:00Z/PT1M", **more}
    reporting = Reporting(HOOK, expect_within="PT10S")
    return Definition("a", "true", reporting=reporting, **fields)  # type: ignore[arg-type]


def test_what_is_late_is_told_with_the_reason_why() -> None:
    """Rule N4."""
    busy = World()
    busy.do(Create("a", expecting()))
    busy.pass_time(80)
    assert late(busy) == [(70, "its run is still in progress")]

    failed = World()
    failed.do(Create("a", expecting()))
    for _ in failed.wakes(65):
        failed.fail("a")
    failed.pass_time(10)
    assert late(failed) == [(70, "its last run failed")]

    missed = World()
    missed.do(Create("a", expecting(resume_at_next_scheduled_time=True)))
    missed.pass_time(50)
    missed.crash(25)
    assert late(missed) == [(75, "it was missed (downtime)")]


def test_a_job_that_turns_out_to_be_late_and_due_at_once_is_told_and_run() -> None:
    """N4, L8: as on a machine that was suspended."""
    world = World()
    world.do(Create("a", expecting()))
    world.advance(75)
    assert late(world) == [(75, "no run of it succeeded")]
    assert world.started() == ["a"]


def test_a_disabled_job_is_not_expected_and_an_enabled_one_from_then_on() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting()))
    world.pass_time(30)
    world.do(Disable("a"))
    world.pass_time(300)
    assert late(world) == []
    world.do(Enable("a"))
    world.settle()
    world.succeed("a")
    world.pass_time(29)
    assert late(world) == []
    world.pass_time(20)
    assert late(world) == [(370, "its run is still in progress")]


def test_an_edit_lets_expectations_begin_change_and_end() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting()))
    longer = Reporting(HOOK, expect_within="PT30S")
    world.do(Edit("a", Definition("a", "true", schedule=expecting().schedule, reporting=longer)))
    world.pass_time(75)
    assert late(world) == []
    world.pass_time(20)
    assert [at for at, _ in late(world)] == [90]
    world.do(Edit("a", Definition("a", "true", schedule=expecting().schedule)))
    world.pass_time(200)
    assert len(late(world)) == 1
    world.do(Edit("a", expecting()))
    world.pass_time(100)
    assert len(late(world)) == 2


def test_a_child_is_expected_to_succeed_once_it_is_asked_for() -> None:
    """Rule N4."""
    world = World()
    world.create("p", FAR)
    world.do(Create("a", expecting(schedule="", parent_jobs=("p",))))
    world.pass_time(100)
    assert late(world) == []
    world.do(Start("p"))
    world.succeed("p")
    world.pass_time(5)
    world.succeed("a")
    world.pass_time(100)
    assert late(world) == []
    world.do(Start("p"))
    world.succeed("p")
    world.pass_time(11)
    assert late(world) == [(215, "its run is still in progress")]
    world.succeed("a")
    assert told(world)[-1][0] is News.RECOVERY


def test_a_job_that_expects_nothing_keeps_nothing_in_mind() -> None:
    """N4: which spares memory."""
    world = World()
    world.create("a", "R/2026-03-01T00:01:00Z/PT1M")
    world.advance(60)
    world.succeed("a")
    assert world.progress["a"].standing == Standing()


@pytest.mark.parametrize("later", [False, True])
def test_a_success_answers_what_was_scheduled_before_it_and_no_more(later: bool) -> None:
    """Rule N4: what is pending meanwhile is expected in turn."""
    world = World()
    world.do(Create("a", expecting(schedule="", parent_jobs=())))
    world.settle()
    world.advance(1)
    if later:
        world.do(Start("a"))
    world.succeed("a")
    world.pass_time(20)
    assert [at for at, _ in late(world)] == ([11] if later else [])


def test_what_is_asked_for_meanwhile_puts_off_nothing() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting(schedule="")))
    world.settle()
    world.pass_time(5)
    world.do(Start("a"))
    world.pass_time(7)
    assert late(world) == [(10, "its run is still in progress")]


def test_a_success_that_answers_nothing_is_no_recovery_of_what_is_late() -> None:
    """Rules N1 and N4."""
    world = World()
    world.do(Create("a", expecting(policy=Policy(overlap=Overlap.ALLOW))))
    world.pass_time(130)
    world.end("a.2")
    assert told(world) == [(News.LATE, None), (News.RECOVERY, "a.2")]
    world.pass_time(65)
    assert [news for news, _ in told(world)] == [News.LATE, News.RECOVERY, News.LATE]
    world.end("a.1")
    assert len(told(world)) == 3
    world.end("a.3")
    assert told(world)[-1] == (News.RECOVERY, "a.3")


def test_of_runs_at_once_those_that_are_left_are_still_expected() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting(schedule="", policy=Policy(overlap=Overlap.ALLOW))))
    world.settle()
    world.pass_time(5)
    world.do(Start("a"))
    world.pass_time(2)
    world.end("a.1")
    world.pass_time(7)
    assert late(world) == []
    world.pass_time(2)
    assert late(world) == [(15, "its run is still in progress")]


def test_what_was_missed_before_is_not_why_it_is_late_now() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting(resume_at_next_scheduled_time=True)))
    world.pass_time(50)
    world.crash(15)
    world.pass_time(10)
    world.do(Start("a"))
    world.succeed("a")
    for _ in world.wakes(47):
        world.fail("a")
    world.pass_time(10)
    assert late(world) == [(70, "it was missed (downtime)"), (130, "its last run failed")]


def test_a_monitor_is_not_pinged_because_a_job_is_late() -> None:
    """N3: it would take that for a sign of life."""
    world = World()
    reporting = Reporting(HOOK, expect_within="PT10S", ping_url="http://a/ping")
    schedule = "R/2026-03-01T00:01:00Z/PT1M"
    world.do(Create("a", Definition("a", "true", schedule=schedule, reporting=reporting)))
    world.pass_time(75)
    assert [(each.channel, each.news) for each in world.notices.values()] == [
        (Channel.PING, News.START),
        (Channel.WEBHOOK, News.LATE),
    ]


ALL = Policy(catch_up=CatchUp.ALL)
UNSCHEDULED = Reporting(HOOK, expect_within="PT10S")


def test_what_was_scheduled_while_disabled_is_not_expected_though_it_is_caught_up_with() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", expecting(policy=ALL)))
    world.pass_time(30)
    world.do(Disable("a"))
    world.pass_time(600)
    world.do(Enable("a"))
    world.settle()
    assert late(world) == []


def test_a_job_without_schedule_is_expected_from_when_it_was_enabled() -> None:
    """N4: not to have run at its creation."""
    world = World()
    world.do(Create("a", Definition("a", "true", disabled=True, reporting=UNSCHEDULED)))
    world.pass_time(600)
    world.do(Enable("a"))
    world.settle()
    assert late(world) == []


def test_an_expectation_that_an_edit_adds_is_of_what_comes_from_then_on() -> None:
    """Rule N4."""
    world = World()
    world.do(Create("a", Definition("a", "true", schedule=expecting().schedule, policy=ALL)))
    world.pass_time(600)
    world.do(Edit("a", expecting(policy=ALL)))
    world.settle()
    assert late(world) == []


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.ALLOW])
def test_a_later_request_is_still_expected_when_an_older_one_succeeds(overlap: Overlap) -> None:
    """N4: also one that was missed, or has failed."""
    world = World()
    policy = Policy(overlap=overlap)
    world.do(Create("a", Definition("a", "true", reporting=UNSCHEDULED, policy=policy)))
    world.settle()
    world.advance(2)
    world.do(Start("a"))
    if "a.2" in world.in_progress:
        world.end("a.2", Exited(1))
    world.advance(1)
    world.end("a.1")
    world.pass_time(100)
    missed = overlap is Overlap.SKIP
    reason = "it was missed (overlap)" if missed else "no run of it succeeded"
    assert late(world) == [(12, reason)]


def test_a_failure_job_that_waited_for_the_next_start_is_expected_from_then() -> None:
    """N4, D9: its S is that start."""
    world = World()
    world.do(Create("f", Definition("f", "true", reporting=UNSCHEDULED)))
    world.settle()
    world.succeed("f")
    world.do(Create("p", Definition("p", "true", schedule=FAR, on_failure_job="f")))
    world.do(Start("p"))
    world.do(Stop())
    world.end("p.1", Exited(1))
    world.crash(600)
    assert late(world) == []
    world.pass_time(11)
    assert len(late(world)) == 1


def test_lateness_goes_on_until_nothing_is_overdue_any_more() -> None:
    """N4: a backlog is told of once, and its end once."""
    world = World()
    world.do(Create("a", expecting(policy=ALL)))
    world.pass_time(30)
    world.crash(600)
    while world.in_progress:
        world.succeed("a")
    assert [news for news, _ in told(world)] == [News.LATE, News.RECOVERY]


def test_who_comes_while_failures_go_on_hears_of_the_next() -> None:
    """Rule N2."""
    world = World()
    schedule = "R/2026-03-01T00:01:00Z/PT1M"
    world.do(Create("a", Definition("a", "true", schedule=schedule)))
    for _ in world.wakes(65):
        world.fail("a")
    world.do(Edit("a", Definition("a", "true", schedule=schedule, reporting=Reporting(HOOK))))
    for _ in world.wakes(600):
        world.fail("a")
    assert told(world) == [(News.FAILURE, "a.2")]
