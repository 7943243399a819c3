"""Starting the process of an attempt: its words, environment, input, directory and user."""

import errno
import grp
import os
import pwd
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache

from msgspec import Struct

from kala_trio.core.definition import Definition, Execution

# Python ignores these, which a program does not expect.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_QUOTED = 120
_COMMANDS = 1024  # of so many it is remembered how they are split
_EXEC_PROBLEMS = {
    errno.ENOENT: "does not exist; give the full path of a program, for example /bin/sh",
    errno.EACCES: "may not be executed by this user; chmod +x lets a file be executed",
    errno.ENOEXEC: "is no program for this machine, nor a script that begins like #!/bin/sh",
    errno.E2BIG: "was given too long a command; keep long input in a file, for example sh job.sh",
}
_KEEP = -1  # an id that is not changed


class Identity(Struct, frozen=True):
    """Whom a process runs as: ids, -1 where the daemon's stays, and the user's own variables."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    variables: dict[bytes, bytes]


class Surroundings(Struct, frozen=True):
    """What a process finds: what it inherits, kala-trio's variables, whom it runs as."""

    environment: Mapping[bytes, bytes]
    variables: Mapping[bytes, bytes]
    identity: Identity | None

    def of(self, definition: Definition) -> dict[bytes, bytes]:
        """Return the environment: the job's own beats its user's, and that the daemon's."""
        own = {os.fsencode(name): os.fsencode(value) for name, value in definition.execution.env}
        for name, secret in definition.secrecy.secrets:
            own |= {os.fsencode(name): secret.text.encode()} if secret else {}
        users = self.identity.variables if self.identity else {}
        return {**self.environment, **users, **own, **self.variables}


def identify(execution: Execution) -> Identity:
    """Look up a job's user and group; it may take long where a directory service is asked.

    The supplementary groups are the user's own, and none if only a group is given.

    Raises:
        ValueError: there is no such user or group, or the daemon may not become them.
    """
    uid, gid, groups = _KEEP, _KEEP, tuple[int, ...]()
    variables: dict[bytes, bytes] = {}
    if execution.user:
        user = _user(execution.user)
        uid, gid = user.pw_uid, user.pw_gid
        named = (("HOME", user.pw_dir), ("USER", user.pw_name), ("SHELL", user.pw_shell))
        variables = {os.fsencode(name): os.fsencode(value) for name, value in named}
        variables[b"LOGNAME"] = variables[b"USER"]
        groups = tuple(os.getgrouplist(user.pw_name, user.pw_gid))
    if execution.group:
        gid = _group(execution.group)
    if os.geteuid() and (uid not in (_KEEP, os.geteuid()) or gid not in (_KEEP, os.getegid())):
        raise ValueError(
            f"the daemon runs as user {os.geteuid()} and may not run commands as anybody else, "
            f"found user {execution.user!r} group {execution.group!r}; run it as root for that"
        )
    return Identity(uid, gid, groups, variables)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise ValueError(f"there is no user {name!r}; getent passwd lists them") from None


def _group(name: str) -> int:
    try:
        found = grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)
    except (KeyError, OverflowError):
        raise ValueError(f"there is no group {name!r}; getent group lists them") from None
    return found.gr_gid


def spawn(definition: Definition, surroundings: Surroundings, output: int) -> int:
    """Start a job's command as the leader of a group of its own, and return its process id.

    Raises OSError or ValueError where that fails.
    """
    execution = definition.execution
    words = ["/bin/sh", "-c", definition.command] if execution.shell else _words(definition.command)
    if not words:
        raise ValueError("the command is empty; for example: sh /usr/local/bin/backup.sh")
    environment = surroundings.of(definition)
    with ExitStack() as cleanup:
        source = _written(execution.stdin, cleanup) if execution.stdin else None
        if execution.cwd or execution.umask or surroundings.identity:
            start = _Elsewhere(execution, surroundings.identity)
            return start(words, environment, source, output)
        return _start(words, environment, source, output)


def _written(text: str, cleanup: ExitStack) -> int:
    """Return a descriptor from which ``text`` is read, and then its end: nobody waits for that."""
    source = os.memfd_create("stdin")
    cleanup.callback(os.close, source)
    data = memoryview(text.encode())
    while data:
        data = data[os.write(source, data) :]
    os.lseek(source, 0, os.SEEK_SET)
    return source


def _start(
    words: list[str], environment: dict[bytes, bytes], source: int | None, output: int
) -> int:
    """Start a process here and as the daemon's user, which is cheaper than subprocess.

    It leaves open what is inheritable: nothing of ours is.
    """
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    return os.posix_spawnp(
        words[0],
        words,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
            nothing if source is None else (os.POSIX_SPAWN_DUP2, source, 0),
        ],
        setpgroup=0,
        setsigdef=_IGNORED,
    )


class _Elsewhere(Struct, frozen=True):
    """Starts processes in another directory, as another user, or with another umask."""

    execution: Execution
    identity: Identity | None

    def __call__(
        self, words: list[str], environment: dict[bytes, bytes], source: int | None, output: int
    ) -> int:
        whom = self.identity
        process = subprocess.Popen(  # noqa: S603 - to run what a job says is what it is for
            words,
            stdin=subprocess.DEVNULL if source is None else source,
            stdout=output,
            stderr=output,
            cwd=self.execution.cwd or None,
            env=environment,
            umask=int(self.execution.umask, 8) if self.execution.umask else -1,
            user=None if whom is None or whom.uid == _KEEP else whom.uid,
            group=None if whom is None or whom.gid == _KEEP else whom.gid,
            extra_groups=None if whom is None or os.geteuid() else whom.groups,
            process_group=0,
        )
        process.returncode = 0  # it is reaped by whoever owns it
        return process.pid


@lru_cache(_COMMANDS)
def _words(command: str) -> list[str]:
    return shlex.split(command)


def why_not(definition: Definition, error: OSError | ValueError) -> str:
    """Say in one sentence why a job's command could not be started."""
    if isinstance(error, ValueError):
        return (
            f"the command can't be passed to a process: {error}, found "
            f"{definition.command[:_QUOTED]!r}; for example sh -c 'echo hello'"
        )
    program, cwd = str(error.filename), definition.execution.cwd
    if cwd and program == cwd:
        return f"cwd {cwd[:_QUOTED]!r} can't be entered: {error.strerror}"
    problem = _EXEC_PROBLEMS.get(error.errno or 0)
    if problem is None:
        return f"the system could not start the process: {error.strerror}"
    if error.errno == errno.ENOENT and shutil.which(program):
        problem = "names an interpreter that does not exist; one that mostly does: #!/bin/sh"
    elif error.errno == errno.ENOENT and "/" not in program:
        problem = "is in no directory of PATH; give its full path, for example /bin/sh"
    return f"{program[:_QUOTED]!r} {problem}"
