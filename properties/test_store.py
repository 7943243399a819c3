"""Property C1 of the store: what is committed comes back, value for value."""

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from kala_trio.core.definition import Definition
from kala_trio.core.job import (
    Answered,
    Attempt,
    Exited,
    Job,
    Lost,
    Missed,
    NoAnswer,
    Notice,
    NotStarted,
    Progress,
    Queue,
    Run,
    Signalled,
    Standing,
    Stopped,
)
from kala_trio.core.messages import ForgetJob, ForgetQueue, Keep, Record
from kala_trio.store import rows
from kala_trio.store.connection import open_database
from kala_trio.store.journal import Journal, read_all
from kala_trio.store.outbox import to_notice

texts = st.text(st.characters(codec="utf-8"), max_size=8)
instants = st.datetimes(timezones=st.just(UTC))
counts = st.integers(0, 2**62)
ids = st.sampled_from(["a", "b", "c"])

st.register_type_strategy(str, texts)
st.register_type_strategy(int, counts)
st.register_type_strategy(datetime, instants)

definitions = st.builds(Definition, parent_jobs=st.lists(ids, unique=True).map(tuple))
jobs = st.builds(Job, id=ids, definition=definitions)
misses = st.builds(Missed)
standings = st.builds(Standing, counts, st.none() | instants, st.booleans(), counts)
progress = st.builds(
    Progress,
    job_id=ids,
    latest_missed=st.lists(misses, max_size=2).map(tuple),
    standing=st.just(Standing()) | standings,
)
notices = st.builds(Notice, streak=counts, reason=texts)
# No two runs of a job have one number.
runs = ids.flatmap(lambda run_id: st.builds(Run, st.just(run_id), st.just(f"job of {run_id}")))
results = st.one_of(
    [st.builds(kind) for kind in (Exited, Signalled, NotStarted, Answered, NoAnswer, Lost, Stopped)]
    + [st.none()]
)
attempts = st.builds(Attempt, run_id=ids, result=results)
# The children of a run never change: only whose turn it is does.
queues = st.builds(Queue, run_id=ids, children=st.just(("b", "a", "c")))


@given(st.one_of(progress, runs, attempts, misses, notices))
def test_every_value_comes_back_from_its_row(
    value: Progress | Run | Attempt | Missed | Notice,
) -> None:
    """C1: a row tells all of its value, for any text and any instant there is."""
    with closing(sqlite3.connect(":memory:")) as database:
        row = rows.to_row(value)
        columns = ", ".join(f'"{name}"' for name in rows.TABLES[type(value)].columns)
        database.execute(f"CREATE TABLE it ({columns})")
        database.execute(f"INSERT INTO it VALUES ({', '.join('?' * len(row))})", row)
        stored = database.execute("SELECT * FROM it").fetchone()
    back = {
        Progress: lambda row: rows.to_progress(row, row[0]),
        Run: rows.to_run,
        Attempt: rows.to_attempt,
        Missed: rows.to_missed,
        Notice: to_notice,
    }[type(value)]
    assert back(stored) == value


records = st.one_of(
    st.one_of(jobs, progress, runs, attempts, misses, queues).map(Keep),
    st.builds(ForgetJob, job_id=ids),
    st.builds(ForgetQueue, run_id=ids),
)


def model_of(batches: list[list[Record]]) -> tuple[dict[str, Job], dict[str, Queue]]:
    """Apply records to dicts: what must be there in the end."""
    jobs: dict[str, Job] = {}
    queues: dict[str, Queue] = {}
    for record in (record for batch in batches for record in batch):
        match record:
            case Keep(Job() as job):
                jobs[job.id] = job
            case Keep(Queue() as queue):
                queues[queue.run_id] = queue
            case ForgetJob(job_id):
                jobs.pop(job_id, None)
            case ForgetQueue(run_id):
                queues.pop(run_id, None)
            case _:
                pass
    return jobs, queues


@settings(max_examples=50)
@given(st.lists(st.lists(records, max_size=5), max_size=5))
def test_a_file_holds_what_was_committed_last(batches: list[list[Record]]) -> None:
    """C1: of each identity the last value, and nothing that was forgotten."""
    numbers: dict[str, int] = {}
    batches = [[numbered(record, numbers) for record in batch] for batch in batches]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "kala.db"

        async def commit_all() -> None:
            with closing(Journal(path)) as journal:
                for batch in batches:
                    await journal.commit(batch)

        trio.run(commit_all)
        with closing(open_database(path, read_only=True)) as database:
            snapshot = read_all(database)
    jobs, queues = model_of(batches)
    assert {job.id: job for job in snapshot.jobs} == jobs
    assert {queue.run_id: queue for queue in snapshot.queues} == queues
    assert [job.number for job in snapshot.jobs] == sorted(job.number for job in jobs.values())


def numbered(record: Record, numbers: dict[str, int]) -> Record:
    """Give each job id a number of its own, as the scheduler does."""
    match record:
        case Keep(Job() as job):
            number = numbers.setdefault(job.id, len(numbers) + 1)
            return Keep(Job(job.id, number, job.created_at, job.definition))
        case _:
            return record
