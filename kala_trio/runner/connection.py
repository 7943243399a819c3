"""How a remote attempt reaches its server: a name looked up, TCP, and TLS that is verified."""

import os
import socket
import ssl
from typing import Any

import trio

from kala_trio.core.errors import Unavailable
from kala_trio.core.url import Target
from kala_trio.runner.targets import Targets
from kala_trio.threads import needing_a_thread

# A look-up may hang for long in the system's resolver: then it has its own threads, and no others.
_LOOKUPS = 64
# A connection that is lost on its way is asked for again after a second, by the system.
_NEXT_ADDRESS = 4.0
_BRIEF = 200

Address = tuple[socket.AddressFamily, Any]


class NotAnswered(Exception):
    """No answer came; the message says why in one sentence, and what to do about it."""


class Connector:
    """Opens connections; all of them go through ``connect``, one address after the other."""

    def __init__(self, context: ssl.SSLContext, targets: Targets) -> None:
        """Trust what ``context`` trusts, and ask what ``targets`` permit."""
        self._context = context
        self._targets = targets
        self._lookups = trio.CapacityLimiter(_LOOKUPS)

    async def connect(self, target: Target) -> trio.abc.Stream:
        """Return a connection to ``target``, which is verified where its scheme is https.

        Raises:
            NotAnswered: there is none to be had, or the server is not who it should be.
        """
        stream = await self._reach(target)
        return await self._secure(stream, target) if target.scheme == "https" else stream

    async def _reach(self, target: Target) -> trio.SocketStream:
        addresses = await self._look_up(target)
        for number, (family, address) in enumerate(addresses, 1):
            is_last = number == len(addresses)
            try:
                with trio.fail_after(float("inf") if is_last else _NEXT_ADDRESS):
                    return await _open(family, address)
            except (OSError, trio.TooSlowError) as error:
                if is_last:
                    raise _unreachable(target, error) from error
        raise _unreachable(target, OSError("the name has no address"))

    async def _look_up(self, target: Target) -> list[Address]:
        try:
            with needing_a_thread():
                found = await trio.to_thread.run_sync(
                    _addresses, target, abandon_on_cancel=True, limiter=self._lookups
                )
        except Unavailable as error:
            raise NotAnswered(str(error)) from error
        except OSError as error:
            raise NotAnswered(
                f"the name {target.host!r} cannot be looked up: {error.strerror}; "
                "is it spelt right, and known to this machine?"
            ) from error
        # Checked here, since a name may lead anywhere, and elsewhere the next time.
        permitted = [each for each in found if self._targets.permit(each[1][0])]
        if found and not permitted:
            raise NotAnswered(
                f"{target.host} is {found[0][1][0]}, which this kala-trio does not ask; "
                "--allow-targets and --deny-targets say which addresses it asks"
            )
        return permitted

    async def _secure(self, stream: trio.SocketStream, target: Target) -> trio.abc.Stream:
        name = target.host.rstrip(".")
        secured = trio.SSLStream(stream, self._context, server_hostname=name, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            if isinstance(error, trio.BrokenResourceError):
                raise _insecure(target, error.__cause__ or error) from error
            raise
        return secured


async def _open(family: socket.AddressFamily, address: Any) -> trio.SocketStream:
    connecting = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connecting.connect(address)
        return trio.SocketStream(connecting)
    except BaseException:
        connecting.close()
        raise


def _addresses(target: Target) -> list[Address]:
    # As bytes: a text would be read as an international name once more, with errors of its own.
    host = target.host.encode()
    found = socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _unreachable(target: Target, error: OSError | trio.TooSlowError) -> NotAnswered:
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else str(error)
    else:
        why = "nobody answers"
    return NotAnswered(f"{target.place} cannot be reached: {why}; is the server running there?")


def _insecure(target: Target, error: BaseException) -> NotAnswered:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotAnswered(
            f"the certificate of {target.place} is not trusted: {error.verify_message}; "
            "if it is as it should be, let SSL_CERT_FILE name a file with its authority, "
            "or add that to the certificates of this machine, and start kala-trio again"
        )
    why = (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
    return NotAnswered(
        f"no TLS connection with {target.place}: {why[:_BRIEF]}; is it https that it speaks there?"
    )
