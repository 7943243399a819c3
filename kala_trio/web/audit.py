"""The route of who has done what, where tokens tell one from the other (rule M8)."""

import trio
from msgspec import Struct
from quart import Response, request

from kala_trio import wire
from kala_trio.store.history import FIRST
from kala_trio.store.reader import Reader
from kala_trio.web.answers import answer_with
from kala_trio.web.application import Application
from kala_trio.web.queries import PAGE, USUAL_PAGE, Query, written


class _Below(Struct, frozen=True):
    """Where a page begins: below the deed of that row."""

    row: int


def add_audit(app: Application, reader: Reader, threads: trio.CapacityLimiter) -> None:
    """Add the route to ``app``."""

    @app.get("/api/v1/audit/")
    async def get_audit() -> Response:
        query = Query(request.args, ("limit", "cursor", "subject", "who"))
        below = (query.cursor(_Below) or _Below(FIRST)).row
        limit = query.number("limit", USUAL_PAGE, most=PAGE)
        subject, who = query.text("subject"), query.text("who")

        def deeds() -> object:
            there = reader.deeds(below, limit + 1, subject=subject, who=who)
            shown = there[:limit]
            after = _Below(shown[-1][0]) if len(there) > limit else None
            return {
                "deeds": [wire.encode_deed(deed) for _, deed in shown],
                "next": written(after),
            }

        return await answer_with(deeds, threads)
