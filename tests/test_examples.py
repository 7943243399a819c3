"""Each example does what it says, against a real daemon."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.daemon import PATIENCE, Daemon

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, daemon: Daemon) -> str:
    """Return what an example prints."""
    done = subprocess.run(
        [EXAMPLES / name],
        env=os.environ | {"KALA_URL": daemon.url},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_one_shot(daemon: Daemon) -> None:
    assert run("one-shot.sh", daemon) == "hello from kala-trio\n"


def test_interval(daemon: Daemon) -> None:
    stats = json.loads(run("interval.sh", daemon))["job_stats"]
    assert [stat["Success"] for stat in stats] == [True] * 3


def test_retries(daemon: Daemon) -> None:
    *lines, runs = run("retries.sh", daemon).splitlines()
    assert lines == ["attempt 1", "attempt 2", "attempt 3"]
    (done,) = json.loads(runs)["runs"]
    assert done["outcome"] == "succeeded"
    assert [each["reason"] for each in done["attempts"]] == ["exit code 1", "exit code 1", ""]


def test_chain(daemon: Daemon) -> None:
    assert run("chain.sh", daemon) == "extracting\ntransforming\nloading\n"


def test_bulk(daemon: Daemon) -> None:
    assert run("bulk.sh", daemon) == "loading\n"


def test_monthly_report(daemon: Daemon) -> None:
    job = json.loads(run("monthly-report.sh", daemon))["job"]
    assert job["next_run_at"] == "2030-01-31T23:00:00Z"


def test_every_example_has_a_test() -> None:
    tested = set(re.findall(r'run\("(.*?)"', Path(__file__).read_text()))
    assert tested == {path.name for path in EXAMPLES.iterdir()}
