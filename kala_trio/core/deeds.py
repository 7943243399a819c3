"""What somebody has done, to be kept: rule M8."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from kala_trio.core.messages import (
    Cancel,
    Create,
    CreateAll,
    Deed,
    Delete,
    DeleteAll,
    Disable,
    Edit,
    Enable,
    Request,
    Start,
)


def deeds_of(request: Request, who: str, at: datetime) -> Iterator[Deed]:
    """Yield what a request that was carried out has done, a deed for each job it names."""
    for what, subject in _done(request):
        yield Deed(at, who, what, subject)


def _done(request: Request) -> Iterator[tuple[str, str]]:
    match request:
        case Create(job_id):
            yield "create", job_id
        case CreateAll(creates):
            for each in creates:
                yield "create", each.job_id
        case Edit(job_id):
            yield "edit", job_id
        case Delete(job_id):
            yield "delete", job_id
        case DeleteAll():
            yield "delete", "all"
        case Start(job_id):
            yield "start", job_id
        case Enable(job_id):
            yield "enable", job_id
        case Disable(job_id):
            yield "disable", job_id
        case Cancel(run_id):
            yield "cancel", run_id
        case _:
            assert_never(request)
