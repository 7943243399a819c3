"""What surrounds a scheduler, played by dicts: the store, and attempts that end when told to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from kala_trio.core.definition import Definition, Overlap, Policy
from kala_trio.core.job import Cause, Exited, Job, Lost, Progress, Queue, Result, Stopped, Trigger
from kala_trio.core.messages import (
    AttemptEnded,
    AwaitOrphan,
    Command,
    Create,
    Keep,
    StartAttempt,
    Stop,
)
from kala_trio.core.occurrences import schedule_of
from kala_trio.core.slots import Limits
from kala_trio.simulation.virtual import VirtualDaemon

START = datetime(2026, 3, 1, tzinfo=UTC)
UNLIMITED = Limits()
LATER = "R/2999-01-01T00:00:00Z/P1D"


class World(VirtualDaemon):
    """A scheduler, and all that it has decided so far.

    ``now`` is its wall clock. ``in_progress`` holds the attempts that were started and have not
    ended, by run id; ``starts`` counts how often each attempt was started; ``first`` is the
    number of a job's first occurrence whose fate counts; ``cut_off`` names the runs that the last
    crash found in progress.
    """

    def __init__(self, now: datetime = START, limits: Limits = UNLIMITED) -> None:
        """Begin with an empty store."""
        super().__init__(now, limits)
        self.in_progress: dict[str, int] = {}
        self.starts: Counter[tuple[str, int]] = Counter()
        self.first: dict[str, int] = {}
        self.cut_off: list[str] = []
        self.log: list[Command] = []

    def create(
        self,
        job_id: str,
        schedule: str = "",
        *,
        time_zone: str = "",
        parents: tuple[str, ...] = (),
        failure: str = "",
        retries: int = 0,
        epsilon: str = "",
        disabled: bool = False,
        resume: bool = False,
        rerun: bool = False,
    ) -> None:
        """Create a job and serve what is due."""
        definition = Definition(
            job_id,
            "true",
            disabled=disabled,
            schedule=schedule,
            time_zone=time_zone,
            parent_jobs=parents,
            on_failure_job=failure,
            retries=retries,
            epsilon=epsilon,
            resume_at_next_scheduled_time=resume,
            rerun_lost=rerun,
        )
        self.do(Create(job_id, definition))
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass unwatched, and then look once."""
        self.now += timedelta(seconds=seconds)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, looking at each instant at which the scheduler wants to."""
        for _ in self.wakes(seconds):
            pass

    def wakes(self, seconds: float) -> Iterator[datetime]:
        """Let time pass, yielding each instant at which the scheduler looked, once it has."""
        end = self.now + timedelta(seconds=seconds)
        while (wake := self.scheduler.next_wake()) and wake <= end:
            self.now = max(self.now, wake)
            self.settle()
            yield self.now
        self.now = end

    def end(self, run_id: str, result: Result | None = None) -> None:
        """Let the attempt in progress of a run end now; with success, if nothing else is said."""
        number = self.in_progress.pop(run_id)
        started_at = self.attempts[run_id, number].started_at
        self.do(AttemptEnded(run_id, number, started_at, self.now, result or Exited(0)))
        self.settle()

    def succeed(self, job_id: str) -> None:
        """Let the run in progress of a job succeed."""
        self.end(self._run_of(job_id), Exited(0))

    def fail(self, job_id: str) -> None:
        """Let the attempt in progress of a job fail."""
        self.end(self._run_of(job_id), Exited(1))

    def _run_of(self, job_id: str) -> str:
        (run_id,) = (each for each in self.in_progress if each.rpartition(".")[0] == job_id)
        return run_id

    def crash(self, downtime: float = 0, *, orphans: bool = False) -> None:
        """Die and start again; attempts in progress die too, unless they live on as orphans."""
        self.now += timedelta(seconds=downtime)
        before = len(self.log)
        self.restart()
        found = {each.run.id for each in self.log[before:] if isinstance(each, AwaitOrphan)}
        self.cut_off = sorted(self.in_progress)
        assert found == set(self.cut_off)
        self.settle()
        if not orphans:
            for run_id in self.cut_off:
                self.end(run_id, Lost())

    def stop(self, *, finish: bool = True) -> None:
        """Stop, with attempts that end by themselves or are stopped, and start again."""
        self.do(Stop())
        self.settle()
        while self.in_progress:
            self.end(next(iter(self.in_progress)), Exited(0) if finish else Stopped())
        self.crash()

    def started(self) -> list[str]:
        """Return the jobs whose runs were started so far, in that order."""
        acts = (each for each in self.log if isinstance(each, StartAttempt))
        return [act.run.job_id for act in acts if act.number == 1]

    def outcomes(self, job_id: str) -> list[str | None]:
        """Return how a job's runs ended, oldest first; None for one in progress."""
        return [run.outcome for run in self.runs.values() if run.job_id == job_id]

    def misses(self, job_id: str) -> list[tuple[str, int]]:
        """Return the reasons and counts of a job's missed records, oldest first."""
        records = [each for each in self.missed.values() if each.job_id == job_id]
        return [(each.reason, each.count) for each in sorted(records, key=lambda it: it.number)]

    def missed_occurrences(self, job_id: str) -> list[tuple[str, int, datetime, datetime]]:
        """Return the records of a job's missed occurrences, oldest first."""
        records = [each for key, each in sorted(self.missed.items()) if key[0] == job_id]
        return [
            (each.reason, each.count, each.first, each.last)
            for each in records
            if each.cause is Cause.OCCURRENCE
        ]

    def other_misses(self, job_id: str) -> list[tuple[str, str]]:
        """Return cause and reason of each other trigger that was missed."""
        records = [each for each in self.missed.values() if each.job_id == job_id]
        others = [each for each in records if each.cause is not Cause.OCCURRENCE]
        return sorted(
            (each.cause.value, each.reason.value) for each in others for _ in range(each.count)
        )

    def take(self, commands: Sequence[Command]) -> None:
        """Note what was decided, and keep it."""
        self.log += commands
        super().take(commands)
        for command in commands:
            match command:
                case Keep(Progress() as progress):
                    first = progress.next.number if progress.next else 0
                    self.first.setdefault(progress.job_id, first)
                case StartAttempt():
                    assert self.attempts[command.run.id, command.number].result is None  # C2
                    self.in_progress[command.run.id] = command.number
                    self.starts[command.run.id, command.number] += 1
                case _:
                    pass

    def check(self) -> None:
        """Hold what must be true after every event."""
        self._check_store()
        self._check_runs()
        for job in self.jobs.values():
            self._check_occurrences(job)
        for queue in self.queues.values():
            self._check_queue(queue)

    def _check_store(self) -> None:
        """What is stored and what is known are the same (C1)."""
        state = self.scheduler._state
        assert state.jobs == self.jobs
        assert state.progress == self.progress
        assert state.queues == self.queues
        assert state.runs == {run.id: run for run in self.runs.values() if run.outcome is None}
        open_attempts = {each.run_id: each for each in self.attempts.values() if not each.result}
        assert state.attempts == open_attempts
        assert {run_id: each.number for run_id, each in open_attempts.items()} == self.in_progress

    def _check_runs(self) -> None:
        """No attempt starts twice (C2), and no job has more runs at once than it may (L1, L10)."""
        assert set(self.starts.values()) <= {1}
        for job_id, progress in self.progress.items():
            runs = [run for run in self.runs.values() if run.job_id == job_id]
            assert {*progress.running} == {run.id for run in runs if run.outcome is None}
            if progress.version == 1 and self._policy(job_id).overlap is not Overlap.ALLOW:
                assert len(progress.running) <= 1
            assert progress.runs == len(runs)
            assert progress.finished == sum(run.outcome is not None for run in runs)

    def _policy(self, job_id: str) -> Policy:
        return self.jobs[job_id].definition.policy

    def _check_occurrences(self, job: Job) -> None:
        """Every occurrence whose fate is decided is one of run, pending or missed (L5)."""
        if job.rescheduled_at:  # its numbers began anew
            return
        schedule = schedule_of(job)
        progress = self.progress[job.id]
        if schedule is None:
            assert progress.next is None
            return
        ran = [run.trigger for run in self.runs.values() if run.job_id == job.id]
        ran += [progress.pending] if progress.pending else []
        numbers = [each.occurrence for each in ran if each.cause is Cause.OCCURRENCE]
        assert len(numbers) == len(set(numbers))
        missed = [each for each in self.missed.values() if each.job_id == job.id]
        lost = sum(each.count for each in missed if each.cause is Cause.OCCURRENCE)
        end = progress.next.number if progress.next else _end_of(job)
        assert len(numbers) + lost == schedule.count(self.first[job.id], end - 1)

    def _check_queue(self, queue: Queue) -> None:
        """A queue waits for a child that is pending or running because of it (D2)."""
        child = queue.children[queue.position]
        open_runs = [run for run in self.runs.values() if run.outcome is None]
        triggers: list[Trigger | None] = [run.trigger for run in open_runs if run.job_id == child]
        if child in self.progress:
            triggers.append(self.progress[child].pending)
        assert queue.run_id in {each.source for each in triggers if each}


def _end_of(job: Job) -> int:
    schedule = schedule_of(job)
    last = schedule.last_at(datetime.max.replace(tzinfo=UTC)) if schedule else None
    return last.number + 1 if last else 0
