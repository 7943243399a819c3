"""Values to Kala's JSON, in both of its generations; ``bodies`` has the way back.

Kala of 2015 and its later releases name some keys differently, and answers hold both: a table here
says how. Of requests one such key is left, in ``bodies``.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from kala_trio.core.definition import KEYS, Definition, Remote, unusual
from kala_trio.core.job import Attempt, Missed, Outcome, Run, Trigger, reason_of
from kala_trio.core.messages import Deed
from kala_trio.store.history import Entry, NoOutcome
from kala_trio.store.outbox import Delivery
from kala_trio.store.reader import JobView, Totals

T = TypeVar("T")

NEVER = "0001-01-01T00:00:00Z"
"""How Kala, written in Go, says that there is no such time."""


def encode_job(view: JobView) -> dict[str, object]:
    """Return a job with the keys of both generations of Kala (rules L6, L7, A3).

    Of kala-trio's own keys those in groups stand there only if they are not as usual.
    """
    job, progress, definition = view.job, view.progress, view.job.definition
    counts: dict[str, object] = {
        "success_count": progress.success_count,
        "last_success": encode_time(progress.last_success),
        "error_count": progress.error_count,
        "last_error": encode_time(progress.last_error),
        "last_attempted_run": encode_time(progress.last_attempted_run),
    }
    coming = None if progress.disabled else progress.next
    waits = progress.next or progress.pending or progress.running or definition.parent_jobs
    return {
        "name": definition.name,
        "id": job.id,
        "version": progress.version,
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
        **_own_keys(definition),
        "next_run_at": encode_time(coming.at if coming else None),
        **counts,
        "metadata": counts | {"number_of_finished_runs": progress.finished},
        **_encode_kind(definition),
        "template_delimiters": definition.template_delimiters,
        "stats": [encode_stat(run) for run in view.stats],
        "is_done": not waits,
        **({"pending": _encode_trigger(progress.pending)} if progress.pending else {}),
        **({"running": progress.running} if progress.running else {}),
    }


def encode_definition(definition: Definition, disabled: bool) -> dict[str, object]:
    """Return the keys that a client may write, but for those that are left out as usual."""
    own = {key: getattr(definition, key) for key in KEYS if hasattr(definition, key)}
    own |= _encode_kind(definition) | {"disabled": disabled}
    return _plain(own | _own_keys(definition))


def _own_keys(definition: Definition) -> dict[str, object]:
    """Return the keys that Kala has not, but for those that are as usual."""
    own = unusual(definition)
    own |= {key: dict(own[key]) for key in ("env", "secret_files") if key in own}
    # That there is one is all that anybody is told of a secret.
    return own | (
        {"secrets": {name: True for name, _ in own["secrets"]}} if "secrets" in own else {}
    )


def _plain(values: dict[str, object]) -> dict[str, object]:
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(values))
    return plain


def _encode_kind(definition: Definition) -> dict[str, object]:
    """Return what tells a remote job from a local one."""
    remote = definition.remote_properties
    return {"type": 0 if remote is None else 1, "remote_properties": _encode_remote(remote)}


def _encode_remote(remote: Remote | None) -> dict[str, object]:
    """Return the keys that Kala has, and of kala-trio's own the one that is not as usual."""
    told = remote or Remote(url="")
    encoded: dict[str, object] = {
        "url": told.url,
        "method": told.method,
        "body": told.body,
        "headers": dict(told.headers) or None,
        # A whole number where it is one: Kala's clients in Go read no other.
        "timeout": int(told.timeout) if told.timeout.is_integer() else told.timeout,
        "expected_response_codes": told.expected_response_codes or None,
    }
    return encoded | ({"follow_redirects": True} if told.follow_redirects else {})


LATER_SPELLINGS = {
    # a stat
    "JobId": "job_id",
    "RanAt": "ran_at",
    "NumberOfRetries": "number_of_retries",
    "Success": "success",
    "ExecutionDuration": "execution_duration",
    # the figures over all jobs
    "ActiveJobs": "active_jobs",
    "DisabledJobs": "disabled_jobs",
    "Jobs": "jobs",
    "ErrorCount": "error_count",
    "SuccessCount": "success_count",
    "NextRunAt": "next_run_at",
    "LastAttemptedRun": "last_attempted_run",
    "CreatedAt": "created",
}
"""Keys as Kala wrote them in 2015, and as its later releases do."""


def in_both_spellings(keys: Mapping[str, T]) -> dict[str, T]:
    """Return keys as they were spelled in 2015, and once more as they are later."""
    return {**keys, **{LATER_SPELLINGS[key]: each for key, each in keys.items()}}


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
    return in_both_spellings(values)


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
    own = {
        "running": totals.running,
        "running_by_tag": totals.running_by_tag,
        "waiting": totals.waiting,
    }
    return in_both_spellings(values) | own


def encode_run(run: Run, attempts: Sequence[Attempt]) -> dict[str, object]:
    """Return a run with its attempts, at least one, in the order of their numbers.

    What is still going on has null for its end. The run's reason is that of its last attempt.
    """
    encoded = [_encode_attempt(attempt) for attempt in attempts]
    return {
        "id": run.id,
        "job_id": run.job_id,
        "job_name": run.job_name,
        "trigger": _encode_trigger(run.trigger),
        "started_at": encode_time(run.started_at),
        "ended_at": encode_time(run.ended_at) if run.ended_at else None,
        "outcome": run.outcome,
        "reason": reason_of_run(run, attempts),
        "next_attempt_at": encode_time(run.pause.until) if run.pause else None,
        "attempts": encoded,
    }


def _encode_trigger(trigger: Trigger) -> dict[str, object]:
    return {
        "cause": trigger.cause,
        "scheduled_at": encode_time(trigger.scheduled_at),
        "occurrence": trigger.occurrence,
        "source": trigger.source,
    }


def reason_of_run(run: Run, attempts: Sequence[Attempt]) -> str | None:
    """Say why a run did not succeed: as its last attempt does, or as who cancelled it."""
    match run.outcome:
        case None:
            return None
        case Outcome.CANCELLED:
            return run.ending
        case _:
            return _reason_of(attempts[-1])


def _reason_of(attempt: Attempt) -> str | None:
    return reason_of(attempt.result) if attempt.result else None


def _encode_attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "started_at": encode_time(attempt.started_at),
        "ended_at": encode_time(attempt.ended_at) if attempt.ended_at else None,
        "reason": _reason_of(attempt),
    }


def encode_entry(entry: Entry) -> dict[str, object]:
    """Return an entry of the history: a run, or in the same form what was missed (rule H1)."""
    if not isinstance(entry, Missed):
        return encode_run(*entry)
    return {
        "id": None,
        "job_id": entry.job_id,
        "job_name": entry.job_name,
        "trigger": {
            "cause": entry.cause,
            "scheduled_at": encode_time(entry.last),
            "occurrence": entry.last_occurrence,
            "source": None,
        },
        "started_at": None,
        "ended_at": None,
        "outcome": NoOutcome.MISSED,
        "reason": entry.reason,
        "next_attempt_at": None,
        "attempts": [],
        "count": entry.count,
        "first": encode_time(entry.first),
        "last": encode_time(entry.last),
    }


def encode_delivery(delivery: Delivery) -> dict[str, object]:
    """Return what somebody was told, or is to be told, and what became of it (rule N5)."""
    notice, coming = delivery.notice, delivery.next_try_at
    return {
        "number": notice.number,
        "job_id": notice.job_id,
        "job_name": notice.job_name,
        "news": notice.news,
        "channel": notice.channel,
        "receiver": notice.receiver,
        "at": encode_time(notice.at),
        "run_id": notice.run_id,
        "scheduled_at": encode_time(notice.scheduled_at),
        "reason": notice.reason or None,
        "tries": delivery.tries,
        "delivered_at": encode_time(delivery.delivered_at) if delivery.delivered_at else None,
        # Of one that was not tried yet it lies far back.
        "next_try_at": encode_time(max(coming, notice.at)) if coming else None,
        "error": delivery.error,
    }


def encode_deed(deed: Deed) -> dict[str, object]:
    """Return what somebody has done (rule M8)."""
    at = encode_time(deed.at)
    return {"at": at, "who": deed.who, "what": deed.what, "subject": deed.subject}


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
    return instant.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def encode(value: object) -> bytes:
    """Write JSON, on a line of its own."""
    return msgspec.json.encode(value) + b"\n"
