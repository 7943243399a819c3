"""What was decided, told in the log once it is durable: for those who asked for each attempt."""

import logging
from collections.abc import Iterable

from kala_trio.core.job import Missed, Run
from kala_trio.core.messages import Command, Keep

log = logging.getLogger(__name__)


def tell(commands: Iterable[Command]) -> None:
    """Log what is to be known of runs and missed triggers beside their attempts, at level INFO."""
    if not log.isEnabledFor(logging.INFO):
        return
    for command in commands:
        match command:
            case Keep(Run() as run):
                _tell_run(run)
            case Keep(Missed() as missed):
                fields = {
                    "job_id": missed.job_id,
                    "job_name": missed.job_name,
                    "cause": missed.cause.value,
                    "reason": missed.reason.value,
                    "count": missed.count,
                    "first": missed.first.isoformat(),
                    "last": missed.last.isoformat(),
                }
                log.info("missed", extra=fields)
            case _:
                pass


def _tell_run(run: Run) -> None:
    fields = {"run_id": run.id, "job_name": run.job_name, "attempts": run.attempts}
    if run.pause:
        retry = {"outcome": run.pause.outcome.value, "next_attempt_at": run.pause.until.isoformat()}
        log.info("run is tried again", extra=fields | retry)
    # Of others the attempt's own line says it all.
    elif run.outcome and (run.attempts > 1 or run.ending):
        log.info("run ended", extra=fields | {"outcome": run.outcome.value})
