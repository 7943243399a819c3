"""How a command ends: with one sentence about what went wrong, and a status of its kind."""

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from kala_trio.core.errors import KalaTrioError, Refused

_CANNOT = 1
_WRONG = 2
PENDING = 3
"""The status that says what is to be changed, where nothing was to be changed."""

_BUG = 70  # EX_SOFTWARE of sysexits.h


@contextmanager
def exit_status(*wrong: type[KalaTrioError]) -> Iterator[None]:
    """Exit with 2 for what was refused, and for these errors; 1 for others; 70 for a bug."""
    try:
        yield
    except KalaTrioError as error:
        click.echo(f"kala-trio: {error}", err=True)
        sys.exit(_WRONG if isinstance(error, (Refused, *wrong)) else _CANNOT)
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # nobody reads any more, which click knows how to end
        traceback.print_exc()
        click.echo("kala-trio: stopped by a bug; please report what stands above", err=True)
        sys.exit(_BUG)
