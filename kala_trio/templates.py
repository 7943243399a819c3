"""Commands and requests with blanks that each attempt fills in (rules E7 to E9).

Jinja reads them, but of its language only names, attributes and one filter are left: to fill in a
blank takes as long as to write the value down. That is done beside the scheduler, so nothing that a
client writes may take longer.
"""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.checks.definition import check
from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.remote import check_remote
from kala_trio.core.definition import Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.job import Run
from kala_trio.core.messages import StartAttempt
from kala_trio.core.schedule import find_zone
from kala_trio.core.url import parse_url

if TYPE_CHECKING:
    from jinja2 import Environment

NAMES = (
    *("job.id", "job.name", "job.owner", "run_id", "attempt", "scheduled_at", "cause"),
    "source_run_id",
)
"""What may stand in a blank, beside the job's secrets: ``secrets.NAME``."""

_EXAMPLE = "\"echo {{ job.name }} {{ scheduled_at | date('%Y-%m-%d') }}\""
_DELIMITERS = re.compile(r"[!#$%&()*+,./:;<=>?@\[\]^`{|}~-]{1,5}")
_FORMAT = re.compile(r"(?:[ -$&-~]|%[YmdHMSjfGVu%])*")
_LONGEST_FORMAT = 100
_LONGEST = 10_000
_MOST_PARTS = 100
_NOT_WRITTEN = "\0"  # which no text that is accepted holds
_RETURN = f"{_NOT_WRITTEN}r"
_STAND_IN = "93b65499b21149ce57e019e735cc5abd"  # for a secret, whose text is nobody's business yet


class _Moment(Struct, frozen=True):
    """S as a template sees it: written by RFC 3339 in UTC, or by ``date`` in the job's zone."""

    at: datetime
    zone: tzinfo

    def __str__(self) -> str:
        return self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def accepted(definition: Definition, accepted_at: datetime) -> Definition:
    """Return ``definition`` as it is to be kept, if it is one: ``check``, with blanks filled in.

    Raises:
        Refused: naming the key at fault.
    """
    if not definition.template_delimiters:
        return check(definition, accepted_at)
    if definition.execution.shell:
        # Quotes in the line would make a quoted value more than a text again.
        problem = "a line of shell finds all that in its environment, as $KALA_TRIO_JOB_NAME"
        raise refused("template_delimiters", problem, definition.template_delimiters)
    moment = _Moment(accepted_at, find_zone(""))
    values = {
        "job.id": "93b65499-b211-49ce-57e0-19e735cc5abd",
        "job.name": "a",
        "job.owner": "b",
        "run_id": "93b65499-b211-49ce-57e0-19e735cc5abd.1",
        "attempt": 1,
        "scheduled_at": moment,
        "cause": "occurrence",
        "source_run_id": "",
    }
    values |= {f"secrets.{name}": _STAND_IN for name in definition.secrecy.names}
    checked = check(_filled_in(definition, values), accepted_at)
    filled, written = checked.remote_properties, definition.remote_properties
    if filled and written and _STAND_IN in parse_url(filled.url).origin:
        problem = "must not have a secret for its host, which is told in errors and in the log"
        raise refused("remote_properties.url", problem, written.url)
    return replace(checked, command=definition.command, remote_properties=written)


def filled_in(act: StartAttempt) -> StartAttempt:
    """Return an attempt whose command or request has all blanks filled in.

    Raises:
        Refused: the request that comes of it is none.
    """
    definition, run = act.definition, act.run
    if not definition.template_delimiters:
        return act
    secrets = {f"secrets.{name}": each.text for name, each in definition.secrecy.secrets if each}
    filled = _filled_in(definition, _values(definition, run, act.number) | secrets)
    if remote := filled.remote_properties:
        try:
            check_remote(filled, remote)
        except Refused as error:
            if not secrets:
                raise
            problem = "can't be sent as it is with what the job's secrets hold"
            raise refused(error.field, problem, list(definition.secrecy.names)) from None
    return replace(act, definition=filled)


def _values(definition: Definition, run: Run, attempt: int) -> dict[str, object]:
    zone = find_zone(definition.time_zone)
    return {
        "job.id": run.job_id,
        "job.name": run.job_name,
        "job.owner": definition.owner,
        "run_id": run.id,
        "attempt": attempt,
        "scheduled_at": _Moment(run.trigger.scheduled_at, zone),
        "cause": run.trigger.cause.value,
        "source_run_id": run.trigger.source or "",
    }


def _filled_in(definition: Definition, values: dict[str, object]) -> Definition:
    delimiters = definition.template_delimiters
    command, remote = definition.command, definition.remote_properties
    if command:
        command = _filled_in_words(delimiters, command, values)
    if remote:
        remote = _filled_in_remote(delimiters, remote, values)
    # What has been filled in has no blanks any more.
    return replace(definition, command=command, remote_properties=remote)


def _filled_in_words(delimiters: str, command: str, values: dict[str, object]) -> str:
    """Fill in the words of a command one by one, so that no value ever makes two."""
    found: list[str] = []

    def put_aside(value: str) -> str:
        found.append(value)
        return f"{_NOT_WRITTEN}{len(found) - 1}{_NOT_WRITTEN}"

    words = _words(_fill(delimiters, "command", command, values, put_aside))
    place = re.compile(f"{_NOT_WRITTEN}([0-9]+){_NOT_WRITTEN}")
    return shlex.join(place.sub(lambda match: found[int(match[1])], word) for word in words)


def _filled_in_remote(delimiters: str, remote: Remote, values: dict[str, object]) -> Remote:
    url = _fill(delimiters, "remote_properties.url", remote.url, values, _quoted_for_url)
    body = _fill(delimiters, "remote_properties.body", remote.body, values)
    headers = tuple(
        (
            name,
            tuple(_fill(delimiters, "remote_properties.headers", each, values) for each in some),
        )
        for name, some in remote.headers
    )
    return replace(remote, url=url, body=body, headers=headers)


def _quoted_for_url(value: str) -> str:
    return quote(value, safe="")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        problem = f"cannot be split into words ({error})"
        raise _refused("command", problem, command.replace(_NOT_WRITTEN, "")) from None


def _fill(
    delimiters: str,
    field: str,
    text: str,
    values: dict[str, object],
    written: Callable[[str], str] = str,
) -> str:
    """Fill in the blanks of a text; ``written`` makes what is written of each value."""
    from jinja2 import TemplateError  # noqa: PLC0415 - most daemons have no templates

    if len(text) > _LONGEST or _NOT_WRITTEN in text:
        raise _refused(field, f"must have {_LONGEST} characters at most, and no NUL", text)
    try:
        nodes = _parsed(delimiters, text)
    except (TemplateError, RecursionError, ValueError) as error:
        raise _refused(field, f"cannot be read as a template ({error})", text) from None
    if len(nodes) > _MOST_PARTS:
        raise _refused(
            field, f"must have {_MOST_PARTS} parts at most, blanks and what is between", text
        )
    return "".join(_part(field, text, each, values, written) for each in nodes)


@lru_cache(1024)
def _parsed(delimiters: str, text: str) -> list[Any]:
    # Jinja would make other ends of lines of these.
    tree: Any = _environment(delimiters).parse(text.replace("\r", _RETURN))
    return [node for output in tree.body for node in getattr(output, "nodes", [output])]


@lru_cache(64)
def _environment(delimiters: str) -> "Environment":
    from jinja2 import Environment  # noqa: PLC0415 - the same

    parts = delimiters.split()
    if len(parts) != 2 or parts[0] == parts[1] or not all(map(_DELIMITERS.fullmatch, parts)):
        problem = "must be two different signs with a blank between them, without letters"
        raise refused("template_delimiters", problem, delimiters)
    return Environment(
        variable_start_string=parts[0],
        variable_end_string=parts[1],
        block_start_string=f"{_NOT_WRITTEN}%",
        block_end_string=f"%{_NOT_WRITTEN}",
        comment_start_string=f"{_NOT_WRITTEN}#",
        comment_end_string=f"#{_NOT_WRITTEN}",
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - nothing of it is HTML
    )


def _part(
    field: str, text: str, node: Any, values: dict[str, object], written: Callable[[str], str]
) -> str:
    """Return what one part of a template comes to: text as it is, or a value."""
    from jinja2 import nodes  # noqa: PLC0415 - the same

    if isinstance(node, nodes.TemplateData):
        return str(node.data).replace(_RETURN, "\r")
    if isinstance(node, nodes.Name):
        return written(_value(field, text, node.name, values))
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return written(_value(field, text, f"{node.node.name}.{node.attr}", values))
    if isinstance(node, nodes.Filter) and node.name == "date" and _has_one(node):
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        return written(_date(field, text, node.args[0], values.get(name)))
    problem = "may hold names, and date of scheduled_at, between its delimiters only"
    raise _refused(field, problem, text)


def _has_one(node: Any) -> bool:
    """Tell whether a filter has one argument and no other of any kind."""
    return len(node.args) == 1 and not (node.kwargs or node.dyn_args or node.dyn_kwargs)


def _value(field: str, text: str, name: str, values: dict[str, object]) -> str:
    if name not in values:
        problem = f"there is no {name}; what there is: {', '.join(values)}"
        raise _refused(field, problem, text)
    if field == "command" and name.startswith("secrets."):
        problem = (
            f"would show {name} in the list of processes; it is in the environment by its name"
        )
        raise _refused(field, problem, text)
    return str(values[name])


def _date(field: str, text: str, argument: Any, moment: object) -> str:
    form = getattr(argument, "value", None)
    good = isinstance(form, str) and len(form) <= _LONGEST_FORMAT and _FORMAT.fullmatch(form)
    if not (good and isinstance(form, str) and isinstance(moment, _Moment)):
        raise _refused(field, "may format a date by %Y %m %d %H %M %S %j %f %G %V %u only", text)
    return moment.at.astimezone(moment.zone).strftime(form)


def _refused(field: str, problem: str, found: str) -> Refused:
    return Refused(field, problem, found=found, example=_EXAMPLE)
