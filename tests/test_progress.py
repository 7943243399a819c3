"""How far a long command is, for somebody at a terminal and nobody else."""

import os
import pty
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kala_trio.store.journal import Journal


def shown(*words: str) -> str:
    """Return what a command shows on a terminal that is its standard error."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kala_trio", *words]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    text = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    return text


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    file = tmp_path / "jobs.yaml"
    file.write_text("jobs: {a: {command: true, cron: 0 * * * *}}")
    return str(file)


def test_a_simulation_shows_which_part_of_its_time_is_played(jobs: str) -> None:
    text = shown("simulate", jobs, "--summary")
    assert "played" in text
    assert "100%" in text


def test_a_backup_shows_which_part_is_copied(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "kala.db")):
        pass
    text = shown("backup", str(tmp_path / "copy.db"), "--db", str(tmp_path / "kala.db"))
    assert "copied" in text
    assert "100%" in text


def test_where_there_is_no_terminal_nothing_is_shown(jobs: str) -> None:
    command = [sys.executable, "-m", "kala_trio", "simulate", jobs, "--summary"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
