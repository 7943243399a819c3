"""The ledgers of a torture, looked up by job, run and attempt."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

from torture.ledgers import (
    Ask,
    Attempt,
    Body,
    Cut,
    Ended,
    Job,
    Killed,
    Ledgers,
    Missed,
    Progress,
    Run,
    Started,
    Trigger,
)

M = TypeVar("M", Started, Ended, Cut, Killed)

Key = tuple[str, int]
"""An attempt's: the id of its run, and its number."""


class Evidence:
    """What the three ledgers say of each job."""

    def __init__(self, ledgers: Ledgers) -> None:
        """Sort what ``ledgers`` hold."""
        store = ledgers.store
        self.ledgers = ledgers
        self.jobs: dict[str, Job] = {each.id: each for each in store.jobs}
        self.progress: dict[str, Progress] = {each.job_id: each for each in store.progress}
        self.runs: dict[str, Run] = {each.id: each for each in store.runs}
        self.attempts: dict[Key, Attempt] = {
            (each.run_id, each.number): each for each in store.attempts
        }
        self.attempts_of: defaultdict[str, list[Attempt]] = defaultdict(list)
        for attempt in store.attempts:
            self.attempts_of[attempt.run_id].append(attempt)
        self.caused_by: defaultdict[str, list[Run]] = defaultdict(list)
        self.runs_of: defaultdict[str, list[Run]] = defaultdict(list)
        for run in sorted(store.runs, key=lambda run: run.number):
            self.runs_of[run.job_id].append(run)
            if run.trigger.source:
                self.caused_by[run.trigger.source].append(run)
        self.missed_of: defaultdict[str, list[Missed]] = defaultdict(list)
        for missed in store.missed:
            self.missed_of[missed.job_id].append(missed)
        self._carried_out: defaultdict[tuple[str, str], list[Ask]] = defaultdict(list)
        for ask in ledgers.asks:
            if ask.may_be_done:
                self._carried_out[ask.job_id, ask.what].append(ask)
        self.created = self._creations()

    def asks(self, *about: str) -> list[Ask]:
        """Return the requests of a kind."""
        return [ask for ask in self.ledgers.asks if ask.what in about]

    def marks(self, kind: type[M]) -> list[M]:
        """Return the marks of a kind."""
        return [mark for mark in self.ledgers.marks if isinstance(mark, kind)]

    def body(self, job_id: str) -> Body:
        """Return what was asked for; nothing, where nobody asked."""
        ask = self.created.get(job_id)
        return ask.body if ask and ask.body else Body("")

    def triggers(self, job_id: str, cause: str) -> list[Trigger]:
        """Return a job's triggers of one cause that became runs or are pending."""
        found = [run.trigger for run in self.runs_of[job_id]]
        progress = self.progress.get(job_id)
        if progress and progress.pending:
            found.append(progress.pending)
        return [trigger for trigger in found if trigger.cause == cause]

    def missed(self, job_id: str, cause: str) -> list[Missed]:
        """Return a job's missed records of one cause."""
        return [each for each in self.missed_of[job_id] if each.cause == cause]

    def carried_out(self, job_id: str, what: str) -> Sequence[Ask]:
        """Return the requests of a kind about a job that were carried out, or may have been."""
        return self._carried_out.get((job_id, what), ())

    def may_be_gone(self, job_id: str, *, by: int | None = None) -> bool:
        """Tell whether its deletion was asked for, or that of all its parents, until ``by``."""
        if any(by is None or ask.sent <= by for ask in self.carried_out(job_id, "delete")):
            return True
        parents = self.body(job_id).parent_jobs
        return bool(parents) and all(self.may_be_gone(each, by=by) for each in parents)

    def _creations(self) -> dict[str, Ask]:
        """Return each job's creation; one that was not answered is known by the job's name."""
        store = self.ledgers.store
        names = {job.name: job.id for job in store.jobs}
        names |= {run.job_name: run.job_id for run in store.runs}
        names |= {missed.job_name: missed.job_id for missed in store.missed}
        found = {}
        for ask in self.asks("create"):
            name = ask.body.name if ask.body else ""
            if job_id := ask.job_id or names.get(name):
                found[job_id] = ask
        return found
