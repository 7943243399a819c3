"""Where a simulation begins: jobs of files, under ids that are the same each time."""

from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.messages import Apply, Create
from kala_trio.job_files.document import Mistakes
from kala_trio.job_files.reader import FileJob
from kala_trio.simulation.play import Simulation


def create_all(simulation: Simulation, jobs: Sequence[FileJob], seed: str) -> None:
    """Create the jobs of some files now, in their order, as if they were applied to no others.

    Their ids, of which jitter follows (rules S16, A6), follow from ``seed`` and their names.

    Raises:
        Mistakes: one is refused; with its line.
    """
    ids = {job.name: _id_of(job.name, seed) for job in jobs}
    creates = tuple(Create(ids[job.name], _with_ids(job, ids)) for job in jobs)
    try:
        simulation.do(Apply(creates))
    except Refused as error:
        _, position, field = error.field.split(".", 2)
        own = Refused(field, error.problem, found=error.found, example=error.example)
        raise Mistakes(jobs[int(position)].problem(own)) from None


def _id_of(name: str, seed: str) -> str:
    return str(UUID(bytes=blake2b(f"{seed} {name}".encode(), digest_size=16).digest()))


def _with_ids(job: FileJob, ids: dict[str, str]) -> Definition:
    """Return a definition in which other jobs go by their ids."""
    it = job.definition
    parents = tuple(ids.get(each, each) for each in it.parent_jobs)
    return replace(
        it, parent_jobs=parents, on_failure_job=ids.get(it.on_failure_job, it.on_failure_job)
    )
