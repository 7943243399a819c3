"""What makes the request of a remote job acceptable, and where a URL leads."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote

from msgspec import Struct

from kala_trio.core.definition import Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.examples import refused

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a request may ask for."""

LONGEST_TIMEOUT = 86_400
"""How many seconds a request may take at most."""

LONGEST_URL = 2_000
"""How many characters a URL may have."""

LONGEST_BODY = 100_000
"""How many characters the body of a request may have."""

MOST_CODES = 100
"""How many statuses may be expected."""

_MOST_HEADERS = 100
_LONGEST_HEADER = 200
_LONGEST_VALUE = 8_000
_LONGEST_HEADERS = 16_000

# These say how a message is delimited and sent, which is not the client's to say.
_RESERVED = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
_PORTS = {"http": 80, "https": 443}
# RFC 3986, of which what stands between scheme and fragment.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE,
)
_CHARACTER = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_IN_A_VALUE = re.compile(r"[^\t\x20-\x7e]")


class Target(Struct, frozen=True):
    """Where a request goes: ``host`` is a name or an address without brackets.

    ``path`` begins with a slash and includes the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """The host, and the port unless it is the scheme's own, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: all of a URL that is no secret."""
        return f"{self.scheme}://{self.place}"


def parse_url(url: str, field: str = "remote_properties.url") -> Target:
    """Read an absolute URL of the schemes http and https; its fragment is dropped.

    Raises:
        Refused: of ``field``, and without quoting a password.
    """
    if len(url) > LONGEST_URL:
        raise refused(field, f"must have {LONGEST_URL} characters at most, not {len(url)}", url)
    match = _URL.fullmatch(url)
    if match is None:
        raise refused(field, "must begin with http:// or https:// and a host", url)
    authority = match["authority"]
    if "@" in authority:
        hidden = url.replace(authority, f"…@{authority.rpartition('@')[2]}", 1)
        problem = 'must not hold a user or a password; send them as a header, "Authorization"'
        raise refused(field, problem, hidden)
    if odd := _CHARACTER.sub("", url):
        written = quote(odd[0].encode(errors="surrogatepass"))
        problem = f"must not hold {odd[0]!r}; in a path or a query it is written {written}"
        raise refused(field, problem, url)
    scheme = match["scheme"].lower()
    place = _AUTHORITY.fullmatch(authority)
    if place is None or not _is_host(place["v6"], place["name"]):
        problem = "must have the name or the address of a host, and a port if need be"
        raise refused(field, problem, url)
    port = _PORTS[scheme] if place["port"] is None else int(place["port"])
    if not 1 <= port <= 65_535:
        raise refused(field, "must have a port from 1 to 65535", url)
    path = (match["path"] or "/") + (match["query"] or "")
    return Target(scheme, (place["v6"] or place["name"]).lower(), port, path)


def method_of(remote: Remote) -> str:
    """Return the method of a request, which the client may have left out."""
    return remote.method or "GET"


def work_of(definition: Definition) -> str:
    """Say what an attempt does: its command, or its request without what may be secret."""
    if remote := definition.remote_properties:
        return f"{method_of(remote)} {parse_url(remote.url).origin}"
    return definition.command


def check_remote(definition: Definition, remote: Remote) -> None:
    """Check a definition that has these remote properties (rule Q1).

    Raises:
        Refused: naming the key at fault.
    """
    if definition.command:
        raise Refused(
            "command", "a remote job has none", found=definition.command, example='"", or type 0'
        )
    parse_url(remote.url)
    if remote.method and remote.method not in METHODS:
        problem = f"must be one of {', '.join(METHODS)}, or empty for GET"
        raise refused("remote_properties.method", problem, remote.method)
    if len(remote.body) > LONGEST_BODY:
        problem = f"must have {LONGEST_BODY} characters at most, not {len(remote.body)}"
        raise refused("remote_properties.body", problem, remote.body)
    if not 0 <= remote.timeout <= LONGEST_TIMEOUT:
        problem = f"must be a number of seconds up to {LONGEST_TIMEOUT}, or 0 for 30 seconds"
        raise refused("remote_properties.timeout", problem, remote.timeout)
    _check_codes(remote.expected_response_codes)
    _check_headers(remote)
    if codes := definition.retrying.retry_exit_codes:
        problem = "is for a command; a remote job has no exit code"
        raise refused("retry_exit_codes", problem, list(codes))


def _is_host(v6: str | None, name: str | None) -> bool:
    """Tell whether this can be looked up, or is an address."""
    try:
        if v6 is not None:
            return IPv6Address(v6).scope_id is None
        if name is None or not _NAME.fullmatch(name):
            return False
        if name.removesuffix(".").rpartition(".")[2].isdecimal():
            IPv4Address(name)
    except AddressValueError:
        return False
    return True


def _check_codes(codes: tuple[int, ...]) -> None:
    field = "remote_properties.expected_response_codes"
    for code in codes:
        if not 100 <= code <= 599:
            raise refused(field, "must be 100 to 599 each", code)
    if len(set(codes)) < len(codes):
        raise refused(field, "must name each code once", list(codes))
    if len(codes) > MOST_CODES:
        raise refused(field, f"must be {MOST_CODES} at most", len(codes))


def _check_headers(remote: Remote) -> None:
    """Check names and values by RFC 9110; a value is never quoted, since it may be a secret."""
    names = [name for name, _ in remote.headers]
    count = sum(len(values) for _, values in remote.headers)
    if max(len(names), count) > _MOST_HEADERS:
        raise _bad_header(f"must be {_MOST_HEADERS} at most", max(len(names), count))
    for name, values in remote.headers:
        if not _TOKEN.fullmatch(name) or len(name) > _LONGEST_HEADER:
            problem = f"must have names of up to {_LONGEST_HEADER} letters, digits and hyphens"
            raise _bad_header(problem, name)
        if name.lower() in _RESERVED:
            raise _bad_header("must leave it to kala-trio how the request is sent", name)
        if name.lower() == "host" and len(values) != 1:
            raise _bad_header("must have one value for Host", name)
        for value in values:
            _check_value(name, value)
    lower = [name.lower() for name in names]
    if len(set(lower)) < len(lower):
        twice = next(name for name in names if lower.count(name.lower()) > 1)
        raise _bad_header(
            "must have each name once, in whatever case; a list has all values", twice
        )
    total = sum(len(name) + len(value) for name, values in remote.headers for value in values)
    if total > _LONGEST_HEADERS:
        raise _bad_header(f"must have {_LONGEST_HEADERS} characters at most in all", total)


def _check_value(name: str, value: str) -> None:
    if len(value) > _LONGEST_VALUE:
        problem = f"must have values of {_LONGEST_VALUE} characters at most, not {len(value)}"
        raise _bad_header(problem, name)
    if odd := _NOT_IN_A_VALUE.search(value):
        raise _bad_header(f"must have values of printable ASCII, without {odd[0]!r}", name)
    if value != value.strip():
        raise _bad_header("must have values without blanks at their ends", name)


def _bad_header(problem: str, found: object) -> Refused:
    return refused("remote_properties.headers", problem, found)
