"""What a command finds in its environment about the attempt that it is (rule E1)."""

import os
from datetime import UTC

from kala_trio.core.job import Trigger
from kala_trio.core.messages import StartAttempt
from kala_trio.runner.orphans import RUN_ID_VARIABLE

SOURCE_VARIABLE = "KALA_TRIO_SOURCE_RUN_ID"
LAST_LINE_VARIABLE = b"KALA_TRIO_SOURCE_LAST_LINE"

VARIABLES = (
    "KALA_TRIO_JOB_ID",
    "KALA_TRIO_JOB_NAME",
    RUN_ID_VARIABLE,
    "KALA_TRIO_ATTEMPT",
    "KALA_TRIO_SCHEDULED_AT",
    "KALA_TRIO_CAUSE",
    SOURCE_VARIABLE,
    os.fsdecode(LAST_LINE_VARIABLE),
)
"""Their names; the last two only where another run has caused this one."""


def variables_of(act: StartAttempt) -> dict[bytes, bytes]:
    """Return the variables but for the last line of the run that caused this one."""
    trigger = act.run.trigger
    values = [
        act.run.job_id,
        act.run.job_name,
        act.run.id,
        str(act.number),
        scheduled_at(trigger),
        trigger.cause.value,
    ]
    if trigger.source:
        values.append(trigger.source)
    return dict(zip(map(os.fsencode, VARIABLES), map(os.fsencode, values), strict=False))


def scheduled_at(trigger: Trigger) -> str:
    """Return S by RFC 3339, in UTC."""
    return trigger.scheduled_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
