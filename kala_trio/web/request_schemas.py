"""What clients write, as JSON Schema: a job, an entry of a list, changes of many, a merge patch.

Types are read off ``core.definition``; a table says of each key what it means, and another what
bounds it has. An exact duration has hours, minutes and seconds only.
"""

import json
from typing import Any, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from kala_trio import bodies
from kala_trio.core import url
from kala_trio.core.checks import definition, execution, policy, remote, reporting, secrecy, timing
from kala_trio.core.checks.examples import EXAMPLES
from kala_trio.core.definition import GROUPS, KEYS, MOST_CAUGHT_UP, Definition, Remote
from kala_trio.web.json_schema import Schema, an_object, or_null, told


def schemas() -> dict[str, Schema]:
    """Return them by their names."""
    new_job = _new_job()
    return {
        "NewJob": new_job,
        "ListedJob": new_job | {"properties": new_job["properties"] | _REFERENCES},
        "Changes": _changes(new_job),
        "JobPatch": _patch_of(new_job),
    }


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
    "secrets": {
        "maxProperties": secrecy.MOST_SECRETS,
        "propertyNames": {"pattern": f"^{secrecy.NAME}$"},
        "additionalProperties": {
            "type": ["string", "boolean"],
            "minLength": 1,
            "maxLength": secrecy.LONGEST_SECRET,
            "not": {"const": False},
        },
    },
    "secret_files": {
        "maxProperties": secrecy.MOST_SECRETS,
        "propertyNames": {"pattern": f"^{secrecy.NAME}$"},
    },
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
    "notify_webhook": "The URL that gets a POST of JSON about what became of runs; or secrets.NAME",
    "notify_email": "Addresses that get an e-mail",
    "notify_on": "Of what; none is failure, recovery and late",
    "notify_every_time": "Tell of each failure, not only of the first in a row",
    "expect_within": "An exact duration: how long after its scheduled time a success is expected",
    "ping_url": "Pinged at each start, success and failure, as healthchecks.io has it",
    "secrets": "Variables that are shown to nobody; true is one that stays as it is",
    "secret_files": "The same from files, read at the start of each attempt",
    "remote_properties.url": "Required for a job of type 1; http or https",
    "remote_properties.method": "GET if it is empty",
    "remote_properties.headers": "Names, and of each its values",
    "remote_properties.body": "Sent as UTF-8",
    "remote_properties.timeout": "In seconds, for the whole request; 0 is 30",
    "remote_properties.expected_response_codes": "What counts as success; none is 200 alone",
    "remote_properties.follow_redirects": "Go where a redirect leads",
}
"""What each key of a job says of it."""

_STRUCTS: tuple[type[Struct], ...] = (Definition, *GROUPS.values())
DEFAULTS = {each.name: each.default for struct in _STRUCTS for each in fields(struct)}
"""What each key of a job is if nobody says, nothing for those that somebody must say."""

_REMOTE_DEFAULTS = {each.name: each.default for each in fields(Remote)}
TYPE = told(int, "0 is a command, 1 is a request", enum=[0, 1])
"""The kind of a job."""

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
    keys = {key: _key(key, hint, DEFAULTS[key]) for key, hint in KEYS.items()}
    keys |= {
        "name": keys["name"] | {"type": "string", "minLength": 1},
        "type": TYPE | {"default": 0},
        "remote_properties": _request(),
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


def _request() -> Schema:
    keys = {
        each: _key(f"remote_properties.{each}", hint, _REMOTE_DEFAULTS[each])
        for each, hint in get_type_hints(Remote).items()
    }
    described = told(an_object(keys, keys), MEANINGS["remote_properties"], default=None)
    return or_null(described) | {"additionalProperties": False}


def _key(key: str, hint: Any, default: object) -> Schema:
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
