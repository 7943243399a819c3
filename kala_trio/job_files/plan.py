"""What is to be changed, so that the jobs of a daemon are those of files: the difference, first.

A job of a file is the one of its name in its file set, or else one of that name in none, which it
takes over. What a file does not say has its default, but for the owner and for whether the job is
disabled: these stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from msgspec import Struct
from msgspec.structs import asdict, replace

from kala_trio import bodies
from kala_trio.core.definition import KEYS, Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.job_files.document import Mistakes
from kala_trio.job_files.reader import FileJob
from kala_trio.keys import READERS

Keys = dict[str, Any]
"""A job as the API has it."""

_KEPT = ("owner", "disabled")
_SECRET = "***"  # noqa: S105 - what stands for one


class Difference(Struct, frozen=True):
    """A key of a job, or a part of one as ``env.LANG``, as it is and as it is to be."""

    key: str
    old: object
    new: object


class Creation(Struct, frozen=True):
    """A job that is not there yet, with its keys as the API takes them."""

    file: FileJob
    keys: Keys


class Edition(Struct, frozen=True):
    """A job that is there and says something else, with its keys as the API takes them."""

    file: FileJob
    keys: Keys
    differences: tuple[Difference, ...]


class Plan(Struct, frozen=True):
    """What is to be changed; ``deletions`` are jobs as they are."""

    creations: tuple[Creation, ...]
    editions: tuple[Edition, ...]
    deletions: tuple[Keys, ...]
    unchanged: int

    def __bool__(self) -> bool:
        """Tell whether anything is."""
        return bool(self.creations or self.editions or self.deletions)

    def file_of(self, field: str) -> tuple[FileJob, str] | None:
        """Return the job that a refusal of the API names, as ``edit.0.retries``, and the key."""
        name, _, rest = field.partition(".")
        position, _, key = rest.partition(".")
        lists: dict[str, Sequence[Creation | Edition]]
        lists = {"create": self.creations, "edit": self.editions}
        changes = lists.get(name, ())
        if position.isdecimal() and int(position) < len(changes):
            return changes[int(position)].file, key
        return None


def plan(
    files: Iterable[FileJob],
    there: Iterable[Keys],
    *,
    file_set: str,
    prune: bool,
    new_id: Callable[[], str],
) -> Plan:
    """Compare the jobs of files with those that are ``there``, as the API shows them.

    ``file_set`` is that of the jobs that name none. With ``prune`` the jobs of these file sets that
    stand in no file are to be deleted.

    Raises:
        Mistakes: it can't be told which job is meant.
        Refused: ``prune`` without any file set.
    """
    jobs = tuple(there)
    matched = _Matching(jobs, file_set).match(files)
    ids = {file.name: job["id"] if job else new_id() for file, job in matched}
    names = {job["id"]: job["name"] for job in jobs} | {ids[name]: name for name in ids}
    creations, editions, unchanged = [], [], 0
    for file, job in matched:
        keys: Keys = {**file.keys, "id": ids[file.name], "name": file.name}
        keys["file_set"] = _file_set(file, file_set)
        keys["parent_jobs"] = [ids.get(each, each) for each in file.definition.parent_jobs]
        if failure_job := file.definition.on_failure_job:
            keys["on_failure_job"] = ids.get(failure_job, failure_job)
        if job is None:
            creations.append(Creation(file, keys))
            continue
        keys |= {key: job[key] for key in _KEPT if key not in file.keys}
        keys["version"] = job["version"]
        wanted = _definition(keys)
        # As it was checked: parents and tags once each.
        wanted = replace(wanted, tags=file.definition.tags)
        if found := tuple(_differences(_definition(job), wanted, names)):
            editions.append(Edition(file, keys, found))
        else:
            unchanged += 1
    deletions = _pruned(jobs, matched, file_set) if prune else ()
    return Plan(tuple(creations), tuple(editions), deletions, unchanged)


_Matched = list[tuple[FileJob, Keys | None]]


class _Matching:
    """Finds the jobs of files among those that are there."""

    def __init__(self, there: Iterable[Keys], file_set: str) -> None:
        self._file_set = file_set
        self._there: dict[str, dict[str, list[Keys]]] = {}
        for job in there:
            of_name = self._there.setdefault(job["name"], {})
            of_name.setdefault(job.get("file_set", ""), []).append(job)

    def match(self, files: Iterable[FileJob]) -> _Matched:
        """Return each job of files with the one that it is, if that is there."""
        matched: _Matched = []
        problems = []
        for file in files:
            try:
                matched.append((file, self._job_of(file)))
            except Refused as error:
                problems.append(file.problem(error))
        if problems:
            raise Mistakes(*problems)
        return matched

    def _job_of(self, file: FileJob) -> Keys | None:
        file_set = _file_set(file, self._file_set)
        of_name = self._there.get(file.name, {})
        found = of_name.get(file_set) or of_name.get("") or []
        if len(found) > 1:
            problem = "several jobs have this name; call them differently, or delete all but one"
            ids = ", ".join(job["id"] for job in found[:5])
            raise Refused("name", problem, found=ids, example=f'"{file.name[:100]} 2"')
        if not found and not file_set and of_name:
            other = next(iter(of_name))
            problem = "the job of this name is in a file set, which must be said"
            raise Refused("file_set", problem, found=other, example=f"--file-set {other}")
        return found[0] if found else None


def _file_set(file: FileJob, usual: str) -> str:
    return file.definition.file_set or usual


def _pruned(jobs: Iterable[Keys], matched: _Matched, file_set: str) -> tuple[Keys, ...]:
    file_sets = {file_set, *(_file_set(file, file_set) for file, _ in matched)} - {""}
    if not file_sets:
        problem = "deletes what a file set no longer has, so there must be one"
        raise Refused("--prune", problem, found="", example="--file-set website")
    kept = {job["id"] for _, job in matched if job}
    return tuple(job for job in jobs if job.get("file_set") in file_sets and job["id"] not in kept)


def _definition(keys: Mapping[str, Any]) -> Definition:
    return bodies.definition_of(keys, READERS)


def _differences(
    old: Definition, new: Definition, names: Mapping[str, str]
) -> Iterator[Difference]:
    """Yield what differs; other jobs go by their names, and secrets are not shown."""
    before, after = _parts(old), _parts(new)
    for key in dict.fromkeys((*before, *after)):
        if key not in before or key not in after or before[key] != after[key]:
            shown = (
                _shown(key, each[key], names) if key in each else None for each in (before, after)
            )
            yield Difference(key, *shown)


def _shown(key: str, value: Any, names: Mapping[str, str]) -> object:
    match key:
        case "parent_jobs":
            return [names.get(each, each) for each in value]
        case "on_failure_job":
            return names.get(value, value)
        case _ if key.startswith("secrets."):
            return _SECRET if value else True  # as the API shows one that is there
        case _:
            return value


def _parts(definition: Definition) -> dict[str, Any]:
    """Return the keys of a definition side by side, and what has names of its own part by part."""
    parts: dict[str, Any] = {}
    for key, value in values_of(definition).items():
        if isinstance(value, dict):
            parts |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            parts[key] = value
    return parts


def values_of(definition: Definition) -> dict[str, Any]:
    """Return what a definition has at each key, with objects where JSON has objects."""
    groups = [getattr(definition, name) for name in definition.__struct_fields__]
    side_by_side = asdict(definition) | {
        key: value
        for group in groups
        if isinstance(group, Struct) and not isinstance(group, Remote)
        for key, value in asdict(group).items()
    }
    values = {key: side_by_side[key] for key in KEYS}
    if remote := definition.remote_properties:
        values["remote_properties"] = asdict(remote) | {"headers": dict(remote.headers)}
    return {key: dict(value) if key in _PAIRS else value for key, value in values.items()}


_PAIRS = {
    key
    for key, hint in KEYS.items()
    if get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is tuple
}
