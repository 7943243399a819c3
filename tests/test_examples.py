"""Each example does what it says, against a real daemon."""

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

from tests.daemon import PATIENCE, Daemon

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, daemon: Daemon) -> str:
    """Return what an example prints, with the commands that this Python has."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [EXAMPLES / name],
        env=os.environ | {"KALA_URL": daemon.url, "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_the_one_shot_prints_what_its_job_said(daemon: Daemon) -> None:
    assert run("one-shot.sh", daemon) == "hello from kala-trio\n"


def test_the_interval_has_three_runs_that_succeed(daemon: Daemon) -> None:
    stats = json.loads(run("interval.sh", daemon))["job_stats"]
    assert [stat["Success"] for stat in stats] == [True] * 3


def test_the_third_attempt_of_retries_succeeds(daemon: Daemon) -> None:
    *lines, runs = run("retries.sh", daemon).splitlines()
    assert lines == ["attempt 1", "attempt 2", "attempt 3"]
    (done,) = json.loads(runs)["runs"]
    assert done["outcome"] == "succeeded"
    assert [each["reason"] for each in done["attempts"]] == ["exit code 1", "exit code 1", ""]


def test_the_chain_runs_in_its_order(daemon: Daemon) -> None:
    assert run("chain.sh", daemon) == "extracting\ntransforming\nloading\n"


def test_of_the_bulk_a_child_runs_after_a_parent_given_by_name(daemon: Daemon) -> None:
    assert run("bulk.sh", daemon) == "loading\n"


def test_the_monthly_report_is_due_in_the_evening_of_its_zone(daemon: Daemon) -> None:
    job = json.loads(run("monthly-report.sh", daemon))["job"]
    assert job["next_run_at"] == "2030-01-31T23:00:00Z"


def test_the_jobs_of_a_file_run_and_applying_it_again_changes_nothing(daemon: Daemon) -> None:
    *_, again, output = run("jobs-as-code.sh", daemon).splitlines()
    assert again == "0 to create, 0 to edit, 0 to delete, 3 unchanged"
    assert output == "loading"


def test_every_example_has_a_test() -> None:
    tested = set(re.findall(r'run\("(.*?)"', Path(__file__).read_text()))
    assert tested == {path.name for path in EXAMPLES.iterdir() if path.suffix == ".sh"}
