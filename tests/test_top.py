"""`kala-trio top`, on a terminal and without one."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from tests.command_line import added, done, environment
from tests.daemon import PATIENCE, Daemon, eventually, fifo, running

COMMAND = [sys.executable, "-m", "kala_trio"]


class Terminal:
    """`top` on a terminal of its own, of so many lines."""

    def __init__(self, url: str, lines: int = 24) -> None:
        """Start it."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 100, 0, 0))
        self.usual = termios.tcgetattr(theirs)
        self.theirs = theirs
        command = [*COMMAND, "top", "--every", "0.1"]
        # What these say would count for more than the terminal.
        sizes = {"LINES", "COLUMNS"}
        asking = {name: value for name, value in environment(url).items() if name not in sizes}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, env=asking, start_new_session=True
        )

    def __enter__(self) -> Self:
        """Look at it until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if nobody has."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self.theirs)

    def awaits(self, text: str) -> str:
        """Read until ``text`` was shown; return all of that."""
        seen = ""
        while text not in seen:
            assert select.select([self._ours], [], [], PATIENCE)[0], seen
            seen += os.read(self._ours, 10_000).decode()
        return seen

    def frame(self) -> str:
        """Return what is shown at one time."""
        seen = ""
        while not (found := re.search(r"\x1b\[H((?:(?!\x1b\[H).)*?)\x1b\[J", seen, re.DOTALL)):
            seen += self.awaits("\x1b[J")
        return found[1]

    def press_q(self) -> None:
        """Have seen enough."""
        os.write(self._ours, b"q")

    def interrupt(self) -> None:
        """Do what a terminal does on Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Return its exit status, if it left the terminal as it was."""
        status = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self.theirs) == self.usual
        return status


@pytest.mark.parametrize("enough", [Terminal.press_q, Terminal.interrupt])
def test_it_shows_a_run_as_it_begins_and_ends_until_somebody_has_seen_enough(
    tmp_path: Path, enough: Callable[[Terminal], None]
) -> None:
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db") as daemon:
        job_id = added(daemon, "watched\x1b[2J", f"cat {gate}")
        with Terminal(daemon.url) as terminal:
            assert terminal.awaits("1 jobs, 0 running").startswith("\x1b[?1049h")
            done(daemon.url, "job", "start", job_id)
            shown = terminal.awaits("1 jobs, 1 running") + terminal.awaits("NEXT")
            assert "watched\\x1b[2J" in shown
            gate.write_text("")
            terminal.awaits("succeeded\x1b[0m")
            enough(terminal)
            assert terminal.awaits("\x1b[?1049l")
            assert terminal.ended() == 0


def test_it_shows_no_more_lines_than_there_are(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        for number in range(30):
            done(daemon.url, "job", "start", added(daemon, f"job {number}", "true"))
        eventually(lambda: len(daemon.get("/run/?outcome=succeeded")["runs"]) == 30)
        with Terminal(daemon.url, lines=20) as terminal:
            assert terminal.frame().count("\r\n") == 19
            terminal.press_q()
            assert terminal.ended() == 0


def test_it_outlives_the_daemon(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon, Terminal(daemon.url) as terminal:
        terminal.awaits("0 jobs")
        daemon.end()
        terminal.awaits("no kala-trio can be reached")
        terminal.press_q()
        assert terminal.ended() == 0


def test_without_a_terminal_it_is_printed_once(daemon: Daemon) -> None:
    added(daemon, "listed once", "true")
    heads = [line.split()[0] for line in done(daemon.url, "top").splitlines() if line[:1].isupper()]
    assert heads == ["RUNNING", "NEXT", "LAST"]
