"""What the scheduler knows: what is recorded of a change, and what is left of one undone."""

from datetime import UTC, datetime

from kala_trio.core.definition import Definition
from kala_trio.core.job import Job, Progress
from kala_trio.core.messages import ForgetJob, Keep
from kala_trio.core.state import State

START = datetime(2026, 3, 1, tzinfo=UTC)


def job(job_id: str, number: int, *parents: str) -> Job:
    """Return a job that follows ``parents``."""
    return Job(job_id, number, START, Definition(job_id, "true", parent_jobs=parents))


def test_of_each_value_the_last_is_recorded_and_recorded_once() -> None:
    """C1: what is made durable is where things stand, not how they came to."""
    state = State()
    state.keep(job("a", 1))
    state.keep(Progress("a", False))
    state.keep(Progress("a", True))
    assert state.take_commands() == [Keep(job("a", 1)), Keep(Progress("a", True))]
    assert state.take_commands() == []


def test_nothing_is_recorded_of_a_job_after_it_was_forgotten() -> None:
    """C1: else a deleted job's progress would be made durable, and would belong to nobody."""
    state = State()
    state.keep(job("a", 1))
    state.keep(Progress("a", False))
    state.forget_job("a")
    assert state.take_commands() == [ForgetJob("a")]


def test_what_is_undone_is_neither_known_nor_recorded() -> None:
    """C1: after a failed commit the state is that of the last one, whatever it was."""
    state = State()
    for each in (job("a", 1), job("b", 2, "a"), Progress("a", False), Progress("b", False)):
        state.keep(each)
    state.take_commands()
    state.committed()
    state.keep(job("c", 3, "a"))
    state.keep(Progress("c", False))
    state.keep(Progress("b", True))
    state.forget_job("b")
    assert state.children_of("a") == ("c",)
    state.rollback()
    assert state.take_commands() == []
    assert state.jobs == {"a": job("a", 1), "b": job("b", 2, "a")}
    assert state.progress == {"a": Progress("a", False), "b": Progress("b", False)}
    assert state.children_of("a") == ("b",)


def test_what_came_before_a_mark_is_not_undone_with_what_came_after() -> None:
    """D6: a list of which one job is refused takes nothing along that was decided before."""
    state = State()
    state.keep(job("a", 1))
    state.take_commands()
    mark = state.mark()
    state.keep(job("b", 2, "a"))
    state.rollback(mark)
    assert (state.jobs, state.children_of("a")) == ({"a": job("a", 1)}, ())
    state.rollback()
    assert state.jobs == {}


def test_a_job_follows_only_those_that_its_latest_definition_names() -> None:
    """D5: one whose parent goes follows its other parents as before."""
    state = State()
    state.keep(job("c", 3, "a", "b"))
    state.keep(job("c", 3, "b"))
    assert (state.children_of("a"), state.children_of("b")) == ((), ("c",))


def test_nothing_is_left_of_who_follows_jobs_that_are_gone() -> None:
    """C1: so that what is known does not grow with all the jobs that there ever were."""
    state = State()
    state.keep(job("a", 1))
    state.keep(Job("b", 2, START, Definition("b", "true", on_failure_job="a")))
    state.keep(job("c", 3, "a"))
    assert state.pointing_at("a") == ["c", "b"]
    assert state.pointing_at("") == []
    for job_id in ("b", "c", "a"):
        state.keep(Progress(job_id, False))
        state.forget_job(job_id)
    state.committed()
    assert (state._children, state._heirs) == ({}, {})
