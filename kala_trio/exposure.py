"""What others on this machine could read, or put in the place of ours: it is told at the start."""

import stat
from collections.abc import Iterator
from pathlib import Path

from kala_trio.runner.output import output_root

_ENDINGS = ("", "-wal", "-shm", "-tokens")


def exposed(database: Path) -> Iterator[str]:
    """Yield a sentence for each file and directory of a daemon that is open to others.

    They are left as they are: who made them so may have had a reason.
    """
    files = [database.with_name(f"{database.name}{each}") for each in _ENDINGS]
    for path in (*files, output_root(database)):
        if _mode(path) & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{path} is open to others, with all that jobs keep secret: chmod go= {path}"
    if _mode(database.parent) & (stat.S_IWGRP | stat.S_IWOTH):
        yield (
            f"others may put files of theirs into {database.parent}, beside the database: "
            f"chmod go-w {database.parent}, or give --db a directory of its own"
        )


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0
