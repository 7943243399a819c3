"""Each key of a job as JSON has it, to the value that a definition holds: types, and no more.

What reads a key follows from its type in ``core.definition``.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import KEYS, Remote, Secret
from kala_trio.core.errors import Refused

Reader = Callable[[str, object], object]
"""Takes a key and what stands there, and returns the value; raises Refused."""


def read_text(name: str, value: object) -> str:
    """Read a text; null is an empty one, as Go writes it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise refused(name, "must be a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(name, "holds half of a surrogate pair", value) from None
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(name, "must be true or false", found=value, example="false")
    return value


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(name, "must be a whole number", value)
    return value


def _ids(name: str, value: object) -> tuple[str, ...]:
    if value is None:  # how Go writes a list that is empty
        return ()
    if not isinstance(value, list) or None in value:
        raise refused(name, "must be a list of ids", value)
    return tuple(read_text(name, each) for each in value)


def _one_of(choices: type[StrEnum]) -> Reader:
    def read(name: str, value: object) -> StrEnum:
        for choice in choices:
            if value == choice:
                return choice
        raise refused(name, "must be one of these words", value)

    return read


def _some_of(choices: type[StrEnum]) -> Reader:
    read_one = _one_of(choices)

    def read(name: str, value: object) -> tuple[object, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise refused(name, "must be a list of words", value)
        return tuple(read_one(name, each) for each in value)

    return read


def _decimal(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refused(name, "must be a number", value)
    try:
        return float(value)
    except OverflowError:
        raise refused(name, "is far too large", value) from None


def _numbers(name: str, value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise refused(name, "must be a list of whole numbers", value)
    return tuple(_number(name, each) for each in value)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or None in value:
        raise refused(name, "must be a list of strings", value)
    return tuple(read_text(name, each) for each in value)


def _env(name: str, value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise refused(name, "must be an object of names and texts", value)
    for variable, text in value.items():
        if not isinstance(text, str):
            raise refused(name, "must have a text for each name", variable)
    return tuple((read_text(name, each), read_text(name, text)) for each, text in value.items())


def _secrets(name: str, value: object) -> tuple[tuple[str, Secret | None], ...]:
    """Read secrets; true stands for one that is kept. Nothing of what stands there is quoted."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise refused(name, "must be an object of names and texts", type(value).__name__)
    for variable, text in value.items():
        if text is not True and not isinstance(text, str):
            raise refused(name, "must have a text for each name, or true to keep one", variable)
        if isinstance(text, str) and any("\ud800" <= each <= "\udfff" for each in text):
            raise refused(name, "holds half of a surrogate pair", variable)
    return tuple(
        (read_text(name, variable), None if text is True else Secret(text))
        for variable, text in value.items()
    )


def _type(name: str, value: object) -> bool:
    """Read what kind a job is of: whether it is remote."""
    if value not in (0, 1) or not isinstance(value, int) or isinstance(value, bool):
        raise refused(name, "must be 0 or 1", value)
    return value == 1


def _headers(name: str, value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise refused(name, "must be an object of names and lists of values", value)
    headers = []
    for header, values in value.items():
        if values is not None and not isinstance(values, list):
            raise refused(name, "must have a list of values for each name", header)
        # Null is no text here, and what a value is may be a secret.
        if not all(isinstance(each, str) for each in values or ()):
            raise refused(name, "must have strings as values", header)
        headers.append(
            (read_text(name, header), tuple(read_text(name, each) for each in values or ()))
        )
    return tuple(headers)


def _remote(name: str, value: object) -> Remote | None:
    """Read the properties of a remote job; where all of them are empty there are none."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise refused(name, "must be an object", value)
    given: dict[str, Any] = {}
    for key, each in value.items():
        if key not in _REMOTE_READERS:
            known = ", ".join(_REMOTE_READERS)
            raise refused(name, f"may have {known}, and no other key", key)
        given[key] = _REMOTE_READERS[key](f"{name}.{key}", each)
    return Remote(**{"url": "", **given}) if any(given.values()) else None


_READERS: dict[Any, Reader] = {
    str: read_text,
    bool: _flag,
    int: _number,
    float: _decimal,
    tuple[str, ...]: _texts,
    tuple[int, ...]: _numbers,
    tuple[tuple[str, str], ...]: _env,
    tuple[tuple[str, tuple[str, ...]], ...]: _headers,
    tuple[tuple[str, Secret | None], ...]: _secrets,
}


def _reader_of(hint: Any) -> Reader:
    """Return what reads a value of some type; one that is not in the table is of words."""
    if hint in _READERS:
        return _READERS[hint]
    return _some_of(*get_args(hint)[:1]) if get_origin(hint) is tuple else _one_of(hint)


_REMOTE_READERS = {key: _reader_of(hint) for key, hint in get_type_hints(Remote).items()}
# What is written otherwise than the definition has it, or is no part of one.
_APART: dict[str, Reader] = {"parent_jobs": _ids, "remote_properties": _remote, "type": _type}
READERS = {key: _reader_of(hint) for key, hint in KEYS.items() if key not in _APART} | _APART
"""What reads each key that a client may write."""
