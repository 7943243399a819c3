"""The routes that change what is there: PUT and PATCH of a job, many changes, and to cancel."""

import re
from collections.abc import Awaitable, Callable

import trio
from quart import Response, request

from kala_trio import wire
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Outdated, Refused, no_run
from kala_trio.core.messages import Cancel, Edit, Request
from kala_trio.store.reader import JobView, Reader
from kala_trio.threads import in_thread
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.answers import found, json_answer, nothing
from kala_trio.web.application import Application

ETAGS = r'(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*'
"""A list of entity tags, as a regular expression (RFC 9110, section 13.1.1)."""

# So often a patch is made anew of a job that others change at the same time.
_PATIENCE = 5


def add_edits(
    app: Application,
    reader: Reader,
    ask: Callable[[Request], Awaitable[None]],
    acceptance: Acceptance,
) -> None:
    """Add the routes to ``app`` (rules M4, M5, M6, M10)."""
    reading = trio.CapacityLimiter(1)

    async def edit(job_id: str, definition: Definition, version: int | None) -> Response:
        await ask(Edit(job_id, definition, version))
        return show_job(found(reader.job(job_id), job_id))

    @app.put("/api/v1/job/<job_id>/")
    async def replace_job(job_id: str) -> Response:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        view = found(reader.job(job_id), job_id)
        return await edit(job_id, acceptance.job(body), _wanted_version(view))

    @app.patch("/api/v1/job/<job_id>/")
    async def patch_job(job_id: str) -> Response:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        for patience in reversed(range(_PATIENCE)):
            view = found(reader.job(job_id), job_id)
            wanted = _wanted_version(view)
            before = wire.encode_definition(view.job.definition, view.progress.disabled)
            definition = acceptance.patch(before, body)
            try:
                return await edit(job_id, definition, wanted or view.progress.version)
            except Outdated:
                if wanted or not patience:
                    raise
        raise AssertionError("the last one returns or raises")

    @app.post("/api/v1/apply/")
    async def apply_changes() -> Response:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        await ask(await in_thread(acceptance.changes, body, limiter=reading))
        return nothing()

    @app.post("/api/v1/run/cancel/<run_id>/")
    async def cancel_run(run_id: str) -> Response:
        if reader.run(run_id) is None:
            raise no_run(run_id)
        await ask(Cancel(run_id))
        return nothing()


def show_job(view: JobView) -> Response:
    """Answer with a job, and with the version by which it may be changed safely (rule M5)."""
    response = json_answer(wire.encode({"job": wire.encode_job(view)}))
    response.headers["ETag"] = f'"{view.progress.version}"'
    return response


def _wanted_version(view: JobView) -> int | None:
    """Return the version that the client has read, or None if it doesn't say.

    Raises:
        Refused: ``If-Match`` is no list of entity tags (RFC 9110, section 13.1.1).
        Outdated: it names none that the job has.
    """
    header = request.headers.get("If-Match", "").strip()
    if header in ("", "*"):
        return None
    if not re.fullmatch(ETAGS, header):
        raise Refused("If-Match", "must be the ETag of an answer", found=header, example='"3"')
    if f'"{view.progress.version}"' in re.split(r"\s*,\s*", header):
        return view.progress.version
    raise Outdated(
        f"job {view.job.id!r} was changed since it was read: it is at version "
        f"{view.progress.version}, found {header[:120]!r}; read it again, and change that"
    )
