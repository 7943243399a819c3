"""The API's own description as a judge of what is asked and answered."""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import trio
from jsonschema import Draft202012Validator

from kala_trio.store.reader import Reader
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app

PATH = "/api/v1/openapi.json"


@cache
def document() -> Any:
    """Return the description, as the application answers with it, whatever its jobs are."""
    nowhere = Path(os.devnull)

    async def ask(request: object) -> None:
        raise AssertionError(request)

    async def got() -> Any:
        app = create_app(Reader(nowhere), ask, acceptance=Acceptance(), output=nowhere)
        return await (await app.test_client().get(PATH)).get_json()

    return trio.run(got)


def schema(name: str) -> Any:
    """Return one of the schemas that have a name."""
    return document()["components"]["schemas"][name]


def check(value: object, schema: Any) -> None:
    """Hold that a value is as a schema of the document says, and an object has no other keys."""
    _validator().evolve(schema=_closed(schema)).validate(value)


@cache
def _validator() -> Any:
    return Draft202012Validator(
        _closed(document()), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _closed(value: Any) -> Any:
    """Return a schema that allows no keys but those that it names."""
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {key: _closed(each) for key, each in value.items()}
    is_open = "type" in value and "properties" in value and "additionalProperties" not in value
    return closed | ({"additionalProperties": False} if is_open else {})


def operation(method: str, path: str) -> Any:
    """Return what the document says of a request, None if it knows no such one."""
    name = "get" if method == "HEAD" else method.lower()
    path = path.partition("?")[0].rstrip("/")
    for described, pattern in _patterns().items():
        if pattern.fullmatch(path) and name in document()["paths"][described]:
            return document()["paths"][described][name]
    return None


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return what fits each path, those without any id first."""
    return {
        path: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.rstrip("/"))))
        for path in sorted(document()["paths"], key=lambda path: path.count("{"))
    }


def check_answer(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Hold that the document knows an answer's status, its headers, and the form of its body."""
    if status == 405:
        return
    described = operation(method, path)
    if described is None:
        assert status == 404, (method, path)
        return
    assert str(status) in described["responses"], (method, path, status)
    response = described["responses"][str(status)]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    told = {name.lower() for name in response.get("headers", ())}
    assert told == headers.keys() & {"etag", "retry-after"}
    content = response.get("content", {})
    assert [*content] == ([headers["content-type"].partition(";")[0]] if content else [])
    if "application/json" in content and method != "HEAD":
        check(json.loads(body), content["application/json"]["schema"])
