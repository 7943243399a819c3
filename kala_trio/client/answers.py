"""What becomes of a request: its answer, an error, or another try; for both clients alike."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Generic, TypeVar

import httpx
import msgspec
from msgspec import Struct

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

_API = "/api/v1"
_UNIX = "unix:"

_ERRORS: dict[int, type[NotDone]] = {404: NotFound, 409: Conflict, 412: Outdated}
_TOO_SOON = 429
_BUG = 500
_MOST_WAITS = 30  # times that one request may be told to come again later
_LONGEST_PAUSE = 10.0  # who is asked to wait longer is told so
_TIMEOUT = 60.0  # for each step of an exchange, in seconds
# The daemon closes a connection that was idle for five seconds.
_LIMITS = httpx.Limits(keepalive_expiry=2.0)
_FOLLOWING = httpx.Timeout(_TIMEOUT, read=None)  # a job may be silent for long


class Reach(Struct, frozen=True):
    """How a daemon is reached: its URL, and the path of its socket, if it has one."""

    place: str
    base: httpx.URL
    path: str | None = None

    @classmethod
    def of(cls, url: str) -> "Reach":
        """Read a URL, or ``unix:`` and a path.

        Raises:
            Refused: ``url`` is neither.
        """
        if url.startswith(_UNIX):
            if not (path := url.removeprefix(_UNIX)) or "\0" in path:
                raise Refused(f"{url!r} names no socket; for example unix:/run/kala-trio.sock")
            return cls(url, httpx.URL(f"http://localhost{_API}"), path)
        try:
            base = httpx.URL(f"{url.rstrip('/')}{_API}")
        except httpx.InvalidURL as error:
            raise Refused(f"the URL {url!r} can't be used ({error}); for example {URL}") from None
        if base.scheme not in ("http", "https") or not base.host:
            raise Refused(f"the URL {url!r} is not one of HTTP; for example {URL}")
        # Without a password that it may have.
        return cls(f"{base.scheme}://{base.netloc.decode()}", base)

    def options(self, token: str) -> dict[str, Any]:
        """Return what an ``httpx`` client is made with, beside ``transport``: no proxies.

        Raises:
            Refused: ``token`` is none.
        """
        if not token.isascii() or not token.isprintable():
            raise Refused("the token can't be used; one looks like kt_ and some letters")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return {"base_url": self.base, "headers": headers, "timeout": _TIMEOUT, "trust_env": False}

    def transport(self) -> dict[str, Any]:
        """Return what its ``transport`` is made with: the certificates are those of the system."""
        is_secure = self.base.scheme == "https"
        # One that trusts nobody is had in no time, and is not asked.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        verify = ssl.create_default_context() if is_secure else nobody
        return {"uds": self.path, "limits": _LIMITS, "verify": verify, "trust_env": False}


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

    def __init__(self, ask: Ask[T], pauses: Sequence[float], place: str) -> None:
        """Allow one to reach ``place``, and after each pause one more, if that does no harm.

        Where there are pauses, what came too soon (429) is repeated when it was told to.
        """
        self._ask = ask
        self._place = place
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
            raise _error(answer, self._place)
        try:
            return self._ask.read(answer)
        except (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError):
            raise Refused(_stranger(answer, self._place), answer.status_code) from None

    def pause_after(self, error: httpx.TransportError | NotDone) -> float:
        """Return how long to wait before the next try, after one that raised one of ``FAILURES``.

        Raises:
            NotDone: there is none, and that is why.
        """
        failure = error if isinstance(error, NotDone) else _lost(error, self._place)
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
def reading(place: str) -> Iterator[None]:
    """Tell of a connection to ``place`` that breaks while a body is read."""
    try:
        yield
    except httpx.TransportError as error:
        raise _lost(error, place) from error


def _lost(error: httpx.TransportError, where: str) -> NotDone:
    """Return what an exchange that broke means: that nothing was sent, or that nobody knows."""
    what = str(error) or type(error).__name__
    match error:
        case httpx.ConnectError() if distrust := _distrust(error):
            return Refused(
                f"the certificate of {where} is not trusted: {distrust}; if it is as it should be, "
                "let SSL_CERT_FILE name a file with its authority"
            )
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TryLater(f"no kala-trio can be reached at {where}: {what}")
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return Refused(f"the request can't be sent to {where}: {what}")
        case _:
            return Unanswered(f"the connection to {where} broke before all was answered: {what}")


def _distrust(error: BaseException | None) -> str:
    """Return why a certificate was not trusted, if that is what an error comes from."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""


def _error(answer: httpx.Response, place: str) -> NotDone:
    status = answer.status_code
    try:
        sentence = str(msgspec.json.decode(answer.content)["error"])
    except (KeyError, TypeError, msgspec.MsgspecError):
        if status < 500:
            return Refused(_stranger(answer, place), status)
        sentence = _stranger(answer, place)
    if status in (_TOO_SOON, 503):
        after = answer.headers.get("Retry-After", "")
        return TryLater(sentence, status, float(after) if after.isdecimal() else None)
    if status >= 500:
        return Unanswered(sentence, status)
    return _ERRORS.get(status, Refused)(sentence, status)


def _stranger(answer: httpx.Response, place: str) -> str:
    asked = f"{answer.request.method} {place}{answer.request.url.path}"
    return f"{asked} was answered with {answer.status_code}, not as kala-trio does; is it the URL?"
