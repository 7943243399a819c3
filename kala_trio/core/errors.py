"""The error tree: each class is named by what its receiver should do.

Every message quotes what was found, says what is wrong with it, and shows one that works.
"""

import reprlib

_quote = reprlib.Repr()
_quote.maxstring = _quote.maxother = 120


def _quoted(found: object) -> str:
    try:
        return _quote.repr(found)
    except ValueError:
        return "a number of very many digits"


class KalaTrioError(Exception):
    """The root of every error that kala-trio raises on purpose; never raised itself."""


class Refused(KalaTrioError):
    """The request cannot be accepted as it stands: correct the named field and send it again."""

    def __init__(self, field: str, problem: str, *, found: object, example: str) -> None:
        """Quote ``found`` (shortened), tell its ``problem``, and show an ``example`` that works."""
        super().__init__(f"{field}: {problem}, found {_quoted(found)}; for example {example}")
        self.field = field
        self.problem = problem
        self.found = found
        self.example = example

    def within(self, position: int | str) -> "Refused":
        """Return the same of the field of an entry of a list, by its position from 0.

        Where there are several lists ``position`` begins with the name of one: ``edit.0``.
        """
        field = f"{position}.{self.field}"
        return Refused(field, self.problem, found=self.found, example=self.example)


class Malformed(Refused):
    """A text that the grammar of rules S1 to S3 does not know; ``field`` is the part at fault."""


class NotFound(KalaTrioError):
    """There is no such job or run: look it up again."""


def no_job(job_id: str) -> NotFound:
    """Tell that no job has this id, as the scheduler and the reader of the database both do."""
    return NotFound(f"there is no job {job_id[:120]!r}; GET /api/v1/job/ lists them")


def no_run(run_id: str) -> NotFound:
    """Tell that no run has this id."""
    problem = f"there is no run {run_id[:120]!r}; GET /api/v1/job/runs/<job id>/ lists a job's"
    return NotFound(problem)


class Conflict(KalaTrioError):
    """The job's present state forbids it: change that state first."""


class Outdated(KalaTrioError):
    """Somebody else has changed the job since it was read: read it again, and change that."""


class Unavailable(KalaTrioError):
    """Nothing was changed and nothing is wrong with the request: send it again later."""


STOPPING = "kala-trio is stopping; send it again in a while"
"""What is told of a request that was not carried out because the daemon stops."""


class Unanswered(KalaTrioError):
    """It was carried out or it was not, and nobody can tell: look before you send it again."""


class CannotStart(KalaTrioError):
    """The daemon cannot start here: mend what the message names."""
