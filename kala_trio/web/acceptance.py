"""What clients write of jobs, as this daemon takes it: read, checked, with what it adds."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from kala_trio import bodies
from kala_trio.core.checks.timing import check_interval
from kala_trio.core.definition import Definition
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Refused
from kala_trio.core.messages import Apply, Create, Delete, Edit
from kala_trio.templates import accepted


def _new_id() -> str:
    return str(uuid.uuid4())


class Acceptance(Struct, frozen=True):
    """How this daemon takes jobs: who owns what names nobody, and whether it can send e-mail.

    ``min_interval`` is the shortest at which schedules may repeat for long (rule S17), if any.
    ``new_id`` mints UUIDs.

    Each method raises Refused, naming the field at fault.
    """

    default_owner: str = ""
    has_mail: bool = False
    min_interval: Duration | None = None
    new_id: Callable[[], str] = _new_id

    def job(self, body: bytes) -> Definition:
        """Read a job."""
        return self._checked(bodies.decode_job(body, default_owner=self.default_owner))

    def patch(self, before: Mapping[str, object], body: bytes) -> Definition:
        """Read a merge patch of a job whose keys are ``before``."""
        return self._checked(bodies.patch_job(before, body, default_owner=self.default_owner))

    def jobs(self, body: bytes) -> tuple[Create, ...]:
        """Read a list of jobs that may name each other."""
        # Ids that begin alike lie side by side in the database: else each job of a list would
        # change pages of its own, and a commit would take the longer, the more jobs there are.
        beginning = self.new_id()[:8]
        jobs = bodies.decode_jobs(
            body,
            default_owner=self.default_owner,
            most=bodies.MOST_JOBS,
            new_id=lambda: beginning + self.new_id()[8:],
        )
        return tuple(
            Create(job_id, self._checked_at(position, definition))
            for position, (job_id, definition) in enumerate(jobs)
        )

    def changes(self, body: bytes) -> Apply:
        """Read changes of many jobs."""
        owner = self.default_owner
        read = bodies.decode_changes(body, default_owner=owner, most=bodies.MOST_CHANGES)
        return Apply(
            tuple(
                Create(job_id, self._checked_at(f"create.{position}", definition))
                for position, (job_id, definition) in enumerate(read.creates)
            ),
            tuple(
                Edit(job_id, self._checked_at(f"edit.{position}", definition), version)
                for position, (job_id, version, definition) in enumerate(read.edits)
            ),
            tuple(Delete(job_id, version) for job_id, version in read.deletes),
        )

    def _checked_at(self, place: int | str, definition: Definition) -> Definition:
        try:
            return self._checked(definition)
        except Refused as error:
            raise error.within(place) from None

    def _checked(self, definition: Definition) -> Definition:
        addresses = definition.reporting.notify_email
        if addresses and not self.has_mail:
            raise Refused(
                "notify_email",
                "this kala-trio has no mail server",
                found=list(addresses),
                example="kala-trio run --smtp smtp://localhost",
            )
        now = datetime.now(UTC)
        definition = accepted(definition, now)
        if self.min_interval:
            check_interval(definition, now, self.min_interval)
        return definition
