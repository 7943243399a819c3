"""Values to and from Kala's JSON, in both of its generations, and nothing else.

Kala of 2015 and its later releases name some keys differently. Answers hold both; requests may use
either. The tables here are the only place that knows of it.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import msgspec

from kala_trio.core.errors import Refused
from kala_trio.core.job import Attempt, Definition, Missed, Outcome, Run, reason_of
from kala_trio.core.validation import EXAMPLES
from kala_trio.store.reader import JobView, Totals

NEVER = "0001-01-01T00:00:00Z"
"""How Kala, written in Go, says that there is no such time."""

_OUT_OF_RANGE = "holds a number out of range"
_EXAMPLE_BODY = '{"name": "hello", "command": "echo hello", "schedule": "R2//PT10S"}'

_EXAMPLE_REFERENCES = (
    '[0, "extract"]: jobs of this list before this one, by position and by name; or an id'
)

# What Kala itself returns, so that an answer can be posted back; not the client's to say.
_READ_ONLY = {
    "id",
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
}


# What has the form of an id is one; anything else that a list refers to is a name.
_ID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def decode_job(body: bytes, *, default_owner: str) -> Definition:
    """Read a job as a client writes it; ``default_owner`` owns it if the client names nobody.

    Raises:
        Refused: naming the field at fault, or ``body``. What the values mean is not checked here.
    """
    return _definition(_decode_object(body), _READERS, default_owner)


def decode_jobs(
    body: bytes, *, default_owner: str, most: int, new_id: Callable[[], str]
) -> list[tuple[str, Definition]]:
    """Read a list of ``most`` jobs at most, and give each an id.

    Where a job names others, these may be entries before it: by their position from 0, or by their
    name. What has the form of an id is an id.

    Raises:
        Refused: naming the position and the field at fault, or ``body``.
    """
    try:
        entries = _ENTRIES.decode(body)
    except msgspec.ValidationError:
        raise _bad_list("must be a JSON list of jobs", body[:100]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad_list(f"is not JSON ({error})", body[:100]) from None
    if len(entries) > most:
        raise _bad_list(f"must be {most} jobs at most; send more in a second list", len(entries))
    jobs: list[tuple[str, Definition]] = []
    earlier = _Earlier(jobs)
    for position, entry in enumerate(entries):
        try:
            definition = _definition(_decode_object(bytes(entry)), earlier.readers, default_owner)
        except Refused as error:
            raise error.within(position) from None
        jobs.append((new_id(), definition))
        earlier.add(definition.name, position)
    return jobs


_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])


class _Earlier:
    """The entries of a list that were read already, which the next one may name."""

    def __init__(self, jobs: Sequence[tuple[str, Definition]]) -> None:
        self._jobs = jobs
        self._positions: dict[str, list[int]] = {}
        self.readers = _READERS | {"parent_jobs": self._ids, "on_failure_job": self._id}

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
        name = _text(field, value)
        if _ID.fullmatch(name) or not name:
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


def _definition(
    given: dict[str, Any], readers: Mapping[str, Callable[[str, object], object]], owner: str
) -> Definition:
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if name in readers:
            fields[name] = readers[name](name, value)
        elif name in _UNSUPPORTED:
            _check_unused(name, value)
        elif name not in _READ_ONLY:
            raise _unknown(name)
    for name in ("name", "command"):
        if name not in fields:
            raise Refused(name, "is missing", found=sorted(given), example=_EXAMPLE_BODY)
    if not fields.get("owner"):
        fields["owner"] = owner
    return Definition(**fields)


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        found = body[max(0, error.start - 8) : error.start + 8]
        raise _bad_body(f"is not UTF-8 (byte {error.start})", found) from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 20) : error.pos + 20]
        problem = f"is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        raise _bad_body(problem, near) from None
    except RecursionError:
        raise _bad_body("is nested too deeply", text) from None
    except ValueError:  # an integer of more digits than Python converts
        raise _bad_body(_OUT_OF_RANGE, text) from None
    if not isinstance(value, dict):
        raise _bad_body("must be a JSON object", value)
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


def _unknown(name: str) -> Refused:
    near = difflib.get_close_matches(name[:50], [*_READERS, *_UNSUPPORTED], n=1)
    example = f'"{near[0]}"' if near else _EXAMPLE_BODY
    return Refused(_shown(name), "a job has no such field", found=name, example=example)


def _shown(name: str) -> str:
    """Return what to call a field that a client made up."""
    return name if len(name) <= 50 and name.isidentifier() else "body"


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _refused(name, "must be a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refused(name, "holds half of a surrogate pair", value) from None
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(name, "must be true or false", found=value, example="false")
    return value


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused(name, "must be a whole number", value)
    return value


def _ids(name: str, value: object) -> tuple[str, ...]:
    if value is None:  # how Go writes a list that is empty
        return ()
    if not isinstance(value, list) or None in value:
        raise _refused(name, "must be a list of ids", value)
    return tuple(_text(name, each) for each in value)


def _check_unused(name: str, value: object) -> None:
    """Refuse what asks for a remote job or a template."""
    match name:
        case "type":
            unused = value == 0 and isinstance(value, int) and not isinstance(value, bool)
        case "remote_properties":
            unused = value is None or (isinstance(value, dict) and not any(value.values()))
        case _:
            unused = value is None or value == ""
    if not unused:
        example = _UNSUPPORTED[name]
        problem = f"anything but {example} is not supported by this version"
        raise Refused(name, problem, found=value, example=example)


def _refused(name: str, problem: str, found: object) -> Refused:
    return Refused(name, problem, found=found, example=EXAMPLES[name])


_READERS: dict[str, Callable[[str, object], object]] = {
    "name": _text,
    "command": _text,
    "owner": _text,
    "disabled": _flag,
    "schedule": _text,
    "time_zone": _text,
    "parent_jobs": _ids,
    "on_failure_job": _text,
    "retries": _number,
    "epsilon": _text,
    "resume_at_next_scheduled_time": _flag,
    "rerun_lost": _flag,
}
_UNSUPPORTED = {
    "type": "0",
    "remote_properties": "null",
    "template_delimiters": '""',
    "TemplateDelimiters": '""',
}


def encode_job(view: JobView) -> dict[str, object]:
    """Return a job with the keys of both generations of Kala (rules L6, L7, A3)."""
    job, progress, definition = view.job, view.progress, view.job.definition
    counts: dict[str, object] = {
        "success_count": progress.success_count,
        "last_success": encode_time(progress.last_success),
        "error_count": progress.error_count,
        "last_error": encode_time(progress.last_error),
        "last_attempted_run": encode_time(progress.last_attempted_run),
    }
    coming = None if progress.disabled else progress.next
    waits = progress.next or progress.pending or progress.run_id or definition.parent_jobs
    return {
        "name": definition.name,
        "id": job.id,
        "command": definition.command,
        "owner": definition.owner,
        "disabled": progress.disabled,
        "dependent_jobs": view.dependents or None,
        "parent_jobs": definition.parent_jobs or None,
        "on_failure_job": definition.on_failure_job,
        "schedule": definition.schedule,
        "time_zone": definition.time_zone,
        "retries": definition.retries,
        "epsilon": definition.epsilon,
        "resume_at_next_scheduled_time": definition.resume_at_next_scheduled_time,
        "rerun_lost": definition.rerun_lost,
        "next_run_at": encode_time(coming.at if coming else None),
        **counts,
        "metadata": counts | {"number_of_finished_runs": progress.finished},
        "type": 0,
        "remote_properties": _NO_REMOTE,
        "template_delimiters": "",
        "stats": [encode_stat(run) for run in view.stats],
        "is_done": not waits,
    }


_NO_REMOTE = {
    "url": "",
    "method": "",
    "body": "",
    "headers": None,
    "timeout": 0,
    "expected_response_codes": None,
}


def encode_stat(run: Run) -> dict[str, object]:
    """Return the stat of a run that has ended, with the keys of both generations (rule A4)."""
    took = run.ended_at - run.started_at if run.ended_at else timedelta()
    values = {
        "JobId": run.job_id,
        "RanAt": encode_time(run.started_at),
        "NumberOfRetries": run.attempts - 1,
        "Success": run.outcome is Outcome.SUCCEEDED,
        "ExecutionDuration": took // timedelta(microseconds=1) * 1000,
    }
    return values | dict(zip(_LATER_STAT, values.values(), strict=True))


_LATER_STAT = ("job_id", "ran_at", "number_of_retries", "success", "execution_duration")


def encode_totals(totals: Totals, now: datetime) -> dict[str, object]:
    """Return the figures over all jobs, as of ``now``, with the keys of both generations."""
    values = {
        "ActiveJobs": totals.active,
        "DisabledJobs": totals.disabled,
        "Jobs": totals.active + totals.disabled,
        "ErrorCount": totals.error_count,
        "SuccessCount": totals.success_count,
        "NextRunAt": encode_time(totals.next_run_at),
        "LastAttemptedRun": encode_time(totals.last_attempted_run),
        "CreatedAt": encode_time(now),
    }
    return values | dict(zip(_LATER_TOTALS, values.values(), strict=True))


_LATER_TOTALS = (
    "active_jobs",
    "disabled_jobs",
    "jobs",
    "error_count",
    "success_count",
    "next_run_at",
    "last_attempted_run",
    "created",
)


def encode_run(run: Run, attempts: Sequence[Attempt]) -> dict[str, object]:
    """Return a run with its attempts, at least one, in the order of their numbers.

    What is still going on has null for its end. The run's reason is that of its last attempt.
    """
    encoded = [_encode_attempt(attempt) for attempt in attempts]
    return {
        "id": run.id,
        "job_id": run.job_id,
        "job_name": run.job_name,
        "trigger": {
            "cause": run.trigger.cause,
            "scheduled_at": encode_time(run.trigger.scheduled_at),
            "occurrence": run.trigger.occurrence,
            "source": run.trigger.source,
        },
        "started_at": encode_time(run.started_at),
        "ended_at": encode_time(run.ended_at) if run.ended_at else None,
        "outcome": run.outcome,
        "reason": encoded[-1]["reason"] if run.outcome else None,
        "attempts": encoded,
    }


def _encode_attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "started_at": encode_time(attempt.started_at),
        "ended_at": encode_time(attempt.ended_at) if attempt.ended_at else None,
        "reason": reason_of(attempt.result) if attempt.result else None,
    }


def encode_missed(missed: Missed) -> dict[str, object]:
    """Return a record of triggers that did not become runs, and why (rule L5)."""
    return {
        "job_id": missed.job_id,
        "job_name": missed.job_name,
        "cause": missed.cause,
        "reason": missed.reason,
        "count": missed.count,
        "first": encode_time(missed.first),
        "last": encode_time(missed.last),
    }


def encode_time(instant: datetime | None) -> str:
    """Write an instant by RFC 3339, in UTC, to the microsecond; None is ``NEVER``."""
    if instant is None:
        return NEVER
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def encode(value: object) -> bytes:
    """Write JSON, on a line of its own."""
    return msgspec.json.encode(value) + b"\n"
