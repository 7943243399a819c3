"""What the API answers, as JSON Schema, made of the types that the code has.

A table says of each key its type, or a schema where the type doesn't tell all.
"""

from datetime import datetime
from typing import Any, get_type_hints

from kala_trio import wire
from kala_trio.core.definition import GROUPS, KEYS, News, Remote
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
from kala_trio.web.request_schemas import MEANINGS, TYPE


def schemas() -> dict[str, Schema]:
    """Return them by their names."""
    return {
        "Job": an_object(_job(), {"tags", "file_set", *_OWN_KEYS, "pending", "running"}),
        "Stat": an_object(wire.in_both_spellings(_STAT)),
        "Trigger": schema_of(Trigger),
        "Attempt": an_object(_ATTEMPT),
        "Run": an_object(_RUN | _OF_ONE_RUN),
        "Entry": an_object(_RUN | _SPAN, _SPAN),
        "Missed": an_object(_MISSED | _SPAN),
        "Notice": an_object(_NOTICE),
        "Deed": an_object({"at": datetime, "who": str, "what": str, "subject": str}),
        "Figures": an_object(wire.in_both_spellings(_FIGURES) | _OWN_FIGURES),
        "Error": an_object({"error": told(str, "What is wrong, what was found, and what works")}),
    }


_OWN_KEYS = {key for group in GROUPS.values() for key in group.__struct_fields__}


def _job() -> dict[str, Any]:
    """Return the keys of a job, with those of both generations."""
    shown = {key: told(hint, MEANINGS[key]) for key, hint in KEYS.items() if key not in _CHANGED}
    shown |= {key: told(hint, MEANINGS[key]) for key, hint in _CHANGED.items()}
    return shown | {"type": TYPE} | _COUNTS | _STATE


_HINTS = get_type_hints(Remote)
_CHANGED: dict[str, Any] = {
    "parent_jobs": tuple[str, ...] | None,
    "secrets": {"type": "object", "additionalProperties": {"enum": [True]}},
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
