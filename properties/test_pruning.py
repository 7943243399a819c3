"""Property of the history: a sweep leaves exactly what the two bounds say, whatever there was."""

import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from trio.testing import MockClock

from kala_trio.core.definition import Definition
from kala_trio.core.job import (
    Attempt,
    Cause,
    Exited,
    Job,
    Missed,
    Outcome,
    Progress,
    Reason,
    Run,
    Trigger,
)
from kala_trio.core.messages import ForgetJob, Keep, Record
from kala_trio.pruning import Bounds, Pruning
from kala_trio.runner.output import output_path
from kala_trio.store.expired import Expired
from kala_trio.store.journal import Journal
from kala_trio.store.reader import Reader
from properties.clock import VirtualClock

# Each example has a file of its own, on a real disk.
PROFILE = settings.default or settings()
rarely = settings(deadline=None, max_examples=PROFILE.max_examples // 10)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
AGE = 30 * DAY


class Past(Struct, frozen=True):
    """What a job has behind it: how many days ago each run ended, oldest first."""

    ages: list[int]
    in_progress: bool
    deleted: bool


pasts = st.builds(
    Past,
    st.lists(st.integers(0, 60).filter(lambda days: days != AGE.days), max_size=30).map(
        lambda ages: sorted(ages, reverse=True)
    ),
    st.booleans(),
    st.booleans(),
)


@rarely
@given(st.lists(pasts, max_size=4), st.integers(10, 25))
def test_what_stays_is_what_the_bounds_say(jobs: list[Past], keep: int) -> None:
    """M3: the history of a deleted job goes by age; of one that is there the latest ten stay."""
    with tempfile.TemporaryDirectory() as directory:
        db, output = Path(directory) / "kala.db", Path(directory) / "output"
        with closing(Journal(db)) as journal, closing(Reader(db)) as reader:

            async def sweep() -> None:
                clock = VirtualClock(NOW)
                for which, past in enumerate(jobs):
                    await journal.commit(records_of(f"job-{which}", past))
                    write_outputs(output, f"job-{which}", past)
                await Pruning(journal, Expired(db), output, clock, Bounds(AGE, keep)).sweep()

            trio.run(sweep, clock=MockClock(autojump_threshold=0))
            for which, past in enumerate(jobs):
                job_id, ended = f"job-{which}", len(past.ages)
                runs = ended + past.in_progress
                found = reader.history(job_id, before=10**6, limit=10**6)[::-1]
                numbers = [run.number for run, _ in found]
                stay = staying(past, runs, keep) + [runs] * past.in_progress
                assert numbers == stay
                assert all(len(attempts) == 1 for _, attempts in found)
                missed = [each.number for each in reader.missed(job_id)[::-1]]
                assert missed == staying(past, ended, keep)
                assert sorted(int(path.name) for path in output.glob(f"{job_id}/*")) == stay
                assert (output / job_id).exists() == bool(stay or not past.deleted)


def staying(past: Past, count: int, keep: int) -> list[int]:
    """Return the numbers of what is left of records of those ages, the first ones of ``count``."""
    return [
        number
        for number, days in enumerate(past.ages, 1)
        if (past.deleted and days < AGE.days)
        or (not past.deleted and number > count - keep and (days < AGE.days or number > count - 10))
    ]


def records_of(job_id: str, past: Past) -> list[Record]:
    """Return the records of a job with that past, each run of one attempt, and as many missed."""
    count = len(past.ages)
    total = count + past.in_progress
    progress = Progress(job_id, False, runs=total, finished=count, misses=count)
    job = Job(job_id, int(job_id[-1]), NOW, Definition("name", "true"))
    records: list[Record] = [Keep(job), Keep(progress)]
    for number, days in enumerate(past.ages, 1):
        at, run_id = NOW - days * DAY, f"{job_id}.{number}"
        trigger = Trigger(Cause.MANUAL, at)
        run = Run(run_id, job_id, "name", number, trigger, at, 1, at, Outcome.FAILED)
        missed = Missed(job_id, "name", number, Cause.MANUAL, Reason.OVERLAP, 1, at, at)
        records += [Keep(run), Keep(Attempt(run_id, 1, at, at, Exited(1))), Keep(missed)]
    if past.in_progress:
        at, run_id = NOW - 100 * DAY, f"{job_id}.{total}"
        run = Run(run_id, job_id, "name", total, Trigger(Cause.MANUAL, at), at)
        records += [Keep(run), Keep(Attempt(run_id, 1, at))]
    return [*records, ForgetJob(job_id)] if past.deleted else records


def write_outputs(output: Path, job_id: str, past: Past) -> None:
    (output / job_id).mkdir(parents=True)
    for number in range(1, len(past.ages) + past.in_progress + 1):
        output_path(output, f"{job_id}.{number}").touch()
