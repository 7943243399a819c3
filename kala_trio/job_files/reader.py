"""Job files, to definitions in which other jobs go by their names.

Each file has its ``jobs:`` by name, and under ``defaults:`` what each of them has unless it says
something else. What a job may say is what the API takes (``bodies``, ``templates.accepted``).
"""

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import Struct
from msgspec.structs import replace

from kala_trio import bodies
from kala_trio.core.definition import KEYS, Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.graph import circle
from kala_trio.job_files.document import Entry, Mistakes, Problem, Table, lines_of, parse, value_of
from kala_trio.keys import READERS
from kala_trio.templates import accepted

ENDINGS = (".yaml", ".yml", ".json")
"""How the names of the files end that a folder stands for."""

OTHER_NAMES = bodies.OTHER_NAMES | {"parents": "parent_jobs"}
"""What files may call a key otherwise, and the key that it is."""

STDIN = Path("-")
"""The standard input, in place of a file."""

_REMOTE = "remote_properties"
_COMMAND = "command: echo hello"
_EXAMPLE = f"jobs: {{hello: {{{_COMMAND}}}}}"


class FileJob(Struct, frozen=True):
    """A job as it stands in a file.

    Its ``definition`` names other jobs by their names, or by the ids of jobs that are in no file.
    ``keys`` are what it, or the defaults of its file, say as JSON has it, and ``lines`` where.
    """

    definition: Definition
    keys: Mapping[str, object]
    path: str
    line: int
    lines: Mapping[str, int] = {}

    @property
    def name(self) -> str:
        """Its name, which no other job of the files has."""
        return self.definition.name

    def problem(self, error: Refused) -> Problem:
        """Return a refusal of this job as a problem of the line at fault."""
        return Problem(self.path, self.line_of(error.field), str(error))

    def line_of(self, field: str) -> int:
        """Return where a key, or a part of one as ``env.LANG``, is said; else where the job is."""
        while field and field not in self.lines:
            field = field.rpartition(".")[0]
        return self.lines.get(field, self.line)


def read_jobs(paths: Iterable[Path], at: datetime) -> tuple[FileJob, ...]:
    """Return the jobs of all these files and folders, in their order, as accepted at ``at``.

    A folder stands for the files in it and below it, by name.

    Raises:
        Mistakes: all that is wrong, each with its line.
        Refused: there is no such file, or it can't be read.
    """
    reading = _Reading(at)
    for path in _files(paths):
        try:
            reading.read(path)
        except Mistakes as error:
            reading.problems += error.problems
    checked = tuple(filter(None, map(reading.checked, reading.jobs.values())))
    if not reading.problems:
        reading.check_circles()
    if reading.problems:
        raise Mistakes(*sorted(reading.problems, key=lambda each: (each.path, each.line)))
    return checked


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [
            each
            for each in sorted(path.rglob("*"))
            if each.suffix in ENDINGS and not _is_hidden(each.relative_to(path)) and each.is_file()
        ]
        if not found:
            problem = "no file in this folder ends in " + ", ".join(ENDINGS)
            raise Refused("PATH", problem, found=str(path), example="jobs.yaml")
        yield from found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _text_of(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise Refused("PATH", problem, found=str(path), example="jobs.yaml") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Mistakes(Problem(str(path), line, "is not UTF-8")) from None
    # JSON may be indented by tabs, YAML not; inside of its texts JSON has no tab.
    return text.replace("\t", " ") if path.suffix == ".json" else text


class _Reading:
    """The jobs of some files by name, and what is wrong with them."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self.jobs: dict[str, FileJob] = {}
        self.problems: list[Problem] = []
        self._names: set[str] = set()

    def read(self, path: Path) -> None:
        """Read a file; raises Mistakes where nothing of it can be read."""
        where = str(path)
        file = parse(_text_of(path), where)
        if not isinstance(file, Table) or "jobs" not in file.entries:
            sentence = f"a file must have jobs by name; for example {_EXAMPLE}"
            raise Mistakes(Problem(where, file.line, sentence))
        for name in file.entries.keys() - {"jobs", "defaults"}:
            sentence = f"{name[:120]}: a file has jobs: and defaults: alone; for example {_EXAMPLE}"
            self.problems.append(Problem(where, file.lines[name], sentence))
        defaults = _table(file, "defaults", where)
        jobs = _table(file, "jobs", where)
        self._names |= jobs.entries.keys()
        for name in jobs.entries:
            try:
                job = _read_job(name, _table(jobs, name, where), defaults, where, jobs.lines[name])
            except Mistakes as error:
                self.problems += error.problems
                continue
            first = self.jobs.setdefault(name, job)
            if first is not job:
                sentence = f"{name[:120]}: another job has this name, {first.path}:{first.line}"
                self.problems.append(Problem(where, job.line, sentence))

    def checked(self, job: FileJob) -> FileJob | None:
        """Return a job as it would be accepted, or None and note why it would not."""
        try:
            definition = job.definition
            for name in definition.parent_jobs:
                self._check_reference("parent_jobs", name)
            if definition.on_failure_job:
                self._check_reference("on_failure_job", definition.on_failure_job)
            # Names may be longer than the ids that the definition will have.
            parents = tuple(dict.fromkeys(definition.parent_jobs))
            with_ids = replace(
                definition,
                parent_jobs=tuple(map(str, range(len(parents)))),
                on_failure_job="",
            )
            kept = accepted(with_ids, self._at)
        except Refused as error:
            self.problems.append(job.problem(error))
            return None
        failure_job = definition.on_failure_job
        return replace(
            job, definition=replace(kept, parent_jobs=parents, on_failure_job=failure_job)
        )

    def _check_reference(self, key: str, name: str) -> None:
        if name not in self._names and not bodies.ID.fullmatch(name):
            near = difflib.get_close_matches(name[:50], self._names, n=1) or [*self.jobs][:1]
            problem = "no job in these files has that name, and an id looks otherwise"
            raise Refused(key, problem, found=name, example=near[0])

    def check_circles(self) -> None:
        """Note a job that leads to itself, if there is one (rule D6)."""
        causes = {name: {*job.definition.parent_jobs} for name, job in self.jobs.items()}
        for name, job in self.jobs.items():
            if failure_job := job.definition.on_failure_job:
                causes.setdefault(failure_job, set()).add(name)
        if found := circle(causes):
            job = self.jobs[found[0]]
            key = "parent_jobs" if found[-2] in job.definition.parent_jobs else "on_failure_job"
            problem = "these jobs lead back to the first of them, which closes a circle"
            way = " → ".join(name[:120] for name in found)
            self.problems.append(
                job.problem(Refused(key, problem, found=way, example="parents: [] for one of them"))
            )


def _table(outer: Table, name: str, path: str) -> Table:
    entry = outer.entries.get(name, Table(outer.line, {}, {}))
    if not isinstance(entry, Table):
        sentence = f"{name[:120]}: must have names with values; for example {_EXAMPLE}"
        raise Mistakes(Problem(path, outer.lines[name], sentence))
    return entry


def _read_job(name: str, own: Table, defaults: Table, path: str, line: int) -> FileJob:
    """Read a job; raises Mistakes."""
    given: dict[str, Any] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for table in (defaults, own):
        said: dict[str, str] = {}
        for written, entry in table.entries.items():
            key = OTHER_NAMES.get(written, written)
            if key not in _HINTS:
                problems.append(Problem(path, table.lines[written], str(bodies.unknown(written))))
            elif key in said:
                sentence = f"{written}: is another name for {said[key]}, which is given, too"
                problems.append(Problem(path, table.lines[written], sentence))
            else:
                said[key] = written
                given[key] = _json(key, entry)
                lines[key] = lines[written] = table.lines[written]
                if isinstance(entry, Table):
                    lines |= lines_of(entry, f"{key}.")
    job = FileJob(Definition(name, ""), given, path, line, lines)
    try:
        if given.get(_REMOTE) is not None:
            given.setdefault("type", 1)
        elif "command" not in given:
            raise Refused("command", "is missing", found=sorted(given), example=_COMMAND)
        definition = bodies.definition_of({"name": name, **given}, _READERS)
    except Refused as error:
        problems.append(job.problem(error))
    if problems:
        raise Mistakes(*problems)
    return replace(job, definition=definition)


def _json(key: str, entry: Entry) -> object:
    """Return what the API would take at a key."""
    if key == _REMOTE and isinstance(entry, Table):
        hints = get_type_hints(Remote)
        return {name: value_of(each, hints.get(name)) for name, each in entry.entries.items()}
    return value_of(entry, _HINTS[key])


def _names(key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if value is None:
        return ()
    raise Refused(key, "must be a list of the names of jobs", found=value, example="[extract]")


_HINTS = {key: hint for key, hint in KEYS.items() if key != "name"} | {"type": int}
_READERS = READERS | {"parent_jobs": _names}
