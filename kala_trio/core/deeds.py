"""What somebody has done, to be kept: rule M8."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from kala_trio.core.messages import (
    Apply,
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


_WHAT: dict[type[Request], str] = {
    Create: "create",
    Edit: "edit",
    Delete: "delete",
    Start: "start",
    Enable: "enable",
    Disable: "disable",
}


def _done(request: Request) -> Iterator[tuple[str, str]]:
    match request:
        case (
            Create(job_id)
            | Edit(job_id)
            | Delete(job_id)
            | Start(job_id)
            | Enable(job_id)
            | Disable(job_id)
        ):
            yield _WHAT[type(request)], job_id
        case CreateAll(creates):
            for create in creates:
                yield from _done(create)
        case Apply():
            for change in request.changes:
                yield from _done(change)
        case DeleteAll():
            yield "delete", "all"
        case Cancel(run_id):
            yield "cancel", run_id
        case _:
            assert_never(request)
