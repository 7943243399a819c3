"""What is assumed of attempts: how long each takes, and which of them fail."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from kala_trio.core.definition import Definition
from kala_trio.core.job import Answered, Attempt, Exited, NoAnswer, Result, Run, TimedOut
from kala_trio.core.messages import AttemptEnded
from kala_trio.runner.local import timeout_of
from kala_trio.runner.remote import USUAL_TIMEOUT

_SUCCESS: Result = Exited(0)
_USUAL_STATUS = 200
_AS_PLANNED = NoAnswer("the simulation lets it fail")
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


class Failure(Struct, frozen=True):
    """Some attempts: of each run, or of the ``run``-th; each of them, or the ``attempt``-th.

    Runs are counted from 1 in the order of their starts in the simulation, whatever caused them.
    """

    run: int | None = None
    attempt: int | None = None

    def is_of(self, run: int, attempt: int) -> bool:
        """Tell whether an attempt is one of these."""
        return self.run in (None, run) and self.attempt in (None, attempt)


class Plan(Struct, frozen=True):
    """Each attempt takes ``usual``, or what ``durations`` says, and succeeds unless it is to fail.

    Jobs go by their names; those of one name are alike.
    """

    usual: timedelta = timedelta(seconds=1)
    durations: Mapping[str, timedelta] = {}
    failures: Mapping[str, tuple[Failure, ...]] = {}

    def end_of(
        self, run: Run, attempt: Attempt, definition: Definition | None, number: int
    ) -> AttemptEnded:
        """Return how an attempt ends, of its job's run of this number, if nothing ends it before.

        Timeouts are those of the job and of its request (rules A5, Q3). A job that was deleted
        meanwhile has no definition, and succeeds.
        """
        took, result = self.durations.get(run.job_name, self.usual), _SUCCESS
        if definition:
            failures = self.failures.get(run.job_name, ())
            fails = any(each.is_of(number, attempt.number) for each in failures)
            result = _failed(definition) if fails else _succeeded(definition)
            for seconds, cut_off in _limits(definition):
                if took.total_seconds() > seconds:
                    took, result = timedelta(seconds=seconds), cut_off
        ended_at = attempt.started_at + min(took, _LAST_INSTANT - attempt.started_at)
        return AttemptEnded(run.id, attempt.number, attempt.started_at, ended_at, result)


def _succeeded(definition: Definition) -> Result:
    if remote := definition.remote_properties:
        status = next(iter(remote.expected_response_codes), _USUAL_STATUS)
        return Answered(status, is_expected=True)
    return _SUCCESS


def _failed(definition: Definition) -> Result:
    """Return a failure that is retried where any is (rule A7)."""
    if definition.remote_properties:
        return _AS_PLANNED
    return Exited(next(iter(definition.retrying.retry_exit_codes), 1))


def _limits(definition: Definition) -> list[tuple[float, Result]]:
    """Return how many seconds an attempt may take, and what it comes to then."""
    limits: list[tuple[float, Result]] = [(timeout_of(definition), TimedOut())]
    if remote := definition.remote_properties:
        seconds = remote.timeout or USUAL_TIMEOUT
        limits.append((seconds, NoAnswer(f"no whole answer within {seconds:g} s")))
    return limits
