"""Job files of what other schedulers have."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from kala_trio.cli import main
from kala_trio.cli.status import PENDING
from tests.command_line import done
from tests.daemon import FUTURE, PATIENCE, Daemon, running


def imported(command: str, text: str, *words: str) -> Result:
    """Return what an import of a text gives."""
    return CliRunner().invoke(main, [command, *words, "-"], input=text, prog_name="kala-trio")


def crontab(text: str, *words: str) -> dict[str, Any]:
    """Return the jobs that a crontab becomes."""
    result = imported("import-crontab", text, *words)
    assert result.exit_code == 0, result.output
    jobs: dict[str, Any] = yaml.safe_load(result.stdout)["jobs"]
    return jobs


def test_a_line_of_a_crontab_is_a_job_named_after_its_program() -> None:
    jobs = crontab(
        "# a comment\n\n  # another\n"
        "0 3 * * MON-FRI  /usr/local/bin/backup.sh --all 2>&1 | logger\n"
        "*/5\t0-6 1,15 jan 7\tcd /srv && ./run\n@midnight FOO=bar backup.sh\n"
    )
    assert jobs == {
        "backup.sh": {
            "command": "/usr/local/bin/backup.sh --all 2>&1 | logger",
            "cron": "0 3 * * MON-FRI",
            "shell": True,
        },
        "run": {"command": "cd /srv && ./run", "cron": "*/5 0-6 1,15 jan 7", "shell": True},
        "backup.sh 2": {"command": "FOO=bar backup.sh", "cron": "@daily", "shell": True},
    }


def test_what_stands_after_a_percent_sign_is_the_input() -> None:
    jobs = crontab("@daily date +\\%F\n@daily cat\n@daily mail ada%Hello%%100\\% done\n")
    assert jobs["date"]["command"] == "date +%F"
    assert "stdin" not in jobs["cat"]
    assert (jobs["mail"]["command"], jobs["mail"]["stdin"]) == (
        *("mail ada", "Hello\n\n100% done\n"),
    )


def test_variables_hold_for_the_lines_below_them() -> None:
    jobs = crontab(
        "@daily a\nCRON_TZ = Europe/Berlin\nSHELL=/bin/bash\nPATH='/a b:/bin'\n"
        'MAILTO="ada@example.com, b@example.com"\n@daily b "c d"\n'
        "MAILTO=\nSHELL=/bin/sh\n@daily c\n"
    )
    assert jobs["a"] == {"command": "a", "cron": "@daily", "shell": True}
    assert jobs["b"] == {
        "command": "/bin/bash -c 'b \"c d\"'",
        "cron": "@daily",
        "time_zone": "Europe/Berlin",
        "env": {"PATH": "/a b:/bin"},
        "notify_email": ["ada@example.com", "b@example.com"],
    }
    assert jobs["c"]["shell"]
    assert "notify_email" not in jobs["c"]


def test_a_system_crontab_names_a_user() -> None:
    jobs = crontab("17 * * * * root cd / && run-parts /etc/cron.hourly\n", "--system")
    assert (jobs["run-parts"]["user"], jobs["run-parts"]["command"]) == (
        *("root", "cd / && run-parts /etc/cron.hourly"),
    )


def test_what_of_a_crontab_is_not_carried_over_is_told_with_its_line() -> None:
    text = "@reboot x\n61 * * * * x\n0 0 * *\nMAILTO=root\n@daily\n@every x\n@daily y\n"
    result = imported("import-crontab", text)
    assert result.exit_code == 0
    for number, why in {
        1: "kala-trio starts nothing when it is started; systemd can: @reboot x",
        2: "cron: minutes are 0 to 59",
        3: "five fields of time and a command are wanted: 0 0 * *",
        4: "kala-trio needs whole addresses, and mails what fails or is late: MAILTO=root",
        5: "there is no command: @daily",
        6: "cron: ",
    }.items():
        sentence = f"line {number} is not carried over: {why}"
        assert f"# {sentence}" in result.stdout
        assert f"kala-trio: {sentence}" in result.stderr
    assert [*yaml.safe_load(result.stdout)["jobs"]] == ["y"]


def test_a_crontab_can_be_applied_as_it_is_read(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "crontab").write_text("5 4 * * sun echo imported\n")
    text = done("", "import-crontab", str(tmp_path / "crontab")).partition("\nkala-trio: ")[0]
    (tmp_path / "jobs.yaml").write_text(text)
    said = done(daemon.url, "apply", str(tmp_path), "--dry-run", status=PENDING)
    assert said.startswith("create  echo\n1 to create")


KALA = {
    "jobs": {
        "1b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "load",
            "id": "1b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10",
            "command": "sh load.sh",
            "owner": "ada@example.com",
            "disabled": True,
            "dependent_jobs": None,
            "parent_jobs": ["2b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10"],
            "schedule": "",
            "retries": 2,
            "epsilon": "PT5S",
            "next_run_at": "0001-01-01T00:00:00Z",
            "metadata": {"success_count": 3, "last_attempted_run": "2015-06-04T19:25:16Z"},
            "on_failure_job": "4b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10",
            "type": 0,
            "remote_properties": {"url": "", "method": "", "headers": None, "timeout": 0},
            "template_delimiters": "",
            "is_done": False,
            "ran": 7,
        },
        "2b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "extract",
            "id": "2b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10",
            "command": "",
            "schedule": "R/2015-06-04T19:25:16.828696-07:00/PT1H",
            "parent_jobs": None,
            "type": 1,
            "remote_properties": {
                "url": "http://localhost/",
                "method": "POST",
                "body": "",
                "timeout": 5,
                "headers": {"A": ["b"]},
                "expected_response_codes": [200, 201],
            },
        },
        "3b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "past",
            "command": "true",
            "schedule": "R2/2015-06-04T19:25:16Z/PT10S",
        },
        "4b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "once",
            "command": "true",
            "schedule": "",
            "last_attempted_run": "2015-06-04T19:25:16Z",
        },
        "5b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "child",
            "command": "true",
            "schedule": "",
            "parent_jobs": ["3b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10"],
        },
        "6b3e9c1d-7a52-4c55-9e1a-6d1f6c3f5f10": {
            "name": "extract",
            "command": "true",
            "schedule": FUTURE,
        },
    }
}


def test_jobs_of_a_kala_name_their_parents_and_say_what_is_left_of_them() -> None:
    result = imported("import-kala", json.dumps(KALA))
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout)["jobs"] == {
        "extract": {
            "schedule": "R/2015-06-04T19:25:16.828696-07:00/PT1H",
            "remote_properties": {
                "url": "http://localhost/",
                "method": "POST",
                "headers": {"A": ["b"]},
                "timeout": 5,
                "expected_response_codes": [200, 201],
            },
        },
        "extract 6b3e9c1d": {"command": "true", "schedule": FUTURE},
        "load": {
            "command": "sh load.sh",
            "owner": "ada@example.com",
            "disabled": True,
            "parents": ["extract"],
            "retries": 2,
            "epsilon": "PT5S",
        },
    }
    told = result.stderr
    for job, sentence in {
        "1b3e9c1d": "('load') has no on_failure_job any more, which is not carried over",
        "3b3e9c1d": "('past') is not carried over: schedule: cannot be scheduled in the past",
        "4b3e9c1d": "('once') is not carried over: schedule: it has run, and without a schedule",
        "5b3e9c1d": "('child') is not carried over: parent_jobs: none of them is carried over",
        "6b3e9c1d": "('extract') is called 'extract 6b3e9c1d' here, since another has its name",
    }.items():
        assert f"job {job}-7a52-4c55-9e1a-6d1f6c3f5f10 {sentence}" in told
    assert "('load') has ran, which is not carried over" in told


def test_what_is_imported_from_a_running_kala_can_be_applied(tmp_path: Path) -> None:
    with running(tmp_path / "a.db") as old, running(tmp_path / "b.db") as new:
        parent = old.create(name="p", command="true", schedule=FUTURE)
        old.create(name="c", command="sh -c 'a\n\tb'", parent_jobs=[parent], retries=3)
        for url in (old.url, f"{old.url}/api/v1/job/"):
            (tmp_path / "jobs.yaml").write_text(done("", "import-kala", url))
        done(new.url, "apply", str(tmp_path / "jobs.yaml"), "--yes")
        assert done(new.url, "export") == done(old.url, "export")


def test_what_is_no_kala_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for text in ("", "[]", '{"jobs": 1}', '{"jobs": {"a": 1}}', "{"):
        result = imported("import-kala", text)
        assert result.exit_code == 2
        assert "FILE: is not what a Kala shows of its jobs" in result.stderr
    assert "can't be read" in done("", "import-kala", str(tmp_path / "none"), status=2)
    assert "can't be read" in done("", "import-kala", "http://127.0.0.1:1", status=1)
    assert "can't be read" in done("", "import-crontab", str(tmp_path / "none"), status=2)


def test_no_crontab_makes_the_reader_fail() -> None:
    """Bytes that are no text, and lines of nothing but signs."""
    ended = subprocess.run(
        [sys.executable, "-m", "kala_trio", "import-crontab"],
        input=b"\xff\xfe * * * *\n* * * * * \xff%\xff\n= = =\n%%%\n@\n* * * * * '\n\0",
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode in (0, 2)
    assert b"Traceback" not in ended.stderr
