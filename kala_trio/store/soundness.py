"""Whether what was read of the file fits together.

What one commit has written no crash can part, but damage can, and hands that delete rows.
"""

from itertools import zip_longest

from kala_trio.core.messages import Snapshot


def checked(snapshot: Snapshot) -> Snapshot:
    """Return ``snapshot``; raise ValueError, saying what is missing, if it does not fit."""
    for job, progress in zip_longest(snapshot.jobs, snapshot.progress):
        if not progress or progress.job_id != job.id:
            raise ValueError(f"job {job.id!r} has no progress")
    runs = {run.id for run in snapshot.runs}
    attempted = {attempt.run_id for attempt in snapshot.attempts}
    expected = {run_id for each in snapshot.progress for run_id in each.running}
    for run_id in sorted(expected - runs):
        raise ValueError(f"a job waits for run {run_id!r}, which is over")
    for run_id in sorted(attempted - runs):
        raise ValueError(f"an attempt of run {run_id!r} is in progress, and the run is not")
    unexpected = runs - expected
    jobs = {job.id for job in snapshot.jobs} if unexpected else set()
    for run in snapshot.runs:
        if run.id not in attempted and not run.pause:
            raise ValueError(f"run {run.id!r} is in progress, and no attempt of it")
        if run.id in unexpected and run.job_id in jobs:
            raise ValueError(f"run {run.id!r} is in progress, of which its job knows nothing")
    return snapshot
