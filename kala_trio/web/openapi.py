"""The API as a document by OpenAPI 3.1, made from a table of its routes."""

import re
from functools import cache

from quart import Response

import kala_trio
from kala_trio import bodies, wire
from kala_trio.web import answer_schemas, request_schemas
from kala_trio.web.answers import json_answer
from kala_trio.web.application import Application
from kala_trio.web.edits import ETAGS
from kala_trio.web.json_schema import (
    Schema,
    ref,
    told,
)
from kala_trio.web.routes import METRICS, ROUTES, TEXT, Route


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
    for route in ROUTES:
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
            "schemas": request_schemas.schemas() | answer_schemas.schemas(),
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
    if route.is_open:
        operation["security"] = []
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
        schema = told(str, meaning, pattern=f'^("?{bodies.ID.pattern}"?)?$')
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
        kind = "text/plain" if route.answer in (TEXT, METRICS) else "application/json"
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
        for each in ROUTES
        if name and f"{{{name}}}" in each.path
    }


def _refused_with(route: Route) -> list[int]:
    """Return the statuses of its refusals; 405 is no operation's."""
    may_be = {
        400: route.body is not None or route.query is not None,
        401: not route.is_open,
        403: True,
        404: "{" in route.path or route.names_versions,
        409: route.conflicts,
        408: route.body is not None,
        412: route.has_precondition or route.names_versions,
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
