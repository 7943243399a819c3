"""A short torture; and that its judge finds what a torture might bring to light."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from tests.test_tidy import ROOT, imports_of
from torture.__main__ import figures
from torture.jobs import FAR
from torture.judge import CLAIMS, broken_claims
from torture.killing import Plan, Torture
from torture.ledgers import (
    Ask,
    Attempt,
    Body,
    Cut,
    Ended,
    Job,
    Killed,
    Ledgers,
    Mark,
    Missed,
    Progress,
    Run,
    Started,
    Store,
    Trigger,
    Turn,
    microseconds,
)

KILLS = 20

E = TypeVar("E")


def test_twenty_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Rules C1 to C4, L5, M1, D1, D9, A1, A3."""
    torture = Torture(Plan(seed=1, kills=KILLS, seconds=20), tmp_path)
    ledgers = torture.run()
    print(figures(ledgers, torture.restarts))
    assert broken_claims(ledgers) == {}
    assert len([mark for mark in ledgers.marks if isinstance(mark, Killed)]) == KILLS
    assert any(run.outcome == "lost" for run in ledgers.store.runs)


# A short story: "a" runs every second and is the parent of "b"; where it fails "f" runs. "m" is
# started by hand, "d" is deleted. The daemon is killed while "a" runs for the second time.

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FAR_AT = microseconds(datetime(2099, 1, 1, tzinfo=UTC))


def at(seconds: float) -> int:
    """Return an instant of the story."""
    return microseconds(BEGIN + timedelta(seconds=seconds))


def trigger(cause: str, seconds: float, occurrence: int | None = None, source: str = "") -> Trigger:
    """Return a trigger of the story."""
    return Trigger(cause, BEGIN + timedelta(seconds=seconds), occurrence, source or None)


def created(body: Body, seconds: float) -> Ask:
    """Return an acknowledged creation."""
    return Ask("create", at(seconds), at(seconds + 0.1), 201, body.name, body)


def run(run_id: str, trigger: Trigger, end: float, outcome: str, attempts: int = 1) -> Run:
    """Return a run of the story."""
    job_id, _, number = run_id.partition(".")
    return Run(run_id, job_id, job_id, int(number), trigger, attempts, at(end), outcome)


def begun(of: Run, number: int = 1) -> Started:
    """Return the mark of an attempt's beginning."""
    return Started(of.id, number, of.trigger.at, 1)


CREATE_F = created(Body("f", FAR), 0)
BODY_A = Body("a", "R/2026-03-01T00:00:01Z/PT1S", on_failure_job="f", retries=1)
CREATE_A = created(BODY_A, 0.1)
CREATE_B = created(Body("b", parent_jobs=("a",)), 0.2)
CREATE_M = created(Body("m", FAR), 0.3)
CREATE_D = created(Body("d", FAR), 0.4)
READ = Ask("read", at(2), at(2.1), 200, "d")
START_M = Ask("start", at(2.5), at(2.6), 204, "m")
DELETE_D = Ask("delete", at(3), at(3.1), 204, "d")
READ_GONE = Ask("read", at(4), at(4.1), 404, "d")
DISABLE_M = Ask("disable", at(5), at(5.1), 204, "m")
LAST = created(Body("z", FAR), 5.5)

A1 = run("a.1", trigger("occurrence", 1, 0), 1.2, "succeeded")
A2 = run("a.2", trigger("occurrence", 2, 1), 3.5, "lost")
A3 = run("a.3", trigger("occurrence", 4, 3), 4.4, "failed", attempts=2)
B1 = run("b.1", trigger("parent", 1.2, source="a.1"), 1.4, "succeeded")
F1 = run("f.1", trigger("failure", 3.5, source="a.2"), 4.5, "succeeded")
M1 = run("m.1", trigger("manual", 2.55), 6, "stopped")

A1_1 = Attempt("a.1", 1, at(1), at(1.2), "Exited", 0)
A2_1 = Attempt("a.2", 1, at(2), at(3.5), "Lost")
A3_1 = Attempt("a.3", 1, at(4), at(4.2), "Exited", 1)
A3_2 = Attempt("a.3", 2, at(4.2), at(4.4), "Exited", 1)
B1_1 = Attempt("b.1", 1, at(1.2), at(1.4), "Exited", 0)
F1_1 = Attempt("f.1", 1, at(3.5), at(4.5), "Exited", 0)
M1_1 = Attempt("m.1", 1, at(2.55), at(6), "Stopped")

KILLED = Killed(at(2.2), at(2.3))
BEGUN_A1, ENDED_A1, BEGUN_B1 = begun(A1), Ended("a.1", 1, 0), begun(B1)
BEGUN_A3, ENDED_A3 = begun(A3), Ended("a.3", 1, 1)

JOB_B = Job("b", "b", at(0.25), ("a",))
JOB_F = Job("f", "f", at(0.05))
PROGRESS_A = Progress("a", False, 5, at(6), trigger("occurrence", 5, 4), None, 3, 3, 1, 3, 1)
PROGRESS_B = Progress("b", runs=1, finished=1, success_count=1)
PROGRESS_M = Progress("m", True, 0, FAR_AT, runs=1, finished=1, error_count=1)
PROGRESS_F = Progress("f", False, 0, FAR_AT, runs=1, finished=1, success_count=1, misses=1)
MISSED_A = Missed("a", "a", 1, "occurrence", "downtime", 1, at(3), at(3), 2)
MISSED_F = Missed("f", "f", 1, "failure", "overlap", 1, at(4.4), at(4.4))

SOUND = Ledgers(
    asks=(
        *(CREATE_F, CREATE_A, CREATE_B, CREATE_M, CREATE_D),
        *(READ, START_M, DELETE_D, READ_GONE, DISABLE_M, LAST),
    ),
    marks=(
        *(BEGUN_A1, ENDED_A1, BEGUN_B1, Ended("b.1", 1, 0), begun(A2), KILLED),
        *(
            Ended("a.2", 1, 0),
            begun(M1),
            begun(F1),
            BEGUN_A3,
            ENDED_A3,
            begun(A3, 2),
            Ended("a.3", 2, 1),
        ),
        Ended("f.1", 1, 0),
    ),
    store=Store(
        jobs=(
            *(JOB_F, Job("a", "a", at(0.15)), JOB_B, Job("m", "m", at(0.35))),
            Job("z", "z", at(5.55)),
        ),
        progress=(
            *(PROGRESS_A, PROGRESS_B, PROGRESS_F, PROGRESS_M),
            Progress("z", False, 0, FAR_AT),
        ),
        runs=(A1, A2, A3, B1, F1, M1),
        attempts=(A1_1, A2_1, A3_1, A3_2, B1_1, F1_1, M1_1),
        missed=(MISSED_A, MISSED_F),
    ),
    exit_status=0,
)

Entry = Ask | Mark | Job | Progress | Run | Attempt | Missed | Turn

# A claim, and an entry that stands instead of another one: None for none.
DOCTORED: list[tuple[str, Entry | None, Entry | None]] = [
    ("created_jobs_are_there", JOB_F, None),
    ("created_jobs_are_there", None, Job("x", "f", at(1))),
    ("created_jobs_are_there", None, Job("x", "x", at(1))),
    ("deleted_jobs_stay_deleted", None, Job("d", "d", at(0.45))),
    ("deleted_jobs_stay_deleted", JOB_B, replace(JOB_B, parents=())),
    ("deleted_jobs_stay_deleted", JOB_B, replace(JOB_B, parents=("a", "gone"))),
    ("what_is_read_is_so", READ, replace(READ, status=404)),
    ("what_is_read_is_so", READ_GONE, replace(READ_GONE, status=200)),
    ("enabling_is_kept", PROGRESS_M, replace(PROGRESS_M, disabled=False)),
    ("enabling_is_kept", PROGRESS_B, replace(PROGRESS_B, disabled=True)),
    ("attempts_start_once", None, BEGUN_A3),
    ("attempts_start_once", A3_1, None),
    ("attempts_start_once", A3, None),
    ("attempts_start_once", BEGUN_A3, replace(BEGUN_A3, scheduled_at=at(5))),
    ("cut_off_is_lost", A2_1, replace(A2_1, result="Exited", code=0)),
    ("cut_off_is_lost", KILLED, None),
    ("cut_off_is_lost", None, replace(A2_1, number=2)),
    ("attempts_do_not_overlap", KILLED, replace(BEGUN_A3, number=3)),
    ("attempts_do_not_overlap", A2_1, replace(A2_1, ended_at=at(4.1))),
    ("outcomes_are_true", ENDED_A1, None),
    ("outcomes_are_true", ENDED_A1, replace(ENDED_A1, code=1)),
    ("outcomes_are_true", A2, replace(A2, outcome="succeeded")),
    ("outcomes_are_true", CREATE_A, replace(CREATE_A, body=replace(BODY_A, retries=0))),
    ("the_end_is_clean", M1, replace(M1, outcome=None)),
    ("the_end_is_clean", M1_1, replace(M1_1, result=None)),
    ("the_end_is_clean", READ, replace(READ, status=500)),
    ("occurrences_are_accounted_for", MISSED_A, None),
    ("occurrences_are_accounted_for", None, replace(MISSED_A, number=2)),
    ("occurrences_are_accounted_for", MISSED_A, replace(MISSED_A, count=2)),
    ("occurrences_are_accounted_for", PROGRESS_A, replace(PROGRESS_A, pending=None)),
    ("occurrences_are_accounted_for", PROGRESS_A, replace(PROGRESS_A, next_at=at(7))),
    ("occurrences_are_accounted_for", LAST, replace(LAST, sent=at(7))),
    ("occurrences_are_accounted_for", A1, None),
    ("manual_starts_are_accounted_for", M1, None),
    ("manual_starts_are_accounted_for", START_M, None),
    ("manual_starts_are_accounted_for", START_M, replace(START_M, over=at(2.52))),
    ("children_follow_successes", B1, None),
    ("children_follow_successes", None, Turn("a.1", "b")),
    ("children_follow_successes", A1, replace(A1, outcome="failed")),
    ("children_follow_successes", BEGUN_A1, BEGUN_B1),
    ("failure_jobs_follow_failures", MISSED_F, None),
    ("failure_jobs_follow_failures", F1, None),
    ("failure_jobs_follow_failures", MISSED_F, replace(MISSED_F, count=2)),
    ("reruns_follow_losses", CREATE_A, created(replace(BODY_A, rerun_lost=True), 0.1)),
    ("reruns_follow_losses", None, run("b.2", trigger("rerun", 1.2, source="b.1"), 2, "failed")),
    *(
        ("counters_agree", PROGRESS_A, replace(PROGRESS_A, **{name: 7}))
        for name in ("runs", "finished", "success_count", "error_count", "misses")
    ),
]


def doctored(old: Entry | None, new: Entry | None) -> Ledgers:
    """Return the story with ``new`` in the place of ``old``, or at the end."""

    def edit(entries: tuple[E, ...], *kinds: type[E]) -> tuple[E, ...]:
        put = [new] if isinstance(new, kinds) else []
        if old is None:
            return (*entries, *put)
        return tuple(chain.from_iterable(put if each == old else [each] for each in entries))

    store = SOUND.store
    return replace(
        SOUND,
        asks=edit(SOUND.asks, Ask),
        marks=edit(SOUND.marks, Started, Ended, Cut, Killed),
        store=Store(
            edit(store.jobs, Job),
            edit(store.progress, Progress),
            edit(store.runs, Run),
            edit(store.attempts, Attempt),
            edit(store.missed, Missed),
            edit(store.turns, Turn),
        ),
    )


def test_a_sound_story_breaks_no_claim() -> None:
    assert broken_claims(SOUND) == {}


@pytest.mark.parametrize(("claim", "old", "new"), DOCTORED)
def test_a_doctored_story_breaks_the_claim(
    claim: str, old: Entry | None, new: Entry | None
) -> None:
    broken = broken_claims(doctored(old, new))
    assert claim in {each.partition(":")[0] for each in broken}


def test_a_bad_exit_and_a_traceback_are_found() -> None:
    """Rule C4."""
    for ledgers in (replace(SOUND, exit_status=1), replace(SOUND, log="Traceback (most recent")):
        (broken,) = broken_claims(ledgers)
        assert broken.startswith("the_end_is_clean")


def test_each_claim_is_shown_to_fail() -> None:
    assert {claim.__name__ for claim in CLAIMS} == {claim for claim, _, _ in DOCTORED}


def test_the_judge_shares_nothing_with_what_it_judges() -> None:
    for name in ("ledgers", "evidence", "durability", "accounting", "judge"):
        imported = imports_of(ROOT / f"torture/{name}.py")
        assert not {each for each in imported if each.startswith("kala_trio")}
