"""A ledger, looked up by job, run and attempt."""

from collections import defaultdict

from kala_trio.core.definition import Definition
from kala_trio.core.job import Attempt, Job, Missed, Progress, Run, Trigger
from kala_trio.core.messages import Create, ForgetJob, Keep, Snapshot
from properties.ledger import Commit, Ledger, Opened


class Story:
    """A ledger, looked up by job, run and attempt; of each, what was committed, in that order."""

    def __init__(self, ledger: Ledger) -> None:
        """Read ``ledger``, which was played to its end."""
        assert ledger.closed
        self.ledger = ledger
        self.closed: Opened = ledger.closed
        self.openings = [*ledger.opened, ledger.closed]
        self.kept = [each for each in ledger.commits if each.kept_at is not None]
        self.definitions: dict[str, Definition] = {}
        for asked in ledger.asks:
            if isinstance(asked.request, Create):
                self.definitions[asked.request.job_id] = asked.request.definition
        self.jobs: dict[str, Job] = {}
        self.job_commits: dict[str, int] = {}
        self.runs: dict[str, Run] = {}
        self.run_ends: dict[str, int] = {}
        self.starts: dict[tuple[str, int], list[tuple[Commit, Attempt]]] = defaultdict(list)
        self.ends: dict[tuple[str, int], list[tuple[Commit, Attempt]]] = defaultdict(list)
        self.missed: dict[tuple[str, int], Missed] = {}
        for index, commit in enumerate(self.kept):
            self._read(index, commit)

    def _read(self, index: int, commit: Commit) -> None:
        for record in commit.records:
            match record:
                case Keep(Job() as job):
                    self.jobs.setdefault(job.id, job)
                    self.job_commits.setdefault(job.id, index)
                case Keep(Run() as run):
                    self.runs[run.id] = run
                    if run.outcome:
                        self.run_ends.setdefault(run.id, index)
                case Keep(Attempt(result=None) as attempt):
                    self.starts[attempt.run_id, attempt.number].append((commit, attempt))
                case Keep(Attempt() as attempt):
                    self.ends[attempt.run_id, attempt.number].append((commit, attempt))
                case Keep(Missed() as missed):
                    self.missed[missed.job_id, missed.number] = missed

    def misses(self, job_id: str) -> list[Missed]:
        """Return what a job missed."""
        return [each for each in self.missed.values() if each.job_id == job_id]

    def runs_of(self, job_id: str) -> list[Run]:
        """Return a job's runs."""
        return [each for each in self.runs.values() if each.job_id == job_id]

    def left_pending(self, life: int) -> dict[str, Trigger]:
        """Return the triggers that were pending, by the records, when ``life`` began."""
        left: dict[str, Trigger | None] = {}
        for commit in self.kept:
            if commit.life < life:
                for record in commit.records:
                    match record:
                        case Keep(Progress() as progress):
                            left[progress.job_id] = progress.pending
                        case ForgetJob(job_id):
                            left.pop(job_id, None)
        return {job_id: trigger for job_id, trigger in left.items() if trigger}

    def pending(self, snapshot: Snapshot) -> dict[str, Trigger]:
        """Return the pending triggers of a snapshot, by job."""
        return {each.job_id: each.pending for each in snapshot.progress if each.pending}
