"""What is told of what would run, by the command as a process: the documents' example, bounds."""

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kala_trio.store.connection import APPLICATION_ID
from properties.drawn import of_class
from tests.daemon import eventually, running

COMMAND = [sys.executable, "-m", "kala_trio", "simulate"]
DOCS = Path(__file__).parent.parent / "docs"
DAY = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-02T00:00Z")


def simulated(where: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Give the command, which must end with ``status``."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def told(where: Path, *words: str, status: int = 0) -> list[dict[str, Any]]:
    """Return the lines of JSON."""
    lines = simulated(where, "--json", *words, status=status).stdout.splitlines()
    return [json.loads(line) for line in lines]


def summary(lines: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return what a job comes to."""
    (found,) = (each for each in lines if each["what"] == "summary" and each["job_name"] == name)
    return found


def file(where: Path, text: str) -> str:
    """Write a job file, and return its name."""
    (where / "jobs.yaml").write_text(text)
    return "jobs.yaml"


def test_the_example_of_the_documents_tells_what_they_say(tmp_path: Path) -> None:
    """Its picture is the one that they show, so that it can be made anew by that command."""
    text = (DOCS / "simulate.md").read_text()
    (jobs,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "night.yaml").write_text(jobs)
    examples = re.findall(r"```console\n\$ kala-trio simulate (.*?)\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for words, output in examples:
        assert simulated(tmp_path, *shlex.split(words)).stdout == output
    assert (tmp_path / "night.svg").read_text() == (DOCS / "images/simulate.svg").read_text()


def test_each_key_that_is_told_is_documented_and_the_other_way_round(tmp_path: Path) -> None:
    text = (DOCS / "simulate.md").read_text().partition("## JSON")[2]
    of_lines, _, of_summaries = text.partition("key of `summary`")
    jobs = file(
        tmp_path,
        "jobs:\n"
        "  a: {command: x, cron: '0 * * * *', retries: 1, retry_delay: PT1M, expect_within: PT5M,"
        " notify_webhook: 'http://a', overlap: skip}\n"
        "  b: {command: x, cron: '*/30 * * * *'}\n",
    )
    lines = told(
        tmp_path,
        *(jobs, *DAY, "--duration", "a=PT70M", "--duration", "b=PT40M", "--fail", "a"),
        *("--down", "2026-03-01T03:00Z/2026-03-01T06:00Z"),
    )
    always = {"at", "job_id", "job_name"}
    for kind in {line["what"] for line in lines} - {"summary", "down", "up"}:
        (row,) = (line for line in of_lines.splitlines() if line.startswith(f"| `{kind}`"))
        keys = {key for line in lines if line["what"] == kind for key in line} - always - {"what"}
        words = {*re.findall(r"`(\w+)`", row.split("|")[3])}
        assert words - {"busy", "limit", "down"} == keys
    assert {line["what"] for line in lines} == {
        *("started", "attempt_failed", "ended", "missed", "waiting", "late", "down", "up"),
        "summary",
    }
    (own,) = {tuple(line) for line in lines if line["what"] == "summary"}
    rows = re.findall(r"^\| (`.*?) \|", of_summaries, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(rows))} == {*own} - {"what"}


def test_it_tells_the_same_each_time_and_the_seed_draws_the_jitter(tmp_path: Path) -> None:
    jobs = file(tmp_path, "jobs: {a: {command: x, cron: '@hourly', jitter: PT30M}}")
    first, again, other = (
        simulated(tmp_path, jobs, *DAY, "--seed", seed).stdout for seed in ("1", "1", "2")
    )
    assert first == again
    assert first != other


def test_runs_are_those_that_next_lists(tmp_path: Path) -> None:
    jobs = file(tmp_path, "jobs: {a: {command: x, cron: '30 2 * * *', time_zone: Europe/Berlin}}")
    march = ("--from", "2026-03-20T00:00Z", "--to", "2026-04-01T00:00Z")
    starts = [it["at"] for it in told(tmp_path, jobs, *march) if it["what"] == "started"]
    words = ("30 2 * * *", "--zone", "Europe/Berlin", "--after", "2026-03-20T00:00Z", "-n", "12")
    listed = subprocess.run(
        [*COMMAND[:-1], "next", *words], capture_output=True, text=True, check=True
    )
    assert starts == [line.split()[-1] for line in listed.stdout.splitlines()[1:]]


def test_a_failure_is_of_a_job_a_run_or_an_attempt(tmp_path: Path) -> None:
    jobs = file(
        tmp_path, "jobs: {a: {command: x, cron: '0 */6 * * *', retries: 1, retry_exit_codes: [7]}}"
    )

    def outcomes(*failures: str) -> list[tuple[str, int]]:
        words = [word for each in failures for word in ("--fail", each)]
        lines = told(tmp_path, jobs, *DAY, *words)
        return [(it["outcome"], it["attempts"]) for it in lines if it["what"] == "ended"]

    good, bad, retried = ("succeeded", 1), ("failed", 2), ("succeeded", 2)
    assert outcomes() == [good] * 4
    assert outcomes("a") == [bad] * 4
    assert outcomes("a@2", "a@4.1") == [good, bad, good, retried]


def test_timeouts_end_what_takes_longer(tmp_path: Path) -> None:
    """A5, Q3: also that of a request, which is 30 s where it says nothing."""
    jobs = file(
        tmp_path,
        "jobs:\n"
        "  a: {command: x, cron: '@daily', timeout: PT10S}\n"
        "  b: {remote_properties: {url: 'http://a'}, cron: '@daily'}\n",
    )
    lines = told(tmp_path, jobs, *DAY, "--duration", "PT1M")
    ends = {it["job_name"]: it for it in lines if it["what"] == "ended"}
    assert (ends["a"]["outcome"], ends["a"]["ended_at"]) == ("timed_out", "2026-03-01T00:00:10Z")
    assert ends["b"]["reason"] == "no whole answer within 30 s"
    assert ends["b"]["ended_at"] == "2026-03-01T00:00:30Z"


def test_strict_tells_by_its_status_whether_all_went_well(tmp_path: Path) -> None:
    jobs = file(
        tmp_path, "jobs: {a: {command: x, cron: '@hourly', overlap: skip}, b: {command: x}}"
    )
    assert not simulated(tmp_path, jobs, *DAY, "--strict", "--summary").stderr
    for words in (("--duration", "a=PT2H"), ("--fail", "a@3")):
        done = simulated(tmp_path, jobs, *DAY, "--strict", *words, status=3)
        assert done.stderr == "kala-trio: something is missed, late or fails: a\n"
        assert not simulated(tmp_path, jobs, *DAY, *words).stderr


def test_a_limit_lets_jobs_wait_for_each_other(tmp_path: Path) -> None:
    """L12: of the daemon's own settings, from wherever they come."""
    jobs = file(
        tmp_path, "jobs: {a: {command: x, cron: '@daily'}, b: {command: x, cron: '@daily'}}"
    )
    (tmp_path / "kala.toml").write_text("max_running = 1")
    lines = told(tmp_path, jobs, *DAY, "--config", "kala.toml", "--duration", "PT1H")
    (waiting,) = (it for it in lines if it["what"] == "waiting")
    assert (waiting["job_name"], waiting["why"]) == ("b", "limit")
    assert summary(lines, "b")["greatest_lateness"] == "PT3600S"


def test_too_much_is_told_up_to_there_and_then_refused(tmp_path: Path) -> None:
    jobs = file(tmp_path, "jobs: {a: {command: x, schedule: R//PT1S}}")
    done = simulated(tmp_path, jobs, *DAY, "--most", "100", status=2)
    assert len(done.stdout.splitlines()) == 101
    assert done.stderr.startswith("kala-trio: --most: more happens by 2026-03-01T00:00:50Z")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "PATH: must be job files, or --db with a database, and not both"),
        (("jobs.yaml", "--db", "kala.db"), "PATH: must be job files, or --db with a database"),
        (("--db", "kala.db"), "--db: is no file, found 'kala.db'"),
        (("--db", "jobs.yaml"), "--db: is no database, found 'jobs.yaml'"),
        (("--db", "old.db"), "--db: was made by another version of kala-trio; run the daemon of"),
        (("jobs.yaml", "--to", "2020-01-01T00:00Z"), "--to: must be later than --from"),
        (("jobs.yaml", "--from", "yesterday"), "--from: must be an ISO 8601 date and time of day"),
        (("jobs.yaml", "--zone", "Mars"), "time zone: "),
        (("jobs.yaml", "--duration", "soon"), "--duration: must be an ISO 8601 duration"),
        (("jobs.yaml", "--duration", "a="), "--duration: must be an ISO 8601 duration"),
        (("jobs.yaml", "--duration", "P1D"), "--duration: must be in hours, minutes and seconds"),
        (("jobs.yaml", "--duration", "b=PT1S"), "--duration: names no job, found 'b'; for exa"),
        (("jobs.yaml", "--fail", "b@1"), "--fail: names no job, found 'b'; for example a"),
        (("jobs.yaml", "--fail", "a@0"), "--fail: names no job, found 'a@0'; for example a"),
        (("jobs.yaml", "--down", "now"), "--down: must be two instants, found 'now'"),
        (("jobs.yaml", "--max-running", "-1"), "--max-running: must be a whole number from 0"),
        (("jobs.yaml", "--svg", "nowhere/a.svg"), "--svg: nowhere/a.svg can't be written"),
        (("nothing.yaml",), "PATH: can't be read (No such file or directory), found 'nothing"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    file(tmp_path, "jobs: {a: {command: x, cron: '@daily'}}")
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    done = simulated(tmp_path, *words, status=1 if "written" in sentence else 2)
    assert done.stderr.startswith(f"kala-trio: {sentence}")
    assert done.stderr.count("\n") == 1


def test_downtimes_lie_within_what_is_played_and_apart(tmp_path: Path) -> None:
    jobs = file(tmp_path, "jobs: {a: {command: x, cron: '@daily'}}")
    one, two = "2026-03-01T01:00Z/2026-03-01T03:00Z", "2026-03-01T02:00Z/2026-03-01T04:00Z"
    for words in ((one, two), ("2026-03-01T03:00Z/2026-03-01T01:00Z",), (two[:18] + two[:17],)):
        flags = [word for each in words for word in ("--down", each)]
        assert "--down: must " in simulated(tmp_path, jobs, *DAY, *flags, status=2).stderr
    zoned = "2026-03-01T01:00[Europe/Berlin]/2026-03-01T03:00[Europe/Berlin]"
    lines = told(tmp_path, jobs, *DAY, "--down", zoned)
    assert [it["at"] for it in lines if it["what"] in ("down", "up")] == [
        *("2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z")
    ]


def test_what_a_daemon_would_refuse_is_refused_with_its_line(tmp_path: Path) -> None:
    """S9: and what names it is not blamed."""
    jobs = file(
        tmp_path,
        "jobs:\n"
        "  a:\n"
        "    command: x\n"
        "    schedule: R0/2020-01-01T00:00:00Z/\n"
        "  b: {command: x, parents: [a]}\n",
    )
    done = simulated(tmp_path, jobs, *DAY, status=2)
    assert done.stderr.startswith("kala-trio: jobs.yaml:4: schedule: cannot be scheduled in the p")
    assert done.stderr.count("\n") == 1


def test_jobs_are_created_after_those_they_name_wherever_they_stand(tmp_path: Path) -> None:
    jobs = file(
        tmp_path,
        "jobs:\n"
        "  c: {command: x, parents: [b]}\n"
        "  b: {command: x, parents: [a]}\n"
        "  a: {command: x, cron: '@daily', on_failure_job: d}\n"
        "  d: {command: x, schedule: 'R0/2099-01-01T00:00:00Z/'}\n",
    )
    lines = told(tmp_path, jobs, *DAY)
    assert [it["job_name"] for it in lines if it["what"] == "started"] == ["a", "b", "c"]
    lines = told(tmp_path, jobs, *DAY, "--fail", "a")
    assert [it["job_name"] for it in lines if it["what"] == "started"] == ["a", "d"]


def test_a_database_is_gone_on_from_as_it_stands(tmp_path: Path) -> None:
    """Also while its daemon writes it: a run in progress ends, and what waits for it starts."""
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        slow = daemon.create(name="slow", command="sleep 600", schedule="R//PT24H")
        done = daemon.create(name="done", command="true", schedule="R0//PT1S")
        child = daemon.create(name="child", command="true", parent_jobs=[slow])
        eventually(lambda: daemon.job(slow).get("running") and daemon.job(done)["is_done"])
        daemon.post(f"/job/start/{slow}/")
        lines = told(tmp_path, "--db", "kala.db", "--duration", "slow=PT1H")
        daemon.post(f"/run/cancel/{slow}.1/")
    assert {it["job_id"] for it in lines if it["what"] == "summary"} >= {slow, child}
    happened = [(it["what"], it["job_name"], it["number"]) for it in lines if "number" in it]
    assert happened[:4] == [
        ("ended", "slow", 1),
        ("started", "slow", 2),
        ("started", "child", 1),
        ("ended", "child", 1),
    ]
    assert summary(lines, "slow")["most_at_once"] == 1
    assert summary(lines, "done")["runs"] == 0


def test_the_picture_has_a_row_for_each_job_and_stands_alone(tmp_path: Path) -> None:
    jobs = file(
        tmp_path,
        "defaults: {overlap: skip}\n"
        "jobs: {a: {command: x, cron: '@hourly'}, '<b>': {command: x, cron: '@daily'}}",
    )
    simulated(tmp_path, jobs, *DAY, "--duration", "a=PT90M", "--summary", "--svg", "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(of_class(root, "row")) == 2
    assert len(of_class(root, "run")) == 13
    assert len(of_class(root, "missed")) == 12
    assert [each for each in root.iter() if each.tag.endswith("style")]
    assert not of_class(root, "now")
