"""What makes a definition acceptable by itself; what needs other jobs is ``graph``'s to check."""

import shlex
from datetime import datetime

from msgspec.structs import replace

from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.execution import check_execution
from kala_trio.core.checks.policy import check_policy, check_retrying
from kala_trio.core.checks.remote import check_remote
from kala_trio.core.checks.reporting import check_reporting
from kala_trio.core.checks.secrecy import check_secrecy
from kala_trio.core.checks.timing import check_timing
from kala_trio.core.definition import Definition
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed, Refused
from kala_trio.core.schedule import find_zone, parse_schedule

MOST_RETRIES = 1_000_000
"""A run that fails at once, again and again, still ends some day."""

LONGEST = {
    "name": 1_000,
    "command": 10_000,
    "owner": 1_000,
    "file_set": 100,
    "on_failure_job": 100,
}
"""How many characters these keys may have."""

LONGEST_ID = 100
"""How many characters an id of a parent may have."""

LONGEST_TAG = 100
"""How many characters a tag may have."""

_QUOTING = frozenset("'\"\\")
_BLANKS = " \t\r\n"
_MOST_PARENTS = 1_000
_MOST_TAGS = 50


def check(definition: Definition, accepted_at: datetime) -> Definition:
    """Return ``definition`` as it is to be kept: parents and tags once each, as ordered.

    ``accepted_at``, an aware instant, is the start that a schedule without one has (rule S1).
    Texts have bounds, in characters: 10,000 for the command, 1,000 for name and owner, 100 for an
    id and a tag; schedule and epsilon have those of their grammars. There may be 1,000 parents and
    50 tags.

    Raises:
        Refused: naming the field at fault (rules S1, S2, S3, D1, A1, and those of its groups).
    """
    for field, longest in LONGEST.items():
        _check_text(field, getattr(definition, field), longest)
    if not definition.name.strip():
        raise refused("name", "a job needs a name", definition.name)
    if definition.file_set != definition.file_set.strip():
        raise refused("file_set", "must have no blanks around it", definition.file_set)
    if remote := definition.remote_properties:
        check_remote(definition, remote)
    else:
        _check_command(definition)
    if not 0 <= definition.retries <= MOST_RETRIES:
        raise refused("retries", f"must be 0 to {MOST_RETRIES}", definition.retries)
    if definition.epsilon:
        Duration.parse(definition.epsilon, field="epsilon")
    _check_schedule(definition, accepted_at)
    check_timing(definition, accepted_at)
    check_policy(definition)
    check_retrying(definition)
    check_execution(definition)
    check_reporting(definition)
    check_secrecy(definition)
    return replace(definition, parent_jobs=_parents(definition), tags=_tags(definition))


def _check_text(field: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise refused(field, f"must have {longest} characters at most, not {len(text)}", text)
    if "\0" in text:
        raise refused(field, "must not contain a NUL character", text)


def _check_command(definition: Definition) -> None:
    command = definition.command
    if definition.execution.shell and command.strip(_BLANKS):
        return
    if not _QUOTING.intersection(command) and command.strip(_BLANKS):
        return  # as most are, and shlex looks at each character for some microseconds in all
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Refused(
            "command",
            f"cannot be split into words ({error})",
            found=command,
            example="\"sh -c 'echo done'\"",
        ) from None
    if not words or not words[0]:
        raise refused("command", "a job needs a command", command)


def _check_schedule(definition: Definition, accepted_at: datetime) -> None:
    if definition.schedule and definition.parent_jobs:
        raise Refused(
            "schedule",
            "a job that its parents trigger has no schedule of its own",
            found=definition.schedule,
            example='"" (or leave out parent_jobs)',
        )
    try:
        find_zone(definition.time_zone)
    except Malformed as error:
        raise refused("time_zone", error.problem, definition.time_zone) from None
    if definition.schedule:
        try:
            parse_schedule(definition.schedule, definition.time_zone, accepted_at=accepted_at)
        except Malformed as error:
            part = "" if error.field == "schedule" else f"{error.field}: "
            raise Refused(
                "schedule", f"{part}{error.problem}", found=error.found, example=error.example
            ) from None


def _tags(definition: Definition) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(definition.tags))
    for tag in tags:
        _check_text("tags", tag, LONGEST_TAG)
        if not tag or tag != tag.strip() or "," in tag:
            raise refused("tags", "must be words without commas, nor blanks around them", tag)
    if len(tags) > _MOST_TAGS:
        raise refused("tags", f"must be {_MOST_TAGS} at most", len(tags))
    return tags


def _parents(definition: Definition) -> tuple[str, ...]:
    parents = tuple(dict.fromkeys(definition.parent_jobs))
    for parent in parents:
        _check_text("parent_jobs", parent, LONGEST_ID)
    if len(parents) > _MOST_PARENTS:
        raise Refused(
            "parent_jobs",
            f"must be {_MOST_PARENTS} at most",
            found=len(parents),
            example="a job in between, which has them as its parents",
        )
    return parents
