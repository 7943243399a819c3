"""By which names the service may be asked: not by those that somebody else lets point here.

A page that a browser has loaded from evil.example may ask evil.example, and what answers there is
up to who owns that name: he may let it point to this machine (DNS rebinding). The browser then
sends the name as ``Host``. An address is nobody's to point elsewhere.
"""

import socket
from collections.abc import Callable
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

    def objection(self, host: str, are_tokens_asked_for: Callable[[], bool]) -> str:
        """Say what is wrong with what a request has as ``Host``; empty if nothing is.

        Where tokens are asked for a name gains nobody anything, since a browser keeps a token under
        the name that it was given for. So only on loopback, or if names are given, is it judged.
        """
        if self._is_ours(host):
            return ""
        if self._is_local:
            problem = "is not this machine", "localhost"
        elif self.names or (self.address and not are_tokens_asked_for()):
            problem = "is not a name of this service", "its address"
        else:
            return ""
        is_not, example = problem
        return f"Host: {is_not}, found {host[:100]!r}; for example {example}, or give --served-as"

    @property
    def _is_local(self) -> bool:
        return bool(self.address) and ip_address(self.address).is_loopback

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
            if name in ("", "localhost", self.address) or name in self.names:
                return True
            if not self._is_local and name == socket.gethostname().lower():
                return True
            return ip_address(name).is_loopback or not self._is_local
        except ValueError:
            return False
