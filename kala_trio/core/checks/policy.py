"""What makes a job's policy, and its retrying, acceptable."""

from kala_trio.core.checks.examples import refused
from kala_trio.core.definition import MOST_CAUGHT_UP, CatchUp, Definition, Overlap
from kala_trio.core.duration import SECOND, Duration

MOST_RUNNING = 10_000
"""How many runs of a job there may be at once, if it has a limit."""

MOST_BACKOFF = 1_000
"""By what a pause may be longer than the one before it."""

HIGHEST_CODE = 255
"""The highest code that a command may exit with."""

_LONGEST = 3650 * 86_400 * SECOND


def check_policy(definition: Definition) -> None:
    """Check how runs bear with each other and with time (rules A5, L10, L11).

    Raises:
        Refused: naming the key at fault.
    """
    policy = definition.policy
    check_delay("timeout", policy.timeout)
    if not 0 <= policy.max_running <= MOST_RUNNING:
        problem = f"must be 1 to {MOST_RUNNING}, or 0 for no limit"
        raise refused("max_running", problem, policy.max_running)
    if policy.max_running and policy.overlap is not Overlap.ALLOW:
        problem = 'is for a job whose overlap is "allow"; any other has one run at a time'
        raise refused("max_running", problem, policy.max_running)
    if not 1 <= policy.catch_up_limit <= MOST_CAUGHT_UP:
        problem = f"must be 1 to {MOST_CAUGHT_UP}"
        raise refused("catch_up_limit", problem, policy.catch_up_limit)
    if policy.catch_up is CatchUp.ALL and policy.overlap in (Overlap.SKIP, Overlap.REPLACE):
        problem = f'"all" wants each occurrence to run, which overlap "{policy.overlap}" prevents'
        raise refused("catch_up", problem, policy.catch_up.value)
    if policy.catch_up is CatchUp.ALL and definition.resume_at_next_scheduled_time:
        problem = "contradicts resume_at_next_scheduled_time, which runs none of what was missed"
        raise refused("catch_up", problem, policy.catch_up.value)


def check_retrying(definition: Definition) -> None:
    """Check the pauses between attempts, and which failures are retried (rules A6, A7).

    Raises:
        Refused: naming the key at fault.
    """
    retrying = definition.retrying
    check_delay("retry_delay", retrying.retry_delay)
    check_delay("retry_max_delay", retrying.retry_max_delay)
    if not 1 <= retrying.retry_backoff <= MOST_BACKOFF:
        problem = f"must be a number from 1 to {MOST_BACKOFF}"
        raise refused("retry_backoff", problem, retrying.retry_backoff)
    if not 0 <= retrying.retry_jitter <= 1:
        raise refused("retry_jitter", "must be a number from 0 to 1", retrying.retry_jitter)
    codes = retrying.retry_exit_codes
    for code in codes:
        if not 1 <= code <= HIGHEST_CODE:
            raise refused("retry_exit_codes", f"must be 1 to {HIGHEST_CODE} each", code)
    if len(set(codes)) < len(codes):
        raise refused("retry_exit_codes", "must name each code once", list(codes))


def check_delay(field: str, text: str) -> None:
    """Refuse what is neither empty nor an exact duration of ten years at most."""
    if not text:
        return
    duration = Duration.parse(text, field=field)
    if duration.months or duration.days:
        raise refused(field, "must be in hours, minutes and seconds only", text)
    if duration.microseconds > _LONGEST:
        raise refused(field, "must be 87600 hours at most", text)
