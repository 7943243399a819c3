"""The API held to its own description by Schemathesis, a reader of it that is not ours.

It is optional: ``pip install --group api``; ``tox -e api`` has it.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kala_trio.tokens import Role, Tokens
from properties.documented import document
from properties.test_api import Server
from tests.daemon import Daemon, running

schemathesis: Any = pytest.importorskip("schemathesis", reason="pip install --group api")
requests: Any = import_module("requests")
checks: Any = import_module("schemathesis.specs.openapi.checks")

EXAMPLES = 8
STORIES, STEPS = 40, 15
FEW = {"id", "version", "name", "command", "retries", "tags", "parent_jobs", "on_failure_job"}
"""The keys that jobs in lists have here."""

NOWHERE = "--deny-targets=0.0.0.0/0,::/0"
"""So that no job, webhook or ping goes anywhere, whatever URL was drawn for it."""


def described(*, is_good: bool = False, **changes: object) -> Any:
    """Return the document as Schemathesis reads it, with changes; ``is_good``: to ask what fits it.

    A cursor fits the document if it is a text, and is accepted if an answer has held it: so only
    none counts as one here. Jobs in lists have a few keys, since each is drawn for a job by itself.
    """
    told = copy.deepcopy(document())
    schemas = told["components"]["schemas"]
    for job in (
        schemas["ListedJob"],
        *(it["items"] for it in schemas["Changes"]["properties"].values()),
    ):
        job["properties"] = {key: job["properties"][key] for key in FEW & job["properties"].keys()}
    for operations in told["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "cursor":
                    parameter["schema"] = parameter["schema"] | {"maxLength": 0}
    config = schemathesis.Config()
    modes = [schemathesis.GenerationMode.POSITIVE] if is_good else None
    config.projects.default.generation.update(
        modes=modes, deterministic=True, max_examples=EXAMPLES
    )
    return schemathesis.openapi.from_dict(told | changes, config=config)


DESCRIBED = described()
LOCKED = described(is_good=True, security=[{"token": []}])
LOCKED.config.phases.coverage.enabled = False
LOCKED.config.generation.update(max_examples=2, with_security_parameters=False)
JOB = {"name": "job", "command": "true"}
GOOD_BODIES: dict[tuple[str, str], object] = {
    ("post", "/api/v1/job/"): JOB,
    ("post", "/api/v1/job/bulk/"): [JOB],
    ("put", "/api/v1/job/{job_id}/"): JOB,
    ("patch", "/api/v1/job/{job_id}/"): {"retries": 1},
}
HISTORY = {"get_job_runs", "get_job_missed", "get_job_notices"}
"""What is told of deleted jobs, too."""


def each_request_of(schema: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a test have what may be sent to each operation, good and bad."""
    decorate: Callable[[Callable[..., None]], Callable[..., None]] = schema.parametrize()
    return decorate


def harmless(body: Any) -> Any:
    """Return a body of which no command does anything; what the document refuses stays as it is."""
    if isinstance(body, list):
        return [harmless(each) for each in body]
    if isinstance(body, dict):
        command = body.get("command")
        if isinstance(command, str) and 0 < len(command) <= 10_000:
            return body | {"command": "true"}
    return body


def judged_elsewhere(case: Any) -> list[Any]:
    """Return the checks that are left out: of a job the document tells the form, and not all."""
    is_exact = "requestBody" not in case.operation.definition.raw
    return [] if is_exact else [checks.positive_data_acceptance]


@pytest.fixture(scope="module")
def open_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon that nothing gets out of, and that has nothing to tell in the end."""
    with running(tmp_path_factory.mktemp("daemon") / "kala.db", NOWHERE) as daemon:
        yield daemon
        status, errors = daemon.end()
        assert status == 0
        # It may tell of pings that went nowhere, and that it was told to stop.
        expected = ("ERROR notice ", "WARNING SIGTERM: stopping")
        assert [line for line in errors.splitlines() if not any(map(line.count, expected))] == []


@each_request_of(DESCRIBED)
def test_whatever_is_asked_is_answered_as_described(case: Any, open_daemon: Daemon) -> None:
    """All checks there are: statuses, types, headers, methods; what fits is taken, else refused."""
    case.body = harmless(case.body)
    case.call_and_validate(base_url=open_daemon.url, excluded_checks=judged_elsewhere(case))


@pytest.fixture(scope="module")
def locked_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, str]]:
    """Run a daemon that lets in nobody without a token, and return such a one."""
    db = tmp_path_factory.mktemp("daemon") / "kala.db"
    with running(db, NOWHERE) as daemon:
        yield daemon, Tokens(db).new("ada", Role.ADMIN, datetime.now(UTC))


@each_request_of(LOCKED)
def test_nothing_is_answered_without_a_token(case: Any, locked_daemon: tuple[Daemon, str]) -> None:
    """Whatever is asked, but whether all is well; and with one it is answered as described."""
    case.body = harmless(case.body)
    daemon, secret = locked_daemon
    is_open = case.operation.definition.raw.get("security") == []
    assert (case.call(base_url=daemon.url).status_code == 401) != is_open
    token = {"Authorization": f"Bearer {secret}"}
    conforming = [checks.status_code_conformance]
    case.call_and_validate(base_url=daemon.url, headers=token, checks=conforming)


class Ledger:
    """Which jobs a story has made and deleted, and which operations have done what was asked."""

    def __init__(self) -> None:
        """Begin with no job."""
        self.there: set[str] = set()
        self.gone: set[str] = set()
        self.done: set[str] = set()

    def note(self, case: Any, response: Any) -> None:
        """Hold that a job is found from when it is made until it is deleted, and no longer."""
        name, job_id = case.operation.definition.raw["operationId"], job_of(case)
        if job_id in self.there:
            assert response.status_code != 404
        elif job_id in self.gone:
            assert response.status_code == 404 or name in HISTORY
        if response.status_code >= 300:
            return
        self.done.add(name)
        if name == "create_job":
            self.there.add(response.json()["id"])
        elif name == "create_jobs":
            self.there.update(response.json()["ids"])
        elif name == "delete_job":
            self.there.remove(job_id)
            self.gone.add(job_id)
        elif name == "delete_all_jobs":
            self.gone |= self.there
            self.there = set()


def job_of(case: Any) -> str:
    """Return the id of the job that a request is about, empty if it is about none."""
    job_id: str = (case.path_parameters or {}).get("job_id", "")
    return job_id


def sent(server: Server, case: Any) -> Any:
    """Send what Schemathesis asks to a server within this process; return what it reads."""
    asked = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    answer = server.send(
        asked.method,
        asked.path_url.replace("follow=true", "follow=false"),  # no run ends meanwhile
        asked.body or b"",
        if_match=asked.headers.get("If-Match", ""),
        key=asked.headers.get("Idempotency-Key", ""),
    )
    server.settle()
    headers = {name: [value] for name, value in answer.headers.items()}
    return schemathesis.Response(answer.status, headers, answer.body, asked, 0.0, verify=False)


def test_what_a_link_leads_to_is_there_until_it_is_deleted(tmp_path: Path) -> None:
    """Any sequence of requests along the links of the document, which reaches all that they do."""
    linked = described(is_good=True)
    done: set[str] = set()

    class Story(linked.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.directory = tempfile.TemporaryDirectory()
            self.server, self.ledger = Server(Path(self.directory.name)), Ledger()

        def teardown(self) -> None:
            self.server.close()
            self.directory.cleanup()
            done.update(self.ledger.done)

        def call(self, case: Any) -> Any:
            case.body = GOOD_BODIES.get((case.operation.method, case.operation.path), case.body)
            return sent(self.server, case)

        def validate_response(self, response: Any, case: Any) -> None:
            # It looks for what belongs to a job below its path, which is not where Kala has it.
            by_ledger = [*judged_elsewhere(case), checks.ensure_resource_availability]
            case.validate_response(response, excluded_checks=by_ledger, recorder=self.recorder)
            self.ledger.note(case, response)

    Story.run(
        settings=settings(
            max_examples=STORIES, stateful_step_count=STEPS, derandomize=True, deadline=None
        )
    )
    assert {"get_job", "replace_job", "patch_job", "start_job", "delete_job"} <= done
