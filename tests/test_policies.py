"""What a job may say of its runs, on a real daemon: edit, cancel, timeout, overlap, pauses."""

import json
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, is_running, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("policies") / "kala.db") as daemon:
        yield daemon


def change(daemon: Daemon, method: str, job_id: str, body: object, **headers: str) -> Any:
    """Change a job, and return the status and the answer."""
    status, text = daemon.request(method, f"/job/{job_id}/", json.dumps(body).encode(), **headers)
    return status, json.loads(text)


def etag(daemon: Daemon, job_id: str) -> str:
    """Return the version of a job as its answer tells it."""
    with urllib.request.urlopen(f"{daemon.url}/api/v1/job/{job_id}/", timeout=PATIENCE) as answer:
        version: str = answer.headers["ETag"]
        return version


def test_a_patch_changes_what_it_names_and_leaves_the_rest(daemon: Daemon) -> None:
    """M4: id, history, counters and the place in the schedule stay."""
    job_id = daemon.create(command="true", schedule=FUTURE, retries=2, tags=["a"], timeout="PT5M")
    daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    before = daemon.job(job_id)
    status, answer = change(
        daemon, "PATCH", job_id, {"name": "new", "retries": None, "tags": ["b"], "epsilon": "PT5S"}
    )
    assert status == 200, answer
    expected = before | {"name": "new", "retries": 0, "tags": ["b"], "epsilon": "PT5S"}
    assert answer["job"].pop("version") == 2
    assert answer["job"] == daemon.job(job_id) == expected


def test_a_put_gives_what_is_left_out_its_default(daemon: Daemon) -> None:
    """M4: another schedule lets occurrences start anew."""
    job_id = daemon.create(command="true", schedule=FUTURE, retries=2, timeout="PT5M")
    body = {"name": "b", "command": "false", "schedule": "R/2098-01-01T00:00:00Z/P1D"}
    status, answer = change(daemon, "PUT", job_id, body)
    assert status == 200, answer
    job = answer["job"]
    assert (job["id"], job["retries"], job.get("timeout")) == (job_id, 0, None)
    assert job["next_run_at"] == "2098-01-01T00:00:00Z"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_of_an_outdated_job_is_refused_and_changes_nothing(
    daemon: Daemon, method: str
) -> None:
    """M5."""
    job_id = daemon.create(command="true", schedule=FUTURE)
    tag = etag(daemon, job_id)
    body = {"name": "one", "command": "true", "schedule": FUTURE}
    assert change(daemon, method, job_id, body, If_Match=tag)[0] == 200
    before = daemon.job(job_id)
    status, answer = change(daemon, method, job_id, body | {"name": "two"}, If_Match=tag)
    assert status == 412
    assert "was changed since it was read" in answer["error"]
    assert daemon.job(job_id) == before
    newest = etag(daemon, job_id)
    assert newest != tag
    assert change(daemon, method, job_id, body, If_Match=f'"x", {newest}')[0] == 200
    assert change(daemon, method, job_id, body, If_Match="*")[0] == 200
    assert change(daemon, method, job_id, body, If_Match="newest")[0] == 400


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"shedule": None}, "shedule: a job has no such field"),
        ({"name": None}, "name: is missing"),
        ({"schedule": "R2/2015-06-04T19:25:16Z/PT10S"}, "cannot be scheduled in the past"),
        ({"timeout": "P1D"}, "timeout: must be in hours, minutes and seconds only"),
        ([], "body: must be a JSON object"),
    ],
)
def test_a_bad_patch_is_refused_by_its_field_and_changes_nothing(
    daemon: Daemon, patch: object, words: str
) -> None:
    """M4: what a new job may not say, an edit may not either."""
    job_id = daemon.create(command="true", schedule=FUTURE)
    before = daemon.job(job_id)
    status, answer = change(daemon, "PATCH", job_id, patch)
    assert (status, words in answer["error"]) == (400, True), answer
    assert daemon.job(job_id) == before
    assert change(daemon, "PATCH", "nobody", {})[0] == 404


def test_a_live_job_is_attached_to_a_parent_and_detached_again(daemon: Daemon) -> None:
    """M4, D1: an edit runs nothing by itself, and a circle is refused."""
    parent = daemon.create(command="true", schedule=FUTURE)
    child = daemon.create(command="true", schedule=FUTURE)
    attached = {"parent_jobs": [parent], "schedule": ""}
    assert change(daemon, "PATCH", child, attached)[0] == 200
    status, answer = change(daemon, "PATCH", parent, {"parent_jobs": [child], "schedule": ""})
    assert (status, "would close a circle" in answer["error"]) == (400, True), answer
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(child) == ["succeeded"])
    status, answer = change(daemon, "PATCH", child, {"parent_jobs": None})
    assert (status, answer["job"]["is_done"]) == (200, True)
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(parent) == ["succeeded"] * 2)
    assert daemon.outcomes(child) == ["succeeded"]


def test_a_cancelled_run_ends_with_its_processes_and_triggers_nothing(
    daemon: Daemon, tmp_path: Path
) -> None:
    """M6, D9."""
    heir = daemon.create(command="true", schedule=FUTURE)
    command = f"sh -c 'sleep 1000 & echo $! > {fifo(tmp_path)}; wait'"
    job_id = daemon.create(command=command, schedule=FUTURE, on_failure_job=heir, retries=3)
    daemon.post(f"/job/start/{job_id}/")
    pid = int((tmp_path / "fifo").read_text())
    daemon.post(f"/run/cancel/{job_id}.1/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])
    (run,) = daemon.runs(job_id)
    assert (run["reason"], len(run["attempts"])) == ("cancelled by hand", 1)
    eventually(lambda: not is_running(pid))
    assert daemon.job(job_id)["error_count"] == 0
    assert daemon.runs(heir) == []
    assert daemon.request("POST", f"/run/cancel/{job_id}.1/")[0] == 409
    assert daemon.request("POST", "/run/cancel/nobody.1/")[0] == 404


def test_an_attempt_that_takes_too_long_is_ended_and_retried(daemon: Daemon) -> None:
    """A5, A1."""
    job_id = daemon.create(command="sleep 1000", schedule=FUTURE, timeout="PT0.2S", retries=1)
    daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: daemon.outcomes(job_id) == ["timed_out"])
    (run,) = daemon.runs(job_id)
    assert [each["reason"] for each in run["attempts"]] == ["took longer than its timeout"] * 2
    assert daemon.job(job_id)["error_count"] == 2


def test_a_pause_between_attempts_outlives_kill_9_and_can_be_cancelled(tmp_path: Path) -> None:
    """A6, M6."""
    with running(tmp_path / "kala.db") as daemon:
        job_id = daemon.create(
            command="false", schedule=FUTURE, retries=1, retry_delay="PT1000H", overlap="skip"
        )
        daemon.post(f"/job/start/{job_id}/")
        eventually(lambda: daemon.runs(job_id)[0]["next_attempt_at"])
        (before,) = daemon.runs(job_id)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.runs(job_id) == [before]
        daemon.post(f"/job/start/{job_id}/")  # it is busy, so this one is skipped
        daemon.post(f"/run/cancel/{job_id}.1/")
        assert daemon.outcomes(job_id) == ["cancelled"]
        (missed,) = daemon.get(f"/job/missed/{job_id}/")["missed"]
        assert (missed["cause"], missed["reason"]) == ("manual", "overlap")


def test_a_newer_run_may_replace_the_one_in_progress(daemon: Daemon) -> None:
    """L10."""
    job_id = daemon.create(command="sleep 1000", schedule=FUTURE, overlap="replace")
    for _ in range(2):
        daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled", None])
    assert daemon.runs(job_id)[1]["reason"] == "replaced by a newer one"
    daemon.post(f"/run/cancel/{job_id}.2/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled"] * 2)


def test_runs_of_one_job_may_overlap_up_to_a_number(daemon: Daemon, tmp_path: Path) -> None:
    """L10: one more waits."""
    gate = tmp_path / "gate"
    job_id = daemon.create(
        command=f"until test -e {gate}; do sleep 0.05; done",
        shell=True,
        schedule=FUTURE,
        overlap="allow",
        max_running=2,
    )
    for _ in range(3):
        daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: daemon.outcomes(job_id) == [None, None])
    stats = daemon.get("/stats/")["Stats"]
    assert (stats["running"], stats["waiting"]) == (2, 1)
    gate.touch()
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"] * 3)


def test_a_backlog_runs_one_after_the_other_each_with_its_own_time(tmp_path: Path) -> None:
    """L11: after a week of downtime the latest three days still count."""
    latest = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)
    start = latest - timedelta(days=6)
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        job_id = daemon.create(
            command="printenv KALA_TRIO_SCHEDULED_AT",
            schedule=f"R/{start.isoformat()}/P1D",
            catch_up="all",
            catch_up_limit=3,
        )
        assert daemon.end()[0] == 0
    with closing(sqlite3.connect(db)) as database:  # let it have been down since the first day
        at = int(start.timestamp()) * 1_000_000
        database.execute("UPDATE progress SET next_number = 0, next_at = ?", [at])
        database.commit()
    with running(db) as daemon:
        eventually(lambda: daemon.outcomes(job_id) == ["succeeded"] * 3)
        days = [latest - timedelta(days=days) for days in (2, 1, 0)]
        shown = [daemon.output(f"{job_id}.{number}") for number in (1, 2, 3)]
        assert shown == [f"{day:%Y-%m-%dT%H:%M:%SZ}\n" for day in days]
        (missed,) = daemon.get(f"/job/missed/{job_id}/")["missed"]
        assert (missed["reason"], missed["count"]) == ("downtime", 4)


def test_limits_hold_over_all_jobs_and_by_tag(tmp_path: Path) -> None:
    """L12: what waits for a tag is no obstacle to others."""
    flags = ("--max-running=2", "--max-running-by-tag=gpu=1")
    with running(tmp_path / "kala.db", *flags) as daemon:
        gate = fifo(tmp_path)
        gpu = [daemon.create(command=f"cat {gate}", tags=["gpu"]) for _ in range(2)]
        other = daemon.create(command=f"cat {gate}")
        eventually(lambda: daemon.outcomes(other) == [None])
        assert [daemon.outcomes(each) for each in gpu] == [[None], []]
        stats = daemon.get("/stats/")["Stats"]
        assert (stats["running"], stats["waiting"]) == (2, 1)
        assert stats["running_by_tag"] == {"gpu": 1}
        daemon.post(f"/run/cancel/{gpu[0]}.1/")
        eventually(lambda: daemon.outcomes(gpu[1]) == [None])
        for job_id in (gpu[1], other):
            daemon.post(f"/run/cancel/{job_id}.1/")
            eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])  # noqa: B023
