"""Where a simulation begins: jobs of files under ids that are the same each time."""

from collections.abc import Sequence
from graphlib import TopologicalSorter
from hashlib import blake2b
from uuid import UUID

from msgspec.structs import replace

from kala_trio.core.errors import Refused
from kala_trio.core.messages import Create
from kala_trio.job_files.document import Mistakes, Problem
from kala_trio.job_files.reader import FileJob
from kala_trio.simulation.play import Simulation


def create_all(simulation: Simulation, jobs: Sequence[FileJob], seed: str) -> None:
    """Create the jobs of some files now, each after those that it names.

    Their ids, of which jitter follows (rules S16, A6), follow from ``seed`` and their names.

    Raises:
        Mistakes: what is refused of them, each with its line.
    """
    by_name = {job.name: job for job in jobs}
    ids = {name: _id_of(name, seed) for name in by_name}
    named = {name: [each for each in _named(job) if each in ids] for name, job in by_name.items()}
    problems: dict[str, Problem | None] = {}
    for name in TopologicalSorter(named).static_order():
        if problems.keys() & {*named[name]}:
            problems[name] = None  # it is no fault of its own
            continue
        definition = by_name[name].definition
        parents = tuple(ids.get(each, each) for each in definition.parent_jobs)
        heir = ids.get(definition.on_failure_job, definition.on_failure_job)
        definition = replace(definition, parent_jobs=parents, on_failure_job=heir)
        try:
            simulation.do(Create(ids[name], definition))
        except Refused as error:
            problems[name] = by_name[name].problem(error)
    if problems:
        raise Mistakes(*filter(None, problems.values()))


def _named(job: FileJob) -> tuple[str, ...]:
    return (*job.definition.parent_jobs, job.definition.on_failure_job)


def _id_of(name: str, seed: str) -> str:
    return str(UUID(bytes=blake2b(f"{seed} {name}".encode(), digest_size=16).digest()))
