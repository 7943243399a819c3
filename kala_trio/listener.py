"""The address that the service is reached at: a port, or a socket that lies in the file system."""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from kala_trio.core.errors import CannotStart
from kala_trio.settings import Settings
from kala_trio.tokens import Tokens

_BACKLOG = 4096
# The web process of a daemon that was killed gives its address back within this time, in seconds.
_PATIENCE = 5.0
_TAKEN = (errno.EADDRINUSE, errno.EWOULDBLOCK)


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """Listen where ``settings`` say; a socket that lies in the file system is gone at the end.

    Raises:
        CannotStart: the address can't be had, or whoever reaches it could do all.
    """
    if settings.socket is None:
        where = f"{settings.host} port {settings.port}", "--host 127.0.0.1 -p 8001"
        with _patiently(partial(_at_port, settings.host, settings.port), *where) as listener:
            _refuse_to_be_open(settings, listener)
            yield listener
        return
    path = settings.socket
    where = str(path), "--socket /run/user/1000/kala-trio.sock"
    with _patiently(partial(_at_path, path, settings.socket_mode), *where) as listener:
        ours = path.lstat().st_ino
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == ours:
                    path.unlink()


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return what clients are to be told: a URL, or ``unix:`` and a path."""
    if settings.socket:
        return f"unix:{settings.socket}"
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _patiently(listen: Callable[[], socket.socket], where: str, example: str) -> socket.socket:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return listen()
        except (OSError, OverflowError, UnicodeError) as error:
            is_taken = isinstance(error, OSError) and error.errno in _TAKEN
            if not is_taken or time.monotonic() > deadline:
                why = (error.strerror if isinstance(error, OSError) else None) or str(error)
                raise CannotStart(
                    f"cannot listen on {where}: {why}; for example: kala-trio run {example}"
                ) from error
            time.sleep(0.1)


def _at_port(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(found[4][:2], family=found[0], backlog=_BACKLOG)


def _refuse_to_be_open(settings: Settings, listener: socket.socket) -> None:
    """See to it that only who may can have commands run, unless somebody wants it so."""
    host = listener.getsockname()[0]
    if settings.insecure or ip_address(host).is_loopback or Tokens(settings.db).are_asked_for():
        return
    raise CannotStart(
        f"--host: whoever reaches {host} could run commands as you, found {settings.host!r}; "
        "make a token first, kala-trio token new NAME, or say --insecure"
    )


def _at_path(path: Path, mode: int) -> socket.socket:
    """Listen at a path, where a daemon that was killed may have left its socket."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _alone_in(path.parent):
            _remove_stale(path)
            before = os.umask(0o777 & ~mode)  # it is never open to more, not for a moment
            try:
                listener.bind(os.fspath(path))
            finally:
                os.umask(before)
            listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other daemons from removing a socket there that is not listened on yet."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; raise OSError where something else is there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(errno.EEXIST, "what is there is no socket") from None
            path.unlink()
            return
        except BlockingIOError:
            pass  # so many are waiting to be accepted
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
