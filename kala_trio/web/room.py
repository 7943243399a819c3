"""Room for connections: how many there may be, how much they may hold, and who has to go.

Who only holds a connection is to harm nobody. So when there is no room for a new one, the one goes
that has waited longest for its next request to begin or to come whole: an honest client sends
what it wants at once. When requests and answers take too much memory, the one goes that has taken
some of it for longest: an honest client reads on.
"""

from collections import Counter
from typing import Protocol

from msgspec import Struct

from kala_trio.web.peers import HERE

_MEBIBYTE = 1024 * 1024
# How many bytes of bodies that still come, and of answers that are not read yet, there may be.
_MOST_HELD = 128 * _MEBIBYTE


class Bounds(Struct, frozen=True):
    """The most connections: in all, and from one address that is not this machine's."""

    in_all: int = 2000
    of_one: int = 200


class Guest(Protocol):
    """A connection, as the room knows it."""

    @property
    def peer(self) -> str:
        """Whom it comes from."""

    def abort(self) -> None:
        """Close it at once."""


class Room:
    """Knows all open connections, and closes some so that there is room for others."""

    def __init__(self, bounds: Bounds, most_held: int = _MOST_HELD) -> None:
        """Begin with none; ``most_held`` is in bytes."""
        self._bounds = bounds
        self._most_held = most_held
        self._guests: set[Guest] = set()
        self._by_peer: Counter[str] = Counter()
        # In the order in which they began to wait, and to hold something.
        self._waiting: dict[Guest, None] = {}
        self._holding: dict[Guest, int] = {}
        self._held = 0

    def enter(self, guest: Guest) -> bool:
        """Let one in, that waits to begin; False if there is no room, and none can be made."""
        peer = guest.peer
        if peer != HERE and self._by_peer[peer] >= self._bounds.of_one and not self._oust(peer):
            return False
        if len(self._guests) >= self._bounds.in_all and not self._oust():
            return False
        self._guests.add(guest)
        self._by_peer[peer] += 1
        self.wait(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """Know it no longer; it may have left already."""
        if guest in self._guests:
            self._guests.remove(guest)
            self._by_peer[guest.peer] -= 1
            if not self._by_peer[guest.peer]:
                del self._by_peer[guest.peer]
        self._waiting.pop(guest, None)
        self._held -= self._holding.pop(guest, 0)

    def wait(self, guest: Guest) -> None:
        """Note that it waits for a request from now on, and holds nothing."""
        self._held -= self._holding.pop(guest, 0)
        if guest in self._guests:
            self._waiting[guest] = None

    def serve(self, guest: Guest) -> None:
        """Note that the head of its request is there."""
        self._waiting.pop(guest, None)

    def hold(self, guest: Guest, count: int) -> None:
        """Note how many bytes are kept for it until its answer is sent."""
        if guest not in self._guests:
            return
        self._held += count - self._holding.get(guest, 0)
        self._holding[guest] = count
        while self._held > self._most_held and len(self._holding) > 1:
            self._turn_out(next(iter(self._holding)))

    def close(self) -> None:
        """Close those that wait for a request."""
        for guest in [*self._waiting]:
            self._turn_out(guest)

    def _oust(self, peer: str | None = None) -> bool:
        """Close the one that has waited longest, of that peer or of all, if one waits."""
        longest = next((each for each in self._waiting if peer in (None, each.peer)), None)
        if longest is not None:
            self._turn_out(longest)
        return longest is not None

    def _turn_out(self, guest: Guest) -> None:
        self.leave(guest)
        guest.abort()
