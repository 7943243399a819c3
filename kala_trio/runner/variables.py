"""What a command finds in its environment about the attempt that it is (rule E1)."""

import os
from collections.abc import Mapping
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


# What a service manager tells the daemon alone: by NOTIFY_SOCKET a job could stop its watchdog.
_OF_THE_DAEMON = frozenset(
    {
        *(b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID", b"MAINPID", b"MANAGERPID"),
        *(b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES", b"LISTEN_PIDFDID", b"FDSTORE"),
        *(b"CREDENTIALS_DIRECTORY", b"JOURNAL_STREAM", b"INVOCATION_ID", b"SYSTEMD_EXEC_PID"),
        *(b"MEMORY_PRESSURE_WATCH", b"MEMORY_PRESSURE_WRITE"),
    }
)
_PREFIX = b"KALA_TRIO_"


def inherited(environment: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what jobs find of the daemon's environment (rule E2)."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_PREFIX) and name not in _OF_THE_DAEMON
    }


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
