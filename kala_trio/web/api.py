"""The routes of API v1: decode, ask the scheduler or read the store, encode."""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import trio
from quart import Response, request
from quart_trio.wrappers import TrioRequest

from kala_trio import bodies, wire
from kala_trio.core.errors import Conflict, Refused
from kala_trio.core.messages import (
    Create,
    CreateAll,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Request,
    Start,
)
from kala_trio.store.finding import Mark
from kala_trio.store.reader import JobView, Reader
from kala_trio.threads import in_thread
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.answers import answer_errors, answer_with, found, json_answer, nothing
from kala_trio.web.application import Application
from kala_trio.web.audit import add_audit
from kala_trio.web.edits import add_edits, show_job
from kala_trio.web.exposition import Watch
from kala_trio.web.health import add_health
from kala_trio.web.notices import add_notices
from kala_trio.web.openapi import add_openapi
from kala_trio.web.pages.frame import Site
from kala_trio.web.pages.site import add_pages
from kala_trio.web.queries import PAGE, SEARCHES, USUAL_PAGE, Query, search_of, written
from kala_trio.web.runs import add_outputs, add_runs

log = logging.getLogger(__name__)

T = TypeVar("T")

_MEBIBYTE = 1024 * 1024
_LARGEST_BODY = 1 * _MEBIBYTE
_LISTS = {"/api/v1/job/bulk/", "/api/v1/apply/"}
_LARGEST_LIST = 8 * _MEBIBYTE
_READING_THREADS = 4
# A UUID, as it is or in quotes.
_KEY = re.compile(f'"?({bodies.ID.pattern})"?')
_CHANGES: dict[str, type[Start | Enable | Disable]] = {
    "start": Start,
    "enable": Enable,
    "disable": Disable,
}


def create_app(
    reader: Reader,
    ask: Callable[[Request], Awaitable[None]],
    *,
    acceptance: Acceptance,
    output: Path,
    watch: Watch | None = None,
) -> Application:
    """Return the application; ``output`` is the directory of captured outputs.

    ``watch`` tells how the scheduler is, without which nobody knows, and when answers that go on
    and on are to end.
    """
    watch = watch or Watch(reader.path, output)
    app = _application()
    threads = trio.CapacityLimiter(_READING_THREADS)
    reading_lists = trio.CapacityLimiter(1)
    # All jobs may be many: those who ask for them wait for each other, and nobody else for them.
    listing_all = trio.CapacityLimiter(1)

    async def read(what: Callable[[], object]) -> Response:
        return await answer_with(what, threads)

    @app.post("/api/v1/job/")
    async def create_job() -> Response:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        job_id = _wanted_id(reader) or acceptance.new_id()
        await ask(Create(job_id, acceptance.job(body)))
        return json_answer(wire.encode({"id": job_id}), 201)

    @app.post("/api/v1/job/bulk/")
    async def create_jobs() -> Response:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        # In a thread, so that other requests need not wait until all of it was read.
        creates = await in_thread(acceptance.jobs, body, limiter=reading_lists)
        await ask(CreateAll(creates))
        return json_answer(wire.encode({"ids": [each.job_id for each in creates]}), 201)

    @app.get("/api/v1/job/")
    async def list_jobs() -> Response:
        if not request.args:
            return await answer_with(lambda: {"jobs": _encoded(reader.jobs())}, listing_all)
        query = Query(request.args, ("limit", "cursor", *SEARCHES))
        search, after = search_of(query), query.cursor(Mark)
        limit = query.number("limit", USUAL_PAGE, most=PAGE)

        def page() -> object:
            views, mark = reader.find(search, after, limit)
            return {"jobs": _encoded(views), "next": written(mark)}

        return await read(page)

    @app.get("/api/v1/job/<job_id>/")
    async def get_job(job_id: str) -> Response:
        # A few pages, in memory most likely: a thread for them would cost several times as much.
        return show_job(found(reader.job(job_id), job_id))

    @app.delete("/api/v1/job/all/")
    async def delete_all_jobs() -> Response:
        await ask(DeleteAll())
        return nothing()

    @app.delete("/api/v1/job/<job_id>/")
    async def delete_job(job_id: str) -> Response:
        await ask(Delete(job_id))
        return nothing()

    @app.post("/api/v1/job/<any(start, enable, disable):what>/<job_id>/")
    async def change_job(what: str, job_id: str) -> Response:
        await ask(_CHANGES[what](job_id))
        return nothing()

    @app.get("/api/v1/job/stats/<job_id>/")
    async def get_job_stats(job_id: str) -> Response:
        def stats() -> object:
            found(reader.job(job_id), job_id)
            return {"job_stats": [wire.encode_stat(run) for run in reader.ended_runs(job_id)]}

        return await read(stats)

    @app.get("/api/v1/stats/")
    async def get_stats() -> Response:
        return await read(lambda: {"Stats": wire.encode_totals(reader.totals(), datetime.now(UTC))})

    add_runs(app, reader, threads, output)
    add_outputs(app, reader, threads, output, watch.is_closing)
    add_notices(app, reader, threads)
    add_audit(app, reader, threads)
    add_edits(app, reader, ask, acceptance)
    add_health(app, reader, watch, threads)
    add_openapi(app)
    add_pages(app, Site(reader, ask, acceptance, output, threads, watch.is_closing))
    answer_errors(app, _largest)
    return app


def _application() -> Application:
    """Return one without any route."""
    app = Application("kala_trio")
    app.request_class = _Sized
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Clients lose the body of a POST that is redirected, so none of theirs ever is.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    return app


def _wanted_id(reader: Reader) -> str:
    """Return the id that the client wants for its job, so that it may repeat the request (M7).

    Raises:
        Refused: it is no UUID.
        Conflict: a deleted job had it.
    """
    header = request.headers.get("Idempotency-Key", "")
    if not header:
        return ""
    key = _KEY.fullmatch(header)
    if key is None:
        example = str(uuid.uuid4())
        raise Refused("Idempotency-Key", "must be a UUID", found=header, example=example)
    job_id = key[1].lower()
    if reader.job(job_id) is None and reader.remembers(job_id):
        raise Conflict(f"job {job_id!r} was deleted; a new job needs another Idempotency-Key")
    return job_id


def _encoded(views: Iterable[JobView]) -> dict[str, object]:
    return {view.job.id: wire.encode_job(view) for view in views}


class _Sized(TrioRequest):
    """A request whose body may be as large as its path allows."""

    def __init__(self, method: str, scheme: str, path: str, *rest: Any, **named: Any) -> None:
        super().__init__(
            method, scheme, path, *rest, **named | {"max_content_length": _largest(path)}
        )


def _largest(path: str) -> int:
    return _LARGEST_LIST if path in _LISTS else _LARGEST_BODY
