"""What can be said against changes before any is made: against one, and against many at once."""

from collections.abc import Iterator
from itertools import pairwise

from msgspec.structs import replace

from kala_trio.core.checks.secrecy import with_kept
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Conflict, Outdated, Refused
from kala_trio.core.graph import circle, no_such_job
from kala_trio.core.job import Job
from kala_trio.core.messages import Apply, Create, Delete
from kala_trio.core.occurrences import first_occurrence, is_scheduled, is_timed_alike
from kala_trio.core.state import State


def check_version(state: State, job_id: str, version: int | None) -> None:
    """Refuse to change a job that is not as it was when it was read (rule M5); None is any.

    Raises:
        NotFound: there is no such job.
        Outdated: it is at another version.
    """
    state.job(job_id)
    found = state.progress[job_id].version
    if version not in (None, found):
        raise Outdated(
            f"job {job_id!r} was changed since it was read: it is at version {found}, not "
            f"{version}; read it again, and change that"
        )


def check_all(state: State, apply: Apply) -> Apply:
    """Return changes with the secrets that they leave as they are in their places (rule K2).

    They are judged by what the jobs would be after all of them.

    Raises:
        Refused, NotFound, Conflict, Outdated: by rules M10 and M11.
    """
    outlook = _Outlook(state, apply)
    outlook.check()
    return outlook.changes()


class _Outlook:
    """The jobs as they would be: those that change in ``after``, the others as they are."""

    def __init__(self, state: State, apply: Apply) -> None:
        self._state = state
        self._apply = apply
        self._gone = {each.job_id for each in apply.deletes}
        self._after = {
            each.job_id: each.definition for each in apply.changes if not isinstance(each, Delete)
        }

    def check(self) -> None:
        self._check_jobs()
        self._keep_secrets()
        self._check_names()
        for where, job_id in self._places():
            try:
                self._check_edges(self._after[job_id])
                self._check_schedule(job_id)
            except Refused as error:
                raise error.within(where) from None
        self._check_deletions()
        self._check_circles()

    def changes(self) -> Apply:
        apply, after = self._apply, self._after
        return Apply(
            tuple(replace(each, definition=after[each.job_id]) for each in apply.creates),
            tuple(replace(each, definition=after[each.job_id]) for each in apply.edits),
            apply.deletes,
        )

    def _keep_secrets(self) -> None:
        for where, job_id in self._places():
            job = self._state.jobs.get(job_id)
            before = job.definition if job else None
            try:
                self._after[job_id] = with_kept(self._after[job_id], before)
            except Refused as error:
                raise error.within(where) from None

    def _places(self) -> Iterator[tuple[str, str]]:
        """Yield each job that has a new definition, with its place in the request."""
        for position, create in enumerate(self._apply.creates):
            yield f"create.{position}", create.job_id
        for position, edit in enumerate(self._apply.edits):
            yield f"edit.{position}", edit.job_id

    def _check_jobs(self) -> None:
        """See to it that each job is there, or not, and as it was read."""
        seen: set[str] = set()
        for change in self._apply.changes:
            if not isinstance(change, Create):
                check_version(self._state, change.job_id, change.version)
            elif change.job_id in self._state.jobs:
                raise Conflict(f"there is a job {change.job_id!r} already")
            if change.job_id in seen:
                problem = "is changed twice in one request"
                raise Refused("id", problem, found=change.job_id, example="one change of each job")
            seen.add(change.job_id)

    def _check_names(self) -> None:
        """See to it that no job comes to a name that another one of its file set has (M11)."""
        state = self._state
        coming = [
            (where, job_id)
            for where, job_id in self._places()
            if job_id not in state.jobs
            or _name(state.jobs[job_id].definition) != _name(self._after[job_id])
        ]
        wanted = {self._after[job_id].name for _, job_id in coming}
        leaving = self._gone | {job_id for _, job_id in coming}
        # Of many jobs few have such a name: to look at that alone is quick.
        taken = {
            _name(job.definition): job_id
            for job_id, job in (state.jobs.items() if wanted else ())
            if job.definition.name in wanted and job_id not in leaving
        }
        others = {*taken.values()}
        for where, job_id in coming:
            name = _name(self._after[job_id])
            other = taken.setdefault(name, job_id)
            if other in others:
                raise Outdated(
                    f"there is another job {name[1][:120]!r} by now, {other!r}: read it, and "
                    "change that"
                )
            if other != job_id:
                problem = "another job in this request has this name, too"
                raise Refused(f"{where}.name", problem, found=name[1], example="a name for each")

    def _check_edges(self, definition: Definition) -> None:
        for parent in definition.parent_jobs:
            if not self._is_there(parent):
                raise no_such_job("parent_jobs", parent)
        failure_job = definition.on_failure_job
        if failure_job and not self._is_there(failure_job):
            raise no_such_job("on_failure_job", failure_job)

    def _is_there(self, job_id: str) -> bool:
        return job_id in self._after or (job_id in self._state.jobs and job_id not in self._gone)

    def _check_schedule(self, job_id: str) -> None:
        """Refuse what has no occurrence left (rule S9), if it is to start anew."""
        definition = self._after[job_id]
        job = self._state.jobs.get(job_id)
        if job is None:
            first_occurrence(Job(job_id, 0, self._state.now, definition))
        elif not is_timed_alike(job, definition) and is_scheduled(definition):
            now = self._state.now
            first_occurrence(replace(job, definition=definition, rescheduled_at=now))

    def _check_deletions(self) -> None:
        """See to it that nothing goes with what is deleted, but for what is, too (rule D5)."""
        state = self._state
        for gone in self._gone:
            for child in state.children_of(gone):
                if child in self._gone or child in self._after:
                    continue
                if self._gone.issuperset(state.jobs[child].definition.parent_jobs):
                    name = state.jobs[child].definition.name
                    raise Conflict(
                        f"job {child!r} ({name[:120]!r}) would be deleted with its parents; delete "
                        "it, too, or give it another parent"
                    )

    def _check_circles(self) -> None:
        """Refuse a circle (rule D6), which has a changed job in it: before there was none."""
        found = circle(self._causes())
        for cause, effect in pairwise(found):
            child, failing = self._after.get(effect), self._after.get(cause)
            if child and cause in child.parent_jobs:
                job_id, field = effect, "parent_jobs"
            elif failing and failing.on_failure_job == effect:
                job_id, field = cause, "on_failure_job"
            else:
                continue
            where = next(place for place, each in self._places() if each == job_id)
            raise Refused(
                f"{where}.{field}",
                "these jobs lead back to the first of them, which would close a circle",
                found=" → ".join(found),
                example="the id of a job that this job does not trigger",
            )

    def _causes(self) -> dict[str, list[str]]:
        """Return of the changed jobs, and of all that lead to them, what triggers each."""
        failing: dict[str, list[str]] = {}
        for job_id, definition in self._after.items():
            failing.setdefault(definition.on_failure_job, []).append(job_id)
        causes: dict[str, list[str]] = {}
        waiting = [*self._after]
        for job_id in waiting:  # grows while it is walked
            if job_id not in causes:
                as_they_are = set(self._state.failing_into(job_id)) - self._after.keys()
                causes[job_id] = [
                    *self._definition(job_id).parent_jobs,
                    *sorted(as_they_are - self._gone),
                    *failing.get(job_id, ()),
                ]
                waiting += causes[job_id]
        return causes

    def _definition(self, job_id: str) -> Definition:
        after = self._after.get(job_id)
        return after or self._state.jobs[job_id].definition


def _name(definition: Definition) -> tuple[str, str]:
    return definition.file_set, definition.name
