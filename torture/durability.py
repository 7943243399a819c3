"""Claims on what a kill must not undo or double: rules C1 to C4, and A1.

Each claim yields what contradicts it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from torture.evidence import Evidence, Key
from torture.ledgers import Cut, Ended, Killed, Run, Started


def created_jobs_are_there(evidence: Evidence) -> Iterator[str]:
    """C1: a job whose creation was acknowledged is there, unless its deletion was asked for."""
    creations = evidence.asks("create")
    for ask in creations:
        if ask.is_done and ask.job_id not in evidence.jobs and not evidence.may_be_gone(ask.job_id):
            yield f"not there: {ask}"
    names = Counter(job.name for job in evidence.jobs.values())
    asked = {ask.body.name for ask in creations if ask.body and ask.may_be_done}
    for job in evidence.jobs.values():
        if names[job.name] > 1 or job.name not in asked:
            yield f"never asked for, or there twice: {job}"


def deleted_jobs_stay_deleted(evidence: Evidence) -> Iterator[str]:
    """C1, D5: a job whose deletion was acknowledged is gone, and a child without parents too."""
    for ask in evidence.asks("delete"):
        if ask.is_done and ask.job_id in evidence.jobs:
            yield f"still there: {ask}"
    for job in evidence.jobs.values():
        if any(parent not in evidence.jobs for parent in job.parents):
            yield f"has a parent that is gone: {job}"
        if evidence.body(job.id).parent_jobs and not job.parents:
            yield f"has outlived its parents: {job}"


def what_is_read_is_so(evidence: Evidence) -> Iterator[str]:
    """C1: between its creation and its deletion a job can be read, and at no other time."""
    for read in evidence.asks("read"):
        created = evidence.created.get(read.job_id)
        if created is None or created.over > read.sent:
            continue
        gone = (ask.over for ask in evidence.carried_out(read.job_id, "delete") if ask.is_done)
        if read.status == 200 and any(over < read.sent for over in gone):
            yield f"read after its deletion: {read}"
        if read.status == 404 and not evidence.may_be_gone(read.job_id, by=read.over):
            yield f"not to be read: {read}"


def enabling_is_kept(evidence: Evidence) -> Iterator[str]:
    """C1: a job is enabled or disabled, as was acknowledged last."""
    for progress in evidence.progress.values():
        asks = [*evidence.carried_out(progress.job_id, "enable")]
        asks += evidence.carried_out(progress.job_id, "disable")
        asks.sort(key=lambda ask: ask.over)
        expected = evidence.body(progress.job_id).disabled
        if asks:
            *earlier, last = asks
            if not last.is_done or any(ask.over >= last.sent for ask in earlier):
                continue  # which of them was the last can't be told
            expected = last.what == "disable"
        if progress.disabled != expected:
            yield f"{progress} after {asks[-1:]}"


def attempts_start_once(evidence: Evidence) -> Iterator[str]:
    """C2: no attempt is started twice, and each one that started is on record."""
    seen: set[Key] = set()
    for mark in evidence.marks(Started):
        key = mark.run_id, mark.number
        run = evidence.runs.get(mark.run_id)
        if key in seen:
            yield f"started twice: {mark}"
        if key not in evidence.attempts or run is None:
            yield f"not on record: {mark}"
        elif run.trigger.at != mark.scheduled_at:
            yield f"scheduled for another time: {mark} {run}"
        seen.add(key)


def cut_off_is_lost(evidence: Evidence) -> Iterator[str]:
    """C3: an attempt is lost if its daemon was killed meanwhile, and only then; it is the last."""
    in_progress: set[Key] = set()
    orphans: set[Key] = set()
    for mark in evidence.ledgers.marks:
        match mark:
            case Started():
                in_progress.add((mark.run_id, mark.number))
            case Killed():
                orphans |= in_progress
            case Ended() | Cut():
                key = mark.run_id, mark.number
                in_progress.discard(key)
                attempt = evidence.attempts.get(key)
                if key in orphans and attempt and attempt.result != "Lost":
                    yield f"not lost: {mark} {attempt}"
    kills = [mark.over for mark in evidence.marks(Killed)]
    for key, attempt in evidence.attempts.items():
        if attempt.result == "Lost":
            if not any(attempt.started_at <= kill <= (attempt.ended_at or 0) for kill in kills):
                yield f"lost without a kill: {attempt}"
            if (key[0], key[1] + 1) in evidence.attempts:
                yield f"lost and yet retried: {attempt}"


def attempts_do_not_overlap(evidence: Evidence) -> Iterator[str]:
    """C3: no two attempts of one job go on at once, those of dead daemons included."""
    ends = {(mark.run_id, mark.number) for mark in evidence.marks(Ended) + evidence.marks(Cut)}
    going_on: defaultdict[str, set[Key]] = defaultdict(set)
    for mark in evidence.ledgers.marks:
        match mark:
            case Started():
                others = going_on[_job_of(mark.run_id)]
                if others:
                    yield f"started while {others} went on: {mark}"
                # When one that left no mark of its end came to it is not known.
                others |= {(mark.run_id, mark.number)} & ends
            case Ended() | Cut():
                going_on[_job_of(mark.run_id)].discard((mark.run_id, mark.number))
            case Killed():
                pass
    recorded = sorted(evidence.attempts.values(), key=lambda each: (each.started_at, each.number))
    by_job: defaultdict[str, list[tuple[int, int | None, Key]]] = defaultdict(list)
    for each in recorded:
        span = each.started_at, each.ended_at, (each.run_id, each.number)
        by_job[_job_of(each.run_id)].append(span)
    for attempts in by_job.values():
        for earlier, later in pairwise(attempts):
            if earlier[1] is None or earlier[1] > later[0]:
                yield f"recorded at the same time: {earlier} {later}"


def outcomes_are_true(evidence: Evidence) -> Iterator[str]:
    """A1, C3: what is recorded of an attempt is what its command wrote before it exited.

    So one that wrote no end did not succeed. And a run's outcome is that of its last attempt.
    """
    codes = {(mark.run_id, mark.number): mark.code for mark in evidence.marks(Ended)}
    for key, attempt in evidence.attempts.items():
        if attempt.result == "Exited" and codes.get(key) != attempt.code:
            yield f"its command says {codes.get(key)}: {attempt}"
    for run in evidence.runs.values():
        results = [evidence.attempts.get((run.id, n)) for n in range(1, run.attempts + 1)]
        outcomes = ["succeeded" if each.is_success else each.result for each in results if each]
        *failures, last = outcomes or [None]
        expected = {"succeeded": "succeeded", "Lost": "lost", "Stopped": "stopped", None: None}
        if len(outcomes) != run.attempts or run.outcome != expected.get(last, "failed"):
            yield f"does not follow from its attempts {outcomes}: {run}"
        if {"succeeded", "Lost", "Stopped"} & set(failures) or not _may_be_tried(evidence, run):
            yield f"tried too often: {outcomes} {run}"


def the_end_is_clean(evidence: Evidence) -> Iterator[str]:
    """C4: the last daemon ended with status 0, nothing is in progress, and no bug has shown."""
    if evidence.ledgers.exit_status:
        yield f"exit status {evidence.ledgers.exit_status}"
    for run in evidence.runs.values():
        if run.outcome is None or run.ended_at is None:
            yield f"in progress: {run}"
    for attempt in evidence.attempts.values():
        if attempt.result is None or attempt.ended_at is None:
            yield f"in progress: {attempt}"
    for ask in evidence.ledgers.asks:
        if ask.status == 500:
            yield f"answered by a bug: {ask}"
    for line in evidence.ledgers.log.splitlines():
        if "Traceback" in line or "a bug" in line:
            yield f"in the log: {line}"


def _may_be_tried(evidence: Evidence, run: Run) -> bool:
    """Tell whether a run made no more attempts than its job allows."""
    return run.job_id not in evidence.created or (
        run.attempts <= 1 + evidence.body(run.job_id).retries
    )


def _job_of(run_id: str) -> str:
    return run_id.rpartition(".")[0]
