"""Captured output: bounded on disk whatever a job writes, and readable while it grows.

The output of a run is one file. Up to ``HEAD + TAIL`` bytes that file *is* the output, so any
program can show it. Past that, the part after ``HEAD`` is a ring in which byte number i stands at
``HEAD + (i - HEAD) % TAIL``, and two little-endian 64-bit counters follow: how many bytes the
writer has begun to write, and how many are done. A reader takes ``done`` before it copies the ring
and ``begun`` after; what was overwritten in between it counts as left out, so that no byte it
returns is ever out of place, and no lock is needed.
"""

import errno
import os
import re
import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trio
from msgspec import Struct

from kala_trio.complaint import Complaint
from kala_trio.core.errors import NotFound

HEAD = 128 * 1024
"""How many of the first bytes of a run's output are kept."""

TAIL = 128 * 1024
"""How many of the last bytes are kept."""

_LIMIT = HEAD + TAIL
_DONE = _LIMIT + 8
_END = _DONE + 8
_CHUNK = 64 * 1024
# After each chunk its pipe is left alone for this long, in seconds: so a job that pours is held up
# (at some 40 MB a second), and not the scheduler, which would otherwise share its turns with it.
_BREATH = 0.001
_PIPE_CHUNKS = 16  # a pipe holds 1 MiB at most, unless a privileged process made it larger
_READS = 100
_WRITING = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_RUN_ID = re.compile(rf"({_JOB_ID.pattern})\.([0-9]{{1,19}})")
_FILE = re.compile(r"[0-9]{1,19}(\.fifo|\.group)?")


class Output(Struct, frozen=True):
    """A run's output: its first bytes, the count of bytes left out, and its last bytes.

    ``head + tail`` is all of it where ``omitted`` is 0.
    """

    head: bytes
    omitted: int
    tail: bytes


def output_root(database: Path) -> Path:
    """Return the directory of all outputs, next to the database that tells of their runs."""
    return database.with_name(f"{database.name}-output")


def output_path(root: Path, run_id: str) -> Path:
    """Return where the output of ``run_id`` is kept under ``root``: ``<job id>/<number>``.

    Raises NotFound for what can't be a run's id, so that no id leads out of ``root``.
    """
    match = _RUN_ID.fullmatch(run_id)
    if match is None:
        raise NotFound(
            f"there is no run {run_id[:120]!r}: a run's id is its job's id and a number, "
            "for example 6ba7b810-9dad-11d1-80b4-00c04fd430c8.1"
        )
    job_id, number = match.groups()
    return root / job_id / number


def _fifo_of(path: Path) -> str:
    """Return where the pipe to the output at ``path`` is while its run is in progress."""
    return f"{path}.fifo"


def note_of(path: Path) -> str:
    """Return where the process group is noted that writes to the output at ``path``."""
    return f"{path}.group"


def read_output(path: Path) -> Output:
    """Read what has been captured so far; a run that wrote nothing has no file and no output.

    May be called while another process writes. Raises OSError where the file can't be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Output(b"", 0, b"")
    try:
        for _ in range(_READS):
            output, outpaced = _snapshot(fd)
            if not outpaced:
                break
        return output
    finally:
        os.close(fd)


def _snapshot(fd: int) -> tuple[Output, bool]:
    """Read the file once; also tell whether the writer went round the whole ring meanwhile."""
    _, counted = _counters(fd)
    body = os.pread(fd, _LIMIT, 0)
    done = len(body) if counted is None else counted
    begun, _ = _counters(fd)
    head = body[:HEAD]
    if done <= HEAD:
        return Output(head, 0, b""), False
    first = min(max(HEAD, (begun or 0) - TAIL), done)
    ring = body[HEAD:]
    start, stop = (first - HEAD) % TAIL, (done - HEAD) % TAIL
    if first == done:
        return Output(head, done - HEAD, b""), True
    tail = ring[start:stop] if start < stop else ring[start:] + ring[:stop]
    return Output(head, first - HEAD, tail), False


def _counters(fd: int) -> tuple[int | None, int | None]:
    """Return ``begun`` and ``done``, None where not written yet."""
    data = os.pread(fd, _END - _LIMIT, _LIMIT)
    begun = int.from_bytes(data[:8], "little") if len(data) >= 8 else None
    done = int.from_bytes(data[8:], "little") if len(data) == 16 else None
    return begun, done


def remove_outputs(root: Path, run_ids: Iterable[str]) -> None:
    """Remove the outputs of runs that have ended; one that isn't there is nothing to do.

    Raises OSError where one can't be removed.
    """
    for run_id in run_ids:
        path = output_path(root, run_id)
        for each in (path, _fifo_of(path), note_of(path)):
            with suppress(FileNotFoundError):
                os.unlink(each)


def directories(root: Path) -> list[str]:
    """Return the ids of the jobs that have a directory under ``root``, or ever had.

    Raises OSError where that can't be read.
    """
    try:
        return [name for name in os.listdir(root) if _JOB_ID.fullmatch(name)]
    except FileNotFoundError:
        return []


def outputs_in(root: Path, job_id: str) -> list[str]:
    """Return the ids of the runs whose outputs, or leftovers, lie in a job's directory."""
    try:
        names = os.listdir(root / job_id)
    except (FileNotFoundError, NotADirectoryError):
        return []
    run_ids = (f"{job_id}.{name.partition('.')[0]}" for name in names if _FILE.fullmatch(name))
    return list(dict.fromkeys(run_ids))


def remove_directory(root: Path, job_id: str) -> None:
    """Remove the directory of a job that will have no run any more, unless something lies in it."""
    with suppress(OSError):
        (root / job_id).rmdir()


class Spares:
    """Small files that runs in progress need, and that the next ones use again.

    A file system renames a file in a small part of the time that it takes to make and remove one.
    """

    def __init__(self, root: Path, kind: str) -> None:
        """Keep those of one kind under ``root``."""
        self._place = root / ".spare"
        self._kind = kind
        self._free: list[str] = []
        self._lent: dict[str, str] = {}

    def lend(self, path: str, make: Callable[[str], None]) -> None:
        """Move one to ``path``, when ``make`` has seen to it that it is there.

        Raises OSError. In any case it is to be taken back.
        """
        if not self._free:
            self._free.append(f"{self._place}/{len(self._lent)}.{self._kind}")
        spare = self._lent[path] = self._free.pop()
        try:
            make(spare)
        except FileNotFoundError:
            _make_directories(self._place)
            make(spare)
        try:
            os.rename(spare, path)
        except FileNotFoundError:
            _make_directories(Path(path).parent)
            os.rename(spare, path)

    def take_back(self, path: str, complaint: Complaint) -> None:
        """Take what was lent away from ``path``, if it is there and the disk lets it go."""
        spare = self._lent.pop(path)
        self._free.append(spare)
        try:
            os.rename(path, spare)
        except FileNotFoundError:
            pass
        except OSError as error:
            complaint.tell(f"{path} cannot be removed: {error}")


class Capture:
    """The one writer of a run's output; what an earlier attempt wrote is kept and added to.

    The file comes to be with the first byte. When the disk refuses (full, a
    directory that is gone), capturing ends with a complaint, and nothing is raised: a job is not to
    fail for want of a place for its words.
    """

    def __init__(self, path: Path, complaint: Complaint) -> None:
        """Capture to ``path``."""
        self._path = path
        self._complaint = complaint
        self._fd: int | None = None
        self._total = 0
        self._begun = 0
        self._failed = False

    def write(self, data: bytes) -> None:
        """Add ``data`` to the output."""
        if self._failed or not data:
            return
        try:
            if self._fd is None:
                self._fd = self._open()
            self._append(self._fd, memoryview(data))
        except OSError as error:
            self._failed = True
            self._complaint.tell(f"output to {self._path} is no longer captured: {error}")
        else:
            self._complaint.end()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        try:
            fd = os.open(self._path, _WRITING, 0o600)
        except FileNotFoundError:
            _make_directories(self._path.parent)
            fd = os.open(self._path, _WRITING, 0o600)
        if size := os.fstat(fd).st_size:
            begun, done = _counters(fd)
            self._total = min(size, _LIMIT) if done is None else done
            self._begun = begun or 0
        return fd

    def _append(self, fd: int, data: memoryview) -> None:
        room = max(_LIMIT - self._total, 0)
        plain, rest = data[:room], data[room:]
        _write_at(fd, plain, self._total)
        self._total += len(plain)
        for start in range(0, len(rest), _CHUNK):
            self._turn(fd, rest[start : start + _CHUNK])

    def _turn(self, fd: int, piece: memoryview) -> None:
        """Write ``piece``, shorter than the ring, over the oldest bytes in it."""
        end = self._total + len(piece)
        # A writer that died half-way may have begun further than this one does now.
        self._begun = max(self._begun, end)
        _write_at(fd, self._begun.to_bytes(8, "little"), _LIMIT)
        offset = (self._total - HEAD) % TAIL
        before_the_end = piece[: TAIL - offset]
        _write_at(fd, before_the_end, HEAD + offset)
        _write_at(fd, piece[len(before_the_end) :], HEAD)
        _write_at(fd, end.to_bytes(8, "little"), _DONE)
        self._total = end


def _write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


class Stream:
    """A named pipe from a run's processes to its captured output.

    The processes hold both ends of it open, so that they outlive the daemon: while nobody reads,
    the pipe fills (64 KiB) and then their writes wait until a daemon attaches to it again by
    name. What stands in the pipe when the last process ends while no daemon runs is lost.
    """

    def __init__(self, path: Path, fifo: str | None, complaint: Complaint) -> None:
        """Read from ``fifo``, which exists, into a capture at ``path``; None reads nothing.

        Raises OSError where it can't be opened.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self._reader = None if fifo is None else os.open(fifo, flags)
        self._fifo = fifo
        self._capture = Capture(path, complaint)
        self._complaint = complaint

    @classmethod
    @contextmanager
    def made(cls, path: Path, spares: Spares, complaint: Complaint) -> Iterator[Self]:
        """Lend one with a pipe beside ``path``, in place of one that an earlier attempt left.

        Where the disk has no room for one, the complaint says so and the output is thrown away.
        Raises OSError when the daemon has too many files open.
        """
        fifo = _fifo_of(path)
        try:
            try:
                spares.lend(fifo, _make_fifo)
                stream = cls(path, fifo, complaint)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
                    raise
                complaint.tell(f"output to {path} is not captured: {error}")
                stream = cls(path, None, complaint)
            with stream:
                try:
                    yield stream
                finally:
                    if stream._is_held():
                        stream.remove()
        finally:
            spares.take_back(fifo, complaint)

    @classmethod
    def attach(cls, path: Path, complaint: Complaint) -> Self:
        """Go on reading the pipe that a daemon that died has left beside ``path``, if any."""
        try:
            return cls(path, _fifo_of(path), complaint)
        except FileNotFoundError:
            pass
        except OSError as error:
            complaint.tell(f"output to {path} is no longer captured: {error}")
        return cls(path, None, complaint)

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
        if self._reader is None:
            return
        while True:
            await trio.lowlevel.wait_readable(self._reader)
            with suppress(BlockingIOError):
                if not self._take(self._reader):
                    return
            await trio.sleep(_BREATH)

    def drain(self) -> int | None:
        """Capture what was written before now, without waiting for more.

        If processes still hold the pipe, returns its reading end, which is the caller's from now
        on: ``discard`` keeps those processes from being held up.
        """
        reader = self._reader
        if reader is None:
            return None
        with suppress(BlockingIOError):
            for _ in range(_PIPE_CHUNKS):
                if not self._take(reader):
                    return None
        self._reader = None
        return reader

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
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        complaint.tell(f"{path} cannot be removed: {error}")


async def discard(reader: int) -> None:
    """Read from a pipe, to no end, until no process holds it any more; then close it."""
    try:
        while True:
            await trio.lowlevel.wait_readable(reader)
            with suppress(BlockingIOError):
                if not os.read(reader, _CHUNK):
                    return
            await trio.sleep(_BREATH)
    finally:
        os.close(reader)


def _make_directories(of_job: Path) -> None:
    for directory in (of_job.parent, of_job):
        directory.mkdir(mode=0o700, exist_ok=True)


def _make_fifo(path: str) -> None:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
