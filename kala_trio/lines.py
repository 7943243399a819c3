"""Lines for standard error, written by a thread: whoever logs never waits for who reads.

A pipe that nobody reads takes 64 KiB, and then it would hold up whoever writes to it for good. So
lines wait here, as far as there is room; the rest are dropped, counted, and told of afterwards.
"""

import errno
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

_ROOM = 1024 * 1024
# What a pipe takes at once where it takes anything.
_PIPE = select.PIPE_BUF
# How long what is left at the end may take, in seconds.
_PARTING = 2.0
_AGAIN = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# Whether the end has come is looked at so often while nothing is taken, in seconds.
_WHILE = 0.5
_FULL = (errno.EAGAIN, errno.EWOULDBLOCK)


class Lines:
    """Writes lines to a descriptor, from when the block begins until it ends.

    At its end what waits is still written, in two seconds at most.
    """

    def __init__(self, descriptor: int | None, told: Callable[[int], str]) -> None:
        """Write to ``descriptor``; None drops all. ``told`` makes a line of how many were lost."""
        self._descriptor = descriptor
        self._told = told
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._untold = 0
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def put(self, line: str) -> None:
        """Have a line written soon, or drop it; from any thread, and never waiting."""
        data = f"{line}\n".encode(errors="backslashreplace")
        with self._changed:
            if self._descriptor is None or self._size + len(data) > _ROOM:
                self.dropped += 1
                self._untold += 1
                return
            self._waiting.append(data)
            self._size += len(data)
            self._changed.notify()
            if self._thread is None:
                self._begin()

    def __enter__(self) -> Self:
        """Begin to write."""
        with self._changed:
            self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is left, as far as it is taken in time."""
        with self._changed:
            self._deadline = time.monotonic() + _PARTING
            self._changed.notify()
        if self._thread is None:
            self._write_all()
        else:
            self._thread.join(2 * _PARTING)

    def _begin(self) -> None:
        """Start the thread; while there is none to be had, write what is taken at once."""
        thread = threading.Thread(target=self._write_all, name="lines", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._write_what_is_taken()
        else:
            self._thread = thread

    def _write_what_is_taken(self) -> None:
        with _writer(self._descriptor) as write, suppress(OSError):
            while self._waiting:
                written = write(self._waiting[0][:_PIPE])
                self._size -= written
                self._waiting[0] = self._waiting[0][written:]
                if not self._waiting[0]:
                    self._waiting.popleft()

    def _write_all(self) -> None:
        with _writer(self._descriptor) as write:
            while (data := self._next()) and self._write(write, data):
                pass

    def _next(self) -> bytes:
        """Wait for what is to be written next; empty at the end."""
        with self._changed:
            while not self._waiting:
                if self._untold and self._descriptor is not None:
                    lost, self._untold = self._untold, 0
                    return f"{self._told(lost)}\n".encode()
                if self._deadline is not None:
                    return b""
                self._changed.wait()
            data = self._waiting.popleft()
            self._size -= len(data)
            return data

    def _write(self, write: Callable[[bytes], int], data: bytes) -> bool:
        """Write all of ``data``; False where it is too late for that."""
        while data:
            try:
                data = data[write(data[:_PIPE]) :]
            except OSError as error:
                if error.errno not in _FULL:  # nobody can read it any more
                    with self._changed:
                        self.dropped += 1
                    return True
                if not self._may_go_on():
                    return False
        return True

    def _may_go_on(self) -> bool:
        """Wait until more is taken, or a while; False once the end has come and gone."""
        left = _WHILE if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0 or self._descriptor is None:
            return False
        _takes_more(self._descriptor, min(left, _WHILE))
        return True


@contextmanager
def _writer(descriptor: int | None) -> Iterator[Callable[[bytes], int]]:
    """Lend what writes without waiting, and raises an OSError instead.

    The descriptor is shared with other processes, for whom nothing may change: so a pipe or a
    terminal is opened once more, and a socket is told each time. A file never keeps one waiting.
    """
    with ExitStack() as cleanup:
        if descriptor is None:
            yield len
            return
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):
            connection = cleanup.enter_context(socket.socket(fileno=os.dup(descriptor)))
            yield lambda data: connection.send(data, socket.MSG_DONTWAIT)
            return
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            # Another user's terminal can't be opened, say.
            with suppress(OSError):
                descriptor = os.open(f"/proc/self/fd/{descriptor}", _AGAIN)
                cleanup.callback(os.close, descriptor)
        yield partial(_patiently, descriptor)


def _patiently(descriptor: int, data: bytes) -> int:
    if not _takes_more(descriptor, 0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(descriptor, data)


def _takes_more(descriptor: int, seconds: float) -> bool:
    """Wait until something can be written; tell whether it can."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
