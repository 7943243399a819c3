"""What makes the request of a remote job acceptable (rule Q1)."""

import re

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.url import parse_url

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a request may ask for."""

LONGEST_TIMEOUT = 86_400
"""How many seconds a request may take at most."""

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
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_IN_A_VALUE = re.compile(r"[^\t\x20-\x7e]")


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
