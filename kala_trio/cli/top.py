"""The command that shows what is going on, again and again, until somebody has seen enough."""

import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice

import click

from kala_trio.cli.reach import asks
from kala_trio.cli.tables import NEVER, elapsed, local, table
from kala_trio.client import Client, TryLater
from kala_trio.printable import printable

_EVERY = 1.0
_LINES = 60  # where there is no terminal
_HEADS = 8  # so many lines are not of runs and jobs
_FIGURES = {
    "jobs": "jobs",
    "running": "running",
    "waiting": "waiting",
    "success_count": "succeeded",
    "error_count": "failed attempts",
}
# What terminals do since the VT100: another screen without cursor and line breaks, and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_KEYS = 1024
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=_EVERY,
    metavar="SECONDS",
    help=f"How often to look.  [default: {_EVERY:g}]",
)
@click.option("--once", is_flag=True, help="Look once, as where there is no terminal.")
@asks
def top(kala: Client, /, *, every: float, once: bool) -> None:
    """Show what runs, what comes next and what was last, as it changes; q ends it."""
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("\n".join(_view(kala, _LINES)))
        return
    with suppress(KeyboardInterrupt), _screen():
        while True:
            lines = shutil.get_terminal_size().lines
            try:
                view = _view(kala, lines)
            except TryLater as error:  # it may come back
                view = [click.style(f"kala-trio: {printable(str(error))}", fg="red")]
            rows = "".join(f"{each}{_CLEAR_LINE}\r\n" for each in view[: lines - 1])
            click.echo(f"{_HOME}{rows}{_CLEAR_BELOW}", nl=False)
            if _is_enough(every):
                return


def _view(kala: Client, lines: int) -> list[str]:
    """Return what there is to be seen, in so many lines at most, save for the heads."""
    stats = kala.stats()
    now = datetime.fromisoformat(stats["created"])  # by the daemon's clock
    third = max(1, (lines - _HEADS) // 3)
    running = [
        (each["id"], each["job_name"], local(each["started_at"]), _far(each["started_at"], now))
        for each in islice(kala.runs(outcome="running", limit=third), third)
    ]
    coming = [
        (each.id, each.name, local(each["next_run_at"]), _far(each["next_run_at"], now))
        for each in islice(kala.find(sort="next_run_at", limit=third), third)
        if each["next_run_at"] != NEVER
    ]
    rest = max(1, lines - _HEADS - len(running) - len(coming))
    entries = kala.runs(limit=rest + len(running))
    last = [
        (
            each["id"] or each["job_id"],
            each["job_name"],
            local(each["ended_at"]),
            elapsed(each["started_at"], each["ended_at"]),
            each["outcome"],
            each["reason"] or "",
        )
        for each in islice((each for each in entries if each["outcome"]), rest)
    ]
    figures = ", ".join(f"{stats[key]} {name}" for key, name in _FIGURES.items())
    return [
        f"{click.style(local(stats['created']), bold=True)}  {figures}",
        "",
        *table(("RUNNING", "JOB", "SINCE", "FOR"), running),
        "",
        *table(("NEXT", "JOB", "AT", "IN"), coming),
        "",
        *table(("LAST", "JOB", "ENDED", "TOOK", "OUTCOME", "REASON"), last),
    ]


def _far(instant: str, now: datetime) -> str:
    """Return how far off an instant is, in its largest unit."""
    seconds = int(abs((datetime.fromisoformat(instant) - now).total_seconds()))
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{seconds // size} {unit}"


@contextmanager
def _screen() -> Iterator[None]:
    """Have a screen of one's own, and keys as they are pressed, until the block ends."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        click.echo(_ENTER, nl=False)
        yield
    finally:
        click.echo(_LEAVE, nl=False)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_enough(wait: float) -> bool:
    """Tell whether q was pressed, or the terminal has gone, within so many seconds."""
    if not select.select([sys.stdin], [], [], wait)[0]:
        return False
    keys = os.read(sys.stdin.fileno(), _KEYS)
    return not keys or b"q" in keys.lower()
