"""What clients send as JSON, to values: a job, or a list of jobs that may name each other.

Both generations of Kala are understood, and an answer may be posted back.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import Definition, from_keys
from kala_trio.core.errors import Refused
from kala_trio.keys import READERS, Reader, read_text

_OUT_OF_RANGE = "holds a number out of range"
_EXAMPLE_BODY = '{"name": "hello", "command": "echo hello", "schedule": "R2//PT10S"}'

_EXAMPLE_REFERENCES = (
    '[0, "extract"]: jobs of this list before this one, by position and by name; or an id'
)

READ_ONLY = {
    "id",
    "version",
    "dependent_jobs",
    "next_run_at",
    "success_count",
    "error_count",
    "last_success",
    "last_error",
    "last_attempted_run",
    "number_of_finished_runs",
    "metadata",
    "stats",
    "is_done",
    "pending",
    "running",
}
"""What Kala itself returns, so that an answer can be posted back; not the client's to say."""

OTHER_NAMES = {"TemplateDelimiters": "template_delimiters"}
"""What Kala of 2015 names otherwise, and the key that it is."""

_EXAMPLE_CHANGES = (
    '{"create": [{"id": "93b65499-b211-49ce-57e0-19e735cc5abd", "name": "a", "command": "true"}]}'
)

# A list is decided on and committed as a whole, and what is due meanwhile waits: so many jobs take
# some 20 ms, and longer ones would hardly take less for each.
MOST_JOBS = 500
"""How many jobs a list may have."""

_LAST_VERSION = 2**63 - 1

# What stands in files is changed by hand, seldom, and as a whole.
MOST_CHANGES = 5_000
"""How many jobs may be changed together."""

ID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""What has the form of an id is one; anything else that refers to a job is a name."""


class Changes(Struct, frozen=True):
    """What is to become of jobs, each by its id; edits and deletions with the version of it."""

    creates: tuple[tuple[str, Definition], ...]
    edits: tuple[tuple[str, int, Definition], ...]
    deletes: tuple[tuple[str, int], ...]


def decode_job(body: bytes, *, default_owner: str) -> Definition:
    """Read a job as a client writes it; ``default_owner`` owns it if the client names nobody.

    Raises:
        Refused: naming the field at fault, or ``body``. What the values mean is not checked here.
    """
    return definition_of(_as_object(_decode(body)), READERS, default_owner)


def patch_job(before: Mapping[str, object], body: bytes, *, default_owner: str) -> Definition:
    """Read a merge patch (RFC 7396) of a job whose keys are ``before``.

    Raises:
        Refused: naming the field at fault, or ``body``.
    """
    patch = _as_object(_decode(body))
    for name in patch:
        if OTHER_NAMES.get(name, name) not in READERS and name not in READ_ONLY:
            raise unknown(name)
    return definition_of(_merged(before, patch), READERS, default_owner)


def _merged(before: Mapping[str, object], patch: Mapping[str, object]) -> dict[str, Any]:
    after = dict(before)
    for name, value in patch.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict):
            inner = before.get(name)
            after[name] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            after[name] = value
    return after


def decode_jobs(
    body: bytes, *, default_owner: str, most: int, new_id: Callable[[], str]
) -> list[tuple[str, Definition]]:
    """Read a list of ``most`` jobs at most, and give each an id.

    Where a job names others, these may be entries before it: by their position from 0, or by their
    name. What has the form of an id is an id.

    Raises:
        Refused: naming the position and the field at fault, or ``body``.
    """
    entries = _split(body)
    if len(entries) > most:
        raise _bad_list(f"must be {most} jobs at most; send more in a second list", len(entries))
    jobs: list[tuple[str, Definition]] = []
    earlier = _Earlier(jobs)
    for position, entry in enumerate(entries):
        try:
            value = _decode(bytes(entry)) if isinstance(entry, msgspec.Raw) else entry
            definition = definition_of(_as_object(value), earlier.readers, default_owner)
        except Refused as error:
            raise error.within(position) from None
        jobs.append((new_id(), definition))
        earlier.add(definition.name, position)
    return jobs


def decode_changes(body: bytes, *, default_owner: str, most: int) -> Changes:
    """Read changes of ``most`` jobs at most, which name each other by the ids that they have here.

    Raises:
        Refused: naming the list, the position and the field at fault, or ``body``.
    """
    lists = _as_object(_decode(body))
    read: dict[str, list[Any]] = {"create": [], "edit": [], "delete": []}
    for name, entries in lists.items():
        if name not in read or not isinstance(entries, list):
            problem = "must be lists named create, edit and delete"
            raise Refused("body", problem, found=name, example=_EXAMPLE_CHANGES)
        for position, entry in enumerate(entries):
            try:
                read[name].append(_change(name, _as_object(entry), default_owner))
            except Refused as error:
                raise error.within(f"{name}.{position}") from None
    if (count := sum(map(len, read.values()))) > most:
        problem = f"must be {most} changes at most"
        raise Refused("body", problem, found=count, example="the jobs of some files, and then more")
    return Changes(*map(tuple, read.values()))


def _change(name: str, entry: dict[str, Any], owner: str) -> tuple[Any, ...]:
    job_id = entry.get("id")
    if not isinstance(job_id, str) or not ID.fullmatch(job_id):
        example = "the UUID of a job that is there, or of one that is to be"
        raise Refused("id", "must be a UUID", found=job_id, example=example)
    parts: list[Any] = [job_id.lower()]
    if name != "create":
        version = entry.get("version")
        if type(version) is not int or not 0 <= version <= _LAST_VERSION:
            example = "3, the version of the job that was read"
            raise Refused("version", "must be a whole number", found=version, example=example)
        parts.append(version)
    if name != "delete":
        parts.append(definition_of(entry, READERS, owner))
    return tuple(parts)


_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])


def _split(body: bytes) -> Sequence[object]:
    """Return the entries of a list as they are written: each is read, or refused, by itself."""
    try:
        return _ENTRIES.decode(body)
    except msgspec.ValidationError:
        found = _quotable(body[:100], body)
        raise _bad_list("must be a JSON list of jobs", found) from None
    except (msgspec.DecodeError, RecursionError):
        entries = _decode(body)  # which tells what is wrong, unless it is half of a surrogate pair
        if not isinstance(entries, list):
            found = _quotable(body[:100], body)
            raise _bad_list("must be a JSON list of jobs", found) from None
        return entries


class _Earlier:
    """The entries of a list that were read already, which the next one may name."""

    def __init__(self, jobs: Sequence[tuple[str, Definition]]) -> None:
        self._jobs = jobs
        self._positions: dict[str, list[int]] = {}
        self.readers = READERS | {"parent_jobs": self._ids, "on_failure_job": self._id}

    def add(self, name: str, position: int) -> None:
        self._positions.setdefault(name, []).append(position)

    def _ids(self, field: str, value: object) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or None in value:
            raise Refused(field, "must be a list", found=value, example=_EXAMPLE_REFERENCES)
        return tuple(self._id(field, each) for each in value)

    def _id(self, field: str, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return self._at(field, value)
        name = read_text(field, value)
        if ID.fullmatch(name) or not name:
            return name
        positions = self._positions.get(name, ())
        if len(positions) == 1:
            return self._at(field, positions[0])
        problem = "no job before this one has that name, and an id looks otherwise"
        if positions:
            problem = f"several jobs before this one have that name: {_some(positions)}; name one"
        raise Refused(field, problem, found=name, example=_EXAMPLE_REFERENCES)

    def _at(self, field: str, position: int) -> str:
        if not 0 <= position < len(self._jobs):
            problem = f"must be the position, from 0, of a job before this one ({len(self._jobs)})"
            raise Refused(field, problem, found=position, example=_EXAMPLE_REFERENCES)
        return self._jobs[position][0]


def _some(positions: Sequence[int]) -> str:
    return ", ".join(map(str, positions[:5])) + ("" if len(positions) <= 5 else ", …")


def _bad_list(problem: str, found: object) -> Refused:
    return Refused("body", problem, found=found, example=f"[{_EXAMPLE_BODY}]")


def definition_of(
    given: Mapping[str, Any], readers: Mapping[str, Reader] = READERS, owner: str = ""
) -> Definition:
    """Return the definition of these keys, as JSON has them, read by ``readers``.

    Raises:
        Refused: naming the key at fault.
    """
    fields: dict[str, Any] = {}
    for written, value in given.items():
        name = OTHER_NAMES.get(written, written)
        if name in readers:
            fields[name] = readers[name](name, value)
        elif name not in READ_ONLY:
            raise unknown(name)
    _check_kind(fields)
    for name in ("name", "command"):
        if name not in fields:
            raise Refused(name, "is missing", found=sorted(given), example=_EXAMPLE_BODY)
    if not fields.get("owner"):
        fields["owner"] = owner
    return from_keys(fields)


def _check_kind(fields: dict[str, Any]) -> None:
    """See to it that just a remote job has remote properties; it may leave the command out."""
    is_remote, remote = fields.pop("type", False), fields.get("remote_properties")
    if is_remote and remote is None:
        raise refused("remote_properties.url", "is missing, and a job of type 1 needs one", "")
    if remote is not None and not is_remote:
        raise Refused("type", "must be 1 where there are remote_properties", found=0, example="1")
    if is_remote:
        fields.setdefault("command", "")


def _as_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        # What else it is may hold a secret.
        found = f"a {type(value).__name__}" if isinstance(value, list | str) else value
        raise _bad_body("must be a JSON object", found)
    return value


def _decode(body: bytes) -> object:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        found = body[max(0, error.start - 8) : error.start + 8]
        problem = f"is not UTF-8 (byte {error.start})"
        raise _bad_body(problem, _quotable(found, body)) from None
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 20) : error.pos + 20]
        problem = f"is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        raise _bad_body(problem, _quotable(near, body)) from None
    except RecursionError:
        raise _bad_body("is nested too deeply", _quotable(text, body)) from None
    except ValueError:  # an integer of more digits than Python converts
        raise _bad_body(_OUT_OF_RANGE, _quotable(text, body)) from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Refused(_shown(name), "is given twice", found=name, example=_EXAMPLE_BODY)
        members[name] = value
    return members


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _bad_body(_OUT_OF_RANGE, text)
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _bad_body("is not JSON", name)


def _bad_body(problem: str, found: object) -> Refused:
    return Refused("body", problem, found=found, example=_EXAMPLE_BODY)


def _quotable(part: str | bytes, body: bytes) -> str | bytes:
    """Return a part of a body that can't be read, or none of one that may hold a secret."""
    return "…" if b"secret" in body else part


def unknown(name: str) -> Refused:
    """Return the refusal of a key that no job has."""
    near = difflib.get_close_matches(name[:50], READERS, n=1)
    example = f'"{near[0]}"' if near else _EXAMPLE_BODY
    return Refused(_shown(name), "a job has no such field", found=name, example=example)


def _shown(name: str) -> str:
    """Return what to call a field that a client made up."""
    return name if len(name) <= 50 and name.isidentifier() else "body"
