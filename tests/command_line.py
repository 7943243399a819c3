"""The command line, given to a real daemon."""

import os

from click.testing import CliRunner

from kala_trio.cli import main
from tests.daemon import FUTURE, Daemon


def environment(url: str) -> dict[str, str]:
    return os.environ | {"KALA_TRIO_API": url, "TZ": "UTC"}


def done(url: str, *words: str, status: int = 0) -> str:
    """Give a command, which must end with ``status``; return what it says."""
    result = CliRunner().invoke(main, words, env={"KALA_TRIO_API": url}, prog_name="kala-trio")
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


def added(daemon: Daemon, *words: str) -> str:
    """Create a job that does not run by itself; return its id."""
    return done(daemon.url, "job", "add", *words, "--schedule", FUTURE).strip()
