"""Who follows whom: parents, children, failure jobs; circles, and what goes with a deletion."""

from collections import deque

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.state import State


def check_edges(state: State, definition: Definition) -> None:
    """Refuse a new job's unknown parents or failure job, and any circle it would close (rule D6).

    A new job has no followers yet, so only its failure job can lead back to its parents.

    Raises:
        Refused: naming ``parent_jobs`` or ``on_failure_job``.
    """
    example = "the id of a job that GET /api/v1/job/ lists"
    for parent in definition.parent_jobs:
        if parent not in state.jobs:
            raise Refused("parent_jobs", "there is no such job", found=parent, example=example)
    failure_job = definition.on_failure_job
    if not failure_job:
        return
    if failure_job not in state.jobs:
        raise Refused("on_failure_job", "there is no such job", found=failure_job, example=example)
    parents = definition.parent_jobs
    if parents and not _followers_of(state, failure_job).isdisjoint(parents):
        raise Refused(
            "on_failure_job",
            "it leads back to a parent of this job, which would close a circle",
            found=failure_job,
            example="the id of a job that triggers none of this job's parents",
        )


def _followers_of(state: State, origin: str) -> set[str]:
    """Return all jobs that one leads to, itself included."""
    seen = {origin}
    waiting = deque(seen)
    while waiting:
        job_id = waiting.popleft()
        failure_job = state.jobs[job_id].definition.on_failure_job
        followers = {*state.children_of(job_id), *([failure_job] if failure_job else [])}
        waiting.extend(followers - seen)
        seen |= followers
    return seen


def deleted_with(state: State, job_id: str) -> list[str]:
    """List the jobs that go when ``job_id`` goes, itself first: children left alone (rule D5)."""
    gone = [job_id]
    parents_left: dict[str, int] = {}
    for each in gone:  # grows while it is walked
        for child in state.children_of(each):
            left = parents_left.get(child, len(state.jobs[child].definition.parent_jobs)) - 1
            parents_left[child] = left
            if not left:
                gone.append(child)
    return gone
