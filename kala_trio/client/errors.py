"""What may go wrong when a kala-trio is asked, each by what its caller should do."""

from kala_trio.core.errors import KalaTrioError


class NotDone(KalaTrioError):
    """The root of what a client raises; its text is the daemon's own sentence, where it said one.

    ``status`` is that of the answer, None where there was none.
    """

    def __init__(self, sentence: str, status: int | None = None) -> None:
        """Say what happened in a sentence."""
        super().__init__(sentence)
        self.status = status


class Refused(NotDone):
    """The request can't be accepted as it is: correct what is named, and send it again."""


class NotFound(NotDone):
    """There is no such job or run: look it up again."""


class Conflict(NotDone):
    """The job's present state forbids it: change that state first."""


class Outdated(NotDone):
    """Somebody else has changed the job since it was read: read it again, and change that."""


class Unanswered(NotDone):
    """It was carried out or it was not: look, and then decide whether to send it again."""


class TryLater(NotDone):
    """Nothing was changed and nothing is wrong with the request: send it again later.

    ``retry_after`` is in how many seconds, if the daemon said so.
    """

    def __init__(
        self, sentence: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        """Say what happened in a sentence."""
        super().__init__(sentence, status)
        self.retry_after = retry_after
