"""The way from a run's processes to its captured output: a named pipe, which outlives a daemon."""

import errno
import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trio

from kala_trio.complaint import Complaint
from kala_trio.runner.mask import NOTHING, Mask
from kala_trio.runner.output import Capture, fifo_of, make_directories

_CHUNK = 64 * 1024
# After each chunk its pipe is left alone for this long, in seconds: so a job that pours is held up
# (at some 40 MB a second), and not the scheduler, which would otherwise share its turns with it.
_BREATH = 0.001
_PIPE_CHUNKS = 16  # a pipe holds 1 MiB at most, unless a privileged process made it larger


class Spares:
    """Small files that runs in progress need, and that the next ones use again.

    In a directory of its own ext4 takes some 100 µs to make a file, and 7 to rename one.
    As many stay as runs were in progress at once.
    """

    def __init__(self, root: Path, kind: str) -> None:
        """Keep those of one kind under ``root``."""
        self._place = root / ".spare"
        self._kind = kind
        self._free: list[str] = []
        self._count = 0

    @contextmanager
    def lent(self, path: str, make: Callable[[str], None], complaint: Complaint) -> Iterator[None]:
        """Lend one at ``path``, when ``make`` has seen to it that it is there.

        Raises OSError where that fails. Where the disk won't let it go, the complaint says so.
        """
        if not self._free:
            self._free.append(f"{self._place}/{self._count}.{self._kind}")
            self._count += 1
        spare = self._free.pop()
        try:
            self._put(spare, path, make)
            yield
        finally:
            self._free.append(spare)
            with _removing(path, complaint):
                os.rename(path, spare)

    def _put(self, spare: str, path: str, make: Callable[[str], None]) -> None:
        try:
            make(spare)
        except FileNotFoundError:
            make_directories(self._place)
            make(spare)
        try:
            os.rename(spare, path)
        except FileNotFoundError:
            make_directories(Path(path).parent)
            os.rename(spare, path)


class Stream:
    """A named pipe from a run's processes to its captured output.

    The processes hold both ends of it open, so that they outlive the daemon: while nobody reads,
    the pipe fills (64 KiB) and then their writes wait until a daemon attaches to it again by
    name. What stands in the pipe when the last process ends while no daemon runs is lost.
    """

    def __init__(self, path: Path, fifo: str | None, complaint: Complaint, mask: Mask) -> None:
        """Read from ``fifo``, which exists, into a capture at ``path``; None reads nothing.

        ``mask`` takes secrets out.

        Raises OSError where it can't be opened.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self._reader = None if fifo is None else os.open(fifo, flags)
        self._fifo = fifo
        self._capture = Capture(path, complaint, mask)
        self._complaint = complaint

    @classmethod
    @contextmanager
    def made(
        cls, path: Path, spares: Spares, complaint: Complaint, mask: Mask = NOTHING
    ) -> Iterator[Self]:
        """Lend one with a pipe beside ``path``, in place of one that an earlier attempt left.

        Where the disk has no room for one, the complaint says so and the output is thrown away.
        Raises OSError when the daemon has too many files open.
        """
        fifo = fifo_of(path)
        with ExitStack() as cleanup:
            try:
                cleanup.enter_context(spares.lent(fifo, _make_fifo, complaint))
                stream = cls(path, fifo, complaint, mask)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
                    raise
                complaint.tell(f"output to {path} is not captured: {error}")
                stream = cls(path, None, complaint, mask)
            with stream:
                try:
                    yield stream
                finally:
                    if stream._is_held():
                        stream.remove()

    @classmethod
    def attach(cls, path: Path, complaint: Complaint, mask: Mask = NOTHING) -> Self:
        """Go on reading the pipe that a daemon that died has left beside ``path``, if any."""
        try:
            return cls(path, fifo_of(path), complaint, mask)
        except FileNotFoundError:
            pass
        except OSError as error:
            complaint.tell(f"output to {path} is no longer captured: {error}")
        return cls(path, None, complaint, mask)

    def __enter__(self) -> Self:
        """Leave with the ends closed, and the pipe where it is."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the reading end and the file."""
        if self._reader is not None:
            os.close(self._reader)
        self._capture.close()

    @contextmanager
    def writer(self) -> Iterator[int]:
        """Lend a file descriptor for a process to write to; raises OSError."""
        fd = os.open(self._fifo or os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    async def pump_until(self, pidfd: int) -> None:
        """Capture what arrives until a process has ended, which ``pidfd`` tells."""
        if self._reader is None:
            await trio.lowlevel.wait_readable(pidfd)
            return
        with select.epoll() as both:  # one wait for both, at a part of what a second task costs
            both.register(pidfd, select.EPOLLIN)
            both.register(self._reader, select.EPOLLIN)
            while True:
                await trio.lowlevel.wait_readable(both)
                if pidfd in dict(both.poll(0)):
                    return
                with suppress(BlockingIOError):
                    if not self._take(self._reader):
                        both.unregister(self._reader)
                with trio.move_on_after(_BREATH):
                    await trio.lowlevel.wait_readable(pidfd)
                    return

    async def pump(self) -> None:
        """Capture what arrives, until cancelled or until no process holds the pipe any more."""
        if self._reader is not None:
            await _pump(self._reader, self._capture.write)

    def release(self, leftovers: trio.Nursery) -> None:
        """Capture what was written before now, without waiting for more.

        What processes write that hold the pipe still is read in ``leftovers`` and thrown away, so
        that they are not held up.
        """
        reader = self._reader
        if reader is None:
            return
        with suppress(BlockingIOError):
            for _ in range(_PIPE_CHUNKS):
                if not self._take(reader):
                    return
        self._reader = None
        leftovers.start_soon(_discard, reader)

    def _take(self, reader: int) -> bool:
        chunk = os.read(reader, _CHUNK)
        self._capture.write(chunk)
        return bool(chunk)

    def _is_held(self) -> bool:
        """Tell whether processes may hold the pipe still."""
        with suppress(BlockingIOError):
            return self._reader is None or bool(os.read(self._reader, _CHUNK))
        return True

    def remove(self) -> None:
        """Take the pipe's name away; processes that hold the pipe keep it."""
        if self._fifo is not None:
            remove(self._fifo, self._complaint)


def remove(path: str, complaint: Complaint) -> None:
    """Remove a file that is of no use any more, if it is there and the disk lets it go."""
    with _removing(path, complaint):
        os.unlink(path)


@contextmanager
def _removing(path: str, complaint: Complaint) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as error:
        complaint.tell(f"{path} cannot be removed: {error}")


async def _pump(reader: int, take: Callable[[bytes], None]) -> None:
    """Take what arrives until no process holds the pipe any more."""
    while True:
        await trio.lowlevel.wait_readable(reader)
        with suppress(BlockingIOError):
            chunk = os.read(reader, _CHUNK)
            if not chunk:
                return
            take(chunk)
        await trio.sleep(_BREATH)


async def _discard(reader: int) -> None:
    """Read to no end, until no process holds the pipe any more; then close it."""
    try:
        await _pump(reader, lambda _: None)
    finally:
        os.close(reader)


def _make_fifo(path: str) -> None:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
