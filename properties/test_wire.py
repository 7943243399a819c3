"""The wire: nothing that a client sends breaks it, and what it writes it reads."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio import bodies, wire
from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Job, Occurrence, Outcome, Progress, Run, Trigger
from kala_trio.store.reader import JobView
from properties.remotes import remotes
from properties.stepping import Interval
from properties.strategies import ACCEPTED_AT, intervals, schedule_texts, zone_names

TRIGGER = Trigger(Cause.MANUAL, ACCEPTED_AT)

instants = st.datetimes(timezones=st.just(UTC))
characters = st.characters(exclude_categories=["Cs"])  # no halves of surrogate pairs
texts = st.text(characters, max_size=20)
names = st.text(characters.filter(lambda c: c != "\0"), min_size=1, max_size=20).filter(str.strip)

definitions = (
    st.builds(
        Definition,
        name=names,
        command=st.sampled_from(
            ["true", "sh -c 'echo \"§\" | tr § x'", "printf %s\\n 日次", "a\n b"]
        ),
        owner=texts.filter(lambda text: "\0" not in text),
        disabled=st.booleans(),
        schedule=st.just(""),
        time_zone=st.just("") | zone_names,
        parent_jobs=st.lists(st.uuids().map(str), max_size=3, unique=True).map(tuple),
        on_failure_job=st.just("") | st.uuids().map(str),
        retries=st.integers(0, 1_000_000),
        epsilon=st.just("") | intervals.map(Interval.text),
        resume_at_next_scheduled_time=st.booleans(),
        rerun_lost=st.booleans(),
    )
    | st.builds(
        Definition,
        name=names,
        command=st.just("true"),
        schedule=schedule_texts,
    )
    | st.builds(Definition, name=names, command=st.just(""), remote_properties=remotes)
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["R//PT1S", "PT1S", "Europe/Berlin", "true", 0, 0.0, 1e999]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OTHER_KEYS = ["type", "remote_properties", "template_delimiters", "TemplateDelimiters"]
OTHER_KEYS += ["id", "metadata", "stats", "is_done", "next_run_at"]

known = st.sampled_from([*Definition.__struct_fields__, *OTHER_KEYS])
any_bodies = (
    st.binary()
    | values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(known | st.text(), values).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(known, values).map(
        lambda value: json.dumps({"name": "a", "command": "true", **value}).encode()
    )
)


def view_of(definition: Definition, **progress: Any) -> JobView:
    """Return the view of a job of that definition, ``progress`` as given."""
    job = Job("j", 1, ACCEPTED_AT, definition)
    return JobView(job, Progress("j", definition.disabled, **progress), (), ())


@given(any_bodies)
@example(b'{"name": "\\ud800", "command": "true"}')
@example(b'{"name": "a", "command": "\\u0000"}')
def test_any_body_is_a_definition_or_is_refused(body: bytes) -> None:
    """S1, S2, S3, D1: and what is refused is told in words that can be sent."""
    try:
        definition = check(bodies.decode_job(body, default_owner=""), ACCEPTED_AT)
    except Refused as error:
        sentence = str(error)
    else:
        assert check(definition, ACCEPTED_AT) == definition
        assert msgspec.convert(msgspec.to_builtins(definition), Definition) == definition
        return
    assert json.loads(wire.encode({"error": sentence})) == {"error": sentence}


@given(definitions)
def test_an_answer_posted_back_is_the_same_definition(definition: Definition) -> None:
    """S8: a job's schedule, and all else of it, is given back as it was written."""
    with suppress(Refused):  # a zone that contradicts the schedule
        check(definition, ACCEPTED_AT)
        body = wire.encode(wire.encode_job(view_of(definition)))
        assert bodies.decode_job(body, default_owner="") == definition


@given(definitions)
def test_most_drawn_definitions_are_acceptable(definition: Definition) -> None:
    """S1, S3, A1: what is built by the rules is accepted, and kept as it was written."""
    assert check(definition, ACCEPTED_AT) == definition


@given(definitions, st.lists(st.sampled_from("abcdef"), min_size=1))
def test_each_parent_counts_once(definition: Definition, parents: list[str]) -> None:
    """D1: a parent that is named twice triggers its child once."""
    child = replace(definition, schedule="", parent_jobs=tuple(parents))
    kept = check(child, ACCEPTED_AT).parent_jobs
    assert sorted(kept) == sorted(set(parents))
    assert sorted(kept, key=parents.index) == list(kept)


@given(instants)
def test_a_time_is_rfc_3339_to_the_microsecond(instant: datetime) -> None:
    """L7: what is written is the instant itself."""
    text = wire.encode_time(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", text)
    assert datetime.fromisoformat(text) == instant


@given(instants, instants, st.integers(0, 1_000_000), st.sampled_from(Outcome))
@example(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), 0, Outcome.SUCCEEDED)
def test_a_stat_is_exact(one: datetime, other: datetime, retries: int, outcome: Outcome) -> None:
    """A4: when it ran, retries used, success, and nanoseconds that no float has rounded."""
    start, end = sorted([one, other])
    stat: Any = wire.encode_stat(Run("j.1", "j", "a", 1, TRIGGER, start, retries + 1, end, outcome))
    assert timedelta(microseconds=stat["ExecutionDuration"] // 1000) == end - start
    assert datetime.fromisoformat(stat["RanAt"]) == start
    assert stat["NumberOfRetries"] == retries
    assert stat["Success"] == (outcome is Outcome.SUCCEEDED)
    later = [value for name, value in stat.items() if name.islower()]
    assert later == [value for name, value in stat.items() if not name.islower()]


@given(st.booleans(), st.none() | instants, st.booleans(), st.booleans(), st.booleans())
def test_done_is_what_has_nothing_to_come(
    disabled: bool, coming: datetime | None, child: bool, waits: bool, runs: bool
) -> None:
    """L6, L7: a disabled job with occurrences left is not done, though it has no next run."""
    job = wire.encode_job(
        view_of(
            Definition("a", "true", disabled=disabled, parent_jobs=("p",) if child else ()),
            next=None if coming is None else Occurrence(0, coming),
            pending=TRIGGER if waits else None,
            running=("j.1",) if runs else (),
        )
    )
    assert job["is_done"] == (coming is None and not child and not waits and not runs)
    expected = wire.NEVER if disabled or coming is None else wire.encode_time(coming)
    assert job["next_run_at"] == expected
