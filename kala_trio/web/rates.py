"""How many requests a second are answered: in all, of each client, and of who guesses tokens."""

import trio
from msgspec import Struct

from kala_trio.web.peers import HERE

_AT_ONCE = 10.0  # seconds: so long a pause lets as many requests come at once as it had room for
_GUESSES = 1.0  # a second, of unknown tokens from one address
_MANY = 10_000


class Rates(Struct, frozen=True):
    """The most requests a second, 0 for any number: of each client, and in all."""

    of_one: int = 0
    in_all: int = 0


class Bucket:
    """So many a second of each key, and ten seconds' worth at once after a pause."""

    def __init__(self, per_second: float) -> None:
        """Have all keys begin with as many at once as there may be."""
        self._each = 1 / per_second
        # The instant until which what a key has taken is used up.
        self._used_until: dict[str, float] = {}

    def wait(self, key: str, now: float) -> float:
        """Take one for ``key`` and return 0; or take none, and return when to ask, in seconds."""
        used_until = max(self._used_until.get(key, now), now)
        # As if the next one were to fit in whole, so that at least one does.
        too_many = used_until - now - max(_AT_ONCE - self._each, 0.0)
        if too_many > 0:
            return too_many
        self._used_until[key] = used_until + self._each
        if len(self._used_until) > _MANY:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget who is as good as new; and if many are left, who has taken least."""
        left = {key: until for key, until in self._used_until.items() if until > now}
        least = sorted(left, key=left.__getitem__)[: max(len(left) - _MANY // 2, 0)]
        self._used_until = {key: left[key] for key in left.keys() - set(least)}


class Turnstile:
    """Counts requests by who sends them, and says who is too soon.

    A client is the token that it has brought, or else its address. Programs of this machine are
    counted in all alone. Who brings a token that is known is never held up by what others guess.
    """

    def __init__(self, rates: Rates) -> None:
        """Have counted nothing yet."""
        self._of_one = Bucket(rates.of_one) if rates.of_one else None
        self._in_all = Bucket(rates.in_all) if rates.in_all else None
        self._guesses = Bucket(_GUESSES)

    def wait(self, name: str, peer: str) -> float:
        """Count a request of the token ``name``, or of none; return 0, or how long to wait, in s.

        What has to wait is not counted.
        """
        now = trio.current_time()
        if self._of_one and peer != HERE:
            client = f"token {name}" if name else peer
            if wait := self._of_one.wait(client, now):
                return wait
        return self._in_all.wait("", now) if self._in_all else 0.0

    def wait_to_guess(self, peer: str) -> float:
        """Count a token that is not known; return 0, or how long to wait, in seconds."""
        return self._guesses.wait(peer, trio.current_time())
