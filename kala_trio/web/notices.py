"""The route of what was told of a job, to whom, and what became of that."""

import trio
from msgspec import Struct
from quart import Response, request

from kala_trio import wire
from kala_trio.store.history import FIRST
from kala_trio.store.reader import Reader
from kala_trio.web.answers import answer_with, found
from kala_trio.web.application import Application
from kala_trio.web.queries import PAGE, USUAL_PAGE, Query, written


class _Below(Struct, frozen=True):
    """Where a page begins: below the notice of that number."""

    number: int


def add_notices(app: Application, reader: Reader, threads: trio.CapacityLimiter) -> None:
    """Add the route to ``app`` (rule N5)."""

    @app.get("/api/v1/job/notices/<job_id>/")
    async def get_job_notices(job_id: str) -> Response:
        query = Query(request.args, ("limit", "cursor"))
        below = (query.cursor(_Below) or _Below(FIRST)).number
        limit = query.number("limit", USUAL_PAGE, most=PAGE)

        def notices() -> object:
            there = reader.notices(job_id, below=below, limit=limit + 1)
            found(there or reader.job(job_id), job_id)
            shown = there[:limit]
            after = _Below(shown[-1].notice.number) if len(there) > limit else None
            return {"notices": [*map(wire.encode_delivery, shown)], "next": written(after)}

        return await answer_with(notices, threads)
