"""What becomes of a request: its answer, an error, or another try; for both clients alike."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from kala_trio.client.asks import Ask
from kala_trio.client.errors import (
    Conflict,
    NotDone,
    NotFound,
    Outdated,
    Refused,
    TryLater,
    Unanswered,
)

T = TypeVar("T")

URL = "http://127.0.0.1:8000"
"""Where a daemon listens if nobody says."""

PAUSES = (0.1, 0.5, 2.0)
"""How long to wait before what may be repeated is repeated, each time, in seconds."""

_ERRORS: dict[int, type[NotDone]] = {404: NotFound, 409: Conflict, 412: Outdated}
_TOO_SOON = 429
_BUG = 500
_MOST_WAITS = 30  # times that one request may be told to come again later
_LONGEST_PAUSE = 10.0  # who is asked to wait longer is told so
_TIMEOUT = 60.0  # for each step of an exchange, in seconds
# The daemon closes a connection that was idle for five seconds.
_LIMITS = httpx.Limits(keepalive_expiry=2.0)
_FOLLOWING = httpx.Timeout(_TIMEOUT, read=None)  # a job may be silent for long


def options(url: str, token: str) -> dict[str, Any]:
    """Return what an ``httpx`` client is made with: no proxies, the system's certificates.

    Raises:
        Refused: ``url`` or ``token`` is none.
    """
    try:
        base = httpx.URL(f"{url.rstrip('/')}/api/v1")
    except httpx.InvalidURL as error:
        raise Refused(f"the URL {url!r} can't be used ({error}); for example {URL}") from None
    if base.scheme not in ("http", "https") or not base.host:
        raise Refused(f"the URL {url!r} is not one of HTTP; for example {URL}")
    if not token.isascii() or not token.isprintable():
        raise Refused("the token can't be used; one looks like kt_ and some letters")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    usual = {"headers": headers, "timeout": _TIMEOUT, "limits": _LIMITS, "trust_env": False}
    verified = {"verify": ssl.create_default_context()} if base.scheme == "https" else {}
    return {"base_url": base, **usual, **verified}


def request(http: httpx.Client | httpx.AsyncClient, ask: Ask[T]) -> httpx.Request:
    """Return the request that ``http`` is to send."""
    return http.build_request(
        ask.method,
        ask.path,
        params=ask.params or None,
        headers=dict(ask.headers),
        content=ask.body,
        timeout=_FOLLOWING if ask.streams else httpx.USE_CLIENT_DEFAULT,
    )


class Tries(Generic[T]):
    """The tries at one request: how many, after what pauses, and what the earlier ones tell."""

    def __init__(self, ask: Ask[T], pauses: Sequence[float]) -> None:
        """Allow one, and after each pause one more, if that does no harm.

        Where there are pauses, what came too soon (429) is repeated when it was told to.
        """
        self._ask = ask
        self._pauses = iter(pauses if ask.repeatable else ())
        # Nothing was done of what came too soon, so all of that may be repeated.
        self._waits = repeat(0.0, _MOST_WAITS if pauses else 0)
        self._may_be_done = False

    def read(self, answer: httpx.Response) -> T:
        """Return what was asked for; the body of an answer that is an error must have been read.

        Raises:
            NotDone: by its kind, with the daemon's sentence.
        """
        is_done = answer.status_code == 404 and self._may_be_done and self._ask.ends
        if not (answer.is_success or is_done):
            raise _error(answer)
        try:
            return self._ask.read(answer)
        except (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError):
            raise Refused(_stranger(answer), answer.status_code) from None

    def pause_after(self, error: httpx.TransportError | NotDone) -> float:
        """Return how long to wait before the next try, after one that raised one of ``FAILURES``.

        Raises:
            NotDone: there is none, and that is why.
        """
        failure = _lost(error) if isinstance(error, httpx.TransportError) else error
        self._may_be_done |= isinstance(failure, Unanswered)
        wanted = failure.retry_after or 0.0 if isinstance(failure, TryLater) else 0.0
        is_hopeless = isinstance(failure, Refused) or failure.status == _BUG
        pause = None
        if not is_hopeless and wanted <= _LONGEST_PAUSE:
            pause = next(self._waits if failure.status == _TOO_SOON else self._pauses, None)
        if pause is not None:
            return max(pause, wanted)
        if self._may_be_done and isinstance(failure, TryLater) and self._ask.method != "GET":
            # This try changed nothing, but an earlier one may have.
            raise Unanswered(str(failure), failure.status)
        raise failure


FAILURES = (httpx.TransportError, TryLater, Unanswered)
"""What may be followed by another try."""


@contextmanager
def reading() -> Iterator[None]:
    """Tell of a connection that breaks while a body is read."""
    try:
        yield
    except httpx.TransportError as error:
        raise _lost(error) from error


def _lost(error: httpx.TransportError) -> NotDone:
    """Return what an exchange that broke means: that nothing was sent, or that nobody knows."""
    where, what = _place(error.request.url), str(error) or type(error).__name__
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TryLater(f"no kala-trio can be reached at {where}: {what}")
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return Refused(f"the request can't be sent to {where}: {what}")
        case _:
            return Unanswered(f"the connection to {where} broke before all was answered: {what}")


def _error(answer: httpx.Response) -> NotDone:
    status = answer.status_code
    try:
        sentence = str(msgspec.json.decode(answer.content)["error"])
    except (KeyError, TypeError, msgspec.MsgspecError):
        if status < 500:
            return Refused(_stranger(answer), status)
        sentence = _stranger(answer)
    if status in (_TOO_SOON, 503):
        after = answer.headers.get("Retry-After", "")
        return TryLater(sentence, status, float(after) if after.isdecimal() else None)
    if status >= 500:
        return Unanswered(sentence, status)
    return _ERRORS.get(status, Refused)(sentence, status)


def _stranger(answer: httpx.Response) -> str:
    url = answer.request.url
    asked = f"{answer.request.method} {_place(url)}{url.path}"
    return f"{asked} was answered with {answer.status_code}, not as kala-trio does; is it the URL?"


def _place(url: httpx.URL) -> str:
    """Return where a URL leads, without a password that it may have."""
    return f"{url.scheme}://{url.netloc.decode()}"
