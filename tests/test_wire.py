"""What clients of both generations of Kala send and get."""

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kala_trio import bodies, wire
from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused
from kala_trio.core.job import (
    Attempt,
    Cause,
    Exited,
    Job,
    Missed,
    Occurrence,
    Outcome,
    Progress,
    Reason,
    Run,
    Signalled,
    Trigger,
)
from kala_trio.store.reader import JobView, Totals
from tests.test_validation import offered

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
GOOD: dict[str, Any] = {"name": "backup", "command": "sh backup.sh"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def decode(body: bytes | dict[str, Any], default_owner: str = "") -> Definition:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return bodies.decode_job(text, default_owner=default_owner)


def refusal(body: bytes | dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        decode(body)
    str(caught.value).encode()  # it goes out as UTF-8
    return caught.value


RUN = Run(
    "j.3",
    "j",
    "backup",
    3,
    Trigger(Cause.OCCURRENCE, START, 7),
    at(0.5),
    2,
    at(2.000001),
    Outcome.SUCCEEDED,
)
STAT = {
    "JobId": "j",
    "RanAt": "2026-03-01T09:00:00.500000Z",
    "NumberOfRetries": 1,
    "Success": True,
    "ExecutionDuration": 1_500_001_000,
    "job_id": "j",
    "ran_at": "2026-03-01T09:00:00.500000Z",
    "number_of_retries": 1,
    "success": True,
    "execution_duration": 1_500_001_000,
}


def test_a_job_has_the_keys_of_both_generations() -> None:
    definition = Definition(
        "backup", "sh backup.sh", "ada", schedule="R//P1D", time_zone="UTC", retries=1
    )
    progress = Progress(
        "j",
        False,
        Occurrence(8, at(60)),
        runs=3,
        finished=3,
        success_count=2,
        error_count=4,
        last_success=at(1),
        last_attempted_run=at(2),
    )
    view = JobView(Job("j", 1, START, definition), progress, ("b", "a"), (RUN,))
    counts = {
        "success_count": 2,
        "last_success": "2026-03-01T09:00:01Z",
        "error_count": 4,
        "last_error": "0001-01-01T00:00:00Z",
        "last_attempted_run": "2026-03-01T09:00:02Z",
    }
    assert json.loads(wire.encode(wire.encode_job(view))) == {
        "name": "backup",
        "id": "j",
        "version": 1,
        "command": "sh backup.sh",
        "owner": "ada",
        "disabled": False,
        "dependent_jobs": ["b", "a"],
        "parent_jobs": None,
        "on_failure_job": "",
        "schedule": "R//P1D",
        "time_zone": "UTC",
        "retries": 1,
        "epsilon": "",
        "resume_at_next_scheduled_time": False,
        "rerun_lost": False,
        "next_run_at": "2026-03-01T09:01:00Z",
        **counts,
        "metadata": {**counts, "number_of_finished_runs": 3},
        "type": 0,
        "remote_properties": {
            "url": "",
            "method": "",
            "body": "",
            "headers": None,
            "timeout": 0,
            "expected_response_codes": None,
        },
        "template_delimiters": "",
        "stats": [STAT],
        "is_done": False,
    }


def test_figures_have_the_keys_of_both_generations() -> None:
    assert wire.encode_totals(Totals(2, 1, 5, 9, at(60), None, 3, {"x": 1}, 4), START) == {
        "ActiveJobs": 2,
        "DisabledJobs": 1,
        "Jobs": 3,
        "ErrorCount": 5,
        "SuccessCount": 9,
        "NextRunAt": "2026-03-01T09:01:00Z",
        "LastAttemptedRun": "0001-01-01T00:00:00Z",
        "CreatedAt": "2026-03-01T09:00:00Z",
        "active_jobs": 2,
        "disabled_jobs": 1,
        "jobs": 3,
        "error_count": 5,
        "success_count": 9,
        "next_run_at": "2026-03-01T09:01:00Z",
        "last_attempted_run": "0001-01-01T00:00:00Z",
        "created": "2026-03-01T09:00:00Z",
        "running": 3,
        "running_by_tag": {"x": 1},
        "waiting": 4,
    }


def test_a_run_tells_what_asked_for_it_and_how_each_attempt_went() -> None:
    attempts = [
        Attempt("j.3", 1, at(0.5), at(1), Signalled("SIGKILL")),
        Attempt("j.3", 2, at(1), at(2.000001), Exited(0)),
    ]
    assert json.loads(wire.encode(wire.encode_run(RUN, attempts))) == {
        "id": "j.3",
        "job_id": "j",
        "job_name": "backup",
        "trigger": {
            "cause": "occurrence",
            "scheduled_at": "2026-03-01T09:00:00Z",
            "occurrence": 7,
            "source": None,
        },
        "started_at": "2026-03-01T09:00:00.500000Z",
        "ended_at": "2026-03-01T09:00:02.000001Z",
        "outcome": "succeeded",
        "reason": "",
        "next_attempt_at": None,
        "attempts": [
            {
                "number": 1,
                "started_at": "2026-03-01T09:00:00.500000Z",
                "ended_at": "2026-03-01T09:00:01Z",
                "reason": "killed by SIGKILL",
            },
            {
                "number": 2,
                "started_at": "2026-03-01T09:00:01Z",
                "ended_at": "2026-03-01T09:00:02.000001Z",
                "reason": "",
            },
        ],
    }


def test_a_failed_run_has_the_reason_of_its_last_attempt() -> None:
    failed = Run("j.1", "j", "a", 1, RUN.trigger, at(0), 2, at(3), Outcome.FAILED)
    attempts = [
        Attempt("j.1", 1, at(0), at(1), Signalled("SIGKILL")),
        Attempt("j.1", 2, at(1), at(3), Exited(4)),
    ]
    assert wire.encode_run(failed, attempts)["reason"] == "exit code 4"


def test_a_run_in_progress_has_neither_an_end_nor_a_reason() -> None:
    """Also in the pause before a retry, when its latest attempt has both."""
    going = Run("j.1", "j", "a", 1, Trigger(Cause.PARENT, at(0), source="p.9"), at(0))
    encoded = wire.encode_run(going, [Attempt("j.1", 1, at(0), at(1), Exited(1))])
    assert [encoded[key] for key in ("ended_at", "outcome", "reason")] == [None] * 3
    encoded = wire.encode_run(going, [Attempt("j.1", 1, at(0))])
    (attempt,) = json.loads(wire.encode(encoded))["attempts"]
    assert (attempt["ended_at"], attempt["reason"]) == (None, None)


def test_a_missed_record_tells_how_many_and_why() -> None:
    """Rule L5."""
    missed = Missed("j", "backup", 1, Cause.OCCURRENCE, Reason.LATE, 5, at(0), at(4), 4)
    assert json.loads(wire.encode(wire.encode_missed(missed))) == {
        "job_id": "j",
        "job_name": "backup",
        "cause": "occurrence",
        "reason": "late",
        "count": 5,
        "first": "2026-03-01T09:00:00Z",
        "last": "2026-03-01T09:00:04Z",
    }


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, "0001-01-01T00:00:00Z"),
        (datetime(33, 4, 3, 15, tzinfo=UTC), "0033-04-03T15:00:00Z"),
        (
            datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-02-28T23:00:00Z",
        ),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_of_utc_with_four_digits_for_the_year(
    instant: datetime | None, text: str
) -> None:
    assert wire.encode_time(instant) == text


def test_all_that_a_client_may_write_is_read() -> None:
    body = {
        "name": "日次",
        "command": "true",
        "owner": "ada",
        "disabled": True,
        "schedule": "R//P1D",
        "time_zone": "Asia/Tokyo",
        "parent_jobs": ["b", "a"],
        "on_failure_job": "c",
        "retries": 2,
        "epsilon": "PT1H",
        "resume_at_next_scheduled_time": True,
        "rerun_lost": True,
    }
    expected: dict[str, Any] = {**body, "parent_jobs": ("b", "a")}
    assert decode(body) == Definition(**expected)


def test_the_default_owner_owns_what_nobody_is_named_for() -> None:
    assert decode(GOOD, "root@here").owner == "root@here"
    assert decode({**GOOD, "owner": ""}, "root@here").owner == "root@here"
    assert decode({**GOOD, "owner": "ada"}, "root@here").owner == "ada"


def test_null_is_as_good_as_empty_for_texts_and_lists() -> None:
    assert decode({**GOOD, "schedule": None, "parent_jobs": None}) == Definition(**GOOD)


@pytest.mark.parametrize(
    "more",
    [
        {  # of 2015
            "id": "93b65499-b211-49ce-57e0-19e735cc5abd",
            "dependent_jobs": None,
            "parent_jobs": None,
            "retries": 0,
            "success_count": 3,
            "last_success": wire.NEVER,
            "error_count": 1,
            "last_error": wire.NEVER,
            "last_attempted_run": wire.NEVER,
            "next_run_at": "2026-03-01T09:00:00.828794572-07:00",
        },
        {  # later
            "dependent_jobs": ["a"],
            "metadata": {"success_count": 2, "number_of_finished_runs": 2},
            "type": 0,
            "remote_properties": {"url": "", "headers": None, "timeout": 0},
            "TemplateDelimiters": "",
            "stats": [{"job_id": "a", "success": True, "execution_duration": 5}],
            "is_done": True,
        },
        {"remote_properties": None, "template_delimiters": None},
    ],
)
def test_what_kala_answers_may_be_posted(more: dict[str, Any]) -> None:
    assert decode({**GOOD, **more}) == Definition(**GOOD)


WRONG_TYPES: dict[str, list[object]] = {
    "name": [1, True, 1.0, {}, "\ud800"],
    "command": [1],
    "owner": [1],
    "schedule": [1],
    "epsilon": [1],
    "time_zone": [["a"]],
    "on_failure_job": [["a"]],
    "retries": ["3", 1.0, True, None, []],
    "parent_jobs": ["a", {}, 0, [1], [None], ["\udfff"]],
    "disabled": [0, "false", None],
    "resume_at_next_scheduled_time": [1, "true", None],
    "rerun_lost": [0, "false", None],
    "type": [2, "0", 0.0, False, None],
    "remote_properties": [{"a": 0}, [], "", 0],
    "template_delimiters": [{}, 0],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in WRONG_TYPES for value in WRONG_TYPES[field]]
)
def test_a_value_of_the_wrong_type_is_refused_with_one_that_works(
    field: str, value: object
) -> None:
    error = refusal({**GOOD, field: value})
    assert error.field == field
    assert str(error).startswith(f"{field}: ")
    check(decode({**GOOD, field: offered(error.example)}), START)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("shedule", "schedule"), ("Name", "name"), ("retrys", "retries"), ("timezone", "time_zone")],
)
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(typo: str, meant: str) -> None:
    error = refusal({**GOOD, typo: "x"})
    assert (error.field, offered(error.example)) == (typo, meant)


@pytest.mark.parametrize("name", ["", "x" * 10_000, "so odd a name", "\ud800", "qqqq"])
def test_an_unknown_field_like_no_other_is_refused_with_a_whole_job(name: str) -> None:
    error = refusal({**GOOD, name: "x"})
    assert error.found == name
    assert len(str(error)) < 500
    check(decode(error.example.encode()), START)


@pytest.mark.parametrize("name", ["name", "command"])
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    error = refusal({key: value for key, value in GOOD.items() if key != name})
    assert error.field == name
    check(decode(error.example.encode()), START)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"name": "a",}', "is not JSON"),
        (b'{"name": "a"} {}', "is not JSON"),
        (b"name=a&command=true", "is not JSON"),
        (b'\xef\xbb\xbf{"name": "a"}', "is not JSON"),
        (b'{"name": NaN}', "is not JSON"),
        (b'{"name": -Infinity}', "is not JSON"),
        (b'{"name": "\xff"}', "is not UTF-8"),
        ('{"name": "a"}'.encode("utf-16"), "is not UTF-8"),
        (b"[]", "must be a JSON object"),
        (b'"name"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"[" * 500_000, "is nested too deeply"),
        (b'{"stats": ' * 100_000, "is nested too deeply"),
        (b'{"metadata": 1e999}', "holds a number out of range"),
        (b'{"metadata": -1e999}', "holds a number out of range"),
        (b'{"retries": ' + b"9" * 5_000 + b"}", "holds a number out of range"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_one_that_works(
    body: bytes, problem: str
) -> None:
    error = refusal(body)
    assert error.field == "body"
    assert problem in error.problem
    assert len(str(error)) < 500
    check(decode(error.example.encode()), START)


def test_a_field_that_is_given_twice_is_refused() -> None:
    error = refusal(b'{"name": "a", "command": "true", "name": "b"}')
    assert (error.field, error.problem) == ("name", "is given twice")


def test_a_body_is_one_line() -> None:
    """Kind to those who read it in a terminal."""
    assert wire.encode({"name": "a\nb"}) == b'{"name":"a\\nb"}\n'


def decode_list(*entries: Any, most: int = 10) -> list[tuple[str, Definition]]:
    ids = itertools.count()
    body = entries[0] if isinstance(entries[0], bytes) else json.dumps(entries).encode()
    return bodies.decode_jobs(
        body, default_owner="ada", most=most, new_id=lambda: f"id {next(ids)}"
    )


UUID = "93b65499-b211-49ce-97e0-19e735cc5abd"


def test_the_jobs_of_a_list_name_those_before_them_by_position_and_by_name() -> None:
    jobs = decode_list(
        GOOD | {"name": "a"},
        GOOD | {"name": UUID, "owner": "bob"},
        GOOD | {"parent_jobs": ["a", 1, UUID]},
        GOOD | {"parent_jobs": None, "on_failure_job": "a"},
    )
    assert [job_id for job_id, _ in jobs] == ["id 0", "id 1", "id 2", "id 3"]
    assert [definition.owner for _, definition in jobs] == ["ada", "bob", "ada", "ada"]
    assert jobs[2][1].parent_jobs == ("id 0", "id 1", UUID)
    assert (jobs[3][1].parent_jobs, jobs[3][1].on_failure_job) == ((), "id 0")


@pytest.mark.parametrize(
    ("entries", "beginning"),
    [
        ([GOOD, GOOD | {"parent_jobs": ["later"]}, GOOD | {"name": "later"}], "1.parent_jobs: no"),
        ([GOOD, GOOD | {"parent_jobs": [1]}], "1.parent_jobs: must be the position, from 0,"),
        ([GOOD | {"on_failure_job": -1}], "0.on_failure_job: must be the position"),
        ([GOOD, GOOD | {"parent_jobs": [True]}], "1.parent_jobs: must be a string"),
        ([GOOD, GOOD | {"parent_jobs": 0}], "1.parent_jobs: must be a list"),
        ([GOOD, GOOD, GOOD | {"parent_jobs": ["backup"]}], "2.parent_jobs: several jobs before"),
        ([GOOD, GOOD | {"shedule": "R//PT1S"}], "1.shedule: a job has no such field"),
        ([GOOD, {"name": "a"}], "1.command: is missing"),
        ([GOOD, 7], "1.body: must be a JSON object"),
        ([GOOD] * 11, "body: must be 10 jobs at most"),
        ([b'[{"name": "a", "name": "b"}]'], "0.name: is given twice"),
        ([b'[{"name": "\xff"}]'], "0.body: is not UTF-8"),
        ([GOOD, GOOD | {"owner": "\ud800"}], "1.owner: holds half of a surrogate pair"),
        ([b'{"a": "\\ud800"}'], "body: must be a JSON list of jobs"),
        ([b"{}"], "body: must be a JSON list of jobs"),
        ([b"[{}"], "body: is not JSON"),
        ([b"[" * 100_000], "body: is nested too deeply"),
    ],
)
def test_a_list_is_refused_with_the_position_and_the_field_at_fault(
    entries: list[Any], beginning: str
) -> None:
    with pytest.raises(Refused) as caught:
        decode_list(*entries)
    assert str(caught.value).startswith(beginning)
