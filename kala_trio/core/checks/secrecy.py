"""What makes a job's secrets acceptable, and which of them an edit leaves alone (K1, K2).

No refusal quotes a secret, nor what might be one in the wrong place.
"""

import re

from msgspec.structs import replace

from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.execution import check_variable
from kala_trio.core.definition import Definition, Secrecy, secret_named
from kala_trio.core.errors import Refused
from kala_trio.core.url import parse_url

MOST_SECRETS = 20
"""How many secrets a job may have, those from files among them."""

LONGEST_SECRET = 16_000
"""How many characters a secret may have."""

NAME = "[A-Za-z_][A-Za-z0-9_]{0,99}"
"""How a secret may be called."""

_LONGEST_PATH = 4_000


def check_secrecy(definition: Definition) -> None:
    """Check all but what only the machine knows: whether there are such files.

    Raises:
        Refused: naming the key at fault.
    """
    reporting, secrecy = definition.reporting, definition.secrecy
    named = {key: secret_named(getattr(reporting, key)) for key in ("notify_webhook", "ping_url")}
    for key, name in named.items():
        if name and name not in secrecy.names:
            problem = "names a secret that the job has not"
            raise refused(key, problem, getattr(reporting, key))
    if secrecy == Secrecy():
        return
    _check_names(definition)
    for name, secret in secrecy.secrets:
        if secret is None:
            continue
        if not 0 < len(secret.text) <= LONGEST_SECRET or "\0" in secret.text:
            problem = f"must have texts of 1 to {LONGEST_SECRET} characters, without NUL"
            raise refused("secrets", problem, name)
        if name in named.values() and not is_url(secret.text):
            problem = "must hold a URL of http or https where notify_webhook or ping_url names it"
            raise refused("secrets", problem, name)
    for name, path in secrecy.secret_files:
        if not path.startswith("/") or "\0" in path or len(path) > _LONGEST_PATH:
            problem = f"must have full paths, which begin with /; found that of {name}"
            raise refused("secret_files", problem, path)
    is_of_use = definition.template_delimiters or any(named.values())
    if definition.remote_properties and not is_of_use:
        key = "secrets" if secrecy.secrets else "secret_files"
        problem = (
            "of a request are for what template_delimiters makes templates, and there are none"
        )
        raise refused(key, problem, list(secrecy.names))


def is_url(text: str) -> bool:
    """Tell whether a secret is a URL that can be asked for, without saying anything of it."""
    try:
        parse_url(text)
    except Refused:
        return False
    return True


def with_kept(definition: Definition, before: Definition | None) -> Definition:
    """Return ``definition`` with the secrets that it leaves as they are in ``before`` (rule K2).

    Raises:
        Refused: there is none of that name.
    """
    secrecy = definition.secrecy
    if all(secret for _, secret in secrecy.secrets):
        return definition
    known = dict(before.secrecy.secrets) if before else {}
    whole = tuple((name, secret or known.get(name)) for name, secret in secrecy.secrets)
    for name, secret in whole:
        if secret is None:
            raise refused("secrets", "true keeps a secret, and there is none of that name", name)
    return replace(definition, secrecy=replace(secrecy, secrets=whole))


def _check_names(definition: Definition) -> None:
    secrecy, env = definition.secrecy, {name for name, _ in definition.execution.env}
    if len(secrecy.names) > MOST_SECRETS:
        problem = f"must be {MOST_SECRETS} at most, with those of secret_files"
        raise refused("secrets", problem, len(secrecy.names))
    for key, some in (("secrets", secrecy.secrets), ("secret_files", secrecy.secret_files)):
        for name, _ in some:
            if not re.fullmatch(NAME, name):
                problem = "must have names of letters, digits and _, which begin with no digit"
                raise refused(key, problem, "…")
            check_variable(key, name)
            if name in env:
                raise refused(key, "must not be named as a variable of env is", name)
    for name, _ in secrecy.secret_files:
        if name in dict(secrecy.secrets):
            raise refused("secret_files", "must not be named as one of secrets is", name)
