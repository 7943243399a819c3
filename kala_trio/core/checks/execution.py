"""What makes the surroundings of a job's command acceptable (rules E2 to E5)."""

import re

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import Definition, Execution

RESERVED = "KALA_TRIO_"
"""What the names of kala-trio's own variables begin with."""

OF_CLIENTS = ("KALA_TRIO_API", "KALA_TRIO_TOKEN")
"""Those that a job may have all the same, with which a command asks a daemon."""

LONGEST = {"cwd": 4_000, "user": 100, "group": 100, "stdin": 100_000}
"""How many characters these keys may have."""

MOST_VARIABLES = 1_000
"""How many variables ``env`` may have."""

_LONGEST_ENV = 100_000
_UMASK = re.compile("0?[0-7]{3}")


def check_execution(definition: Definition) -> None:
    """Check all but what only the machine knows: whether directory, user and group are there.

    Raises:
        Refused: naming the key at fault.
    """
    execution = definition.execution
    if execution == Execution():
        return
    if definition.remote_properties:
        key = next(key for key in Execution.__struct_fields__ if getattr(execution, key))
        raise refused(key, "is for a command, and this job is remote", getattr(execution, key))
    for key, longest in LONGEST.items():
        text: str = getattr(execution, key)
        if len(text) > longest:
            raise refused(key, f"must have {longest} characters at most, not {len(text)}", text)
        if "\0" in text and key != "stdin":
            raise refused(key, "must not contain a NUL character", text)
    if execution.cwd and not execution.cwd.startswith("/"):
        raise refused("cwd", "must be a full path, which begins with /", execution.cwd)
    if execution.umask and not _UMASK.fullmatch(execution.umask):
        raise refused("umask", "must be three octal digits", execution.umask)
    for key in ("user", "group"):
        if (text := getattr(execution, key)) != text.strip():
            raise refused(key, "must be a name or a number", text)
    _check_env(execution.env)


def _check_env(env: tuple[tuple[str, str], ...]) -> None:
    if len(env) > MOST_VARIABLES:
        raise refused("env", f"must have {MOST_VARIABLES} variables at most", len(env))
    length = sum(len(name) + len(value) for name, value in env)
    if length > _LONGEST_ENV:
        raise refused("env", f"must have {_LONGEST_ENV} characters in all at most", length)
    for name, value in env:
        if not name or "=" in name or "\0" in name:
            raise refused("env", "must have names of one character or more, without =", name)
        check_variable("env", name)
        if "\0" in value:
            raise refused("env", "must not contain a NUL character", name)


def check_variable(key: str, name: str) -> None:
    """Refuse a name of ``key`` that kala-trio has a meaning for."""
    if name.startswith(RESERVED) and name not in OF_CLIENTS:
        raise refused(key, f"must leave names with {RESERVED} to kala-trio", name)
