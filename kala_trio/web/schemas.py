"""The bodies that the API takes and gives, made of the types that the code has.

A table says of each key its type, or a schema where the type doesn't tell all.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from kala_trio import bodies, wire
from kala_trio.core import url
from kala_trio.core.checks import definition, execution, policy, remote, reporting, timing
from kala_trio.core.checks.examples import EXAMPLES
from kala_trio.core.definition import GROUPS, KEYS, MOST_CAUGHT_UP, Definition, News, Remote
from kala_trio.core.job import Cause, Channel, Outcome, Reason, Trigger
from kala_trio.store.history import ENDS, NoOutcome
from kala_trio.store.reader import STATS
from kala_trio.web.json_schema import (
    Schema,
    an_object,
    list_of,
    or_null,
    ref,
    schema_of,
    told,
    words,
)


def schemas() -> dict[str, Schema]:
    """Return all that has a name of its own."""
    new_job = _new_job()
    return {
        "NewJob": new_job,
        "ListedJob": new_job | {"properties": new_job["properties"] | _REFERENCES},
        "Changes": _changes(new_job),
        "JobPatch": _patch_of(new_job),
        "Job": an_object(_job(), {"tags", "file_set", *_OWN_KEYS, "pending", "running"}),
        "Stat": an_object(_STAT | _later(wire.LATER_STAT, _STAT)),
        "Trigger": schema_of(Trigger),
        "Attempt": an_object(_ATTEMPT),
        "Run": an_object(_RUN | _OF_ONE_RUN),
        "Entry": an_object(_RUN | _SPAN, _SPAN),
        "Missed": an_object(_MISSED | _SPAN),
        "Notice": an_object(_NOTICE),
        "Deed": an_object({"at": datetime, "who": str, "what": str, "subject": str}),
        "Figures": an_object(_FIGURES | _later(wire.LATER_TOTALS, _FIGURES) | _OWN_FIGURES),
        "Error": an_object({"error": told(str, "What is wrong, what was found, and what works")}),
    }


# What a client writes. An exact duration has hours, minutes and seconds only.

_BOUNDS: dict[str, Schema] = {
    key: {"maxLength": longest} for key, longest in (definition.LONGEST | execution.LONGEST).items()
} | {
    "retries": {"minimum": 0, "maximum": definition.MOST_RETRIES},
    "notify_email": {"maxItems": reporting.MOST_ADDRESSES, "uniqueItems": True},
    "notify_webhook": {"maxLength": url.LONGEST_URL},
    "ping_url": {"maxLength": reporting.LONGEST_PING_URL},
    "parent_jobs": {"items": {"type": "string", "maxLength": definition.LONGEST_ID}},
    "tags": {"items": {"type": "string", "minLength": 1, "maxLength": definition.LONGEST_TAG}},
    "schedules": {"maxItems": timing.MOST_SCHEDULES},
    "excluded_dates": {"maxItems": timing.MOST_DATES},
    "env": {"maxProperties": execution.MOST_VARIABLES},
    "umask": {"pattern": "^(0?[0-7]{3})?$"},
    "max_running": {"minimum": 0, "maximum": policy.MOST_RUNNING},
    "catch_up_limit": {"minimum": 1, "maximum": MOST_CAUGHT_UP},
    "retry_backoff": {"minimum": 1, "maximum": policy.MOST_BACKOFF},
    "retry_jitter": {"minimum": 0, "maximum": 1},
    "retry_exit_codes": {
        "items": {"type": "integer", "minimum": 1, "maximum": policy.HIGHEST_CODE},
        "uniqueItems": True,
    },
    "remote_properties.url": {"maxLength": url.LONGEST_URL},
    "remote_properties.method": {"enum": ["", *remote.METHODS]},
    "remote_properties.headers": {
        "additionalProperties": {"type": ["array", "null"], "items": {"type": "string"}}
    },
    "remote_properties.body": {"maxLength": remote.LONGEST_BODY},
    "remote_properties.timeout": {"minimum": 0, "maximum": remote.LONGEST_TIMEOUT},
    "remote_properties.expected_response_codes": {
        "items": {"type": "integer", "minimum": 100, "maximum": 599},
        "uniqueItems": True,
        "maxItems": remote.MOST_CODES,
    },
}
MEANINGS = {
    "name": "What to call it",
    "command": "Required, but for a remote job, which has none; run without a shell",
    "owner": "Whose it is; the daemon's default owner if it is empty",
    "disabled": "Accept it, but don't run it",
    "schedule": "An ISO 8601 recurrence; empty is once and now",
    "time_zone": "An IANA name, for schedules that name none",
    "parent_jobs": "The ids of the jobs whose success triggers it; it has no schedule then",
    "on_failure_job": "The id of the job that is triggered when this one does not succeed",
    "retries": "Attempts beyond the first",
    "epsilon": "An ISO 8601 duration: how late an attempt may start; empty is any time",
    "resume_at_next_scheduled_time": "Don't catch up after downtime",
    "rerun_lost": "Run once more what was in progress when the daemon was killed",
    "tags": "To find it by, and to limit how many run at once",
    "file_set": "The set of job files that it comes from",
    "remote_properties": "The request of a job of type 1",
    "template_delimiters": "Two marks, which make templates of command, URL, headers and body",
    "timeout": "An exact duration: how long an attempt may take",
    "overlap": "What becomes of a trigger while a run is in progress",
    "max_running": "With overlap allow, how many runs at once; 0 is any number",
    "catch_up": "What still runs of occurrences that were passed over",
    "catch_up_limit": "With catch_up all, how many may wait",
    "parent_rule": "Whether any parent's success triggers it, or that of all of them",
    "retry_delay": "An exact duration: the pause before a further attempt",
    "retry_backoff": "By what each further pause is longer",
    "retry_max_delay": "An exact duration: the longest pause",
    "retry_jitter": "The part of a pause by which it may be shorter",
    "retry_exit_codes": "Retry only what ended with one of these codes; none is any",
    "env": "Variables for the command, beside the daemon's",
    "cwd": "The directory that the command starts in, a full path",
    "user": "Whom the command runs as, by name or number",
    "group": "The group that the command runs as, by name or number",
    "umask": "The file mode creation mask, in octal",
    "stdin": "What the command reads on its standard input",
    "shell": "The command is a line for /bin/sh",
    "cron": "A cron expression",
    "schedules": "Further schedules, of ISO 8601 or cron",
    "not_after": "A date and time; nothing runs by itself later",
    "excluded_dates": "Days, or first and last days with a slash between, on which nothing runs",
    "jitter": "An exact duration: all is moved by less than that",
    "notify_webhook": "The URL that gets a POST of JSON about what became of runs",
    "notify_email": "Addresses that get an e-mail",
    "notify_on": "Of what; none is failure, recovery and late",
    "notify_every_time": "Tell of each failure, not only of the first in a row",
    "expect_within": "An exact duration: how long after its scheduled time a success is expected",
    "ping_url": "Pinged at each start, success and failure, in the form of healthchecks.io",
    "remote_properties.url": "Required for a job of type 1; http or https",
    "remote_properties.method": "GET if it is empty",
    "remote_properties.headers": "Names, and of each its values",
    "remote_properties.body": "Sent as UTF-8",
    "remote_properties.timeout": "In seconds, for the whole request; 0 is 30",
    "remote_properties.expected_response_codes": "What counts as success; none is 200 alone",
    "remote_properties.follow_redirects": "Go where a redirect leads",
}
"""What each key of a job says of it."""

_OWN_KEYS = {key for group in GROUPS.values() for key in group.__struct_fields__}
_STRUCTS: tuple[type[Struct], ...] = (Definition, *GROUPS.values())
DEFAULTS = {each.name: each.default for struct in _STRUCTS for each in fields(struct)}
"""What each key of a job is if nobody says, nothing for those that somebody must say."""

_REMOTE_DEFAULTS = {each.name: each.default for each in fields(Remote)}
_TYPE = told(int, "0 is a command, 1 is a request", enum=[0, 1])
_NEEDS = {
    "if": {"properties": {"type": {"const": 1}}, "required": ["type"]},
    "then": {
        "properties": {"remote_properties": {"type": "object", "required": ["url"]}},
        "required": ["remote_properties"],
    },
    "else": {"required": ["command"]},
}
_REFERENCES: dict[str, Schema] = {
    "parent_jobs": told(
        tuple[str, ...] | None,
        "Ids of jobs, or names or positions of jobs before this one in the list",
        items={"type": ["string", "integer"], "minimum": 0},
    ),
    "on_failure_job": told(
        str, "The same, of one job", type=["string", "integer", "null"], minimum=0
    ),
}


def _new_job() -> Schema:
    """Return a job as it may be written; as Go does it, null may stand for a text or a list."""
    keys = {key: _written(key, hint, DEFAULTS[key]) for key, hint in KEYS.items()}
    keys |= {
        "name": keys["name"] | {"type": "string", "minLength": 1},
        "type": _TYPE | {"default": 0},
        "remote_properties": _written_remote(),
    }
    keys |= {
        other: keys[key] | {"description": f"Another name of {key}"}
        for other, key in bodies.OTHER_NAMES.items()
    }
    ignored = {"description": "Ignored, so that an answer may be posted back", "readOnly": True}
    keys |= dict.fromkeys(sorted(bodies.READ_ONLY), ignored)
    return an_object(keys, keys.keys() - {"name"}) | {"additionalProperties": False} | _NEEDS


def _changes(new_job: Schema) -> Schema:
    """Return lists of jobs, each with its id; what was read of a job has its version, too."""
    job_id = told(str, "A UUID", pattern=f"^{bodies.ID.pattern}$")
    version = told(int, "That of the job which was read", minimum=0)
    keys: dict[str, Schema] = {"create": {"id": job_id}, "edit": {"id": job_id, "version": version}}
    jobs = {
        name: new_job | {"properties": new_job["properties"] | own, "required": ["name", *own]}
        for name, own in keys.items()
    }
    jobs["delete"] = an_object(keys["edit"])
    lists = {name: {"type": "array", "items": each} for name, each in jobs.items()}
    return an_object(lists, lists) | {"additionalProperties": False}


def _written_remote() -> Schema:
    keys = {
        each: _written(f"remote_properties.{each}", hint, _REMOTE_DEFAULTS[each])
        for each, hint in get_type_hints(Remote).items()
    }
    described = told(an_object(keys, keys), MEANINGS["remote_properties"], default=None)
    return or_null(described) | {"additionalProperties": False}


def _written(key: str, hint: Any, default: object) -> Schema:
    schema = told(hint, MEANINGS[key]) | _BOUNDS.get(key, {})
    schema["examples"] = [json.JSONDecoder().raw_decode(EXAMPLES[key])[0]]
    if default is not NODEFAULT:
        schema["default"] = {} if schema["type"] == "object" else default
    return or_null(schema) if hint is str or get_origin(hint) is tuple else schema


_OF_A_WHOLE = {"required", "default", *_NEEDS}


def _patch_of(schema: Schema) -> Schema:
    """Return the merge patch of what has a schema: what an object has may be left out, or null."""
    patch = {key: each for key, each in schema.items() if key not in _OF_A_WHOLE}
    if "properties" in schema:
        each_patch = {key: or_null(_patch_of(each)) for key, each in schema["properties"].items()}
        patch["properties"] = each_patch
    if isinstance(schema.get("additionalProperties"), dict):
        patch["additionalProperties"] = or_null(_patch_of(schema["additionalProperties"]))
    return patch


# What the API answers.


def _job() -> dict[str, Any]:
    """Return the keys of a job, with those of both generations."""
    shown = {key: told(hint, MEANINGS[key]) for key, hint in KEYS.items() if key not in _CHANGED}
    shown |= {key: told(hint, MEANINGS[key]) for key, hint in _CHANGED.items()}
    return shown | {"type": _TYPE} | _COUNTS | _STATE


def _later(names: Iterable[str], keys: dict[str, Any]) -> dict[str, Any]:
    """Return keys as later releases of Kala name them."""
    return dict(zip(names, keys.values(), strict=True))


_HINTS = get_type_hints(Remote)
_CHANGED = {
    "parent_jobs": tuple[str, ...] | None,
    "remote_properties": an_object(
        _HINTS
        | {each: _HINTS[each] | None for each in ("headers", "expected_response_codes")}
        | {"follow_redirects": told(bool, "Only where it is true")},
        {"follow_redirects"},
    ),
}
_NEVER = f"{wire.NEVER} is never"
_COUNTS = {
    "success_count": told(int, "Successful runs"),
    "last_success": told(datetime, _NEVER),
    "error_count": told(int, "Failed attempts"),
    "last_error": told(datetime, _NEVER),
    "last_attempted_run": told(datetime, _NEVER),
}
_STATE = {
    "id": told(str, "A UUID"),
    "version": told(int, "Each change by hand raises it"),
    "dependent_jobs": told(tuple[str, ...] | None, "The ids of its children"),
    "next_run_at": told(datetime, f"The next occurrence; {_NEVER}"),
    "metadata": an_object(_COUNTS | {"number_of_finished_runs": int}),
    "stats": list_of("Stat", maxItems=STATS, description="Its latest ended runs, oldest first"),
    "is_done": told(bool, "Nothing will run by itself any more"),
    "pending": told(ref("Trigger"), "Only while a trigger waits"),
    "running": told(tuple[str, ...], "Only while there are any: the ids of its runs in progress"),
}
_STAT = {
    "JobId": str,
    "RanAt": told(datetime, "The first attempt's start"),
    "NumberOfRetries": int,
    "Success": bool,
    "ExecutionDuration": told(int, "In nanoseconds"),
}
_ATTEMPT = {
    "number": int,
    "started_at": datetime,
    "ended_at": datetime | None,
    "reason": told(str | None, "Why it did not succeed; empty if it did"),
}
_RUN = {
    "id": told(str | None, "Null for what was missed"),
    "job_id": str,
    "job_name": str,
    "trigger": ref("Trigger"),
    "started_at": datetime | None,
    "ended_at": datetime | None,
    "outcome": or_null(words(each for each in ENDS if each is not NoOutcome.RUNNING)),
    "reason": told(str | None, "Why it did not succeed, or was missed"),
    "next_attempt_at": told(datetime | None, "Null unless it is in a pause between attempts"),
    "attempts": list_of("Attempt"),
}
_OF_ONE_RUN = {
    "id": str,
    "started_at": datetime,
    "outcome": Outcome | None,
    "output_bytes": told(int, "How much it has written so far"),
}
_SPAN = {
    "count": told(int, "How many adjacent triggers were missed"),
    "first": told(datetime, "The scheduled time of the first of them"),
    "last": told(datetime, "The scheduled time of the last of them"),
}
_MISSED = {"job_id": str, "job_name": str, "cause": Cause, "reason": Reason}
_NOTICE = {
    "number": told(int, "Counts what was told of the job"),
    "job_id": str,
    "job_name": str,
    "news": News,
    "channel": Channel,
    "receiver": told(str, "A URL, or addresses"),
    "at": told(datetime, "When it was decided on"),
    "run_id": told(str | None, "Null for what is late"),
    "scheduled_at": told(datetime, "Of the run, or of what is late"),
    "reason": told(str | None, "Why it is late"),
    "tries": told(int, "How often it was sent"),
    "delivered_at": told(datetime | None, "When it was taken"),
    "next_try_at": told(datetime | None, "Null once it was taken or given up"),
    "error": told(str | None, "Why the last try failed, or who refused what others took"),
}
_FIGURES = {
    "ActiveJobs": told(int, "Jobs that are not disabled"),
    "DisabledJobs": int,
    "Jobs": int,
    "ErrorCount": int,
    "SuccessCount": int,
    "NextRunAt": told(datetime, f"The earliest; {_NEVER}"),
    "LastAttemptedRun": told(datetime, f"The latest; {_NEVER}"),
    "CreatedAt": told(datetime, "When this was counted"),
}
_OWN_FIGURES = {
    "running": told(int, "Runs in progress"),
    "running_by_tag": {"type": "object", "additionalProperties": {"type": "integer"}},
    "waiting": told(int, "Triggers that wait"),
}
