"""One option for each key of a job, read off the table of keys: a new key has one at once."""

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import click
from msgspec import Struct

from kala_trio.core.checks.examples import EXAMPLES
from kala_trio.core.definition import KEYS, Remote

C = TypeVar("C", bound=Callable[..., Any])

REQUEST = "remote_properties"
"""The key whose own keys have options side by side with the others."""

# What is said once for each of several is not called by its plural.
_NAMES = {f"{REQUEST}.headers": "header", "secrets": "secret", "secret_files": "secret-file"}


class KeyOption(click.Option):
    """The option of a key, named ``key``; those of a request are ``remote_properties.url``, say."""

    def __init__(self, key: str, hint: Any) -> None:
        """Read what JSON has there off a type."""
        self.key = key
        self._pairs = _pairs(hint)
        name = _NAMES.get(key) or key.rpartition(".")[2]
        if key != name and name in KEYS:
            name = f"request_{name}"
        flag = f"--{name.replace('_', '-')}"
        names = [f"{flag}/--no-{flag[2:]}" if hint is bool else flag, key.replace(".", "__")]
        form = self._pairs.form() if self._pairs else _form(hint)
        super().__init__(names, default=None, help=self._example(flag, hint), **form)

    def written(self, value: Any) -> object:
        """Return what was given as JSON has it."""
        if self._pairs:
            return self._pairs.gathered(value)
        return [each for each in value if each != ""] if self.multiple else value

    def _example(self, flag: str, hint: Any) -> str | None:
        """Return words of a shell for what the table of examples has in JSON, if they help."""
        if hint is bool or isinstance(_form(hint).get("type"), click.Choice):
            return None
        found, _ = json.JSONDecoder().raw_decode(EXAMPLES[self.key])
        if self._pairs:
            found = [self._pairs.joined(*each) for each in found.items()]
        some = found if isinstance(found, list) else [found or "JOB"]
        return " ".join(f"{flag} {shlex.quote(str(each))}" for each in some)


class _Pairs(Struct, frozen=True):
    """Names and texts with ``sign`` between them; JSON has ``lists`` of texts, or one for each."""

    sign: str
    lists: bool

    def form(self) -> dict[str, Any]:
        """Return what makes an option of them."""
        return {"type": self.read, "multiple": True, "metavar": f"NAME{self.sign}VALUE"}

    def read(self, text: str) -> tuple[str, Any]:
        """Read a pair; without the sign it is a name alone, and None."""
        name, sign, value = text.partition(self.sign.strip())
        if not sign:
            return name, None
        return name, [value.strip()] if self.lists else value

    def gathered(self, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Return an object; in lists a name may have several texts."""
        found: dict[str, Any] = {}
        for name, value in pairs:
            before = found.get(name) if self.lists else None
            found[name] = [*before, *value] if before and value else value
        return found

    def joined(self, name: str, value: Any) -> str:
        """Write a pair."""
        return f"{name}{self.sign}{value[0] if self.lists else value}"


def _pairs(hint: Any) -> _Pairs | None:
    each = get_args(hint)[0] if get_origin(hint) is tuple else None
    if get_origin(each) is not tuple:
        return None
    is_list = get_origin(get_args(each)[1]) is tuple
    return _Pairs(": ", lists=True) if is_list else _Pairs("=", lists=False)


def _form(hint: Any) -> dict[str, Any]:
    """Return what makes an option of a type."""
    if get_origin(hint) is tuple:
        return _form(get_args(hint)[0]) | {"multiple": True}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": click.Choice([each.value for each in hint])}
    return {} if hint is bool else {"type": hint}


def key_options() -> list[KeyOption]:
    """Return the options of all keys, those of a request last."""
    request = {f"{REQUEST}.{key}": hint for key, hint in get_type_hints(Remote).items()}
    own = {key: hint for key, hint in KEYS.items() if key != REQUEST}
    return [KeyOption(key, hint) for key, hint in (own | request).items()]


def with_keys(*but: str, only: Collection[str] = ()) -> Callable[[C], C]:
    """Give a command the options of all keys, or ``only`` some, but for its arguments."""

    def add(command: C) -> C:
        for option in reversed(key_options()):
            if option.key not in but and (not only or option.key in only):
                # What click's own decorators do.
                command.__dict__.setdefault("__click_params__", []).append(option)
        return command

    return add


def keys_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the options that were given, as JSON has them."""
    keys: dict[str, Any] = {}
    for option in key_options():
        value = given.get(option.name or "")
        if value is None or value == ():
            continue
        outer, _, inner = option.key.rpartition(".")
        (keys.setdefault(outer, {}) if outer else keys)[inner] = option.written(value)
    return keys | ({"type": 1} if REQUEST in keys else {})
