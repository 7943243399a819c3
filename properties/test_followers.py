"""Who follows whom, where there are many ways from one job to another: rules D2, D5 and D6."""

import pytest

from kala_trio.core.errors import Refused
from kala_trio.core.messages import Delete, Start
from properties.world import LATER, World


def test_the_order_of_attachment_is_not_that_of_the_ids() -> None:
    """D2: the first child is the one that was created first, whatever it is called."""
    world = World()
    world.create("p", LATER)
    for child in ("z", "a", "m"):
        world.create(child, parents=("p",))
    world.do(Start("p"))
    for job_id in ("p", "z", "a", "m"):
        world.succeed(job_id)
    assert world.started() == ["p", "z", "a", "m"]


def test_a_child_whose_parents_all_go_at_once_goes_too() -> None:
    """D5: it has no parent left, though each of them went for the sake of another."""
    world = World()
    world.create("top", LATER)
    world.create("left", parents=("top",))
    world.create("right", parents=("top",))
    world.create("both", parents=("left", "right"))
    world.create("elsewhere", LATER)
    world.create("kept", parents=("right", "elsewhere"))
    world.do(Delete("top"))
    assert [*world.jobs] == ["elsewhere", "kept"]
    assert world.jobs["kept"].definition.parent_jobs == ("elsewhere",)


def test_no_circle_is_looked_for_along_each_of_many_ways() -> None:
    """D6, D7: forty forks in a row are a billion ways and more, which must not take longer."""
    world = World()
    world.create("j0", LATER)
    for floor in range(40):
        world.create(f"l{floor}", parents=(f"j{floor}",))
        world.create(f"r{floor}", parents=(f"j{floor}",))
        world.create(f"j{floor + 1}", parents=(f"l{floor}", f"r{floor}"))
    world.create("other", LATER)
    world.create("child", parents=("other",), failure="j0")
    with pytest.raises(Refused) as refusal:
        world.create("circle", parents=("j40",), failure="j0")
    assert refusal.value.field == "on_failure_job"
    assert "circle" not in world.jobs
