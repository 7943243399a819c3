"""Captured output: bounded on disk whatever a job writes, and readable while it grows.

The output of a run is one file. Up to ``HEAD + TAIL`` bytes that file *is* the output, so any
program can show it. Past that, the part after ``HEAD`` is a ring in which byte number i stands at
``HEAD + (i - HEAD) % TAIL``, and two little-endian 64-bit counters follow: how many bytes the
writer has begun to write, and how many are done. A reader takes ``done`` before it copies the ring
and ``begun`` after; what was overwritten in between it counts as left out, so that no byte it
returns is ever out of place, and no lock is needed.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from kala_trio.complaint import Complaint
from kala_trio.core.errors import NotFound
from kala_trio.runner.mask import NOTHING, Mask, Masking

HEAD = 128 * 1024
"""How many of the first bytes of a run's output are kept."""

TAIL = 128 * 1024
"""How many of the last bytes are kept."""

LONGEST_LINE = 4096
"""How many bytes of the last line are passed on."""

_LIMIT = HEAD + TAIL
_DONE = _LIMIT + 8
_END = _DONE + 8
_CHUNK = 64 * 1024
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
    return root.joinpath(job_id, number)


def fifo_of(path: Path) -> str:
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


def read_on(path: Path, sent: int) -> tuple[bytes, int]:
    """Return what was captured after the first ``sent`` bytes, and how many of it are lost.

    The lost ones came first. Raises OSError where the file can't be read.
    """
    output = read_output(path)
    before_tail = len(output.head) + output.omitted
    if sent < len(output.head) and not output.omitted:
        return (output.head + output.tail)[sent:], 0
    if sent < len(output.head):
        return output.head[sent:], 0  # and then the rest
    lost = max(0, before_tail - sent)
    return output.tail[max(0, sent - before_tail) :], lost


def last_line(path: Path) -> bytes:
    """Return the last line that is not blank, or its first ``LONGEST_LINE`` bytes.

    As a variable of the environment can hold it: without NUL. Empty where there is no such line, or
    the file can't be read.
    """
    try:
        output = read_output(path)
    except OSError:
        return b""
    written = output.head + output.tail if not output.omitted else output.tail
    return written.rstrip().rpartition(b"\n")[2].replace(b"\0", b"")[:LONGEST_LINE]


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


def remove_stale(path: Path) -> None:
    """Remove what lies where a run that starts is going to write.

    A run of its id may have been before, if a backup was restored since.
    """
    with suppress(OSError):
        os.unlink(path)


def remove_outputs(root: Path, run_ids: Iterable[str]) -> None:
    """Remove the outputs of runs that have ended; one that isn't there is nothing to do.

    Raises OSError where one can't be removed.
    """
    for run_id in run_ids:
        path = output_path(root, run_id)
        for each in (path, fifo_of(path), note_of(path)):
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


class Kept(Struct, frozen=True, order=True):
    """An output of a run that has ended: when it was last written, and how much disk it takes."""

    written_at: float
    size: int
    run_id: str


def kept_in(root: Path, job_id: str) -> list[Kept]:
    """Return the outputs in a job's directory, save those of runs that are in progress.

    Raises OSError where that can't be read.
    """
    kept = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root / job_id) as entries:
        there = {entry.name: entry for entry in entries}
        for name, entry in there.items():
            if name.isdecimal() and not {f"{name}.fifo", f"{name}.group"} & there.keys():
                status = entry.stat(follow_symlinks=False)
                kept.append(Kept(status.st_mtime, status.st_blocks * 512, f"{job_id}.{name}"))
    return kept


def remove_directory(root: Path, job_id: str) -> None:
    """Remove the directory of a job that will have no run any more, unless something lies in it."""
    with suppress(OSError):
        (root / job_id).rmdir()


class Capture:
    """The one writer of a run's output; what an earlier attempt wrote is kept and added to.

    The file comes to be with the first byte. When the disk refuses (full, a
    directory that is gone), capturing ends with a complaint, and nothing is raised: a job is not to
    fail for want of a place for its words.
    """

    def __init__(self, path: Path, complaint: Complaint, mask: Mask = NOTHING) -> None:
        """Capture to ``path`` what is left when ``mask`` has taken the secrets out."""
        self._path = path
        self._masking = Masking(mask)
        self._complaint = complaint
        self._fd: int | None = None
        self._total = 0
        self._begun = 0
        self._failed = False

    def write(self, data: bytes) -> None:
        """Add ``data`` to the output."""
        self._write(self._masking.next(data))

    def _write(self, data: bytes) -> None:
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
        """Close the file, if there is one, with all that was written."""
        self._write(self._masking.end())
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        try:
            fd = os.open(self._path, _WRITING, 0o600)
        except FileNotFoundError:
            make_directories(self._path.parent)
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


def make_directories(of_job: Path) -> None:
    """Make a directory of the outputs, and the one that holds all of them; raises OSError."""
    with suppress(FileExistsError):
        try:
            os.mkdir(of_job, 0o700)
        except FileNotFoundError:
            of_job.parent.mkdir(mode=0o700, exist_ok=True)
            os.mkdir(of_job, 0o700)
