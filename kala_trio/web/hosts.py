"""By which names the service may be asked: not by those that somebody else lets point here.

A page that a browser has loaded from evil.example may ask evil.example, and what answers there is
up to who owns that name: he may let it point to this machine (DNS rebinding). The browser then sends
the name as ``Host``. An address can't be made to point elsewhere, so it gives nobody away.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct


class Hosts(Struct, frozen=True):
    """Where it is served: on ``address``, empty where no browser gets to, and as these names."""

    address: str
    names: frozenset[str]

    @classmethod
    def of(cls, listener: socket.socket, served_as: tuple[str, ...]) -> "Hosts":
        """Return those of a listening socket; ``served_as`` are its further names."""
        if listener.family == socket.AF_UNIX:
            return cls("", frozenset(served_as))
        return cls(listener.getsockname()[0], frozenset(served_as))

    def objection(self, host: str, *, asks_for_tokens: bool) -> str:
        """Say what is wrong with what a request has as ``Host``; empty if nothing is.

        Where tokens are asked for a name gains nobody anything, since the browser keeps a token
        under the name that it was given for; then only those who have named some are strict.
        """
        is_local = bool(self.address) and ip_address(self.address).is_loopback
        is_open = bool(self.address) and not asks_for_tokens
        if not (is_local or is_open or self.names) or self._is_ours(host, is_local=is_local):
            return ""
        where = "this machine" if is_local else "a name of this service"
        advice = "localhost" if is_local else "its address"
        return (
            f"Host: is not {where}, found {host[:100]!r}; for example {advice}, "
            "or a name that kala-trio run --served-as gives it"
        )

    def _is_ours(self, host: str, *, is_local: bool) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
            if name in ("", "localhost", self.address) or name in self.names:
                return True
            if not is_local and name == socket.gethostname().lower():
                return True
            return ip_address(name).is_loopback or not is_local
        except ValueError:
            return False
