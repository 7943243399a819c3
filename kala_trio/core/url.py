"""URLs, and what an attempt asks for: where a request goes."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote

from msgspec import Struct

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import Definition, Remote

LONGEST_URL = 2_000
"""How many characters a URL may have."""

_PORTS = {"http": 80, "https": 443}
# RFC 3986, of which what stands between scheme and fragment.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![:/])[/?#].*", re.DOTALL)
_CHARACTER = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


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
    """Say what an attempt does: its command, or its request without what may be secret.

    Of a template it is what is written.
    """
    if remote := definition.remote_properties:
        return f"{method_of(remote)} {_PATH.sub('', remote.url)}"
    return definition.command


def is_host(text: str) -> bool:
    """Tell whether this is a name that can be looked up, or an address."""
    return _is_host(text, None) if ":" in text else _is_host(None, text)


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
