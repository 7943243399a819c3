"""The jobs of a running Kala, as its ``GET /api/v1/job/`` shows them, to the jobs of a file."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from kala_trio import bodies
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import Job
from kala_trio.core.occurrences import first_occurrence
from kala_trio.job_files.plan import Keys
from kala_trio.job_files.writer import Draft, unusual_keys
from kala_trio.keys import READERS
from kala_trio.templates import accepted
from kala_trio.wire import NEVER

_EXAMPLE = 'curl http://127.0.0.1:8000/api/v1/job/, which gives {"jobs": {"<id>": {…}}}'


def draft_of_kala(text: bytes, at: datetime) -> Draft:
    """Return the jobs of a Kala, parents first, as accepted at ``at``.

    Raises:
        Refused: ``text`` is not what Kala shows.
    """
    try:
        jobs = msgspec.json.decode(text)["jobs"]
        told = {str(job_id): {**job} for job_id, job in jobs.items()}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        problem = "is not what a Kala shows of its jobs"
        raise Refused("FILE", problem, found=text[:80], example=_EXAMPLE) from None
    return _Kala(told, at).draft()


class _Kala:
    def __init__(self, told: Mapping[str, Keys], at: datetime) -> None:
        self._told = told
        self._at = at
        self._remarks: list[str] = []

    def draft(self) -> Draft:
        taken: dict[str, Keys] = {}
        for job_id in self._in_order():
            try:
                taken[job_id] = self._taken(job_id, taken)
            except Refused as error:
                self._remark(job_id, f"is not carried over: {error}")
        names = self._names(taken)
        for job in taken.values():
            if job.get("on_failure_job") not in (None, "", *taken):
                self._remark(job["id"], "has no on_failure_job any more, which is not carried over")
                job["on_failure_job"] = ""
        jobs = {names[job_id]: unusual_keys(job, names) for job_id, job in taken.items()}
        return Draft(jobs, tuple(self._remarks))

    def _remark(self, job_id: str, sentence: str) -> None:
        name = str(self._told[job_id].get("name", ""))
        self._remarks.append(f"job {job_id} ({name[:100]!r}) {sentence}")

    def _in_order(self) -> list[str]:
        """Return all ids, by their names, parents before their children."""
        waiting = sorted(self._told, key=lambda each: (str(self._told[each].get("name")), each))
        order: dict[str, None] = {}
        while waiting:
            ready = [
                job_id
                for job_id in waiting
                if all(each in order or each not in self._told for each in self._parents(job_id))
            ] or waiting
            order |= dict.fromkeys(ready)
            waiting = [job_id for job_id in waiting if job_id not in order]
        return [*order]

    def _parents(self, job_id: str) -> list[str]:
        parents = self._told[job_id].get("parent_jobs")
        return [str(each) for each in parents] if isinstance(parents, list) else []

    def _taken(self, job_id: str, before: Mapping[str, Keys]) -> Keys:
        """Return a job as kala-trio would show it; raises Refused."""
        told = self._told[job_id]
        parents = self._parents(job_id)
        job: Keys = {"id": job_id}
        for written, value in told.items():
            key = bodies.OTHER_NAMES.get(written, written)
            if key in READERS or key == "type":
                job[key] = value
            elif key not in bodies.READ_ONLY and value not in (None, "", 0, False, [], {}):
                self._remark(job_id, f"has {key[:50]}, which is not carried over")
        left = [each for each in parents if each in before]
        if left != parents:
            if not left:
                problem = "none of them is carried over"
                raise Refused("parent_jobs", problem, found=parents, example="one that is")
            self._remark(job_id, "loses parents that are not carried over")
        job["parent_jobs"] = left
        definition = accepted(bodies.definition_of(job), self._at)
        self._check_what_is_left(told, definition)
        return job

    def _check_what_is_left(self, told: Keys, definition: Definition) -> None:
        if definition.schedule or definition.parent_jobs:
            first_occurrence(Job("", 0, self._at, definition))
            return
        metadata = told.get("metadata")
        seen = metadata if isinstance(metadata, dict) else told
        ran = seen.get("last_attempted_run", NEVER) != NEVER
        if ran or told.get("is_done"):
            problem = "it has run, and without a schedule it would once more as soon as it is there"
            raise Refused("schedule", problem, found="", example='"R0/2030-01-01T09:00:00Z/"')

    def _names(self, taken: Mapping[str, Keys]) -> dict[str, str]:
        """Return a name for each, another one where several have it."""
        names: dict[str, str] = {}
        for job_id, job in taken.items():
            name = job["name"]
            if name in names.values():
                name = f"{name} {job_id[:8]}"
                self._remark(job_id, f"is called {name[:120]!r} here, since another has its name")
            names[job_id] = name
        return names
