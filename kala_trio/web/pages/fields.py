"""The keys of a job as fields of a form: what a value is as text, and a text as JSON."""

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from kala_trio.core.checks.examples import EXAMPLES
from kala_trio.core.checks.remote import METHODS
from kala_trio.core.checks.secrecy import NAME
from kala_trio.core.definition import KEYS, Remote, Secret
from kala_trio.core.errors import Refused
from kala_trio.web.pages import named_jobs
from kala_trio.web.request_schemas import DEFAULTS, MEANINGS

REMOTE = "remote_properties"

_NAME = re.compile(NAME)

Given = Mapping[str, list[str]]
"""What a form was filled in with."""


class Kind(StrEnum):
    """How a key is filled in."""

    TEXT = "text"
    LONG = "long"
    FLAG = "flag"
    NUMBER = "number"
    LINES = "lines"
    NUMBERS = "numbers"
    PAIRS = "pairs"
    HEADERS = "headers"
    SECRETS = "secrets"
    CHOICE = "choice"
    CHOICES = "choices"


class Field(Struct, frozen=True):
    """A key as a form shows it; ``choices`` are values, each with what it is called."""

    key: str
    kind: Kind
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """What to call it."""
        words = self.key.removeprefix(f"{REMOTE}.").replace("_", " ")
        return "URL" if words == "url" else words.capitalize()

    @property
    def meaning(self) -> str:
        """What it is for, and how it is written."""
        named = ". By id, or by name" if self.key in named_jobs.KEYS else ""
        return f"{MEANINGS.get(self.key, _OF_TYPE)}{named}{_WRITTEN.get(self.kind, '')}"

    @property
    def example(self) -> str:
        """What may stand there."""
        value, _ = json.JSONDecoder().raw_decode(EXAMPLES[self.key])
        return self.text(value)

    @property
    def usual(self) -> str:
        """What it is if nobody says, empty where there is no word for that."""
        return "GET" if self.key == f"{REMOTE}.method" else str(DEFAULTS.get(self.key, ""))

    def text(self, value: object) -> str:
        """Return the text that stands for the JSON of a key, as it can be read again."""
        if value in (None, "", [], {}) or value is False:
            return ""
        text = self._simply(value)
        try:
            is_readable = self._read(text) == value
        except Refused:
            is_readable = False
        return text if is_readable else json.dumps(value, ensure_ascii=False)

    def value(self, given: Given) -> object:
        """Return the JSON of what was filled in; None is for the key's default.

        What is no number, say, stays as it is: the core has a sentence for it.

        Raises:
            Refused: it has lines that are not what they should be.
        """
        return self._read(self.filled(given))

    def filled(self, given: Given) -> str:
        """Return what was filled in, as ``text`` would write it."""
        texts = given.get(self.key, [])
        if self.kind is Kind.CHOICES:
            return "\n".join(each for each in texts if each)
        return texts[-1] if texts else ""

    def _simply(self, value: Any) -> str:
        match self.kind:
            case Kind.FLAG:
                return "true"
            case Kind.LINES | Kind.CHOICES:
                return "\n".join(value)
            case Kind.NUMBERS:
                return " ".join(map(str, value))
            case Kind.PAIRS | Kind.SECRETS:
                return _paired(value)
            case Kind.HEADERS:
                return "\n".join(f"{name}: {each}" for name in value for each in value[name])
            case _:
                return str(value)

    def _read(self, text: str) -> object:
        match self.kind:
            case Kind.PAIRS | Kind.HEADERS | Kind.SECRETS:
                written = _json(text)
                return written if isinstance(written, dict) else self._pairs(_lines(text)) or None
            case _:
                return _READERS[self.kind](text)

    def _pairs(self, lines: list[str]) -> dict[str, Any]:
        mark, example = (":", "Accept: text/plain") if self.kind is Kind.HEADERS else ("=", "A=b")
        pairs: dict[str, Any] = {}
        for line in lines:
            name, found, value = line.partition(mark)
            if self.kind is Kind.SECRETS:
                pairs[name.strip()] = value if found else True
                continue
            if not found:
                problem = f"must have a name, {mark} and a value on each line"
                raise Refused(self.key, problem, found=line, example=example)
            if self.kind is Kind.HEADERS:
                pairs.setdefault(name.strip(), []).append(value.strip())
            else:
                pairs[name.strip()] = value
        return pairs


_WRITTEN = {
    Kind.LINES: ". One on each line",
    Kind.NUMBERS: ". With blanks between them",
    Kind.PAIRS: ". NAME=value on each line",
    Kind.HEADERS: ". Name: value on each line",
    Kind.SECRETS: ". NAME=text on each line; NAME alone is one that stays as it is",
}
_LONG = {"command", "stdin", f"{REMOTE}.body"}


_READERS: dict[Kind, Callable[[str], object]] = {
    Kind.TEXT: lambda text: text,
    Kind.LONG: lambda text: text,
    Kind.FLAG: lambda text: text == "true",
    Kind.NUMBER: lambda text: _number(text.strip()) if text.strip() else None,
    Kind.NUMBERS: lambda text: (
        [_number(each) for each in re.split(r"[\s,]+", text) if each] or None
    ),
    Kind.CHOICE: lambda text: int(text) if text.isdecimal() else text or None,
    Kind.CHOICES: lambda text: _lines(text) or None,
    Kind.LINES: lambda text: _list(text) or None,
}


def _paired(value: Mapping[str, object]) -> str:
    """Write names and texts; true stands for a secret, which is not shown."""
    return "\n".join(name if each is True else f"{name}={each}" for name, each in value.items())


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _list(text: str) -> list[Any]:
    written = _json(text)
    return written if isinstance(written, list) else [line.strip() for line in _lines(text)]


def _field(key: str, hint: Any) -> Field:
    if key == f"{REMOTE}.method":
        return Field(key, Kind.CHOICE, tuple((each, each) for each in METHODS))
    if key in _LONG:
        return Field(key, Kind.LONG)
    if hint in _KINDS:
        return Field(key, _KINDS[hint])
    many = get_origin(hint) is tuple
    words = get_args(hint)[0] if many else hint
    choices = tuple((each.value, each.value) for each in words)
    return Field(key, Kind.CHOICES if many else Kind.CHOICE, choices)


_KINDS: dict[Any, Kind] = {
    str: Kind.TEXT,
    bool: Kind.FLAG,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    tuple[str, ...]: Kind.LINES,
    tuple[int, ...]: Kind.NUMBERS,
    tuple[tuple[str, str], ...]: Kind.PAIRS,
    tuple[tuple[str, tuple[str, ...]], ...]: Kind.HEADERS,
    tuple[tuple[str, Secret | None], ...]: Kind.SECRETS,
}

_OF_TYPE = "Whether it runs a command, or makes the request that is described here"
TYPE = Field("type", Kind.CHOICE, (("0", "a command"), ("1", "a request")))
FIELDS = {key: _field(key, hint) for key, hint in KEYS.items() if key != REMOTE}
REMOTE_FIELDS = {
    f"{REMOTE}.{key}": _field(f"{REMOTE}.{key}", hint)
    for key, hint in get_type_hints(Remote).items()
}

FIRST = ("name", "command", "schedule")
"""What a simple job needs."""

_SECTIONS = {
    "Further schedules and exceptions": (
        *("cron", "time_zone", "schedules", "not_after", "excluded_dates", "jitter", "epsilon"),
        *("catch_up", "catch_up_limit", "resume_at_next_scheduled_time"),
    ),
    "After other jobs": ("parent_jobs", "parent_rule", "on_failure_job"),
    "How the command runs": (
        *("shell", "timeout", "env", "cwd", "stdin", "user", "group", "umask"),
        "template_delimiters",
    ),
    "Secrets": ("secrets", "secret_files"),
    "Retries": (
        *("retries", "retry_delay", "retry_backoff", "retry_max_delay", "retry_jitter"),
        *("retry_exit_codes", "rerun_lost"),
    ),
    "Several runs at once": ("overlap", "max_running"),
    "Who is told": (
        *("notify_webhook", "notify_email", "notify_on", "notify_every_time", "expect_within"),
        "ping_url",
    ),
    "Whose it is": ("owner", "tags", "file_set", "disabled"),
}


def sections() -> dict[str, list[Field]]:
    """Return all fields but the first, in groups; a key that no group names is in the last."""
    named = {key for keys in _SECTIONS.values() for key in (*keys, *FIRST)}
    rest = [field for key, field in FIELDS.items() if key not in named]
    grouped = {title: [FIELDS[key] for key in keys] for title, keys in _SECTIONS.items()}
    request = {"A request instead of a command": [TYPE, *REMOTE_FIELDS.values()]}
    return grouped | request | ({"More": rest} if rest else {})


def patch(before: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """Return the merge patch that leads from the JSON of a job to what was filled in.

    A key whose text is as it was shown is not in it, whatever the text can't say of it.

    Raises:
        Refused: naming the key whose text can't be read.
    """
    changed = _changed([*FIELDS.values(), TYPE], before, given)
    remote = before.get(REMOTE) or {}
    named = {f"{REMOTE}.{key}": value for key, value in remote.items()}
    if inner := _changed([*REMOTE_FIELDS.values()], named, given):
        changed[REMOTE] = {key.removeprefix(f"{REMOTE}."): each for key, each in inner.items()}
    return changed


def _changed(fields: list[Field], before: Mapping[str, Any], given: Given) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for field in fields:
        was = before.get(field.key)
        if _flat(field, field.filled(given)) == _flat(field, field.text(was)):
            continue
        value = field.value(given)
        if isinstance(value, dict) and isinstance(was, dict):
            value = dict.fromkeys(was.keys() - value.keys()) | value
        changed[field.key] = value
    return changed


def _flat(field: Field, text: str) -> str:
    """Return a text as a browser sends back what it was given."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n", "") if field.kind is Kind.TEXT else text


def texts(before: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands in the fields for the JSON of a job."""
    remote = before.get(REMOTE) or {}
    named = {**before, **{f"{REMOTE}.{key}": value for key, value in remote.items()}}
    every = [*FIELDS.values(), TYPE, *REMOTE_FIELDS.values()]
    return {field.key: field.text(named.get(field.key)) for field in every}


def filled(given: Given) -> dict[str, str]:
    """Return what stands in the fields of a form that was filled in, to be shown once more.

    Of secrets only the names: their texts have to be written again.
    """
    every = [*FIELDS.values(), TYPE, *REMOTE_FIELDS.values()]
    shown = {field.key: field.filled(given) for field in every}
    return shown | {"secrets": _names_alone(shown["secrets"])}


def _names_alone(text: str) -> str:
    """Return the lines of secrets without the texts, which are then asked for: none is empty."""
    parts = (line.partition("=") for line in _lines(text))
    return "\n".join(f"{name}{mark}" for name, mark, _ in parts if _NAME.fullmatch(name.strip()))


def _number(text: str) -> int | float | str:
    if re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text):
        return float(text)
    return text


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
