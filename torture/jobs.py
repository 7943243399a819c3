"""The jobs of a torture: steady ones, which nobody deletes or disables, and loose ones."""

import random
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ATTEMPT = Path(__file__).parent / "attempt.sh"
FAR = "R/2099-01-01T00:00:00Z/PT86400S"

Fields = dict[str, Any]


class Commands:
    """Makes commands that write to one ledger."""

    def __init__(self, ledger: Path) -> None:
        """Let them write to ``ledger``."""
        self._ledger = ledger

    def __call__(self, seconds: float = 0, how: str = "0") -> str:
        """Return a command that takes ``seconds`` and ends as ``attempt.sh`` tells of ``how``."""
        words = ["sh", str(ATTEMPT), str(self._ledger), f"{seconds:g}", how]
        return shlex.join(words)


def every(interval: str, repeats: str = "") -> str:
    """Return a schedule that begins in a moment."""
    start = datetime.now(UTC) + timedelta(seconds=0.5)
    return f"R{repeats}/{start.isoformat()}/{interval}"


def steady(create: Callable[[Fields], str], command: Commands) -> Iterator[str]:
    """Create a job of each kind, and yield their ids."""
    yield create({"command": command(), "schedule": every("PT0.3S")})
    yield create({"command": command(3), "schedule": every("PT1S")})
    yield create({"command": command(1), "schedule": every("PT1S"), "rerun_lost": True})
    yield create({"command": command(how="flaky"), "schedule": every("PT1.1S"), "retries": 2})
    yield create({"command": command(how="dies"), "schedule": every("PT1.7S")})
    yield create({"command": "no-such-program", "schedule": every("PT5S")})
    yield create({"command": command(0.5), "schedule": every("PT0.4S"), "epsilon": "PT0.2S"})
    yield create({"command": command(), "schedule": FAR})

    parent = create({"command": command(), "schedule": every("PT0.7S")})
    child = create({"command": command(0.1), "parent_jobs": [parent]})
    second = create({"command": command(how="flaky"), "parent_jobs": [parent], "retries": 1})
    grandchild = create({"command": command(), "parent_jobs": [child, second]})
    last = create({"command": command(1.5), "parent_jobs": [grandchild]})
    yield from (parent, child, second, grandchild, last)

    alarm = create({"command": command(), "schedule": FAR})
    failing = {"command": command(how="3"), "retries": 2, "on_failure_job": alarm}
    yield alarm
    yield create(failing | {"schedule": every("PT1.3S")})
    yield create(failing | {"command": command(4), "schedule": every("PT2S"), "retries": 0})


def loose(draw: random.Random, command: Commands, known: Sequence[str]) -> Fields:
    """Draw a job; ``known`` are those that it may follow."""
    seconds = draw.choice([0, 0, 0, 0.2, 1, 5])
    how = draw.choice(["0", "0", "0", "1", "flaky", "dies"])
    fields: Fields = {"command": command(seconds, how), "retries": draw.choice([0, 0, 1, 3])}
    schedules = [every(draw.choice(["PT0.3S", "PT0.5S", "PT1.25S", "PT3S"]))] * 3
    schedules += [every("PT0.4S", repeats=str(draw.randint(0, 9))), FAR, ""]
    if draw.random() < 0.3:
        fields["parent_jobs"] = draw.sample(known, min(len(known), draw.randint(1, 2)))
    else:
        fields["schedule"] = draw.choice(schedules)
    if draw.random() < 0.2:
        fields["on_failure_job"] = draw.choice(known)
    if draw.random() < 0.2:
        fields["epsilon"] = draw.choice(["PT0.1S", "PT1S"])
    fields["resume_at_next_scheduled_time"] = draw.random() < 0.2
    fields["disabled"] = draw.random() < 0.1
    fields["rerun_lost"] = draw.random() < 0.2
    return fields
