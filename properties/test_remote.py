"""Remote jobs: what is accepted, what is refused, and what becomes of an answer."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio import bodies, wire
from kala_trio.core.checks.definition import check
from kala_trio.core.checks.examples import EXAMPLES
from kala_trio.core.definition import Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.job import Answered, Exited, NoAnswer, Outcome, Result, outcome_of, reason_of
from kala_trio.core.url import parse_url, work_of
from properties.remotes import NEARLY_PROPERTIES, remotes, urls
from properties.strategies import ACCEPTED_AT
from properties.test_wire import view_of


def job_of(remote: Remote) -> Definition:
    return Definition("a", "", remote_properties=remote)


@given(urls())
def test_a_url_leads_where_another_reader_says(url: str) -> None:
    """Q1: no two readers of it disagree about whom to ask."""
    target, other = parse_url(url), urlsplit(url)
    assert (target.scheme, target.host) == (other.scheme, other.hostname)
    assert target.port == (other.port or {"http": 80, "https": 443}[other.scheme])
    query = f"?{other.query}" if "?" in url.partition("#")[0] else ""
    assert target.path == (other.path or "/") + query
    assert parse_url(target.origin + target.path) == target


@given(st.text(max_size=12) | st.text("htps:/?#[]@a.1%", max_size=20).map("http:".__add__))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    """Q1, S7: and an example is offered that works."""
    try:
        target = parse_url(text)
    except Refused as error:
        str(error).encode()
    else:
        assert urlsplit(text).hostname == target.host


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, some in NEARLY_PROPERTIES.items() for value in some]
)
def test_a_wrong_property_is_refused_by_its_name(key: str, value: Any) -> None:
    """Q1."""
    properties = {"url": "http://a/", key: value}
    body = json.dumps({"name": "a", "type": 1, "remote_properties": properties}).encode()
    with pytest.raises(Refused) as caught:
        check(bodies.decode_job(body, default_owner=""), ACCEPTED_AT)
    assert caught.value.field == f"remote_properties.{key}"
    assert caught.value.example in (EXAMPLES[f"remote_properties.{key}"], "false")


@given(remotes)
def test_a_remote_job_posted_back_is_the_same(remote: Remote) -> None:
    """Q1: whatever it asks, it is accepted as it was written."""
    definition = job_of(remote)
    assert check(definition, ACCEPTED_AT) == definition
    body = wire.encode(wire.encode_job(view_of(definition)))
    assert bodies.decode_job(body, default_owner="") == definition


@given(remotes, st.sampled_from(["s3cret", "user:s3cret"]))
def test_neither_log_nor_refusal_holds_what_a_request_keeps_secret(
    remote: Remote, secret: str
) -> None:
    """Q1: paths, queries, headers and bodies may be keys to something."""
    header = ("Authorization", (secret,))
    url = f"https://a.example/{secret}?key={secret}#{secret}"
    hidden = replace(remote, url=url, headers=(header,), body=secret)
    assert secret not in work_of(job_of(hidden))
    for wrong in (
        replace(hidden, headers=(("Authorization", (f"{secret}\n",)),)),
        replace(hidden, url=f"https://a:{secret}@a.example/"),
    ):
        with pytest.raises(Refused) as caught:
            check(job_of(wrong), ACCEPTED_AT)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://a.b:80/{{ job.id }}?c", "http://a.b:80"),
        ("https://{{ job.name }}.a?{{ secrets.A }}", "https://{{ job.name }}.a"),
        ("http://a", "http://a"),
        ("http://a#/b", "http://a"),
    ],
)
def test_the_log_tells_of_a_template_before_it_is_filled_in(url: str, told: str) -> None:
    """Q1: it is no URL yet, and that must not end the scheduler."""
    assert work_of(job_of(Remote(url))) == f"GET {told}"


@given(st.integers(100, 599), st.booleans(), st.text(min_size=1))
def test_only_an_expected_status_is_success(status: int, is_expected: bool, why: str) -> None:
    """A1, Q2."""
    result = Answered(status, is_expected)
    assert (outcome_of(result) is Outcome.SUCCEEDED) == is_expected
    assert bool(reason_of(result)) == (not is_expected)
    assert is_expected or f"status {status}" in reason_of(result)
    failed: Result = NoAnswer(why)
    assert (outcome_of(failed), reason_of(failed)) == (outcome_of(Exited(1)), why)


@pytest.mark.parametrize(("seconds", "shown"), [(30.0, b"30"), (0.5, b"0.5"), (0.0, b"0")])
def test_whole_seconds_are_shown_as_a_whole_number_which_go_can_read(
    seconds: float, shown: bytes
) -> None:
    """Q3."""
    text = wire.encode(wire.encode_job(view_of(job_of(Remote("http://a/", timeout=seconds)))))
    assert b'"timeout":%s,' % shown in text
