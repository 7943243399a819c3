"""The commands that ask a daemon, and the one that asks none."""

import itertools
import json
import os
import pty
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from kala_trio.cli.tables import for_terminal
from tests.command_line import added, done, environment
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running
from tests.relay import BUG, BUSY, STRANGE, relay
from tests.website import Answer

COMMAND = [sys.executable, "-m", "kala_trio"]


def test_a_create_under_one_id_may_be_repeated(daemon: Daemon) -> None:
    job_id = str(uuid.uuid4())
    for _ in range(2):
        assert added(daemon, "repeated", "true", "--id", job_id) == job_id
    text = done(daemon.url, "job", "add", "a", "true", "--id", job_id, "--json")
    assert json.loads(text) == {"id": job_id}


def test_a_job_is_meant_by_its_id_the_beginning_or_its_name(daemon: Daemon) -> None:
    name = f"named {uuid.uuid4()}"
    job_id = added(daemon, name, "true")
    for text in (job_id, job_id.upper(), job_id[:13], name):
        assert json.loads(done(daemon.url, "job", "show", text, "--json"))["id"] == job_id
    other = added(daemon, name, "true")
    said = done(daemon.url, "job", "start", name, status=2)
    assert f"several jobs are meant by {name!r}: {job_id}, {other}; give the id of one" in said
    assert "kala-trio job list lists them" in done(daemon.url, "job", "delete", "nobody", status=2)


def test_jobs_are_listed_with_their_states_and_times(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        parent = added(daemon, "parent", "true", "--tags", "a")
        child = done(daemon.url, "job", "add", "child", "true", "--parent-jobs", "parent").strip()
        done(daemon.url, "job", "disable", "child")
        heads, *rows = done(daemon.url, "job", "list", "--sort", "name").splitlines()
        assert heads.split() == ["ID", "NAME", "STATE", "RUNS", "NEXT", "LAST"]
        assert re.split(" {2,}", rows[0]) == [child, "child", "disabled", "after 1", "-", "-"]
        assert re.split(" {2,}", rows[1])[:4] == [parent, "parent", "enabled", FUTURE]
        lines = done(daemon.url, "job", "list", "--tag", "a", "--json").splitlines()
        assert [json.loads(line)["id"] for line in lines] == [parent]
        done(daemon.url, "job", "enable", "child")
        done(daemon.url, "job", "delete", "parent")
        assert done(daemon.url, "job", "list").count("\n") == 1
        assert '"jobs":0' in done(daemon.url, "stats", "--json")
        assert "active_jobs: 0" in done(daemon.url, "stats")


def test_what_became_of_a_run_is_told_in_words_and_as_it_is(daemon: Daemon) -> None:
    name = f"failing {uuid.uuid4()}"
    job_id = added(daemon, name, "sh -c 'echo hello; exit 3'", "--retries", "1")
    done(daemon.url, "job", "start", name)
    eventually(lambda: daemon.outcomes(job_id) == ["failed"])
    row = done(daemon.url, "runs", name).splitlines()[1]
    assert re.split(" {2,}", row)[:2] + re.split(" {2,}", row)[4:] == [
        *(f"{job_id}.1", name, "failed", "exit code 3")
    ]
    for line in done(daemon.url, "runs", "--json", "-n", "3").splitlines():
        assert "outcome" in json.loads(line)
    for run in (name, f"{name}.1", f"{job_id}.1"):
        shown = done(daemon.url, "show", run)
        assert shown.count("exit code 3") == 3
        assert done(daemon.url, "logs", run) == "hello\n" * 2
    assert json.loads(done(daemon.url, "show", name, "--json"))["output_bytes"] == 12
    assert done(daemon.url, "logs", "--tail", "3", name) == "lo\n"
    assert "failing" in done(daemon.url, "job", "list", "--name", name)
    assert "not in progress" in done(daemon.url, "cancel", name, status=2)
    assert "DELIVERY" in done(daemon.url, "notices", name)


def test_nothing_that_a_job_is_called_moves_the_cursor(daemon: Daemon) -> None:
    job_id = added(daemon, "a\x1b[2Jb\nc", "true")
    assert "a\\x1b[2Jb\\nc" in done(daemon.url, "job", "show", job_id)
    assert "a\\x1b[2Jb\\nc" in done(daemon.url, "job", "list")


@pytest.mark.parametrize("cuts", [[], [3], [6, 7], [12], [14], [17]])
def test_an_output_can_colour_a_terminal_and_do_no_more(cuts: list[int]) -> None:
    """However its parts come: what moves the cursor, names the window, or turns text is shown."""
    written = "\x1b[1;31mred\x1b[0m\x1b[2J\x1b]0;me\a\u202eab\x9b1m\n\tü".encode() + b"\xff\x1b[3"
    parts = [written[start:end] for start, end in itertools.pairwise([0, *cuts, len(written)])]
    shown = "".join(for_terminal(parts))
    safe = "\x1b[1;31mred\x1b[0m\\x1b[2J\\x1b]0;me\\x07\\u202eab\\x9b1m\n\tü\ufffd\\x1b[3"
    assert shown == safe


def test_logs_are_made_harmless_for_a_terminal_alone(daemon: Daemon) -> None:
    job_id = added(daemon, "clear", r"printf '\033[2Jx'")
    done(daemon.url, "job", "start", job_id)
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    ours, theirs = pty.openpty()
    words = [*COMMAND, "logs", job_id]
    subprocess.run(words, stdout=theirs, env=environment(daemon.url), check=True)
    assert os.read(ours, 10_000) == b"\\x1b[2Jx"
    os.close(ours)
    os.close(theirs)
    assert done(daemon.url, "logs", job_id) == "\x1b[2Jx"


def test_what_was_missed_is_listed_with_its_reason(daemon: Daemon, tmp_path: Path) -> None:
    job_id = added(daemon, "busy", f"cat {fifo(tmp_path)}", "--overlap", "skip")
    for _ in range(2):
        done(daemon.url, "job", "start", job_id)
    assert done(daemon.url, "missed", job_id).splitlines()[1].split()[-3:] == [
        *("1", "manual", "overlap")
    ]
    assert json.loads(done(daemon.url, "missed", job_id, "--json"))["reason"] == "overlap"
    assert "missed" in done(daemon.url, "runs", job_id, "--outcome", "missed")
    done(daemon.url, "cancel", job_id)
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])


def test_a_job_that_has_not_run_has_no_log(daemon: Daemon) -> None:
    job_id = added(daemon, "idle.1", "true")
    assert "has not run yet" in done(daemon.url, "logs", job_id, status=2)


def test_a_log_is_followed_as_it_is_written(daemon: Daemon, tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    line = f"while read line; do echo got $line; done < {gate}"
    job_id = added(daemon, "followed", line, "--shell")
    done(daemon.url, "job", "start", job_id)
    eventually(lambda: daemon.outcomes(job_id) == [None])
    words = [*COMMAND, "logs", "-f", job_id]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, env=environment(daemon.url)) as logs,
        gate.open("w") as go,
    ):
        assert logs.stdout
        for word in ("one", "two"):
            print(word, file=go, flush=True)
            assert logs.stdout.readline() == f"got {word}\n".encode()
        go.close()
        assert logs.stdout.read() == b""
        assert logs.wait(PATIENCE) == 0


def test_a_daemon_that_is_not_there_is_no_fault_of_the_request() -> None:
    said = done("http://127.0.0.1:1", "job", "list", status=1)
    assert said.startswith("kala-trio: no kala-trio can be reached at http://127.0.0.1:1")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("trouble", "status"), [([BUSY] * 9, 1), ([BUG], 1), ([BUSY], 0)])
def test_what_the_daemon_can_not_do_now_is_tried_again(
    daemon: Daemon, trouble: list[Answer], status: int
) -> None:
    with relay(daemon, *trouble) as way:
        assert done(way.url, "stats", status=status)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["job", "add", "a", "true", "--schedule", "daily"], "kala-trio: schedule: must be R"),
        (["job", "add", "a"], "kala-trio: command: "),
        (["job", "add", "a", "true", "--retries", "many"], "not a valid integer"),
        (["job", "add", "a", "true", "--overlap", "never"], "is not one of"),
        (["job", "add", "a", "true", "--id", "x"], "Idempotency-Key: must be a UUID"),
        (["job", "list", "--sort", "age"], "kala-trio: sort: must be one of"),
        (["job", "show", str(uuid.uuid4())], "kala-trio: there is no job"),
        (["show", "nobody.1"], "kala-trio: there is no job"),
        (["runs", "--api", "kala"], "for example http://127.0.0.1:8000"),
        (["nothing"], "No such command"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_with_status_2(
    daemon: Daemon, words: list[str], said: str
) -> None:
    assert said in done(daemon.url, *words, status=2)


def test_a_bug_shows_where_it_is_and_ends_with_status_70(daemon: Daemon) -> None:
    with relay(daemon, STRANGE) as way:
        said = done(way.url, "job", "list", status=70)
    assert said.startswith("Traceback")
    assert said.endswith("kala-trio: stopped by a bug; please report what stands above\n")


def test_whoever_reads_only_the_first_lines_ends_the_command(daemon: Daemon) -> None:
    added(daemon, "listed", "true")
    words = f"{' '.join(COMMAND)} job list | head -n 1"
    listed = subprocess.run(
        words, shell=True, env=environment(daemon.url), capture_output=True, text=True, check=True
    )
    assert listed.stdout.startswith("ID ")
    assert "Traceback" not in listed.stderr


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_there_are_colours_on_a_terminal_that_wants_them_alone(
    daemon: Daemon, more: dict[str, str], coloured: bool
) -> None:
    name = f"coloured {uuid.uuid4()}"  # alone, since nobody reads while it writes
    added(daemon, name, "true")
    ours, theirs = pty.openpty()
    words = [*COMMAND, "job", "list", "--name", name]
    asking = {key: value for key, value in environment(daemon.url).items() if key != "NO_COLOR"}
    subprocess.run(words, stdout=theirs, env=asking | more, check=True, timeout=PATIENCE)
    assert (b"\x1b[" in os.read(ours, 10_000)) is coloured
    os.close(ours)
    os.close(theirs)
    assert "\x1b" not in done(daemon.url, "job", "list")


def test_a_daemon_does_not_mind_where_commands_look_for_one(tmp_path: Path) -> None:
    wrapper = ("env", "KALA_TRIO_API=http://127.0.0.1:1")
    with running(tmp_path / "kala.db", wrapper=wrapper) as daemon:
        assert daemon.end()[0] == 0


def previewed(*words: str) -> list[list[str]]:
    lines = done("http://127.0.0.1:1", "next", *words).splitlines()[1:]
    return [re.split(" {2,}", line) for line in lines]


def test_the_next_instants_keep_the_wall_clock_across_a_change() -> None:
    berlin = "R/2026-03-27T09:00[Europe/Berlin]/P1D"
    assert previewed(berlin, "-n", "2", "--after", "2026-03-28T00:00Z") == [
        ["2026-03-28 09:00:00+01:00", "CET", "2026-03-28T08:00:00Z"],
        ["2026-03-29 09:00:00+02:00", "CEST", "2026-03-29T07:00:00Z"],
    ]


def test_the_next_instants_of_cron_leave_out_the_hour_that_is_not() -> None:
    words = ("--zone", "Europe/Berlin", "--after", "2026-03-28T02:30", "-n", "2")
    assert previewed("30 2 * * *", *words) == [
        ["2026-03-29 03:00:00+02:00", "CEST", "2026-03-29T01:00:00Z"],
        ["2026-03-30 02:30:00+02:00", "CEST", "2026-03-30T00:30:00Z"],
    ]


def test_the_next_instants_end_where_the_schedule_does() -> None:
    assert len(previewed("R2/2099-01-01T00:00Z/P1D")) == 3
    assert previewed("2020-01-01T00:00Z") == []
    assert len(previewed("R//PT1H")) == 10
    assert previewed("2099-01-01T00:00:00.5Z")[0][2] == "2099-01-01T00:00:00.500000Z"


def test_a_schedule_is_explained_in_words_with_what_is_odd_about_it() -> None:
    words = ("--zone", "Europe/Berlin", "--after", "2026-03-27T12:00")
    lines = done("http://127.0.0.1:1", "explain", "30 2 * * *", *words).splitlines()
    assert lines[:2] == ["every day at 02:30 Berlin time", "  2026-03-28 02:30:00+01:00"]
    assert lines[2].startswith("  2026-03-29 03:00:00+02:00  moved forward, since the clock skips")
    assert len(lines) == 11
    said = done("http://127.0.0.1:1", "explain", "daily", status=2)
    assert "kala-trio: schedule: must be R" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["daily"], "schedule: must be R"),
        (["0 25 * * *"], "cron: "),
        (["@daily", "--zone", "Berlin"], "time zone: must be the name of an IANA time zone"),
        (["@daily", "--after", "now"], "after: must be an ISO 8601 date"),
    ],
)
def test_what_is_no_schedule_is_refused_without_a_daemon(words: list[str], said: str) -> None:
    assert f"kala-trio: {said}" in done("http://127.0.0.1:1", "next", *words, status=2)
