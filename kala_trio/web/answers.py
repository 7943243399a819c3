"""How requests are answered: JSON, nothing, or an error in one sentence."""

import logging
from collections.abc import Callable
from typing import TypeVar

import trio
from quart import Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from kala_trio import wire
from kala_trio.core.errors import (
    Conflict,
    KalaTrioError,
    NotFound,
    Outdated,
    Refused,
    Unanswered,
    Unavailable,
    no_job,
)
from kala_trio.threads import in_thread
from kala_trio.web.application import Application

log = logging.getLogger(__name__)

T = TypeVar("T")

_STATUS = {
    Refused: 400,
    NotFound: 404,
    Conflict: 409,
    Outdated: 412,
    Unanswered: 502,
    Unavailable: 503,
}


def found(value: T | None, job_id: str) -> T:
    """Return what was found of a job; raises NotFound where that is nothing."""
    if not value:
        raise no_job(job_id)
    return value


def nothing() -> Response:
    """Answer that it is done."""
    response = Response(b"", 204)
    del response.headers["Content-Type"]
    return response


def json_answer(body: bytes, status: int = 200) -> Response:
    """Answer with JSON that is encoded already."""
    return Response(body, status, content_type="application/json")


async def answer_with(what: Callable[[], object], threads: trio.CapacityLimiter) -> Response:
    """Answer with what is read, encoded in the thread that reads it."""
    return json_answer(await in_thread(lambda: wire.encode(what()), limiter=threads))


def answer_errors(app: Application, largest_body: Callable[[str], int]) -> None:
    """Let ``app`` answer each error as JSON; ``largest_body`` tells the bound of a path."""

    async def answer_http_error(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            largest = largest_body(request.path)
            return _error(413, f"body: must be {largest} bytes at most; use files for more")
        return _http_error(error)

    app.register_error_handler(KalaTrioError, _answer_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, _answer_bug)


def _error(status: int, sentence: str) -> Response:
    return json_answer(wire.encode({"error": sentence}), status)


def status_of(error: KalaTrioError) -> int:
    """Return the status by which an error is told."""
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))


async def _answer_error(error: KalaTrioError) -> Response:
    response = _error(status_of(error), str(error))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = "1"
    return response


def _http_error(error: HTTPException) -> Response:
    """Answer what the framework refuses: unknown paths, and other methods."""
    status = error.code or 500
    where = f"{request.method} {request.path[:200]!r}"
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = _error(status, f"there is no {where}; what there is: {allowed}")
        response.headers["Allow"] = allowed
        return response
    if status == 404:
        return _error(status, f"there is no {where}; for example GET /api/v1/job/")
    return _error(status, f"{where}: {error.description or error.name}")


async def _answer_bug(error: Exception) -> Response:
    log.error("a bug while answering %s %s", request.method, request.path, exc_info=error)
    return _error(500, "a bug in kala-trio kept this from being answered; its log has the details")
