"""Finding processes that nobody waits for: by their process group, or by their environment.

Each attempt's group is noted in a file as soon as it is there, with what keeps its number from
meaning another group later. A daemon that dies in the instant before leaves no such note: then what
has the run's id in its environment, which all that an attempt starts inherits, counts as the
attempt's. All of this is Linux's ``/proc``; where there is none, nothing is found.
"""

import errno
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Self

import msgspec
import trio
from msgspec import Struct

from kala_trio.core.errors import Unavailable
from kala_trio.threads import in_thread

log = logging.getLogger(__name__)


RUN_ID_VARIABLE = "KALA_TRIO_RUN_ID"

_MARK = b"\0" + RUN_ID_VARIABLE.encode() + b"="
_RETRY_PAUSE = 1.0
_NOTE_WIDTH = 160
# An exec takes far less, if its program isn't read from a disk that hangs.
_PROGRAM_LOOKS, _PROGRAM_PAUSE = 50, 0.001
# Too many open files, or too little memory.
_FOR_A_WHILE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_TICKS = os.sysconf("SC_CLK_TCK")


class Group(Struct, frozen=True):
    """A process group, told apart from every later one of its number.

    ``known`` is when it was there, in ticks since the boot, which ``boot`` names: a leader that
    started later leads another group.
    """

    id: int
    known: int
    boot: str

    @classmethod
    def of(cls, leader: int) -> Self:
        """Return the group that a process leads, which is alive or a zombie."""
        return cls(leader, int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS), _boot())

    @classmethod
    def noted(cls, note: str) -> Self | None:
        """Return the group that a note tells of; None where there is none, or half of one.

        Raises OSError where nothing can be opened at the moment.
        """
        try:
            return msgspec.json.decode(Path(note).read_bytes(), type=cls)
        except msgspec.DecodeError:
            return None
        except OSError as error:
            if error.errno in _FOR_A_WHILE:
                raise
            return None

    def note(self, note: str) -> None:
        """Write this down, for whoever comes after the death of this process."""
        # Of one width, so that it covers what a file that is used again held before.
        text = msgspec.json.encode(self).ljust(_NOTE_WIDTH)
        fd = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, text)
        finally:
            os.close(fd)

    def may_be_left(self) -> bool:
        """Tell whether processes with this group's number, if there are any, are of it.

        While one is left, the number means no other group; a leader that started later proves that
        none is.
        """
        return self.boot == _boot() and _started(self.id) <= self.known


class Orphans:
    """Waits for the ends of processes that are not this process's children."""

    def __init__(self) -> None:
        """Know of no look at the processes yet."""
        self._lock = trio.Lock()
        self._begun = 0
        self._done = 0
        self._found: dict[str, list[int]] = {}

    async def gone(self, run_id: str, note: str) -> None:
        """Wait until no process of ``run_id`` is left, however many it still starts (rule C3).

        ``note`` is where its group may be noted.
        """

        async def look() -> None:
            if group := Group.noted(note):
                if group.may_be_left():
                    await group_gone(group.id)
                return
            while processes := await self._processes_of(run_id):
                for pid in processes:
                    await _process_gone(pid, lambda pid: _run_of(pid) == run_id)

        await _patiently(look, f"processes of run {run_id}")

    async def terminate(self, run_id: str, note: str, grace: float) -> None:
        """Ask the processes of ``run_id`` to end, after ``grace`` seconds kill them (rule A5).

        Returns when none is left.
        """
        await self._send(run_id, note, signal.SIGTERM)
        with trio.move_on_after(grace):
            await self.gone(run_id, note)
            return
        await self._send(run_id, note, signal.SIGKILL)
        await self.gone(run_id, note)

    async def _send(self, run_id: str, note: str, number: signal.Signals) -> None:
        async def send() -> None:
            if group := Group.noted(note):
                members = await in_thread(_members_of, group.id) if group.may_be_left() else []
                for pid in members:
                    _signal(pid, number, lambda pid: _is_member(pid, group.id))
                return
            for pid in await self._processes_of(run_id):
                _signal(pid, number, lambda pid: _run_of(pid) == run_id)

        await _patiently(send, f"processes of run {run_id}")

    async def _processes_of(self, run_id: str) -> list[int]:
        """Look through all processes, once for all that asked before that look began."""
        wanted = self._begun + 1
        async with self._lock:
            if self._done < wanted:
                self._begun += 1
                self._found = await in_thread(_processes_by_run)
                self._done = self._begun
            return self._found.get(run_id, [])


async def _patiently(look: Callable[[], Awaitable[None]], what: str) -> None:
    """Wait for an end; as long as nobody can look, it is not known that it has come."""
    while True:
        try:
            await look()
        except (OSError, Unavailable) as error:  # too many open files, say
            log.warning("cannot look for %s yet: %s", what, error)
            await trio.sleep(_RETRY_PAUSE)
        else:
            return


async def group_gone(group: int) -> None:
    """Wait until no process of process group ``group`` is left; a zombie counts as gone.

    The caller holds the group's id by not reaping its leader. Raises OSError or Unavailable if it
    can't look.
    """
    while members := await in_thread(_members_of, group):
        for pid in members:
            await _process_gone(pid, lambda pid: _is_member(pid, group))


async def _process_gone(pid: int, is_meant: Callable[[int], bool]) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Asked again now that the descriptor pins the process: its id may have found a new owner.
        if is_meant(pid):
            await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)


def _signal(pid: int, number: signal.Signals, is_meant: Callable[[int], bool]) -> None:
    """Send a signal to a process that is what is meant, even if its id finds a new owner."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_meant(pid):
            signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:  # it runs as somebody else by now
        log.error("process %d cannot be stopped: %s", pid, error)
    finally:
        os.close(pidfd)


def _processes_by_run() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    seen = {os.getpid()}
    undecided: set[int] = set()

    def look(pid: int) -> None:
        undecided.discard(pid)
        try:
            run_id = _run_of(pid)
        except BlockingIOError:
            undecided.add(pid)
        else:
            if run_id is not None:
                found.setdefault(run_id, []).append(pid)

    # The second look finds a child whose parent ended before the first look came to it.
    for _ in range(2):
        for pid in _process_ids():
            if pid not in seen:
                seen.add(pid)
                look(pid)
    for _ in range(_PROGRAM_LOOKS):
        if undecided:
            time.sleep(_PROGRAM_PAUSE)
            for pid in [*undecided]:
                look(pid)
    if undecided:
        raise _starts_a_program(min(undecided))
    return found


def _run_of(pid: int) -> str | None:
    """Return the run that a process is of; raises BlockingIOError where that can't be told yet."""
    environment = _read(f"/proc/{pid}/environ")
    if not environment and _is_between_programs(pid):
        raise _starts_a_program(pid)
    _, mark, rest = (b"\0" + environment).partition(_MARK)
    return rest.partition(b"\0")[0].decode(errors="replace") if mark else None


def _starts_a_program(pid: int) -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, f"process {pid} is just starting a program")


def _is_between_programs(pid: int) -> bool:
    """Tell whether an empty environment is only not there yet, since an exec has just begun.

    It has memory then, but no code in it, or an environment that was not there when it was read.
    """
    fields = _stat(pid)
    if not fields:
        return False
    memory, code, begin, end = (int(fields[number - 3]) for number in (23, 26, 50, 51))
    return memory > 0 and (code == 0 or begin != end)


def _members_of(group: int) -> list[int]:
    return [pid for pid in _process_ids() if _is_member(pid, group)]


def _is_member(pid: int, group: int) -> bool:
    try:
        if os.getpgid(pid) != group:
            return False
    except ProcessLookupError:
        return False
    fields = _stat(pid)
    return bool(fields) and fields[0] not in {"Z", "X"}


def _started(pid: int) -> int:
    """Return when a process started, in ticks since the boot; 0 where it is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _stat(pid: int) -> list[str]:
    # The fields from the third on: they follow the name, which stands in parentheses and may hold
    # any character.
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].decode().split()


@cache
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def _process_ids() -> Iterator[int]:
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return
    for name in names:
        if name.isdecimal():
            yield int(name)


def _read(path: str) -> bytes:
    """Read a file of ``/proc``; empty for a process that is gone or somebody else's."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
