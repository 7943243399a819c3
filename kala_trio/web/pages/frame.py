"""What all pages share: their frame, their headers, their errors, and the files they load.

A page runs no script and no style but the files in ``static``, whatever stands in names or outputs:
templates escape all that they are given, and the policy that browsers keep would stop the rest. No
GET changes anything. What changes something is a form's POST, which ``web.admission`` lets through
from these pages alone: browsers say where a POST comes from, and ``same-origin`` lets them.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import parse_qs

import trio
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct
from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as NoSuchPath

import kala_trio
from kala_trio.core.errors import KalaTrioError, Refused, Unavailable
from kala_trio.core.messages import Request
from kala_trio.store.reader import Reader
from kala_trio.threads import in_thread
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.answers import status_of
from kala_trio.web.pages import filters

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load, and where it may be shown."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers would not say either where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_WEB = Path(__file__).parent.parent
_MOST_FIELDS = 500
# What another process has counted says nothing here.
_PROCESS = os.urandom(4).hex()

Context = dict[str, object]
"""What a template is given."""


class Site(Struct, frozen=True):
    """What pages are made of: the same as the API's answers."""

    reader: Reader
    ask: Callable[[Request], Awaitable[None]]
    acceptance: Acceptance
    output: Path
    threads: trio.CapacityLimiter
    is_closing: Callable[[], bool]

    async def page(self, template: str, read: Callable[[datetime], Context]) -> Response:
        """Answer with a page of what is read, as of now, in a thread that also renders it."""
        seen = self.mark()

        def whole() -> str:
            now = datetime.now(UTC)
            return render(template, {"now": now, "seen": seen} | read(now))

        return shown(await in_thread(whole, limiter=self.threads))

    def mark(self) -> str:
        """Return what each change to jobs and runs changes, for pages to know what they show."""
        return f"{_PROCESS}-{self.reader.version()}"


def render(template: str, context: Context) -> str:
    """Return a page."""
    return _environment().get_template(template).render(context)


def shown(page: str, status: int = 200) -> Response:
    """Answer with a page, which nobody may keep: what it tells of goes on."""
    response = Response(page, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


def go_to(path: str) -> Response:
    """Send a browser that has changed something to where that is seen."""
    return Response("", 303, {"Location": path})


async def fields_of_form() -> Mapping[str, list[str]]:
    """Return what a form was filled in with; line breaks as they are elsewhere.

    Raises:
        Refused: it is none that a page of ours has sent.
    """
    body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        problem = "must be that of a form, in UTF-8"
        raise Refused("body", problem, found=body[:100], example="name=hello") from None
    return {
        name: [each.replace("\r\n", "\n").replace("\r", "\n") for each in values]
        for name, values in fields.items()
    }


def frame() -> Blueprint:
    """Return what the routes of pages are added to."""
    pages = Blueprint("pages", __name__)
    pages.register_error_handler(KalaTrioError, _error)
    pages.register_error_handler(HTTPException, _http_error)
    pages.register_error_handler(Exception, _bug)

    @pages.after_request
    async def secure(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @pages.get("/static/<name>/")
    async def get_file(name: str) -> Response:
        if name not in _files():
            raise NoSuchPath
        content, _ = _files()[name]
        response = Response(content, content_type=_KINDS[Path(name).suffix])
        # Their names change with what they hold.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    @pages.get("/webui/<path:rest>/")
    async def get_nothing(rest: str) -> Response:
        raise NoSuchPath

    return pages


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return the files that pages load, each with a mark of what it holds."""
    paths = [path for path in (_WEB / "static").iterdir() if path.suffix in _KINDS]
    files = {path.name: path.read_bytes() for path in paths}
    return {
        name: (content, blake2b(content, digest_size=6).hexdigest())
        for name, content in files.items()
    }


def _file(name: str) -> str:
    return f"/static/{name}?{_files()[name][1]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"file": _file, "version": kala_trio.__version__}
    some = (
        *("iso", "absolute", "relative", "clock", "lasted"),
        *("shortened", "spaced", "plain", "states", "upper"),
    )
    environment.filters |= {name: getattr(filters, name) for name in some}
    environment.filters |= {"schedule": filters.schedule_of, "timing": filters.timing_of}
    environment.tests["missed"] = filters.is_missed
    return environment


def _problem(status: int, title: str, sentence: str) -> Response:
    context: Context = {"title": title, "sentence": sentence, "now": datetime.now(UTC)}
    return shown(render("error.html", context), status)


_TITLES = {400: "Not as it should be", 404: "Not found", 409: "Not now", 412: "Changed meanwhile"}


async def _error(error: KalaTrioError) -> Response:
    status = status_of(error)
    response = _problem(status, _TITLES.get(status, "Not done"), str(error))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = "1"
    return response


async def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status == 404:
        return _problem(404, "Not found", f"There is no page {request.path[:200]}.")
    return _problem(status, error.name, error.description or error.name)


async def _bug(error: Exception) -> Response:
    log.error("a bug while answering %s %s", request.method, request.path, exc_info=error)
    return _problem(500, "A bug", "It kept this from being shown; the log has the details.")
