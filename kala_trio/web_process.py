"""The web process next door: started, served through its door, and started again if it dies."""

import logging
import os
import socket
import subprocess
import sys

import trio

from kala_trio.certificate import certificate_of
from kala_trio.complaint import Complaint
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.door import Inside, serve_door
from kala_trio.settings import Settings
from kala_trio.threads import in_thread, needing_a_thread

log = logging.getLogger(__name__)

# A web process that ended within this many seconds of its start did no good.
_SETTLED = 10.0
_LONGEST_PAUSE = 5.0
# How long the web process may take to end: longer than it gives its last answers.
_LAST_EXIT = 10.0


async def keep_web_process(
    listener: socket.socket,
    settings: Settings,
    inside: Inside,
) -> None:
    """Run the web process, and start it again when it dies: at once, then after growing pauses.

    It is served from ``inside``.
    """
    pause = 0.0
    complaint = Complaint(log, "the web process is back")
    while True:
        began = trio.current_time()
        try:
            how = await _run(listener, settings, inside, complaint)
        # Too many processes or open files, say, or a certificate that is broken by now.
        except (OSError, Unavailable, Refused) as error:
            how = f"could not be started: {error}"
        pause = 0.0 if trio.current_time() - began > _SETTLED else pause
        complaint.tell(f"the web process {how}; starting it again in {pause:g} s")
        await trio.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause or 0.1)


async def _run(
    listener: socket.socket,
    settings: Settings,
    inside: Inside,
    complaint: Complaint,
) -> str:
    """Serve one web process until it ends, and say how; when cancelled, let it answer what it has.

    Raises OSError, Unavailable or Refused where it can't be started.
    """
    await in_thread(certificate_of, settings.tls_cert, settings.tls_key)
    ours, theirs = trio.socket.socketpair()
    with theirs, needing_a_thread():
        process = await trio.lowlevel.open_process(
            _command(settings, listener.fileno(), theirs.fileno()),
            stdin=subprocess.DEVNULL,
            pass_fds=(listener.fileno(), theirs.fileno()),
            process_group=0,
        )
    try:
        async with trio.SocketStream(ours) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_end_when_settled, complaint)
            await serve_door(stream, inside)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            with trio.move_on_after(_LAST_EXIT):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
    return f"ended with status {process.returncode}"


async def _end_when_settled(complaint: Complaint) -> None:
    await trio.sleep(_SETTLED)
    complaint.end()


def _command(settings: Settings, listener: int, door: int) -> list[str]:
    return [
        sys.executable,
        # The directory that the daemon was started in is no place to import from.
        "-I" if sys.flags.isolated else "-P",
        "-m",
        "kala_trio.web.worker",
        f"--socket-fd={listener}",
        f"--door-fd={door}",
        f"--db={os.fspath(settings.db)}",
        f"--default-owner={settings.default_owner}",
        f"--log-format={settings.log_format}",
        *(["--has-mail"] if settings.smtp else []),
        f"--min-interval={settings.min_interval or ''}",
        *("--connections", *map(str, (settings.max_connections, settings.max_connections_of_one))),
        *("--rates", *map(str, (settings.max_rate, settings.max_rate_in_all))),
        *(f"--served-as={name}" for name in settings.served_as),
        *([f"--tls-cert={settings.tls_cert}"] if settings.tls_cert else []),
        *([f"--tls-key={settings.tls_key}"] if settings.tls_key else []),
    ]
