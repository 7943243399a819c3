"""The routes of what happened: runs, what was missed, and what runs have written."""

import re
from collections.abc import Callable
from pathlib import Path

import trio
from quart import Response, request

from kala_trio import wire
from kala_trio.core.errors import Unavailable, no_run
from kala_trio.core.job import Cause, Run
from kala_trio.runner.output import Output, output_path, read_output
from kala_trio.store.history import ENDS, Place, Wanted
from kala_trio.store.reader import Reader
from kala_trio.threads import in_thread
from kala_trio.web.answers import answer_with, found
from kala_trio.web.application import Application
from kala_trio.web.following import follow, left_out
from kala_trio.web.queries import PAGE, USUAL_PAGE, Query, written

MOST_BYTES = 1024 * 1024
"""How many bytes of the end of an output may be asked for."""

_ENTRIES = ("limit", "cursor", "outcome", "cause", "since", "until")


def add_runs(app: Application, reader: Reader, threads: trio.CapacityLimiter, output: Path) -> None:
    """Add the routes of runs to ``app``; ``output`` is the directory of captured outputs."""

    async def read(what: Callable[[], object]) -> Response:
        return await answer_with(what, threads)

    @app.get("/api/v1/job/runs/<job_id>/")
    async def get_job_runs(job_id: str) -> Response:
        query = Query(request.args, _ENTRIES)
        wanted = _wanted(query, job_id)
        place = query.cursor(Place) or Place()
        limit = query.number("limit", PAGE, most=PAGE)

        def runs() -> object:
            page = reader.page(wanted, place, limit)
            found(page.entries or reader.job(job_id), job_id)
            return {"runs": [*map(wire.encode_entry, page.entries)], "next": written(page.next)}

        return await read(runs)

    @app.get("/api/v1/run/")
    async def list_runs() -> Response:
        query = Query(request.args, (*_ENTRIES, "job"))
        wanted = _wanted(query, query.text("job") or None)
        place = query.cursor(Place) or Place()
        limit = query.number("limit", USUAL_PAGE, most=PAGE)

        def runs() -> object:
            page = reader.page(wanted, place, limit)
            return {"runs": [*map(wire.encode_entry, page.entries)], "next": written(page.next)}

        return await read(runs)

    @app.get("/api/v1/run/<run_id>/")
    async def get_run(run_id: str) -> Response:
        Query(request.args, ())

        def run() -> object:
            there = reader.run_with_attempts(run_id)
            if there is None:
                raise no_run(run_id)
            captured = _captured(output_path(output, run_id))
            size = len(captured.head) + captured.omitted + len(captured.tail)
            return {"run": wire.encode_run(*there) | {"output_bytes": size}}

        return await read(run)

    @app.get("/api/v1/job/missed/<job_id>/")
    async def get_job_missed(job_id: str) -> Response:
        def missed() -> object:
            records = reader.missed(job_id)
            found(records or reader.job(job_id), job_id)
            return {"missed": [wire.encode_missed(record) for record in records]}

        return await read(missed)


def add_outputs(
    app: Application,
    reader: Reader,
    threads: trio.CapacityLimiter,
    output: Path,
    is_closing: Callable[[], bool],
) -> None:
    """Add the routes of what runs have written; who follows is sent away when ``is_closing``."""

    @app.get("/api/v1/run/output/<run_id>/")
    @app.get("/api/v1/run/<run_id>/output/")
    async def get_run_output(run_id: str) -> Response:
        query = Query(request.args, ("follow", "tail", "download"))
        tail = query.number("tail", MOST_BYTES, most=MOST_BYTES)
        _there(reader, run_id)
        path = output_path(output, run_id)

        def is_over() -> bool:
            return is_closing() or _there(reader, run_id).outcome is not None

        if query.flag("follow"):
            response = Response(follow(path, is_over))
            response.timeout = None
        else:
            body = await in_thread(output_of, path, limiter=threads)
            response = Response(body[-tail:])
        response.content_type = "text/plain; charset=utf-8"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if query.flag("download"):
            name = re.sub(r"[^A-Za-z0-9.-]", "_", run_id)
            response.headers["Content-Disposition"] = f'attachment; filename="{name}.txt"'
        return response


def _wanted(query: Query, job_id: str | None) -> Wanted:
    return Wanted(
        job_id,
        query.choices("outcome", [*ENDS]),
        query.choices("cause", [*Cause]),
        query.instant("since"),
        query.instant("until"),
    )


def _there(reader: Reader, run_id: str) -> Run:
    run = reader.run(run_id)
    if run is None:
        raise no_run(run_id)
    return run


def _captured(path: Path) -> Output:
    try:
        return read_output(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def output_of(path: Path) -> bytes:
    """Return what a run has written so far; raises Unavailable."""
    captured = _captured(path)
    gap = left_out(captured.omitted) if captured.omitted else b""
    return captured.head + gap + captured.tail
