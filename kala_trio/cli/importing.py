"""The commands that make job files of what other schedulers have."""

import re
import sys
from pathlib import Path

import click
import httpx

from kala_trio.cli.status import exit_status
from kala_trio.clock import WallClock
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.job_files.crontab import draft_of_crontab
from kala_trio.job_files.kala import draft_of_kala
from kala_trio.job_files.reader import STDIN
from kala_trio.job_files.writer import Draft, written
from kala_trio.printable import printable

_JOBS = "/api/v1/job/"
_TIMEOUT = 60.0


@click.command("import-crontab")
@click.argument("file", default=STDIN, type=click.Path(path_type=Path))
@click.option("--system", is_flag=True, help="Its lines name a user, as those of /etc/crontab.")
def import_crontab(file: Path, *, system: bool) -> None:
    """Write the lines of a crontab, or of the standard input, as a job file.

    What is not carried over is told, with its line: there, and on standard error.
    """
    with exit_status():
        text = _read(file).decode(errors="surrogateescape")
        if not text.isprintable() and "\0" in text:
            raise Refused("FILE", "is no crontab", found=str(file), example="/etc/crontab")
        _write(draft_of_crontab(text, WallClock().now(), system=system))


@click.command("import-kala")
@click.argument("source", metavar="URL|FILE")
def import_kala(source: str) -> None:
    """Write the jobs of a Kala that runs at URL, or were saved in FILE, as a job file.

    What is not carried over is told: there, and on standard error. The Kala is only read.
    """
    with exit_status():
        data = _fetch(source) if re.match("https?://", source) else _read(Path(source))
        _write(draft_of_kala(data, WallClock().now()))


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise Refused("FILE", problem, found=str(path), example="jobs.json") from None


def _fetch(url: str) -> bytes:
    where = url if _JOBS.rstrip("/") in url else f"{url.rstrip('/')}{_JOBS}"
    try:
        answer = httpx.get(where, timeout=_TIMEOUT, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{where} can't be read: {error or type(error).__name__}") from None
    return answer.content


def _write(draft: Draft) -> None:
    click.echo(written(draft), nl=False)
    for remark in draft.remarks:
        click.echo(f"kala-trio: {printable(remark)}", err=True)
