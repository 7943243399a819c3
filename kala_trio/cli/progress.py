"""How far something is that takes long, for somebody at a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(label: str, *, wanted: bool = True) -> Iterator[Callable[[float], None]]:
    """Yield what is called with the share that is done, from 0 to 1, as often as one likes.

    It is shown on standard error, if that is a terminal and it is ``wanted``.
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda _: None
        return
    with click.progressbar(length=100, label=label, file=sys.stderr) as bar:

        def tell(share: float) -> None:
            if (more := min(int(100 * share), 99) - bar.pos) > 0:
                bar.update(more)

        yield tell
        bar.update(100 - bar.pos)
