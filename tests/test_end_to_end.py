"""The rules seen from outside: a real daemon, real commands, and no look behind the API."""

import json
import os
import select
import shlex
import signal
import socket
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon import FUTURE, Daemon, eventually, fifo, refusal, running

NEVER = "0001-01-01T00:00:00Z"


def soon(seconds: float = 5) -> datetime:
    """Return an instant that is still to come when a request about it arrives."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_scheduled_job_runs_as_often_as_it_says_each_time_at_or_after_its_instant(
    daemon: Daemon,
) -> None:
    start = soon(10)
    job = daemon.create(
        command="echo hello", schedule=f"R2/{start.isoformat()}/PT2S", catch_up="all"
    )
    eventually(lambda: daemon.job(job)["is_done"])
    stats = daemon.get(f"/job/stats/{job}/")["job_stats"]
    assert len(stats) == 3
    for k, stat in enumerate(stats):
        assert datetime.fromisoformat(stat["RanAt"]) >= start + k * timedelta(seconds=2)
        assert stat["Success"] is stat["success"] is True
        assert stat["ExecutionDuration"] > 0
    found = daemon.job(job)
    assert (found["success_count"], found["error_count"], found["next_run_at"]) == (3, 0, NEVER)
    assert daemon.output(f"{job}.1") == "hello\n"


def test_a_job_without_a_schedule_runs_once_and_at_once(daemon: Daemon) -> None:
    """Rule S10."""
    job = daemon.create(command="true")
    eventually(lambda: daemon.job(job)["is_done"])
    assert daemon.outcomes(job) == ["succeeded"]


def test_a_failing_job_is_retried_and_each_attempt_tells_why_it_failed(daemon: Daemon) -> None:
    """Rules A1, A3, A4."""
    job = daemon.create(command="sh -c 'echo try $KALA_TRIO_ATTEMPT; exit 3'", retries=2)
    eventually(lambda: daemon.job(job)["is_done"])
    (run,) = daemon.runs(job)
    assert run["outcome"] == "failed"
    assert [attempt["reason"] for attempt in run["attempts"]] == ["exit code 3"] * 3
    assert daemon.job(job)["error_count"] == 3
    assert daemon.get(f"/job/stats/{job}/")["job_stats"][0]["NumberOfRetries"] == 2
    assert daemon.output(run["id"]) == "try 1\ntry 2\ntry 3\n"


def test_epsilon_ends_the_retries(daemon: Daemon) -> None:
    """Rule A2: the first attempt alone takes longer than epsilon."""
    command = "sh -c 'while [ $(date +%s%N) -lt $(($(date -d $KALA_TRIO_SCHEDULED_AT +%s%N)"
    command += " + 2300000000)) ]; do :; done; exit 1'"
    job = daemon.create(command=command, retries=5, epsilon="PT2S")
    eventually(lambda: daemon.job(job)["is_done"])
    assert len(daemon.runs(job)[0]["attempts"]) == 1


@pytest.mark.parametrize(
    ("program", "reason"),
    [("no-such-program", "in no directory of PATH"), ("/etc/passwd", "may not be executed")],
)
def test_a_program_that_cannot_be_started_is_a_failed_attempt(
    daemon: Daemon, program: str, reason: str
) -> None:
    job = daemon.create(command=program)
    eventually(lambda: daemon.job(job)["is_done"])
    assert reason in daemon.runs(job)[0]["attempts"][0]["reason"]


def test_children_run_in_order_after_each_success_and_their_children_too(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Rules D1, D2."""
    log = tmp_path / "log"

    def note(word: str) -> str:
        return f"sh -c 'echo {word} >> {shlex.quote(str(log))}'"

    parent = daemon.create(command=note("parent"), schedule=FUTURE)
    children = [daemon.create(command=note(each), parent_jobs=[parent]) for each in "abc"]
    grandchild = daemon.create(command=note("a1"), parent_jobs=children[:1])
    assert daemon.job(parent)["dependent_jobs"] == children
    assert daemon.request("POST", f"/job/start/{parent}/") == (204, "")
    eventually(lambda: daemon.outcomes(children[2]) == ["succeeded"])
    eventually(lambda: daemon.outcomes(grandchild) == ["succeeded"])
    words = log.read_text().split()
    assert [word for word in words if word != "a1"] == ["parent", "a", "b", "c"]
    assert words.index("a1") > words.index("a")
    assert daemon.runs(grandchild)[0]["trigger"]["source"] == f"{children[0]}.1"


def test_a_list_of_jobs_is_created_as_a_whole_or_not_at_all(daemon: Daemon) -> None:
    """Rules D6, C1."""
    before = daemon.get("/job/")["jobs"].keys()
    first = {"name": "first", "command": "true", "schedule": FUTURE}
    second = {"name": "second", "command": "true", "parent_jobs": ["first"]}
    unknown = {"name": "third", "command": "true", "parent_jobs": [str(uuid.uuid4())]}
    status, text = daemon.request(
        "POST", "/job/bulk/", json.dumps([first, second, unknown]).encode()
    )
    assert status == 400
    assert json.loads(text)["error"].startswith("2.parent_jobs: there is no such job, found ")
    assert daemon.get("/job/")["jobs"].keys() == before
    status, text = daemon.request("POST", "/job/bulk/", json.dumps([first, second]).encode())
    assert status == 201
    ids = json.loads(text)["ids"]
    assert list(daemon.get("/job/")["jobs"]) == [*before, *ids]
    daemon.request("POST", f"/job/start/{ids[0]}/")
    eventually(lambda: daemon.outcomes(ids[1]) == ["succeeded"])


def test_the_failure_job_runs_after_a_failed_run_and_children_do_not(daemon: Daemon) -> None:
    """Rules D3, D9."""
    alarm = daemon.create(command="true", schedule=FUTURE)
    failing = daemon.create(command="false", schedule=FUTURE, on_failure_job=alarm)
    child = daemon.create(command="true", parent_jobs=[failing])
    daemon.request("POST", f"/job/start/{failing}/")
    eventually(lambda: daemon.outcomes(alarm) == ["succeeded"])
    assert daemon.runs(alarm)[0]["trigger"]["cause"] == "failure"
    assert daemon.runs(child) == []


def test_a_disabled_job_is_not_started_until_it_is_enabled(daemon: Daemon) -> None:
    """Rule M2."""
    job = daemon.create(command="true", schedule=FUTURE)
    for _ in range(2):
        assert daemon.request("POST", f"/job/disable/{job}/") == (204, "")
    found = daemon.job(job)
    assert (found["disabled"], found["next_run_at"]) == (True, NEVER)
    status, text = daemon.request("POST", f"/job/start/{job}/")
    assert status == 409
    assert "is disabled" in text
    for _ in range(2):
        assert daemon.request("POST", f"/job/enable/{job}/") == (204, "")
    assert daemon.job(job)["next_run_at"] == "2099-01-01T00:00:00Z"


def test_a_started_job_keeps_its_schedule(daemon: Daemon) -> None:
    """Rule M1."""
    job = daemon.create(command="true", schedule=FUTURE)
    daemon.request("POST", f"/job/start/{job}")
    eventually(lambda: daemon.outcomes(job) == ["succeeded"])
    assert daemon.job(job)["next_run_at"] == "2099-01-01T00:00:00Z"
    assert not daemon.job(job)["is_done"]


def test_an_attempt_outlives_its_jobs_deletion_and_stays_in_the_history(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Rule M3."""
    gate = fifo(tmp_path)
    job = daemon.create(command=f"cat {gate}")
    eventually(lambda: daemon.runs(job))
    assert daemon.request("DELETE", f"/job/{job}/") == (204, "")
    assert daemon.request("GET", f"/job/{job}/")[0] == 404
    gate.write_text("go on")
    eventually(lambda: daemon.outcomes(job) == ["succeeded"])


def test_every_route_answers_with_and_without_its_slash(daemon: Daemon) -> None:
    job = daemon.create(command="true", schedule=FUTURE)
    for path in ("/job", "/stats", f"/job/{job}", f"/job/stats/{job}", f"/job/runs/{job}"):
        assert daemon.request("GET", path)[0] == daemon.request("GET", f"{path}/")[0] == 200
    assert daemon.request("POST", "/job", b'{"name": "a", "command": "true"}')[0] == 201
    for what in ("start", "disable", "enable"):
        assert daemon.request("POST", f"/job/{what}/{job}") == (204, "")
    assert daemon.request("DELETE", f"/job/{job}") == (204, "")


def test_all_jobs_can_be_deleted_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        for _ in range(3):
            daemon.create(command="true", schedule=FUTURE)
        assert daemon.request("DELETE", "/job/all/") == (204, "")
        assert daemon.get("/job/") == {"jobs": {}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/job/nobody/", 404),
        ("DELETE", "/job/nobody/", 404),
        ("POST", "/job/start/nobody/", 404),
        ("POST", "/job/enable/nobody/", 404),
        ("GET", "/job/stats/nobody/", 404),
        ("GET", "/job/runs/nobody/", 404),
        ("GET", "/job/missed/nobody/", 404),
        ("GET", "/run/output/nobody.1/", 404),
        ("GET", "/run/output/..%2F..%2Fkala.db/", 404),
        ("GET", "/nothing/", 404),
        ("PUT", "/job/", 405),
        ("DELETE", "/stats/", 405),
    ],
)
def test_what_is_not_there_is_said_in_json(
    daemon: Daemon, method: str, path: str, status: int
) -> None:
    answer, text = daemon.request(method, path)
    assert answer == status
    assert json.loads(text)["error"]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("body", b'{"name": "a", "command": "true"'),
        ("shedule", b'{"name": "a", "command": "true", "shedule": "R2//PT1S"}'),
        ("command", b'{"name": "a", "command": "echo \\"half"}'),
        ("schedule", b'{"name": "a", "command": "true", "schedule": "every day"}'),
        ("parent_jobs", b'{"name": "a", "command": "true", "parent_jobs": ["nobody"]}'),
    ],
)
def test_a_bad_job_is_refused_by_field_value_and_example_and_nothing_changes(
    daemon: Daemon, field: str, body: bytes
) -> None:
    before = daemon.get("/stats/")["Stats"]["Jobs"]
    status, text = daemon.request("POST", "/job/", body)
    sentence = json.loads(text)["error"]
    assert status == 400
    assert sentence.startswith(f"{field}: ")
    assert ", found " in sentence
    assert "; for example " in sentence
    assert daemon.get("/stats/")["Stats"]["Jobs"] == before


def test_a_body_of_two_mebibytes_is_too_large(daemon: Daemon) -> None:
    body = json.dumps({"name": "a", "command": "x" * 2 * 1024 * 1024}).encode()
    status, text = daemon.request("POST", "/job/", body)
    assert status == 413
    assert "1048576 bytes" in json.loads(text)["error"]


def test_a_circle_through_a_failure_job_is_refused(daemon: Daemon) -> None:
    """Rule D6."""
    parent = daemon.create(command="true", schedule=FUTURE)
    body = {"name": "a", "command": "true", "parent_jobs": [parent], "on_failure_job": parent}
    status, text = daemon.request("POST", "/job/", json.dumps(body).encode())
    assert status == 400
    assert "circle" in text


def test_an_answer_of_ours_can_be_posted_back(daemon: Daemon) -> None:
    first = daemon.job(daemon.create(command="true", schedule=FUTURE, owner="ada", retries=2))
    second = daemon.job(daemon.create(**first))
    assert first["id"] != second["id"]
    assert {**first, "id": ""} == {**second, "id": ""}


def test_kill_9_in_the_middle_of_a_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Rules C1, C2, C3: the run is lost, and no other starts before its process is gone."""
    started = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        job = daemon.create(command=f"sh -c 'echo $$ > {started}; exec sleep 1000'")
        deleted = daemon.create(command="true", schedule=FUTURE)
        daemon.request("DELETE", f"/job/{deleted}/")
        orphan = int(started.read_text())
        daemon.end(signal.SIGKILL)
    os.kill(orphan, 0)
    with running(tmp_path / "kala.db") as daemon:
        assert list(daemon.get("/job/")["jobs"]) == [job]
        assert daemon.request("POST", f"/job/start/{job}/") == (204, "")
        assert daemon.outcomes(job) == [None]
        os.kill(orphan, signal.SIGKILL)
        second = int(started.read_text())
        assert daemon.outcomes(job) == ["lost", None]
        assert daemon.runs(job)[1]["attempts"][0]["reason"]
        os.kill(second, signal.SIGKILL)
        eventually(lambda: daemon.outcomes(job) == ["lost", "failed"])


def test_occurrences_while_the_daemon_was_down_are_one_run_and_one_record(tmp_path: Path) -> None:
    """Rules L4, L5."""
    with running(tmp_path / "kala.db") as daemon:
        job = daemon.create(command="true", schedule=f"R5/{soon(20).isoformat()}/PT0.1S")
        daemon.end(signal.SIGKILL)
    last = datetime.fromisoformat(_next_run_at(tmp_path / "kala.db")) + timedelta(seconds=0.5)
    eventually(lambda: datetime.now(UTC) > last)
    with running(tmp_path / "kala.db") as daemon:
        eventually(lambda: daemon.job(job)["is_done"])
        (missed,) = daemon.get(f"/job/missed/{job}/")["missed"]
        assert (missed["count"], missed["reason"]) == (5, "downtime")
        assert daemon.outcomes(job) == ["succeeded"]


def _next_run_at(db: Path) -> str:
    with sqlite3.connect(db) as database:
        (microseconds,) = database.execute("SELECT next_at FROM progress").fetchone()
    database.close()
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat()


def test_a_killed_web_process_is_back_and_no_job_notices(tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        job = daemon.create(command=f"cat {gate}")
        eventually(lambda: daemon.runs(job))
        for _ in range(3):
            killed = daemon.web_process()
            os.kill(killed, signal.SIGKILL)
            assert daemon.outcomes(job) == [None]
            assert daemon.web_process() != killed
        gate.write_text("go on")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])


def test_the_web_process_goes_when_the_daemon_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        daemon.get("/stats/")
        web = os.pidfd_open(daemon.web_process())
        daemon.end(signal.SIGKILL)
        eventually(lambda: not _is_running(web))
        os.close(web)


def _is_running(pidfd: int) -> bool:
    """Tell whether a process goes on, though nobody may reap it when it does not."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def test_a_port_in_use_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refusal(tmp_path / "kala.db", f"--port={port}")
    assert words.startswith(f"cannot listen on 127.0.0.1 port {port}: ")


def test_a_database_in_use_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db"):
        assert "held by another kala-trio" in refusal(tmp_path / "kala.db")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--port=http", "--port: must be a port"),
        ("--grace=soon", "--grace: "),
        ("--config=/nowhere.toml", "config: cannot be read"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_status_2(tmp_path: Path, flag: str, words: str) -> None:
    assert refusal(tmp_path / "kala.db", flag, status=2).startswith(words)
    assert not (tmp_path / "kala.db").exists()


def test_what_the_daemon_inherited_does_not_change_what_jobs_are(tmp_path: Path) -> None:
    """Rules A1, C3: an ignored SIGCHLD, and the variables of a run that started the daemon."""
    careless = ("env", "--ignore-signal=CHLD", "KALA_TRIO_RUN_ID=another.1")
    with running(tmp_path / "kala.db", wrapper=careless) as daemon:
        failing = daemon.create(command="false")
        eventually(lambda: daemon.outcomes(failing) == ["failed"])
        web = Path(f"/proc/{daemon.web_process()}/environ").read_bytes()
        assert b"KALA_TRIO_RUN_ID" not in web


def test_a_job_holds_nothing_open_that_the_daemon_inherited(tmp_path: Path) -> None:
    """A lock of the daemon's parent, say, which a job that outlives both would keep."""
    careless = ("sh", "-c", 'exec 9< /dev/null; exec "$@"', "sh")
    with running(tmp_path / "kala.db", wrapper=careless) as daemon:
        job = daemon.create(command="sh -c 'test ! -e /proc/$$/fd/9'")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])


def test_a_daemon_that_was_told_to_ignore_all_signals_still_heeds_sigterm(tmp_path: Path) -> None:
    deaf = ("env", "--ignore-signal=TERM,INT,HUP")
    with running(tmp_path / "kala.db", wrapper=deaf) as daemon:
        daemon.get("/stats/")
        assert daemon.end()[0] == 0


def test_runs_come_in_pages(daemon: Daemon) -> None:
    """H2: also over all jobs."""
    job = daemon.create(command="true", schedule="R4//PT0.01S", catch_up="all")
    eventually(lambda: daemon.job(job)["is_done"])
    for path in (f"/job/runs/{job}/?limit=2", f"/run/?job={job}&limit=2"):
        page = daemon.get(path)
        rest = daemon.get(f"{path}00&cursor={page['next']}")
        assert len(page["runs"]) == 2
        assert page["runs"] + rest["runs"] == daemon.get(f"/job/runs/{job}/")["runs"]
        assert rest["next"] is None
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=7b7d0", "before=1"):
        status, text = daemon.request("GET", f"/job/runs/{job}/?{query}")
        assert status == 400
        assert json.loads(text)["error"].startswith(query.partition("=")[0])
