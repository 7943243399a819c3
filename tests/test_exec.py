"""`kala-trio exec`: one command, run here as the daemon would."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon import fifo

EXEC = [sys.executable, "-m", "kala_trio", "exec"]


def executed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EXEC, *words], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["true"], 0, "succeeded, after "),
        (["sh -c 'exit 3'"], 3, "exit code 3, after "),
        (["kill -9 $$", "--shell"], 137, "killed by SIGKILL"),
        (["sleep 60", "--timeout", "PT0.1S"], 124, "took longer than its timeout"),
        (["/no/program"], 126, "'/no/program' does not exist; give the full path"),
        (["true", "--umask", "9"], 2, "umask: must be three octal digits, found '9'"),
        ([""], 2, "command: a job needs a command"),
    ],
)
def test_its_status_is_that_of_the_command_or_says_why_there_is_none(
    words: list[str], status: int, said: str
) -> None:
    done = executed(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"kala-trio: {said}")


def test_the_command_finds_what_a_job_finds(tmp_path: Path) -> None:
    """No terminal, no input but its own, a group of its own, the variables of a run."""
    line = (
        "cat; pwd; umask; echo $WHERE $KALA_TRIO_CAUSE $KALA_TRIO_ATTEMPT; "
        "test $(ps -o pgid= -p $$) = $$ && echo leads >&2; test -t 1 || echo no terminal"
    )
    own = ["--stdin", "given\n", "--cwd", str(tmp_path), "--umask", "027", "--env", "WHERE=here"]
    done = executed(line, "--shell", *own)
    assert done.stdout.splitlines() == [
        *("given", str(tmp_path), "0027", "here manual 1", "leads", "no terminal")
    ]


def test_what_it_writes_is_shown_as_it_comes(tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    with subprocess.Popen([*EXEC, f"echo first; cat {gate}", "--shell"], stdout=-1) as process:
        assert process.stdout
        assert process.stdout.readline() == b"first\n"
        gate.write_bytes(b"last\n")
        assert process.stdout.read() == b"last\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    line = "trap 'echo cleaned up; exit' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([*EXEC, line, "--shell"], stdout=-1, stderr=-1) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read().endswith(b"cleaned up\n")  # after what the shell says
        assert b"kala-trio: cancelled, after" in process.stderr.read()
    assert process.returncode == 128 + signal.SIGINT


def test_a_reader_that_goes_away_ends_the_command(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    line = "trap '' PIPE; while :; do echo y; sleep 0.05; done"
    with subprocess.Popen([*EXEC, line, "--shell"], stdout=writer, stderr=-1) as process:
        os.close(writer)
        assert os.read(reader, 1) == b"y"
        os.close(reader)
        assert process.stderr
        assert process.stderr.read().count(b"\n") == 1
    assert process.returncode == 128 + signal.SIGINT


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([*EXEC, "echo hello"], check=True, env=environment)
    assert [*tmp_path.iterdir()] == []
