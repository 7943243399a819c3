"""What commands find when they start, on real processes: environment, directory, user, input."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import FUTURE, Daemon, eventually, running

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run commands as others")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("execution") / "kala.db") as daemon:
        yield daemon


def written(daemon: Daemon, **fields: object) -> str:
    """Return what a job has written that is run once and succeeds."""
    job_id = daemon.create(**fields)
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    return daemon.output(f"{job_id}.1")


def why(daemon: Daemon, **fields: object) -> str:
    """Return why the only attempt of a job failed."""
    job_id = daemon.create(**fields)
    eventually(lambda: daemon.outcomes(job_id) == ["failed"])
    reason: str = daemon.runs(job_id)[0]["reason"]
    return reason


def test_a_line_of_shell_is_run_by_a_shell_and_a_command_is_not(daemon: Daemon) -> None:
    """E6."""
    line = "echo 'one two' | tr a-z A-Z; echo $KALA_TRIO_ATTEMPT"
    assert written(daemon, command=line, shell=True) == "ONE TWO\n1\n"
    assert written(daemon, command="echo $HOME | cat").startswith("$HOME | cat")


def test_a_quote_that_is_not_closed_is_the_shells_to_judge(daemon: Daemon) -> None:
    """E6: a command of words is refused at once for it."""
    status, text = daemon.request("POST", "/job/", b'{"name": "a", "command": "echo it\'s"}')
    assert (status, "cannot be split into words" in text) == (400, True)
    assert why(daemon, command="echo it's", shell=True) == "exit code 2"


def test_variables_of_the_job_beat_those_of_the_daemon(daemon: Daemon) -> None:
    """E1, E2: but not kala-trio's own."""
    shown = written(daemon, command="env", env={"LANG": "xx", "日": "次 = 1"})
    lines = shown.splitlines()
    assert {"LANG=xx", "日=次 = 1", "KALA_TRIO_CAUSE=occurrence"} <= {*lines}
    assert f"PATH={os.environ['PATH']}" in lines
    assert not [line for line in lines if line.startswith("KALA_TRIO_SOURCE")]


def test_a_command_starts_in_its_directory_with_its_umask(daemon: Daemon, tmp_path: Path) -> None:
    """E3."""
    shown = written(
        daemon, command="pwd; umask; touch made", shell=True, cwd=str(tmp_path), umask="027"
    )
    assert shown == f"{tmp_path}\n0027\n"
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o640


def test_a_directory_that_is_not_there_is_the_reason_of_a_failed_attempt(daemon: Daemon) -> None:
    """E3."""
    reason = why(daemon, command="true", cwd="/no/such/directory")
    assert reason == "cwd '/no/such/directory' can't be entered: No such file or directory"


@as_root
def test_a_command_runs_as_its_user_with_that_users_surroundings(daemon: Daemon) -> None:
    """E4."""
    line = 'id -un; id -gn; id -Gn; echo "$USER $LOGNAME $HOME"'
    shown = written(daemon, command=line, shell=True, user="nobody", cwd="/")
    assert shown == "nobody\nnogroup\nnogroup\nnobody nobody /nonexistent\n"
    line = "id -u; id -g; id -G"
    assert (
        written(daemon, command=line, shell=True, user="65534", group="1") == "65534\n1\n1 65534\n"
    )
    assert written(daemon, command=line, shell=True, group="daemon") == "0\n1\n1\n"


@as_root
def test_a_run_as_another_user_can_be_cancelled(daemon: Daemon) -> None:
    """E4, M6."""
    job_id = daemon.create(command="sleep 1000", user="nobody")
    eventually(lambda: daemon.outcomes(job_id) == [None])
    daemon.post(f"/run/cancel/{job_id}.1/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])


@pytest.mark.parametrize("key", ["user", "group"])
def test_who_does_not_exist_is_the_reason_of_a_failed_attempt(daemon: Daemon, key: str) -> None:
    """E4."""
    reason = why(daemon, command="true", **{key: "no-such-one"})
    assert f"there is no {key} 'no-such-one'" in reason


@as_root
def test_a_daemon_that_may_not_become_another_user_says_so() -> None:
    """E4: it may be its own."""
    script = """
import os
from kala_trio.core.definition import Execution
from kala_trio.runner.spawn import identify
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
print(identify(Execution(user="nobody")).uid)
try:
    identify(Execution(user="root"))
except ValueError as error:
    print(error)
"""
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    own, other = done.stdout.splitlines()
    assert own == "65534"
    assert "may not run commands as anybody else, found user 'root'" in other


@pytest.mark.parametrize("text", ["a line\n", "日" * 100_000, "\0\0"])
def test_a_command_reads_its_input_to_the_end(daemon: Daemon, text: str) -> None:
    """E5."""
    shown = written(daemon, command="sh -c 'wc -c; true'", stdin=text)
    assert int(shown) == len(text.encode())


def test_a_command_that_never_reads_its_input_holds_nobody_up(daemon: Daemon) -> None:
    """E5."""
    assert written(daemon, command="echo done", stdin="x" * 100_000, umask="077") == "done\n"


def test_a_child_and_a_failure_job_find_the_run_and_its_last_line(daemon: Daemon) -> None:
    """E1: of what was written, the last line that is not blank."""
    line = 'echo "$KALA_TRIO_CAUSE $KALA_TRIO_SOURCE_RUN_ID"; echo "$KALA_TRIO_SOURCE_LAST_LINE"'
    alarm = daemon.create(command=line, shell=True, schedule=FUTURE)
    parent = daemon.create(
        command="echo first; echo '/srv/a b'; echo; test -z \"$FAIL\"",
        shell=True,
        schedule=FUTURE,
        on_failure_job=alarm,
    )
    child = daemon.create(command=line, shell=True, parent_jobs=[parent])
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(child) == ["succeeded"])
    assert daemon.output(f"{child}.1") == f"parent {parent}.1\n/srv/a b\n"
    status, text = daemon.request("PATCH", f"/job/{parent}/", b'{"env": {"FAIL": "yes"}}')
    assert status == 200, text
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(alarm) == ["succeeded"])
    assert daemon.output(f"{alarm}.1") == f"failure {parent}.2\n/srv/a b\n"
