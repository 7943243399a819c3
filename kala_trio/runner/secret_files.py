"""Secrets that lie in files: read anew at the start of each attempt (rule K3)."""

import os
import stat
import subprocess

from msgspec.structs import replace

from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.secrecy import LONGEST_SECRET
from kala_trio.core.definition import Definition, Secrecy, Secret
from kala_trio.core.errors import Refused
from kala_trio.runner.spawn import Identity, identify
from kala_trio.threads import in_thread

_MOST_BYTES = 4 * LONGEST_SECRET  # of UTF-8
_OPENING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SECONDS = 5.0


async def opened(definition: Definition) -> Definition:
    """Return ``definition`` with the texts of all its secrets, and none in files any more.

    A job that runs as a user of its own gets no file that this user may not read; any other is read
    by this process.

    Raises:
        Refused: a file can't be read, or holds no secret; its variable and path are named.
        ValueError: there is no such user, or the daemon may not become it.
        Unavailable: there is no thread to be had.
    """
    return await in_thread(_opened, definition) if definition.secrecy.secret_files else definition


def text_of(definition: Definition, name: str) -> str:
    """Return the text of one secret, which may be read from a file; raises as ``opened`` does."""
    secrecy = definition.secrecy
    if secret := dict(secrecy.secrets).get(name):
        return secret.text
    path = dict(secrecy.secret_files).get(name)
    if path is None:
        raise refused("secrets", "there is no such secret any more", name)
    return _text(name, path, _whom(definition))


def _opened(definition: Definition) -> Definition:
    secrecy, whom = definition.secrecy, _whom(definition)
    read = ((name, Secret(_text(name, path, whom))) for name, path in secrecy.secret_files)
    return replace(definition, secrecy=Secrecy((*secrecy.secrets, *read)))


def _whom(definition: Definition) -> Identity | None:
    """Return who is to read the files, if it is not this process."""
    # Who is not root is that user already, or nobody whom it may become.
    if definition.execution.user and not os.geteuid():
        return identify(definition.execution)
    return None


def _text(name: str, path: str, whom: Identity | None) -> str:
    try:
        data = _read(path) if whom is None else _read_as(whom, path)
        text = data.decode()
    except OSError as error:
        raise _unusable(name, path, f"cannot be read ({error.strerror})") from error
    except ValueError:
        raise _unusable(name, path, "is no text of UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not 0 < len(text) <= LONGEST_SECRET or "\0" in text:
        problem = f"must have 1 to {LONGEST_SECRET} characters, without NUL"
        raise _unusable(name, path, problem)
    return text


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, _OPENING)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(_MOST_BYTES + 1)


def _read_as(whom: Identity, path: str) -> bytes:
    """Read a file as a job's user would; a thread of this process can't become somebody else."""
    try:
        done = subprocess.run(  # noqa: S603 - nothing in it is a job's command
            ["/usr/bin/env", "head", "-c", str(_MOST_BYTES + 1), "--", path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={},
            user=whom.uid,
            group=whom.gid,
            extra_groups=whom.groups,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(0, f"it took longer than {_SECONDS:g} s") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().rpartition(": ")[2]
        raise OSError(0, f"{why}, as user {whom.uid}")
    return done.stdout


def _unusable(name: str, path: str, problem: str) -> Refused:
    return refused("secret_files", f"the file of {name} {problem}", path)
