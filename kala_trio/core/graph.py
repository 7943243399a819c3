"""Who follows whom: parents, children, failure jobs; circles, and what goes with a deletion."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import Job
from kala_trio.core.state import State


def check_edges(state: State, definition: Definition, edited: Job | None = None) -> None:
    """Refuse unknown parents or failure jobs, and any circle that would be closed (rule D6).

    ``edited`` is the job that is to have this definition, None for a new one.

    Raises:
        Refused: naming ``parent_jobs`` or ``on_failure_job``.
    """
    parents, failure_job = definition.parent_jobs, definition.on_failure_job
    for parent in parents:
        if parent not in state.jobs:
            raise no_such_job("parent_jobs", parent)
    if failure_job and failure_job not in state.jobs:
        raise no_such_job("on_failure_job", failure_job)
    job_id = edited.id if edited else ""
    entrances = {job_id, *parents, *state.failing_into(job_id)}
    if failure_job and not entrances.isdisjoint(_reached(state, [failure_job], job_id)):
        raise Refused(
            "on_failure_job",
            "it leads back to this job or to a parent of it, which would close a circle",
            found=failure_job,
            example="the id of a job that triggers neither this job nor any of its parents",
        )
    if edited:
        reached = _reached(state, state.children_of(job_id), job_id) | {job_id}
        for parent in parents:
            if parent in reached:
                raise Refused(
                    "parent_jobs",
                    "this job leads to it, which would close a circle",
                    found=parent,
                    example="the id of a job that this job does not trigger",
                )


def circle(causes: Mapping[str, Iterable[str]]) -> list[str]:
    """Return jobs that lead to each other, the first and the last the same; none if none do.

    ``causes`` are for each job those that trigger it, whether by success or by failure.
    """
    try:
        TopologicalSorter(causes).prepare()
    except CycleError as error:
        return [*error.args[1]]
    return []


def no_such_job(field: str, found: str) -> Refused:
    """Return the refusal of an id that no job has."""
    example = "the id of a job that GET /api/v1/job/ lists"
    return Refused(field, "there is no such job", found=found, example=example)


def _reached(state: State, origins: Iterable[str], end: str) -> set[str]:
    """Return all jobs that these lead to, themselves included, without going on from ``end``."""
    reached = set(origins)
    waiting = deque(reached)
    while waiting:
        job_id = waiting.popleft()
        if job_id == end:
            continue
        failure_job = state.jobs[job_id].definition.on_failure_job
        # What leads to the end is about to change: it is looked at apart.
        followers = {*state.children_of(job_id), failure_job} - {"", end}
        waiting.extend(followers - reached)
        reached |= followers
    return reached


def deleted_with(
    job_id: str, children_of: Callable[[str], Iterable[str]], count_parents: Callable[[str], int]
) -> list[str]:
    """List the jobs that go when ``job_id`` goes, itself first: children left alone (rule D5)."""
    gone = [job_id]
    parents_left: dict[str, int] = {}
    for each in gone:  # grows while it is walked
        for child in children_of(each):
            left = (parents_left[child] if child in parents_left else count_parents(child)) - 1
            parents_left[child] = left
            if not left:
                gone.append(child)
    return gone
