"""Jobs as code, on real daemons: the difference first, then all of it or nothing."""

import json
import os
import pty
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import done, environment
from tests.daemon import FUTURE, PATIENCE, Daemon, running

COMMAND = [sys.executable, "-m", "kala_trio"]
JOBS = f"""
defaults:
  owner: ops
jobs:
  load:
    command: sh -c 'echo loading'
    parents: [extract]
    on_failure_job: alarm
    env: {{A: no, B: 09:00}}
  extract:
    command: true
    schedule: {FUTURE}
    stdin: |
      one
      two
  alarm:
    schedule: {FUTURE}
    remote_properties:
      url: http://localhost:1/
      headers: {{Accept: [text/plain]}}
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Daemon]:
    """Run a daemon without any job."""
    with running(tmp_path / "kala.db") as daemon:
        yield daemon


def file(folder: Path, text: str, name: str = "jobs.yaml") -> str:
    """Write a job file; return where it is."""
    (folder / name).write_text(text)
    return str(folder / name)


def jobs(daemon: Daemon) -> dict[str, Any]:
    """Return all jobs by their names."""
    return {job["name"]: job for job in daemon.get("/job/")["jobs"].values()}


def test_what_is_applied_twice_changes_nothing_the_second_time(
    fresh: Daemon, tmp_path: Path
) -> None:
    path = file(tmp_path, JOBS)
    said = done(fresh.url, "apply", path, "--dry-run", status=3)
    assert said.splitlines() == [
        *("create  load", "create  extract", "create  alarm"),
        "3 to create, 0 to edit, 0 to delete, 0 unchanged",
    ]
    assert jobs(fresh) == {}
    assert done(fresh.url, "apply", path, "--yes") == said
    there = jobs(fresh)
    assert [*there] == ["load", "extract", "alarm"]
    assert there["load"]["parent_jobs"] == [there["extract"]["id"]]
    assert there["load"]["on_failure_job"] == there["alarm"]["id"]
    assert (there["load"]["owner"], there["load"]["env"]) == ("ops", {"A": "no", "B": "09:00"})
    for words in ((), ("--yes",), ("--dry-run",)):
        said = done(fresh.url, "apply", path, *words)
        assert said == "0 to create, 0 to edit, 0 to delete, 3 unchanged\n"
    assert jobs(fresh) == there


def test_an_edit_is_told_key_by_key_and_keeps_the_jobs_id(fresh: Daemon, tmp_path: Path) -> None:
    done(fresh.url, "apply", file(tmp_path, JOBS), "--yes")
    before = jobs(fresh)
    other = JOBS.replace("[extract]", "[alarm, extract]").replace("B: 09:00", "C: x")
    other = other.replace("    on_failure_job: alarm\n", "").replace("text/plain", "a/b")
    path = file(tmp_path, other)
    said = done(fresh.url, "apply", path, "--yes")
    assert said.splitlines() == [
        "edit    load",
        '  parent_jobs: ["extract"] → ["alarm","extract"]',
        '  on_failure_job: "alarm" → ""',
        '  env.B: "09:00" → -',
        '  env.C: - → "x"',
        "edit    alarm",
        '  remote_properties.headers: {"Accept":["text/plain"]} → {"Accept":["a/b"]}',
        "0 to create, 2 to edit, 0 to delete, 1 unchanged",
    ]
    after = jobs(fresh)
    assert {name: job["id"] for name, job in before.items()} == {
        name: job["id"] for name, job in after.items()
    }
    assert after["extract"] == before["extract"] | {"dependent_jobs": [after["load"]["id"]]}


def test_a_plan_can_be_read_by_programs(fresh: Daemon, tmp_path: Path) -> None:
    done(fresh.url, "apply", file(tmp_path, JOBS), "--yes", "--file-set", "web")
    path = file(
        tmp_path, f"jobs: {{extract: {{command: x, schedule: {FUTURE}}}, b: {{command: x}}}}"
    )
    words = ("--file-set", "web", "--prune", "--dry-run", "--json")
    told = json.loads(done(fresh.url, "apply", path, *words, status=3))
    there = jobs(fresh)
    assert [each["name"] for each in told["create"]] == ["b"]
    assert told["edit"] == [
        {
            "id": there["extract"]["id"],
            "name": "extract",
            "changes": [
                {"key": "command", "old": "true", "new": "x"},
                {"key": "stdin", "old": "one\ntwo\n", "new": ""},
            ],
        }
    ]
    assert [each["name"] for each in told["delete"]] == ["load", "alarm"]
    assert told["unchanged"] == 0


def test_prune_deletes_only_what_came_from_that_file_set(fresh: Daemon, tmp_path: Path) -> None:
    by_hand = fresh.create(name="by hand", command="true", schedule=FUTURE)
    path = file(tmp_path, JOBS)
    assert "there must be one" in done(fresh.url, "apply", path, "--prune", status=2)
    done(fresh.url, "apply", path, "--yes", "--file-set", "web")
    other = file(tmp_path, f"jobs: {{other: {{command: x, schedule: {FUTURE}}}}}", "other.yaml")
    done(fresh.url, "apply", other, "--yes", "--file-set", "other", "--prune")
    path = file(tmp_path, f"jobs: {{alarm: {{command: x, schedule: {FUTURE}}}}}")
    said = done(fresh.url, "apply", path, "--yes", "--file-set", "web", "--prune")
    assert said.splitlines()[-3:-1] == ["delete  load", "delete  extract"]
    assert [*jobs(fresh)] == ["by hand", "alarm", "other"]
    child = fresh.create(name="child", command="true", parent_jobs=[jobs(fresh)["alarm"]["id"]])
    path = file(tmp_path, "jobs: {}")
    said = done(fresh.url, "apply", path, "--yes", "--file-set", "web", "--prune", status=2)
    assert f"job '{child}' ('child') would be deleted with its parents" in said
    assert {by_hand, child} <= {job["id"] for job in jobs(fresh).values()}


def test_a_job_of_no_file_set_is_taken_over_by_one_and_none_is_doubled(
    fresh: Daemon, tmp_path: Path
) -> None:
    path = file(tmp_path, JOBS)
    done(fresh.url, "apply", path, "--yes")
    said = done(fresh.url, "apply", path, "--yes", "--file-set", "web")
    assert said.count('  file_set: "" → "web"') == 3
    said = done(fresh.url, "apply", path, "--yes", status=2)
    assert "jobs.yaml:5: file_set: the job of this name is in a file set, which must be" in said
    path = file(tmp_path, JOBS.replace("owner: ops", "owner: ops\n  file_set: web"))
    assert "3 unchanged" in done(fresh.url, "apply", path)
    assert len(jobs(fresh)) == 3
    for _ in range(2):
        fresh.create(name="twin", command="true", schedule=FUTURE)
    path = file(tmp_path, "jobs: {twin: {command: x}}")
    assert "jobs.yaml:1: name: several jobs have this name" in done(
        fresh.url, "apply", path, "--yes", status=2
    )


def test_who_paused_a_job_by_hand_finds_it_paused(fresh: Daemon, tmp_path: Path) -> None:
    """What a file does not say of owner and state stays; what it says wins."""
    path = file(tmp_path, f"jobs: {{a: {{command: x, schedule: {FUTURE}}}}}")
    done(fresh.url, "apply", path, "--yes")
    done(fresh.url, "job", "disable", "a")
    done(fresh.url, "job", "edit", "a", "--owner", "ada", "--retries", "3")
    assert "  retries: 3 → 0" in done(fresh.url, "apply", path, "--yes").splitlines()
    assert (jobs(fresh)["a"]["disabled"], jobs(fresh)["a"]["owner"]) == (True, "ada")
    text = f"jobs: {{a: {{command: x, schedule: {FUTURE}, disabled: false, owner: ''}}}}"
    said = done(fresh.url, "apply", file(tmp_path, text), "--yes")
    assert '  owner: "ada" → ""' in said.splitlines()
    assert "  disabled: true → false" in said.splitlines()
    assert not jobs(fresh)["a"]["disabled"]


def test_what_the_daemon_refuses_is_told_by_its_line_and_nothing_is_changed(
    fresh: Daemon, tmp_path: Path
) -> None:
    text = f"{JOBS}  old:\n    command: x\n    schedule: R0/2020-01-01T00:00:00Z/P1D\n"
    said = done(fresh.url, "apply", file(tmp_path, text), "--yes", status=2)
    assert "jobs.yaml:23: schedule: cannot be scheduled in the past" in said
    text = f"{JOBS}  old:\n    command: x\n    notify_email: [ada@example.com]\n"
    said = done(fresh.url, "apply", file(tmp_path, text), "--yes", status=2)
    assert "jobs.yaml:23: notify_email: this kala-trio has no mail server" in said
    assert jobs(fresh) == {}


def test_all_mistakes_of_files_are_told_and_end_with_status_2(
    fresh: Daemon, tmp_path: Path
) -> None:
    said = done(fresh.url, "apply", file(tmp_path, "jobs: {a: {}, b: {}}"), status=2)
    assert said.startswith(f"kala-trio: {tmp_path}/jobs.yaml:1: command: is missing")
    assert said.count("is missing") == 1  # the same sentence of the same line


def test_nothing_is_changed_where_nobody_can_be_asked(fresh: Daemon, tmp_path: Path) -> None:
    said = done(fresh.url, "apply", file(tmp_path, JOBS), status=2)
    assert "there is nobody to be asked; --yes makes these changes without asking" in said
    assert jobs(fresh) == {}


@pytest.mark.parametrize(("answer", "status", "count"), [("y", 0, 3), ("n", 1, 0)])
def test_on_a_terminal_one_is_asked(
    fresh: Daemon, tmp_path: Path, answer: str, status: int, count: int
) -> None:
    ours, its = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    ended = subprocess.run(
        [*COMMAND, "apply", file(tmp_path, JOBS)],
        env=environment(fresh.url),
        stdin=its,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(ours)
    os.close(its)
    assert "Make these changes?" in ended.stderr
    assert (ended.returncode, len(jobs(fresh))) == (status, count)


def test_a_change_of_others_meanwhile_is_not_lost(fresh: Daemon, tmp_path: Path) -> None:
    """M5, M11: an edit of what was changed, and a second job of a name, are refused."""
    done(fresh.url, "apply", file(tmp_path, JOBS), "--yes")
    alarm = jobs(fresh)["alarm"]
    keys = {"id": alarm["id"], "name": "alarm", "command": "true"}
    body = json.dumps({"edit": [keys | {"version": alarm["version"] - 1}]})
    assert fresh.request("POST", "/apply/", body.encode())[0] == 412
    body = json.dumps({"delete": [{"id": alarm["id"], "version": alarm["version"] + 1}]})
    assert fresh.request("POST", "/apply/", body.encode())[0] == 412
    body = json.dumps({"create": [keys | {"id": "93b65499-b211-49ce-57e0-19e735cc5abd"}]})
    status, said = fresh.request("POST", "/apply/", body.encode())
    assert (status, "there is another job 'alarm' by now" in said) == (412, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[]", "body: must be a JSON object"),
        ('{"creates": []}', "body: must be lists named create, edit and delete"),
        ('{"create": {}}', "body: must be lists named create, edit and delete"),
        ('{"create": [1]}', "create.0.body: must be a JSON object"),
        ('{"create": [{"name": "a", "command": "x"}]}', "create.0.id: must be a UUID"),
        ('{"delete": [{"id": {}, "version": 1}]}', "delete.0.id: must be a UUID"),
        ('{"edit": [{"id": "%s"}]}', "edit.0.version: must be a whole number"),
        ('{"delete": [{"id": "%s", "version": -1}]}', "delete.0.version: must be a whole number"),
        ('{"create": [{"id": "%s", "name": "a"}]}', "create.0.command: is missing"),
        ('{"create": [{"id": "%s", "name": "", "command": "x"}]}', "create.0.name: a job needs"),
        ('{"edit": [{"id": "%s", "version": 1, "name": "a", "command": "x"}]}', "there is no job"),
    ],
)
def test_changes_that_can_not_be_read_are_refused(daemon: Daemon, body: str, said: str) -> None:
    body = body.replace("%s", "93b65499-b211-49ce-57e0-19e735cc5abd")
    status, answer = daemon.request("POST", "/apply/", body.encode())
    assert status in (400, 404)
    assert json.loads(answer)["error"].startswith(said)


def test_more_changes_than_one_request_may_have_are_refused(daemon: Daemon) -> None:
    entry = {"id": "93b65499-b211-49ce-57e0-19e735cc5abd", "version": 1}
    status, said = daemon.request(
        "POST", "/apply/", json.dumps({"delete": [entry] * 5001}).encode()
    )
    assert (status, "must be 5000 changes at most, found 5001" in said) == (400, True)


def test_what_is_exported_and_applied_is_no_change_there_and_the_same_elsewhere(
    fresh: Daemon, tmp_path: Path
) -> None:
    done(fresh.url, "apply", file(tmp_path, JOBS), "--yes", "--file-set", "web")
    done(fresh.url, "job", "disable", "alarm")
    odd = {"name": "an: odd\nname ", "command": "true", "schedule": FUTURE, "tags": ["1", "no"]}
    fresh.create(**odd, env={"A": " x\n\ty ", "B": "~", "C": "\u2028\x07 é"}, retry_backoff=2)
    path = str(tmp_path / "all.yaml")
    done(fresh.url, "export", "-o", path)
    text = Path(path).read_text()
    assert "    stdin: |\n      one\n      two\n" in text
    assert "    parents:\n      - extract\n" in text
    assert text == done(fresh.url, "export")
    assert [*yaml.safe_load(text)["jobs"]] == [*jobs(fresh)]
    assert "0 to create, 0 to edit, 0 to delete, 4 unchanged" in done(fresh.url, "apply", path)
    with running(tmp_path / "other.db") as other:
        done(other.url, "apply", path, "--yes")
        assert done(other.url, "export") == text
        left = done(other.url, "export", "--file-set", "web")
        assert [*yaml.safe_load(left)["jobs"]] == ["load", "extract", "alarm"]


def test_an_export_names_what_it_leaves_out_by_id_and_refuses_twins(fresh: Daemon) -> None:
    assert done(fresh.url, "export") == "jobs: {}\n"
    parent = fresh.create(name="p", command="true", schedule=FUTURE)
    fresh.create(name="c", command="true", parent_jobs=[parent], file_set="web")
    text = done(fresh.url, "export", "--file-set", "web")
    assert yaml.safe_load(text)["jobs"]["c"]["parents"] == [parent]
    fresh.create(name="p", command="true", schedule=FUTURE)
    assert "name: two jobs have this name" in done(fresh.url, "export", status=2)
    assert "can't be written" in done(
        fresh.url, "export", "--file-set", "web", "-o", "/no/such/folder", status=2
    )


def test_who_has_applied_is_on_record_and_needs_to_be_admin(tmp_path: Path) -> None:
    """M8."""
    db = ("--db", str(tmp_path / "kala.db"))
    admin = done("", "token", "new", "ada", *db).strip()
    operator = done("", "token", "new", "bob", "--role", "operate", *db).strip()
    with running(tmp_path / "kala.db") as daemon:
        path = file(tmp_path, JOBS)
        for token, status in ((operator, 2), (admin, 0)):
            ended = subprocess.run(
                [*COMMAND, "apply", path, "--yes"],
                env=environment(daemon.url) | {"KALA_TRIO_TOKEN": token},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert ended.returncode == status, ended.stderr
        headers = {"Authorization": f"Bearer {admin}"}
        deeds = json.loads(_get(f"{daemon.url}/api/v1/audit/", headers))["deeds"]
        assert [(each["who"], each["what"]) for each in deeds] == [("ada", "create")] * 3


def _get(url: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        data: bytes = answer.read()
    return data
