"""Each key of a job as JSON has it, to the value that a definition holds: types, and no more."""

from collections.abc import Callable
from enum import StrEnum

from kala_trio.core.definition import CatchUp, Overlap, ParentRule
from kala_trio.core.errors import Refused
from kala_trio.core.examples import refused

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


def check_unused(name: str, value: object) -> None:
    """Refuse what asks for a remote job or a template."""
    match name:
        case "type":
            unused = value == 0 and isinstance(value, int) and not isinstance(value, bool)
        case "remote_properties":
            unused = value is None or (isinstance(value, dict) and not any(value.values()))
        case _:
            unused = value is None or value == ""
    if not unused:
        example = UNSUPPORTED[name]
        problem = f"anything but {example} is not supported by this version"
        raise Refused(name, problem, found=value, example=example)


def _one_of(choices: type[StrEnum]) -> Reader:
    def read(name: str, value: object) -> StrEnum:
        for choice in choices:
            if value == choice:
                return choice
        raise refused(name, "must be one of these words", value)

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


READERS: dict[str, Reader] = {
    "name": read_text,
    "command": read_text,
    "owner": read_text,
    "disabled": _flag,
    "schedule": read_text,
    "time_zone": read_text,
    "parent_jobs": _ids,
    "on_failure_job": read_text,
    "retries": _number,
    "epsilon": read_text,
    "resume_at_next_scheduled_time": _flag,
    "rerun_lost": _flag,
    "tags": _texts,
    "timeout": read_text,
    "overlap": _one_of(Overlap),
    "max_running": _number,
    "catch_up": _one_of(CatchUp),
    "catch_up_limit": _number,
    "parent_rule": _one_of(ParentRule),
    "retry_delay": read_text,
    "retry_backoff": _decimal,
    "retry_max_delay": read_text,
    "retry_jitter": _decimal,
    "retry_exit_codes": _numbers,
}
UNSUPPORTED = {
    "type": "0",
    "remote_properties": "null",
    "template_delimiters": '""',
    "TemplateDelimiters": '""',
}
