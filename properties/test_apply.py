"""Changes that are asked for together (rules M10, M11)."""

from collections.abc import Callable

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.definition import Definition, Policy
from kala_trio.core.errors import Conflict, KalaTrioError, NotFound, Outdated, Refused
from kala_trio.core.job import Job, Progress
from kala_trio.core.messages import Apply, Create, Delete, Edit, Start
from kala_trio.core.slots import Limits
from properties.world import LATER, World

OLD, NEW = "abcd", "efg"
IDS = OLD + NEW


def definitions(own: st.SearchStrategy[str]) -> st.SearchStrategy[Definition]:
    """Draw definitions, with a name that others rarely have, that mostly follow jobs of before."""
    others = st.sampled_from([*OLD, *OLD, *IDS])
    return st.builds(
        Definition,
        own.map(str.upper) | st.sampled_from(IDS.upper()),
        st.sampled_from(["true", "false"]),
        disabled=st.booleans(),
        schedule=st.sampled_from(["", LATER, "R//PT10S", "R0/2020-01-01T00:00:00Z/", LATER]),
        parent_jobs=st.just(()) | st.lists(others, max_size=2, unique=True).map(tuple),
        on_failure_job=st.just("") | st.just("") | others,
        file_set=st.sampled_from(["", "s"]),
        policy=st.sampled_from([Policy(), Policy(timeout="PT5M")]),
    ).map(lambda it: replace(it, schedule="") if it.parent_jobs else it)


def some(ids: str, most: int) -> st.SearchStrategy[list[str]]:
    """Draw some of these, rarely one twice."""
    return st.lists(st.sampled_from(ids), max_size=most, unique=True) | st.lists(
        st.sampled_from(ids), max_size=most
    )


@st.composite
def applies(draw: st.DrawFn) -> Apply:
    """Draw changes, of which not all can be made."""
    versions = st.sampled_from([None, None, None, 1, 2])
    created, changed = draw(some(NEW, 2)), draw(some(OLD, 3))
    edited = draw(st.integers(0, len(changed)))
    return Apply(
        tuple(Create(each, draw(definitions(st.just(each)))) for each in created),
        tuple(
            Edit(each, draw(definitions(st.just(each))), draw(versions))
            for each in changed[:edited]
        ),
        tuple(Delete(each, draw(versions)) for each in changed[edited:]),
    )


worlds = st.tuples(*(definitions(st.just(each)) for each in OLD)).map(list)


def peopled(jobs: list[Definition]) -> World:
    """Return a world with those of these jobs that are accepted, of which some are running."""
    world = World()
    for job_id, definition in zip(IDS, jobs, strict=False):
        try:
            world.do(Create(job_id, definition))
        except KalaTrioError:
            continue
    world.advance(10)
    return world


def seen(world: World) -> dict[str, tuple[Job, Progress]]:
    """Return what there is of each job, but for how often it was changed."""
    state = world.scheduler._state
    return {
        job_id: (replace(job, number=0), replace(state.progress[job_id], version=0))
        for job_id, job in state.jobs.items()
    }


def tried(world: World, apply: Apply) -> KalaTrioError | None:
    """Ask for changes; return why they were refused."""
    try:
        world.do(apply)
    except KalaTrioError as error:
        return error
    return None


@given(worlds, applies())
def test_either_all_changes_are_made_or_nothing_has_changed(
    jobs: list[Definition], apply: Apply
) -> None:
    """M10, M11, C5: a scheduler that refused goes on as one that was never asked."""
    worlds = peopled(jobs), peopled(jobs)
    before = {*worlds[0].jobs}
    refusal = tried(worlds[0], apply)
    event(type(refusal).__name__)
    if refusal:
        for world in worlds:
            world.pass_time(25)
            world.check()
        assert worlds[0].log == worlds[1].log
        return
    world = worlds[0]
    assert {*world.jobs} == before - {each.job_id for each in apply.deletes} | {
        each.job_id for each in apply.creates
    }
    for each in apply.changes:
        if not isinstance(each, Delete):
            assert world.jobs[each.job_id].definition == each.definition
    world.settle()
    world.pass_time(25)
    world.check()


@given(worlds, applies())
def test_what_single_requests_may_do_is_done_alike_together(
    jobs: list[Definition], apply: Apply
) -> None:
    """M10: where each of them is accepted in turn, the jobs are as after these."""
    together, in_turn = peopled(jobs), peopled(jobs)
    ids = [each.job_id for each in apply.changes]
    if tried(together, apply):
        return
    for change in apply.changes:
        try:
            in_turn.do(change)
        except KalaTrioError:
            event("not in turn")
            return  # circles, and jobs that name later ones, may be there for a moment
    assert {*ids} & {*together.jobs} == {*ids} & {*in_turn.jobs}
    for world in (together, in_turn):
        world.settle()
    assert seen(together) == seen(in_turn)
    assert sorted(together.started()) == sorted(in_turn.started())


@given(worlds, applies())
def test_no_circle_comes_to_be_and_nothing_points_to_what_is_not_there(
    jobs: list[Definition], apply: Apply
) -> None:
    """M10, D6: whatever the changes lead to, each job's causes can be put before it."""
    world = peopled(jobs)
    tried(world, apply)
    left = {job_id: {*job.definition.parent_jobs} for job_id, job in world.jobs.items()}
    for job_id, job in world.jobs.items():
        assert left[job_id] <= world.jobs.keys()
        if failure_job := job.definition.on_failure_job:
            left[failure_job].add(job_id)
    while first := {job_id for job_id, causes in left.items() if not causes & left.keys()}:
        left = {job_id: causes for job_id, causes in left.items() if job_id not in first}
    assert not left


def job(name: str, *parents: str, failure: str = "", file_set: str = "") -> Definition:
    """Return a definition that does nothing by itself."""
    schedule = "" if parents else LATER
    return Definition(
        *(name, "true"),
        schedule=schedule,
        parent_jobs=parents,
        on_failure_job=failure,
        file_set=file_set,
    )


def family() -> World:
    """Return a world with a job p, its child x, and q, from which z alone has its parent."""
    world = World()
    for job_id, parents in (("p", ""), ("x", "p"), ("q", ""), ("z", "q")):
        world.do(Create(job_id, job(job_id, *parents)))
    return world


def test_changes_may_turn_a_family_around_and_name_later_ones() -> None:
    """M10: only what is there afterwards counts."""
    world = family()
    world.do(
        Apply(
            (Create("b", job("b", "a")), Create("a", job("a", failure="x"))),
            (Edit("p", job("p", "x"), 1), Edit("x", job("x"), 1), Edit("z", job("z", "b"))),
            (Delete("q", 1),),
        )
    )
    world.check()
    assert {name: it.definition.parent_jobs for name, it in world.jobs.items()} == {
        "p": ("x",),
        "x": (),
        "z": ("b",),
        "b": ("a",),
        "a": (),
    }
    world.do(Start("x"))
    world.succeed("x")
    assert world.started() == ["x", "p"]


BAD: list[tuple[Apply, type[KalaTrioError], str]] = [
    (Apply((Create("p", job("y")),)), Conflict, "there is a job 'p' already"),
    (Apply((), (Edit("y", job("y")),)), NotFound, "there is no job 'y'"),
    (Apply((), (), (Delete("y"),)), NotFound, "there is no job 'y'"),
    (Apply((), (Edit("p", job("p"), 2),)), Outdated, "it is at version 1, not 2"),
    (Apply((), (), (Delete("z", 2),)), Outdated, "it is at version 1, not 2"),
    (Apply((), (Edit("z", job("z")),), (Delete("z"),)), Refused, "^id: is changed twice"),
    (Apply((Create("y", job("p")),)), Outdated, "there is another job 'p' by now, 'p'"),
    (Apply((), (Edit("x", job("z")),)), Outdated, "there is another job 'z' by now, 'z'"),
    (Apply((Create("y", job("y")), Create("w", job("y")))), Refused, "^create.1.name: another"),
    (Apply((Create("y", job("y", "w")),)), Refused, "^create.0.parent_jobs: there is no"),
    (Apply((), (Edit("x", job("x", failure="w")),)), Refused, "^edit.0.on_failure_job: there is"),
    (
        Apply((), (Edit("x", job("x", "q")), Edit("z", job("z", "q"))), (Delete("q"),)),
        Refused,
        "^edit.0.parent_jobs: there is no such job, found 'q'",
    ),
    (Apply((), (), (Delete("p"),)), Conflict, "job 'x' .'x'. would be deleted with its parents"),
    (
        Apply((), (Edit("p", job("p", "x")),)),
        Refused,
        "^edit.0.parent_jobs: these jobs lead back to the first of them",
    ),
    (
        Apply((Create("y", job("y", "x", failure="w")), Create("w", job("w", failure="p")))),
        Refused,
        "^create.[01].on_failure_job: these jobs lead back to the first of them",
    ),
    (
        Apply((), (Edit("p", replace(job("p"), schedule="R0/2020-01-01T00:00:00Z/")),)),
        Refused,
        "^edit.0.schedule: cannot be scheduled in the past",
    ),
]


@pytest.mark.parametrize(("apply", "error", "said"), BAD)
def test_changes_one_of_which_can_not_be_made_are_all_refused(
    apply: Apply, error: type[KalaTrioError], said: str
) -> None:
    """M10, M11, D6, M5, S9: and the one at fault is named."""
    world = family()
    before = seen(world)
    with pytest.raises(error, match=said):
        world.do(apply)
    assert seen(world) == before
    world.check()


def test_a_name_may_be_in_several_file_sets_and_change_hands() -> None:
    """M11: it is free when its job is deleted or called otherwise by the same request."""
    world = family()
    world.do(Apply((Create("y", job("p", file_set="web")),)))
    world.do(Apply((Create("w", job("z")),), (Edit("z", job("y")),)))
    world.do(Apply((Create("v", job("p", file_set="web")),), (), (Delete("y"),)))
    with pytest.raises(Outdated):
        world.do(Apply((), (Edit("p", job("p", file_set="web")),)))
    world.check()


def test_ten_thousand_jobs_in_a_row_are_judged_without_recursion() -> None:
    """D7, M10: deeper than any stack."""
    world = World()
    name: Callable[[int], str] = lambda number: f"j{number}"  # noqa: E731
    chain = [Create("j0", job("j0"))]
    chain += [Create(name(each), job(name(each), name(each - 1))) for each in range(1, 10_000)]
    world.do(Apply(tuple(reversed(chain))))
    with pytest.raises(Refused, match="these jobs lead back"):
        world.do(Apply((), (Edit("j0", job("j0", "j9999")),)))
    assert len(world.jobs) == 10_000


def test_changes_that_delete_as_many_as_they_create_fit_where_there_is_no_room() -> None:
    """M9, M10: what counts is how many jobs there are afterwards."""
    world = World(limits=Limits(jobs=2))
    for job_id in "pq":
        world.do(Create(job_id, job(job_id)))
    world.do(Apply((Create("a", job("a")),), (), (Delete("p"),)))
    with pytest.raises(Conflict, match="this would be one more"):
        world.do(Apply((Create("b", job("b")), Create("c", job("c"))), (), (Delete("q"),)))
    assert {*world.jobs} == {"a", "q"}
    world.check()
