"""The API's own description as a judge of what is asked and answered."""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from properties.test_api import Answer, Server

PATH = "/api/v1/openapi.json"


@cache
def document() -> Any:
    """Return the description, as the application answers with it."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        described = server.get(PATH)
        server.close()
    return described


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


def check_answer(method: str, path: str, answer: Answer) -> None:
    """Hold that the document knows an answer's status, its headers, and the form of its body."""
    if answer.status == 405:
        return
    described = operation(method, path)
    if described is None:
        assert answer.status == 404, (method, path)
        return
    assert str(answer.status) in described["responses"], (method, path, answer)
    response = described["responses"][str(answer.status)]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    assert {name.lower() for name in response.get("headers", ())} <= answer.headers.keys()
    assert ("etag" in answer.headers) == ("ETag" in response.get("headers", ()))
    content = response.get("content", {})
    kinds = {answer.headers["content-type"].partition(";")[0]} if "content" in response else set()
    assert {*content} == kinds
    if "application/json" in content and method != "HEAD":
        check(answer.json(), content["application/json"]["schema"])


class Documented(Server):
    """A server that is held to what its document says."""

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "application/json",
        if_match: str = "*",
    ) -> Answer:
        """Send a request, and judge the answer."""
        answer = super().send(method, path, body, content_type, if_match)
        check_answer(method, path, answer)
        return answer
