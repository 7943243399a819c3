"""When a job is expected to succeed, and what is told if it does not: rule N4, case by case."""

import pytest

from kala_trio.core.definition import CatchUp, Definition, News, Overlap, Policy, Reporting
from kala_trio.core.job import Channel, Exited, Standing
from kala_trio.core.messages import Create, Disable, Edit, Enable, Start, Stop
from properties.test_notices import FAR, HOOK, told
from properties.world import START, World


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
