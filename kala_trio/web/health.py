"""Whether it lives, whether it is ready, and what it has counted: for those who look by machine."""

import trio
from quart import Response, request

from kala_trio.core.errors import Unavailable
from kala_trio.store.reader import Reader
from kala_trio.threads import in_thread
from kala_trio.vitals import objection
from kala_trio.web.answers import json_answer
from kala_trio.web.application import Application
from kala_trio.web.exposition import Exposition, Watch

_SILENT = "the scheduler does not answer"


def add_health(
    app: Application, reader: Reader, watch: Watch, threads: trio.CapacityLimiter
) -> None:
    """Add the routes to ``app``; what is read is read in one of ``threads``."""
    exposition = Exposition(watch, reader)

    @app.get("/healthz")
    async def get_health() -> Response:
        if await watch.vitals() is None:
            raise Unavailable(_SILENT)
        return json_answer(b'{"status":"alive"}')

    @app.get("/readyz")
    async def get_readiness() -> Response:
        vitals = await watch.vitals()
        if problem := objection(vitals) if vitals else _SILENT:
            raise Unavailable(problem)
        return json_answer(b'{"status":"ready"}')

    @app.get("/metrics")
    async def get_metrics() -> Response:
        accept, vitals = request.headers.get("Accept", ""), await watch.vitals()
        body, kind = await in_thread(exposition, vitals, accept, limiter=threads)
        return Response(body, content_type=kind)
