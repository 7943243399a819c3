"""The description of the API: what is accepted fits it.

That all answers do ``test_api`` holds.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import ValidationError

from kala_trio import bodies as decoding
from kala_trio.core.errors import Refused
from kala_trio.templates import accepted
from properties import bodies
from properties.bodies import Fields
from properties.documented import check, operation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDS = ["93b65499-b211-49ce-57e0-19e735cc5abd", "0c2f9dbb-8d7c-4ed8-a0ea-c9a3f30d50ba"]


def body_of(method: str, path: str) -> Any:
    """Return the documented schema of a body."""
    return operation(method, path)["requestBody"]["content"]["application/json"]["schema"]


@given(bodies.good_fields(IDS))
def test_a_job_that_is_accepted_is_a_documented_body(fields: Fields) -> None:
    check(fields, body_of("POST", "/api/v1/job/"))
    check(fields, body_of("PUT", f"/api/v1/job/{IDS[0]}/"))


@given(bodies.any_bodies([]) | bodies.wrong_fields().map(lambda wrong: json.dumps(wrong[1])))
@example(
    b'{"name": "a", "type": 1, "command": null, "TemplateDelimiters": null, "tags": null, '
    b'"remote_properties": {"url": "http://a", "headers": {"A": null}, "method": null}}'
)
def test_whatever_is_accepted_is_a_documented_body(body: bytes | str) -> None:
    """Also what is odd, and good none the less."""
    sent = body.encode() if isinstance(body, str) else body
    try:
        accepted(decoding.decode_job(sent, default_owner=""), NOW)
    except Refused:
        return
    check(json.loads(sent), body_of("POST", "/api/v1/job/"))


@given(bodies.good_lists(IDS))
def test_a_list_that_is_accepted_is_a_documented_body(entries: list[Fields]) -> None:
    check(entries, body_of("POST", "/api/v1/job/bulk/"))


@given(bodies.good_fields(IDS), st.data())
def test_any_keys_of_a_job_or_null_are_a_documented_patch(
    fields: Fields, data: st.DataObject
) -> None:
    keys = data.draw(st.lists(st.sampled_from([*fields]), unique=True))
    nulls = data.draw(st.lists(st.sampled_from([*bodies.TYPES, "type"]), unique=True))
    patch = {key: fields[key] for key in keys} | dict.fromkeys(nulls)
    check(patch, body_of("PATCH", f"/api/v1/job/{IDS[0]}/"))


@given(bodies.good_fields(IDS), st.sampled_from(["shedule", "Name", "parent_job"]))
def test_a_key_that_no_job_has_is_no_documented_body(fields: Fields, key: str) -> None:
    with pytest.raises(ValidationError):
        check(fields | {key: None}, body_of("POST", "/api/v1/job/"))
