"""Who follows whom: a story for each of the rules D."""

import pytest

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Exited, Lost
from kala_trio.core.messages import (
    Create,
    Delete,
    Disable,
    Start,
)
from properties.world import LATER, World


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


def test_children_are_served_in_the_order_of_attachment_whatever_they_are_called() -> None:
    """D2: a decision that is taken back does not change that order either."""
    world = World()
    world.create("p", LATER)
    for child in ("z", "y", "x"):
        world.create(child, parents=("p",))
    world.scheduler.handle(Delete("z"), world.now)
    world.scheduler.rollback()
    world.do(Start("p"))
    world.succeed("p")
    for child in ("z", "y", "x"):
        world.succeed(child)
    assert world.started() == ["p", "z", "y", "x"]


def test_a_diamond_goes_with_its_top() -> None:
    """D5: what loses one parent after the other, until none is left, is deleted too."""
    world = World()
    world.create("top", LATER)
    for side in ("left", "right"):
        world.create(side, parents=("top",))
    world.create("bottom", parents=("left", "right"))
    world.do(Delete("top"))
    assert not world.jobs


def test_a_lattice_is_searched_once_not_along_each_of_its_paths() -> None:
    """D6, D7: a circle is found, or not, in a graph with more paths than there is time."""
    world = World()
    world.create("0a", LATER)
    world.create("0b", LATER)
    for level in range(1, 200):
        for side in "ab":
            world.create(f"{level}{side}", parents=(f"{level - 1}a", f"{level - 1}b"))
    world.create("other", LATER)
    world.create("child", parents=("other",), failure="0a")
    with pytest.raises(Refused, match="circle"):
        world.create("loop", parents=("199b",), failure="0a")
