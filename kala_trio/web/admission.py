"""Who may ask, judged by the head of a request alone; ``guard`` keeps out whom this objects to.

A page of any site can have a browser send requests to this machine, with a body that a form could
have. So requests that a browser marks as another site's are refused, and those that name a host
which is not this one (``hosts``).
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from urllib.parse import urlsplit

from hypercorn.typing import HTTPScope
from msgspec import Struct

from kala_trio.core.errors import Unavailable
from kala_trio.tokens import Role, Tokens
from kala_trio.web.hosts import Hosts
from kala_trio.web.peers import HERE, peer_of
from kala_trio.web.rates import Rates, Turnstile

_READING = {"GET", "HEAD", "OPTIONS"}
_OPERATING = re.compile(
    r"/api/v1/(?:job/(?:start|enable|disable)|run/cancel)/"
    r"|/webui/job/[^/]+/(?:start|enable|disable)/?$|/webui/run/[^/]+/cancel/?$"
)
_LOOKING = re.compile(r"/webui/preview/?")
# What needs no token: to bring one, or to give it back, what that page loads, and whether it works.
_OPEN = re.compile(r"/webui/sign-(?:in|out)/?|/static/[^/]+/?|/(?:healthz|readyz)/?")
_PROBES = re.compile("/(?:healthz|readyz)/?")
_SIGN_IN = "/webui/sign-in/"
_LONGEST_TARGET = 8_000
_MOST_HEADERS = 100
_LARGEST_HEADERS = 16_000
_TOO_MANY = "too many requests a second; send it again in as many seconds as Retry-After says"
_TOO_MANY_GUESSES = "Authorization: too many unknown tokens; one that is known is heard at any time"

WHO: ContextVar[str] = ContextVar("who", default="")
"""The name of the token that the request which is answered has brought, if any."""

COOKIE = "kala_trio_token"
"""Where a browser keeps its token."""


class Refusal(Struct, frozen=True):
    """A request is kept out with a status and a sentence.

    ``wait`` is after how many seconds another try is worth it, 0 where it is not.
    """

    status: int
    problem: str
    wait: float = 0.0


class SignIn(Struct, frozen=True):
    """Somebody at a browser is shown where to bring a token: at this path."""

    path: str


Objection = Refusal | SignIn
"""Why a request is not let in."""


class Admission:
    """Knows what ``hosts`` this is, who has one of ``tokens``, and how often who may ask."""

    def __init__(self, hosts: Hosts, tokens: Tokens, rates: Rates) -> None:
        """Have seen nobody yet."""
        self._hosts = hosts
        self._tokens = tokens
        self._turnstile = Turnstile(rates)

    def objection(self, scope: HTTPScope) -> Objection | None:
        """Say why a request is kept out; None where it is not, and then ``WHO`` is set."""
        if too_much := _too_much(scope):
            return too_much
        if not scope["path"].startswith("/"):
            # What is asked of a proxy would be found by the routes, and not by the rules here.
            problem = f"must be a path, found {scope['path'][:100]!r}; for example /api/v1/job/"
            return Refusal(400, f"the target {problem}")
        headers = {name.decode(): text.decode("latin-1") for name, text in scope["headers"]}
        WHO.set("")
        try:
            if problem := self._by_another_name(headers) or _of_another_site(scope, headers):
                return Refusal(403, problem)
            objection = self._without_token(scope, headers)
        except Unavailable as error:
            return Refusal(503, str(error), 1)
        # A flood must not look like an end to who would start all anew.
        is_probe = _PROBES.fullmatch(scope["path"])
        wait = 0.0 if is_probe else self._turnstile.wait(WHO.get(), _peer(scope))
        return Refusal(429, _TOO_MANY, wait) if wait else objection

    def _by_another_name(self, headers: Mapping[str, str]) -> str:
        """Say what is wrong with the name that the service is asked by; empty if nothing is."""
        return self._hosts.objection(headers.get("host", ""), self._tokens.are_asked_for)

    def _without_token(self, scope: HTTPScope, headers: Mapping[str, str]) -> Objection | None:
        """Object to who has no token, or none for that."""
        if _OPEN.fullmatch(scope["path"]) or not self._tokens.are_asked_for():
            return None
        secret = _secret(headers)
        token = self._tokens.find(secret) if secret else None
        if token is None and secret and (wait := self._turnstile.wait_to_guess(_peer(scope))):
            return Refusal(429, _TOO_MANY_GUESSES, wait)
        if token is None and _is_for_people(scope):
            return SignIn(f"{_SIGN_IN}?unknown=true" if secret else _SIGN_IN)
        if token is None:
            problem = "needs a token that is known here; for example Authorization: Bearer kt_…"
            return Refusal(401, f"Authorization: {problem}")
        WHO.set(token.name)
        needed = _role_for(scope["method"], scope["path"])
        if not token.role.covers(needed):
            problem = f"Authorization: token {token.name!r} may {token.role}, and not {needed}"
            return Refusal(403, problem)
        return None


def _of_another_site(scope: HTTPScope, headers: Mapping[str, str]) -> str:
    """Object to a change that a browser asks for a page of another site; empty if it does not."""
    if scope["method"] in _READING:
        return ""
    origin = headers.get("origin")
    if origin is not None and not _is_of(origin, headers.get("host", "")):
        return f"Origin: another site may change nothing here, found {origin[:100]!r}"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "Sec-Fetch-Site: another site may change nothing here"
    return ""


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _role_for(method: str, path: str) -> Role:
    """Return what a token must allow for such a request."""
    if method in _READING:
        return Role.ADMIN if path.startswith("/api/v1/audit") else Role.READ
    if method == "POST" and _LOOKING.fullmatch(path):
        return Role.READ
    is_operating = method == "POST" and _OPERATING.match(path)
    return Role.OPERATE if is_operating else Role.ADMIN


def _secret(headers: Mapping[str, str]) -> str:
    """Return what a request brings as a token, empty if it brings none."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme:
        return secret.strip() if scheme.lower() == "bearer" else ""
    for each in headers.get("cookie", "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _is_for_people(scope: HTTPScope) -> bool:
    """Tell whether somebody who has no token is shown where to bring one."""
    is_page = scope["path"] == "/" or scope["path"].startswith("/webui")
    return scope["method"] == "GET" and is_page and not scope["path"].startswith("/webui/events")


def _peer(scope: HTTPScope) -> str:
    client = scope.get("client")
    return peer_of(client[0]) if client else HERE


def _too_much(scope: HTTPScope) -> Refusal | None:
    """Object to a head that is larger than any that is of use here."""
    if scope["http_version"] not in ("1.0", "1.1"):
        return Refusal(505, f"HTTP/1.1 is spoken here, found HTTP/{scope['http_version']}")
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if target > _LONGEST_TARGET:
        problem = f"must have {_LONGEST_TARGET} bytes at most, found {target}"
        return Refusal(414, f"the path and its parameters: {problem}; for example /api/v1/job/")
    sizes = [len(name) + len(text) for name, text in scope["headers"]]
    count, size = len(sizes), sum(sizes)
    if count > _MOST_HEADERS or size > _LARGEST_HEADERS:
        bounds = f"{_MOST_HEADERS} at most, of {_LARGEST_HEADERS} bytes in all"
        return Refusal(431, f"the headers: must be {bounds}, found {count} of {size}")
    return None
