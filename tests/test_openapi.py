"""The description of the API is valid, complete, and true of a server's answers."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from kala_trio.core.definition import KEYS, Remote
from kala_trio.core.job import Exited
from kala_trio.core.messages import AttemptEnded
from kala_trio.store.reader import Reader
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from properties.documented import PATH, check, document, schema
from properties.test_api import Server

JOB = {"name": "a", "command": "true", "schedule": "R//PT1H"}
REQUESTS = ["NewJob", "ListedJob", "JobPatch"]
OPERATIONS = [
    (method, path, operation)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
]
READS = {path: operation for method, path, operation in OPERATIONS if method == "get"}
NUMBERS = [key for key in KEYS if "maximum" in schema("NewJob")["properties"][key]]
TEXTS = [key for key in KEYS if "maxLength" in schema("NewJob")["properties"][key]]


def queried(operation: Any) -> dict[str, Any]:
    """Return the parameters that stand after a question mark, each with its schema."""
    parameters = operation.get("parameters", ())
    return {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a server, each answer of which is held to the description."""
    server = Server(tmp_path)
    yield server
    server.close()


def create(server: Server, **fields: object) -> str:
    """Create a job, and return its id."""
    answer = server.post_job(JOB | fields)
    assert answer.status == 201, answer
    job_id: str = answer.json()["id"]
    return job_id


def end(server: Server, run_id: str, code: int) -> None:
    """Let the attempt of a run that is in progress end."""
    act = server.in_progress.pop(run_id)
    server.now += timedelta(seconds=1)
    server.happen(AttemptEnded(run_id, act.number, act.run.started_at, server.now, Exited(code)))
    server.settle()


def examples(described: Any) -> Iterator[tuple[object, Any]]:
    """Yield each example in a part of the document, with the schema that it stands in."""
    if isinstance(described, list):
        for each in described:
            yield from examples(each)
    elif isinstance(described, dict):
        if "type" in described and isinstance(described.get("examples"), list):
            yield from ((example, described) for example in described["examples"])
        for each in described.values():
            yield from examples(each)


def test_the_document_is_valid_by_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1.")
    validate(document(), cls=OpenAPIV31SpecValidator)


def test_the_document_is_found_with_and_without_a_last_slash(server: Server) -> None:
    assert server.get(PATH) == server.get(f"{PATH}/") == document()


def test_every_route_is_in_the_document_and_the_other_way_round(tmp_path: Path) -> None:
    async def ask(request: object) -> None:
        raise AssertionError(request)

    app = create_app(Reader(tmp_path / "kala.db"), ask, acceptance=Acceptance(), output=tmp_path)
    built = set()
    for rule in app.url_map.iter_rules():
        if rule.rule == "/" or rule.rule.startswith(("/webui", "/static")):
            continue  # a page, for people
        several = re.search(r"<any\((.*?)\):\w+>", rule.rule)
        for what in several[1].split(", ") if several else ("",):
            named = re.sub(r"<any\(.*?\):\w+>", what, rule.rule)
            path = re.sub(r"<(\w+)>", r"{\1}", named)
            built |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert built == {(method.upper(), path) for method, path, _ in OPERATIONS}


@pytest.mark.parametrize("name", [*REQUESTS, "Job"])
def test_every_key_of_a_job_is_described_in_words(name: str) -> None:
    described = schema(name)["properties"]
    assert KEYS.keys() <= described.keys()
    assert [key for key in KEYS if not described[key].get("description")] == []
    assert [*described["remote_properties"]["properties"]] == [*Remote.__struct_fields__]


def test_there_are_examples_and_they_are_as_their_schemas_say() -> None:
    found = [*examples(document())]
    assert len(found) > len(KEYS)
    for example, described in found:
        check(example, described)


def test_each_default_is_what_a_key_that_is_left_out_has(server: Server) -> None:
    left_out = server.get(f"/api/v1/job/{create(server)}/")["job"]
    described = schema("NewJob")["properties"]
    written = {
        key: described[key]["default"] for key in KEYS.keys() - JOB.keys() - {"remote_properties"}
    }
    spelled_out = server.get(f"/api/v1/job/{create(server, **written)}/")["job"]
    assert {key: left_out.get(key) for key in KEYS} == {key: spelled_out.get(key) for key in KEYS}


@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_within_the_bounds_are_accepted_and_no_others(server: Server, key: str) -> None:
    described = schema("NewJob")["properties"][key]
    others = {"overlap": "allow"} if key == "max_running" else {}
    for bound, step in (("minimum", -1), ("maximum", 1)):
        create(server, **others, **{key: described[bound]})
        assert server.post_job(JOB | others | {key: described[bound] + step}).status == 400


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_longer_than_its_bound_is_refused(server: Server, key: str) -> None:
    longest = schema("NewJob")["properties"][key]["maxLength"]
    error = server.post_job(JOB | {key: "/" + "a" * longest}).json()["error"]
    assert error.startswith(f"{key}: must have {longest} characters at most")


def test_only_what_is_read_has_parameters_after_a_question_mark() -> None:
    others = [operation for method, _, operation in OPERATIONS if method != "get"]
    assert [each["operationId"] for each in others if queried(each)] == []


@pytest.mark.parametrize("path", READS)
def test_the_parameters_that_are_described_are_those_that_are_known(
    server: Server, path: str
) -> None:
    """A refusal of one that is not known names all that are."""
    answer = server.send("GET", f"{re.sub('{.*}', create(server), path)}?nonsense=1")
    assert (answer.status == 400) == ("400" in READS[path]["responses"])
    known = answer.json()["error"].partition("; for example ")[2] if answer.status == 400 else ""
    assert set(queried(READS[path])) == set(filter(None, known.split(", ")))


@pytest.mark.parametrize("path", READS)
def test_a_number_in_a_query_is_accepted_within_its_bounds_only(server: Server, path: str) -> None:
    job_id = create(server, schedule="")
    server.settle()
    asked = path.replace("{job_id}", job_id).replace("{run_id}", f"{job_id}.1")
    for name, described in queried(READS[path]).items():
        if "maximum" in described:
            least, most = described["minimum"], described["maximum"]
            for number, status in ((least, 200), (most, 200), (least - 1, 400), (most + 1, 400)):
                assert server.send("GET", f"{asked}?{name}={number}").status == status


def test_a_life_of_jobs_is_answered_as_described(server: Server) -> None:
    """``send`` judges each answer: what is asked for here is of every kind."""
    keys = {"tags": ["a"], "env": {"A": "b"}, "timeout": "PT1M", "retry_backoff": 2.5}
    job_id = create(server, **keys, retries=1, retry_delay="PT10S")
    hook = {"url": "https://example.com/", "headers": {"A": ["b"]}, "follow_redirects": True}
    create(server, command="", type=1, remote_properties=hook)
    path = f"/api/v1/job/{job_id}/"
    for _ in range(2):
        assert server.send("POST", f"/api/v1/job/start/{job_id}/").status == 204
    assert server.get(path)["job"]["pending"]
    assert server.send("POST", f"/api/v1/job/disable/{job_id}/").status == 204
    end(server, f"{job_id}.1", 1)
    runs = server.get(f"/api/v1/job/runs/{job_id}/")["runs"]
    assert {run["outcome"] for run in runs} == {"missed", None}
    assert server.send("POST", f"/api/v1/run/cancel/{job_id}.1/").status == 204
    assert server.send("POST", f"/api/v1/run/cancel/{job_id}.1/").status == 409
    assert server.get(f"/api/v1/run/{job_id}.1/")["run"]["attempts"]
    assert server.get(f"/api/v1/job/missed/{job_id}/")["missed"]
    assert server.get(f"/api/v1/job/stats/{job_id}/")["job_stats"]
    assert server.send("GET", f"/api/v1/run/{job_id}.1/output/?download=true").status == 200
    assert server.get("/api/v1/job/?limit=1")["next"]
    assert server.get("/api/v1/run/?outcome=missed,cancelled&cause=manual")["runs"]
    assert server.get("/api/v1/stats/")["Stats"]["jobs"] == 2
    assert server.send("PATCH", path, b'{"tags": null}').status == 200
    assert server.send("PATCH", path, b"{}", if_match='"1"').status == 412
    assert server.send("PUT", path, json.dumps(JOB).encode()).status == 200
    assert server.send("POST", "/api/v1/job/", b" " * 2_000_000).status == 413
    server.full = True
    assert server.send("DELETE", path).status == 503


@pytest.mark.parametrize(
    "wrong",
    [
        {"next_run_at": "tomorrow"},
        {"stats": [{}]},
        {"another": 1},
        {"overlap": "maybe"},
        {"retries": "3"},
        {"dependent_jobs": [1]},
        {"pending": {"cause": "chance"}},
    ],
)
def test_an_answer_that_is_not_as_described_would_be_noticed(
    server: Server, wrong: dict[str, object]
) -> None:
    job = server.get(f"/api/v1/job/{create(server)}/")["job"]
    check(job, schema("Job"))
    with pytest.raises(ValidationError):
        check(job | wrong, schema("Job"))
