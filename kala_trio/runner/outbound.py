"""Requests from this machine, of which the first one loads what only requests need."""

import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from kala_trio import __version__
from kala_trio.core.definition import Remote
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.runner.connection import Connector, NotAnswered
from kala_trio.runner.targets import Targets
from kala_trio.threads import in_thread

if TYPE_CHECKING:
    from kala_trio.runner.exchange import Client, Headers

USER_AGENT = f"kala-trio/{__version__}"
"""How kala-trio calls itself."""

_SECONDS = 30.0


class Outbound:
    """Makes requests; any number of tasks may at once."""

    def __init__(self, targets: Targets) -> None:
        """Load nothing yet; ask what ``targets`` permit."""
        self._targets = targets
        self._loading = trio.Lock()
        self._client: Client | None = None

    async def ask(
        self,
        remote: Remote,
        headers: "Headers",
        keep: Callable[[bytes], None],
        secrets: Sequence[str] = (),
    ) -> int:
        """Make a request and return the status of its answer, as ``exchange.Client.ask`` does.

        Raises:
            NotAnswered: no answer came, or half of one.
            Unavailable: what requests need can't be loaded.
        """
        client = await self.load()
        return await client.ask(remote, headers, keep, secrets)

    async def load(self) -> "Client":
        """Load what the first request would have to wait for; raises Unavailable."""
        async with self._loading:
            if self._client is None:
                try:
                    self._client = await in_thread(_load, self._targets)
                except (OSError, ImportError) as error:  # too many open files, say
                    problem = f"what requests need cannot be loaded: {error}"
                    raise Unavailable(problem) from error
        return self._client

    async def post(self, url: str, body: str, content_type: str) -> None:
        """Send a text, which is to be answered with a status of success within 30 s.

        Raises:
            NotAnswered: it was not.
        """
        headers = [("User-Agent", USER_AGENT), ("Content-Type", content_type)]
        request = Remote(url, method="POST", body=body)
        try:
            with trio.fail_after(_SECONDS):
                status = await self.ask(request, headers, lambda _: None)
        except trio.TooSlowError:
            raise NotAnswered(f"no whole answer within {_SECONDS:g} s") from None
        except (Unavailable, Refused) as error:
            raise NotAnswered(str(error)) from error
        if not 200 <= status < 300:
            raise NotAnswered(f"answered with status {status}")


def _load(targets: Targets) -> "Client":
    """Load what only requests need; in a thread, since it takes some 50 ms."""
    from kala_trio.runner.exchange import Client  # noqa: PLC0415

    # The certificates that this machine trusts, or those that SSL_CERT_FILE names.
    return Client(Connector(ssl.create_default_context(), targets).connect)
