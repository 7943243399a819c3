"""What becomes of those who need a thread when the system has none to spare."""

from collections.abc import Iterator
from contextlib import contextmanager

from kala_trio.core.errors import Unavailable

_NO_THREAD = "can't start new thread"  # Python's words


@contextmanager
def needing_a_thread() -> Iterator[None]:
    """Raise Unavailable where what is done here fails for want of a thread."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        problem = "the system has no thread to spare; end some processes, or raise ulimit -u"
        raise Unavailable(problem) from error
