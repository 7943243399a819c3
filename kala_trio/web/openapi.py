"""The API as a document by OpenAPI 3.1, made from a table of its routes."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple

from quart import Response

import kala_trio
from kala_trio import bodies, wire
from kala_trio.core.job import Cause
from kala_trio.store.finding import JobState, Order
from kala_trio.store.history import ENDS
from kala_trio.web.answers import json_answer
from kala_trio.web.application import Application
from kala_trio.web.edits import ETAGS
from kala_trio.web.json_schema import (
    Schema,
    an_object,
    list_of,
    ref,
    schema_of,
    told,
    words,
)
from kala_trio.web.queries import PAGE, USUAL_PAGE
from kala_trio.web.runs import MOST_BYTES
from kala_trio.web.schemas import schemas


class Route(NamedTuple):
    """What may be asked, and what is answered with ``status`` if all is well.

    ``query`` are the parameters that are known, None where nobody looks at them. ``conflicts``: the
    present state may forbid it. ``is_versioned``: the answer has an ``ETag``. ``takes_key``: it may
    be repeated with an ``Idempotency-Key``.
    """

    method: str
    path: str
    name: str
    summary: str
    status: int
    answer: Schema | None = None
    body: Schema | None = None
    query: Mapping[str, Schema] | None = None
    conflicts: bool = False
    is_versioned: bool = False
    takes_key: bool = False

    @property
    def has_precondition(self) -> bool:
        """Whether it may depend on a version."""
        return self.is_versioned and self.method != "get"


def add_openapi(app: Application) -> None:
    """Add the route to ``app`` that describes all of them."""

    @app.get("/api/v1/openapi.json")
    async def get_openapi() -> Response:
        return json_answer(_encoded())


@cache
def _encoded() -> bytes:
    return wire.encode(_document())


def _document() -> Schema:
    paths: dict[str, Schema] = {}
    for route in _ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kala-trio",
            "version": kala_trio.__version__,
            "description": "A job scheduler. Every path works with and without its last slash.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": {name: _refusal(status) for status, (name, _) in _REFUSALS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Until there is a token nobody needs one.
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> Schema:
    operation: Schema = {"operationId": route.name, "summary": route.summary}
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body:
        content = {"application/json": {"schema": route.body}}
        operation["requestBody"] = {"required": True, "content": content}
    refused = {
        str(status): {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"}
        for status in _refused_with(route)
    }
    return operation | {"responses": {str(route.status): _answer(route)} | refused}


def _parameters(route: Route) -> list[Schema]:
    parameters: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for name, schema in (route.query or {}).items():
        # Several values stand behind one name, with commas between them.
        several = {"explode": False} if schema["type"] == "array" else {}
        parameters.append({"name": name, "in": "query", "schema": _or_empty(schema)} | several)
    if route.has_precondition:
        meaning = "The ETag of an answer: change it only if nobody has changed it since"
        schema = told(str, meaning, examples=['"3"'], pattern=rf"^\s*(\*|{ETAGS})?\s*$")
        parameters.append({"name": "If-Match", "in": "header", "schema": schema})
    if route.takes_key:
        meaning = "A UUID, which becomes the job's id: the same request creates no second"
        schema = told(str, meaning, pattern=f'^("?{bodies.ID}"?)?$')
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return parameters


def _or_empty(schema: Schema) -> Schema:
    """Let a text be empty, as forms send what nobody has filled in: it counts as not given."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], ""]}
    if "format" in schema:
        text = {key: value for key, value in schema.items() if key != "format"}
        return text | {"anyOf": [{"format": schema["format"]}, {"maxLength": 0}]}
    return schema


def _answer(route: Route) -> Schema:
    answer: Schema = {"description": "As asked for" if route.answer else "It is done"}
    if route.answer:
        kind = "text/plain" if route.answer == _TEXT else "application/json"
        answer["content"] = {kind: {"schema": route.answer}}
    if route.is_versioned:
        answer["headers"] = {"ETag": {"schema": told(str, "The job's version")}}
    if links := _links(route):
        answer["links"] = links
    return answer


def _links(route: Route) -> Schema:
    """Return where its answer leads: to all that may be asked of an id that is in it."""
    name, found = _IDS_IN_ANSWERS.get(route.name, ("", ""))
    return {
        each.name: {"operationId": each.name, "parameters": {name: found}}
        for each in _ROUTES
        if name and f"{{{name}}}" in each.path
    }


def _refused_with(route: Route) -> list[int]:
    """Return the statuses of its refusals; 405 is no operation's."""
    may_be = {
        400: route.body is not None or route.query is not None,
        401: True,
        403: True,
        404: "{" in route.path,
        409: route.conflicts,
        408: route.body is not None,
        412: route.has_precondition,
        413: route.body is not None,
        414: route.query is not None,
        429: True,
        431: True,
        500: True,
        502: route.method != "get",
        503: True,
    }
    return [status for status, may in may_be.items() if may]


def _refusal(status: int) -> Schema:
    answer: Schema = {
        "description": _REFUSALS[status][1],
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if status in (429, 503):
        meaning = "In how many seconds to ask again"
        answer["headers"] = {"Retry-After": {"schema": told(int, meaning)}}
    return answer


_REFUSALS = {
    400: ("Refused", "It can't be accepted as it is: correct it and send it again"),
    401: ("Unknown", "It needs a token that is known here"),
    403: (
        "Forbidden",
        "A token that may not do that, another site's page, or another machine's name",
    ),
    404: ("NotFound", "There is no such job or run"),
    408: ("Late", "It did not come in time"),
    409: ("Conflict", "The present state forbids it"),
    412: ("Outdated", "Somebody else has changed the job since it was read"),
    413: ("TooLarge", "The body is too large"),
    414: ("TooLong", "The path and its parameters are too long"),
    429: ("TooSoon", "Too many requests, and nothing was changed"),
    431: ("TooMuch", "The headers are too many, or too large"),
    500: ("Bug", "A bug; the log has the details"),
    502: ("Unanswered", "kala-trio died before it answered: look whether it took the request"),
    503: ("Unavailable", "Not now, and nothing was changed"),
}

_IDS_IN_ANSWERS = {
    "create_job": ("job_id", "$response.body#/id"),
    "create_jobs": ("job_id", "$response.body#/ids/0"),
    "get_job_runs": ("run_id", "$response.body#/runs/0/id"),
    "list_runs": ("run_id", "$response.body#/runs/0/id"),
}

_TEXT = schema_of(str)
_INSTANT = schema_of(datetime)
_ORDERS = [each.value for each in Order]
_JOB = an_object({"job": ref("Job")})
_NEXT = told(str | None, "The cursor of the next page")


def _page(usual: int) -> dict[str, Schema]:
    limit = told(int, "How many", minimum=1, maximum=PAGE, default=usual)
    return {"limit": limit, "cursor": told(str, "The next of the page before")}


_SEARCH = {
    "name": told(str, "A part of the name, in whatever case"),
    "owner": _TEXT,
    "tag": _TEXT,
    "state": words(JobState),
    "next_before": told(_INSTANT, "The next run is before that"),
    "sort": words([*_ORDERS, *(f"-{each}" for each in _ORDERS)]),
}
_FILTER = {
    "outcome": {"type": "array", "items": words(ENDS)},
    "cause": {"type": "array", "items": words(Cause)},
    "since": told(_INSTANT, "What started, or was to start, from then on"),
    "until": told(_INSTANT, "What started, or was to start, before then"),
}
_OUTPUT = {
    "follow": told(bool, "Go on as it is written, until the run is over", default=False),
    "tail": told(int, "Only so many bytes of the end", minimum=1, maximum=MOST_BYTES),
    "download": told(bool, "As a file, for browsers", default=False),
}
_JOBS = {"type": "object", "additionalProperties": ref("Job")}
_FOUND = an_object({"jobs": _JOBS, "next": told(_NEXT, "If there are parameters")}, {"next"})
_ENTRIES = an_object({"runs": list_of("Entry"), "next": _NEXT})

_ANY_JOB = "/api/v1/job/{job_id}/"
_ANY_RUN = "/api/v1/run/{run_id}/"
_CHANGES = {
    "start": "Start a job now, or again once it is over",
    "enable": "Enable a job",
    "disable": "Disable a job; a run in progress goes on",
}
_ROUTES = (
    Route(
        *("post", "/api/v1/job/", "create_job", "Create a job", 201),
        answer=an_object({"id": str}),
        body=ref("NewJob"),
        conflicts=True,
        takes_key=True,
    ),
    Route(
        *("post", "/api/v1/job/bulk/", "create_jobs", "Create jobs, all of them or none", 201),
        answer=an_object({"ids": tuple[str, ...]}),
        body=list_of("ListedJob", maxItems=bodies.MOST_JOBS),
        conflicts=True,
    ),
    Route(
        *("get", "/api/v1/job/", "list_jobs", "All jobs, or those that fit, page by page", 200),
        answer=_FOUND,
        query=_SEARCH | _page(USUAL_PAGE),
    ),
    Route("get", _ANY_JOB, "get_job", "One job", 200, _JOB, is_versioned=True),
    Route(
        *("put", _ANY_JOB, "replace_job", "Replace a job's definition by another", 200),
        answer=_JOB,
        body=ref("NewJob"),
        is_versioned=True,
    ),
    Route(
        *("patch", _ANY_JOB, "patch_job", "Change some keys, by a JSON merge patch", 200),
        answer=_JOB,
        body=ref("JobPatch"),
        is_versioned=True,
    ),
    Route("delete", _ANY_JOB, "delete_job", "Delete a job, and children left alone", 204),
    Route("delete", "/api/v1/job/all/", "delete_all_jobs", "Delete all jobs", 204),
    *(
        Route(
            *("post", f"/api/v1/job/{what}/{{job_id}}/", f"{what}_job", meaning, 204),
            conflicts=what == "start",
        )
        for what, meaning in _CHANGES.items()
    ),
    Route(
        *("get", "/api/v1/job/stats/{job_id}/", "get_job_stats", "A stat of each ended run", 200),
        answer=an_object({"job_stats": list_of("Stat")}),
    ),
    Route(
        *("get", "/api/v1/job/runs/{job_id}/", "get_job_runs", "What became of its triggers", 200),
        answer=_ENTRIES,
        query=_FILTER | _page(PAGE),
    ),
    Route(
        *("get", "/api/v1/job/missed/{job_id}/", "get_job_missed", "What it missed", 200),
        answer=an_object({"missed": list_of("Missed")}),
    ),
    Route(
        *("get", "/api/v1/job/notices/{job_id}/", "get_job_notices", "What was told of it", 200),
        answer=an_object({"notices": list_of("Notice"), "next": _NEXT}),
        query=_page(USUAL_PAGE),
    ),
    Route(
        *("get", "/api/v1/run/", "list_runs", "What became of the triggers of all jobs", 200),
        answer=_ENTRIES,
        query=_FILTER | {"job": told(str, "The id of a job")} | _page(USUAL_PAGE),
    ),
    Route("get", _ANY_RUN, "get_run", "One run", 200, an_object({"run": ref("Run")}), query={}),
    Route(
        *("post", "/api/v1/run/cancel/{run_id}/", "cancel_run", "End a run in progress", 204),
        conflicts=True,
    ),
    Route(
        *("get", f"{_ANY_RUN}output/", "get_run_output", "What a run has written so far", 200),
        answer=_TEXT,
        query=_OUTPUT,
    ),
    Route(
        *("get", "/api/v1/run/output/{run_id}/", "get_output", "The same", 200),
        answer=_TEXT,
        query=_OUTPUT,
    ),
    Route(
        *("get", "/api/v1/audit/", "get_audit", "Who has done what, with a token", 200),
        answer=an_object({"deeds": list_of("Deed"), "next": _NEXT}),
        query={"subject": _TEXT, "who": _TEXT} | _page(USUAL_PAGE),
    ),
    Route(
        *("get", "/api/v1/stats/", "get_stats", "Figures over all jobs", 200),
        answer=an_object({"Stats": ref("Figures")}),
    ),
    Route("get", "/api/v1/openapi.json", "get_openapi", "This document", 200, {"type": "object"}),
)
