"""What makes acceptable whom a job wants to be told, and of what (rules N1 to N6)."""

import re

from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.policy import check_delay
from kala_trio.core.definition import Definition, News, Reporting, secret_named
from kala_trio.core.url import parse_url

MOST_ADDRESSES = 20
"""How many a job's e-mail may have."""

LONGEST_PING_URL = 1_900
"""Of 2,000 characters that a URL may have, since words of ours come after it."""

_LONGEST_ADDRESS = 254  # RFC 5321, section 4.5.3.1.3
# Of RFC 5322 what is in use: no comments, no quoted blanks, nothing beyond ASCII; and neither = nor
# ?, of which encoded words are made.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def check_reporting(definition: Definition) -> None:
    """Check who is to be told, and what.

    Raises:
        Refused: naming the key at fault.
    """
    reporting = definition.reporting
    if reporting == Reporting():
        return
    if len(reporting.ping_url) > LONGEST_PING_URL:
        problem = f"must have {LONGEST_PING_URL} characters at most, not {len(reporting.ping_url)}"
        raise refused("ping_url", problem, reporting.ping_url)
    for key in ("notify_webhook", "ping_url"):
        url: str = getattr(reporting, key)
        if url and not secret_named(url):
            parse_url(url, key)
    _check_addresses(reporting.notify_email)
    if len(set(reporting.notify_on)) < len(reporting.notify_on):
        problem = "must name each of them once"
        raise refused("notify_on", problem, [each.value for each in reporting.notify_on])
    check_delay("expect_within", reporting.expect_within)
    if not reporting.expect_within:
        return
    if not (reporting.notify_webhook or reporting.notify_email):
        problem = "needs somebody to tell: notify_webhook or notify_email"
        raise refused("expect_within", problem, reporting.expect_within)
    if News.LATE not in reporting.wanted:
        problem = 'is told only where notify_on names "late", or is left out'
        raise refused("expect_within", problem, reporting.expect_within)


def is_address(text: str) -> bool:
    """Tell whether mail can be sent there."""
    return len(text) <= _LONGEST_ADDRESS and bool(_ADDRESS.fullmatch(text))


def _check_addresses(addresses: tuple[str, ...]) -> None:
    if len(addresses) > MOST_ADDRESSES:
        problem = f"must be {MOST_ADDRESSES} at most; let a mailing list have more"
        raise refused("notify_email", problem, len(addresses))
    for address in addresses:
        if not is_address(address):
            raise refused("notify_email", "must be addresses of e-mail", address)
    if len(set(addresses)) < len(addresses):
        raise refused("notify_email", "must name each address once", list(addresses))
