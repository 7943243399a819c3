"""The API as a whole: whatever is sent, answers are as documented, and refusals leave no trace.

The application, the scheduler, the journal and its file are the real ones. Time is drawn, and
attempts end when told to.
"""

import json
import random
import re
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from quart.testing import sentinel

from kala_trio.core.errors import Unavailable
from kala_trio.core.job import Answered, Exited, Lost, NoAnswer, NotStarted, Result, Signalled
from kala_trio.core.messages import Act, AttemptEnded, Event, Record, Request, StartAttempt, Tick
from kala_trio.core.scheduler import Scheduler
from kala_trio.runner.output import output_path
from kala_trio.store.journal import Journal
from kala_trio.store.reader import Reader
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from kala_trio.web.exposition import Watch
from properties import bodies
from properties.bodies import Fields
from properties.documented import check_answer
from properties.well import well

DOCUMENT = (Path(__file__).parent.parent / "docs" / "http-api.md").read_text()
START = datetime(2026, 3, 1, tzinfo=UTC)

CONTENT_TYPES = st.sampled_from(
    [
        *("application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-16"),
        *("multipart/form-data", "multipart/form-data; boundary=a", "", "x", "application/json;;="),
    ]
)
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "BREW"]
QUERIES = ["", "", "", "?", "?limit=1", "?limit=0", "?outcome=failed", "?limit=x&sort=", "?a=%00"]
QUERIES += ["?limit=%F0", "?limit=9&limit=x", "?cursor=" + "9" * 400, "?limit=%D9%A3"]
ODD_IDS = [
    *("all", "stats", "start", "a", " ", "..", "../..", "a.1", "\0", "\n", "ü", "日次", "%", "'"),
    *('"; DROP TABLE jobs; --', "i" * 5000, "\ufffd", "a/b", "?", "#", "\u202e", "{}", "0" * 36),
]

ROUTES = [tuple(each.groups()) for each in re.finditer(r"^### (\w+) `(.*?)`", DOCUMENT, re.M)]


def documented(heading: str) -> set[str]:
    """Return the keys in the tables under a heading of the document, of both generations."""
    (section,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", DOCUMENT, re.M | re.S)
    cells = [row.split("|")[1:-2] for row in section.splitlines() if row.startswith("| `")]
    if not all(len(row) == 2 and row[1].strip().startswith("`") for row in cells):
        cells = [row[:1] for row in cells]
    return {key for row in cells for cell in row for key in re.findall(r"`(\w+)`", cell)}


JOB = documented("POST `/api/v1/job/`") | documented("GET `/api/v1/job/{job_id}/`")
STAT = documented("GET `/api/v1/job/stats/{job_id}/`")
TOTALS = documented("GET `/api/v1/stats/`")
COUNTS = {"success_count", "error_count", "last_success", "last_error", "last_attempted_run"}
RUN = {"id", "job_id", "job_name", "trigger", "started_at", "ended_at", "outcome", "reason"}
RUN |= {"attempts", "next_attempt_at"}
TRIGGER = {"cause", "scheduled_at", "occurrence", "source"}
ATTEMPT = {"number", "started_at", "ended_at", "reason"}
MISSED = {"job_id", "job_name", "cause", "reason", "count", "first", "last"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value."""
        return json.loads(self.body)


class Server:
    """The application on a scheduler and a file of its own; ``now`` is the scheduler's clock."""

    def __init__(self, directory: Path) -> None:
        """Begin without any job."""
        self.now = START
        self.output = directory / "output"
        self.full = False
        self.in_progress: dict[str, StartAttempt] = {}
        self._journal = Journal(directory / "kala.db")
        self._reader = Reader(directory / "kala.db")
        self._scheduler = Scheduler()
        # The same each time, since what happens depends on ids: jitter, for one.
        drawn = random.Random(0)
        acceptance = Acceptance(
            "ada",
            has_mail=True,
            new_id=lambda: str(uuid.UUID(int=drawn.getrandbits(128), version=4)),
        )
        ways, watch = (self._reader, self._ask), Watch(self._reader.path, self.output, well)
        self._app = create_app(*ways, acceptance=acceptance, output=self.output, watch=watch)

    async def _ask(self, request: Request) -> None:
        await self._decide(request)

    async def _decide(self, event: Event) -> None:
        commands = self._scheduler.handle(event, self.now)
        try:
            await self._commit([each for each in commands if not isinstance(each, Act)])
        except Unavailable:
            self._scheduler.rollback()
            raise
        self._scheduler.committed()
        for each in commands:
            if isinstance(each, StartAttempt):
                self.in_progress[each.run.id] = each

    async def _commit(self, records: Sequence[Record]) -> None:
        if self.full:
            raise Unavailable("database: the disk is full")
        await self._journal.commit(records)

    def happen(self, event: Event) -> None:
        """Let something happen that no client asked for."""
        trio.run(self._decide, event)

    def settle(self) -> None:
        """Serve all that is due."""
        while self._scheduler.is_due(self.now):
            self.happen(Tick())

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "application/json",
        *,
        if_match: str = "",
        key: str = "",
    ) -> Answer:
        """Send a request, and hold what every answer must be, and that it is as described."""

        async def sent() -> Answer:
            given = {"Content-Type": content_type, "If-Match": if_match, "Idempotency-Key": key}
            headers = {name: value for name, value in given.items() if value}
            client = self._app.test_client()
            response = await client.open(
                path, method=method, data=body, headers=headers, json=sentinel
            )
            told = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, told, await response.get_data(as_text=False))

        answer = trio.run(sent)
        assert answer.status < 500 or (answer.status == 503 and self.full), answer
        assert answer.status not in range(300, 400)
        if answer.status >= 400 and method != "HEAD":
            assert answer.headers["content-type"] == "application/json"
            assert answer.json().keys() == {"error"}
            assert answer.json()["error"].strip()
        if answer.status == 405:
            assert method not in answer.headers["allow"].split(", ")
        if answer.status == 503:
            assert answer.headers["retry-after"].isdigit()
        if answer.status == 204:
            assert answer.body == b""
        check_answer(method, path, *answer)
        return answer

    def post_job(self, fields: Fields, key: str = "") -> Answer:
        """Ask for a job."""
        return self.send("POST", "/api/v1/job/", json.dumps(fields).encode(), key=key)

    def get(self, path: str) -> Any:
        """Get what must be there."""
        answer = self.send("GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def all(self) -> tuple[Any, Any]:
        """Return all jobs and all figures, without the instant at which they were counted."""
        totals = self.get("/api/v1/stats/")["Stats"]
        assert totals.keys() == TOTALS
        del totals["CreatedAt"], totals["created"]
        return self.get("/api/v1/job/")["jobs"], totals

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._journal.close()


class Api(RuleBasedStateMachine):
    """Any requests in any order, among them many that make no sense."""

    def __init__(self) -> None:
        """Begin with an empty server."""
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.server = Server(Path(self.directory.name))
        self.ids: list[str] = []
        self.run_ids: list[str] = []

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.server.close()
        self.directory.cleanup()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Create one job to talk about."""
        self.create(data)

    def present(self) -> list[str]:
        """Return the ids of the jobs that exist."""
        return [*self.server.get("/api/v1/job/")["jobs"]]

    def created(self, answer: Answer) -> Any:
        """Return the job that an answer promises."""
        assert answer.json().keys() == {"id"}
        job_id = answer.json()["id"]
        assert uuid.UUID(job_id).version == 4
        self.ids.append(job_id)
        job = self.server.get(f"/api/v1/job/{job_id}/")["job"]
        assert job["id"] == job_id
        return job

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """Create a job that is as it should be: it is there at once, as it was written."""
        fields = data.draw(bodies.good_fields(self.present()))
        answer = self.server.post_job(fields)
        assert answer.status == 201, answer
        job = self.created(answer)
        for key in bodies.TYPES.keys() & fields.keys():
            expected = fields[key]
            if key == "parent_jobs":
                expected = [*dict.fromkeys(expected)]
            shown = job.get(key, bodies.USUAL.get(key))
            assert shown == (expected or ("ada" if key == "owner" else expected))

    @rule(wrong=bodies.wrong_fields())
    def create_wrongly(self, wrong: tuple[str, Fields]) -> None:
        """Ask for a job of which one key is wrong: it is that key that is named."""
        key, fields = wrong
        before = self.server.all()
        answer = self.server.post_job(fields)
        assert answer.status == 400, answer
        assert re.match(rf"{key}: .*, found .*; for example ", answer.json()["error"], re.S)
        assert self.server.all() == before

    def post_list(self, entries: list[Fields]) -> Answer:
        """Ask for jobs together."""
        return self.server.send("POST", "/api/v1/job/bulk/", json.dumps(entries).encode())

    @rule(data=st.data())
    def create_together(self, data: st.DataObject) -> None:
        """Create jobs that are as they should be: all are there, in the order given."""
        before = self.present()
        entries = data.draw(bodies.good_lists(before))
        answer = self.post_list(entries)
        assert answer.status == 201, answer
        ids = answer.json()["ids"]
        assert answer.json() == {"ids": ids}
        assert self.present() == [*before, *ids]
        assert all(uuid.UUID(job_id).version == 4 for job_id in ids)
        self.ids += ids
        names = [fields["name"] for fields in entries]
        for job_id, fields in zip(ids, entries, strict=True):
            job = self.server.get(f"/api/v1/job/{job_id}/")["job"]
            assert job["name"] == fields["name"]
            meant = [
                ids[each if isinstance(each, int) else names.index(each)]
                if each not in before
                else each
                for each in fields.get("parent_jobs") or []
            ]
            assert job["parent_jobs"] == ([*dict.fromkeys(meant)] or None)

    @rule(data=st.data(), fresh=st.uuids(version=4).map(str))
    def create_under_a_key(self, data: st.DataObject, fresh: str) -> None:
        """M7: a job that is there stays as it is, and a key with a history is no new job's."""
        key = data.draw(st.sampled_from([*self.ids, fresh]))
        before = self.server.all()
        answer = self.server.post_job(data.draw(bodies.good_fields([*before[0]])), key)
        if answer.status == 409:
            assert key not in before[0]
            assert self.server.all() == before
            return
        assert (answer.status, answer.json()) == (201, {"id": key})
        if key in before[0]:
            assert self.server.all() == before
        else:
            self.created(answer)

    @rule(data=st.data(), wrong=bodies.wrong_fields())
    def create_together_wrongly(self, data: st.DataObject, wrong: tuple[str, Fields]) -> None:
        """Ask for jobs of which one is wrong: it is named by its place, and none is created."""
        key, fields = wrong
        before = self.server.all()
        entries = data.draw(bodies.good_lists([*before[0]]))
        place = data.draw(st.integers(0, len(entries)))
        answer = self.post_list([*entries[:place], fields, *entries[place:]])
        assert answer.status == 400, answer
        text = answer.json()["error"]
        assert re.match(rf"{place}\.{key}: .*, found .*; for example ", text, re.S), text
        assert self.server.all() == before

    @rule(data=st.data())
    def post_any_list(self, data: st.DataObject) -> None:
        """Post any bytes as a list."""
        before = self.server.all()
        entries = [data.draw(bodies.any_bodies([*before[0]])) for _ in range(2)]
        body = data.draw(
            st.sampled_from(
                [b"[" + b",".join(entries) + b"]", b"[" + entries[0] + b"]", entries[0]]
            )
        )
        answer = self.server.send("POST", "/api/v1/job/bulk", body)
        if answer.status == 201:
            self.ids += answer.json()["ids"]
            return
        assert answer.status == 400
        assert self.server.all() == before

    @rule(data=st.data(), content_type=CONTENT_TYPES, slash=st.sampled_from(["", "/"]))
    def post_anything(self, data: st.DataObject, content_type: str, slash: str) -> None:
        """Post any bytes, of any type."""
        before = self.server.all()
        body = data.draw(bodies.any_bodies([*before[0]]))
        answer = self.server.send("POST", f"/api/v1/job{slash}", body, content_type)
        if answer.status == 201:
            self.created(answer)
            return
        assert answer.status == 400
        assert self.server.all() == before

    @rule(data=st.data(), full=st.sampled_from([False, False, True]))
    def ask_anything(self, data: st.DataObject, full: bool) -> None:
        """Ask a documented path for any id, by any method, while the disk may be full."""
        known, route = data.draw(st.sampled_from(ROUTES))
        method = data.draw(st.just(known) | st.sampled_from(METHODS))
        some = self.ids + self.run_ids
        name = data.draw(
            st.sampled_from([*some, *some, *ODD_IDS]) | st.uuids().map(str) | st.text()
        )
        shown = quote(name.encode(errors="replace"), safe=data.draw(st.sampled_from(["", "/"])))
        shown = data.draw(st.sampled_from([shown, shown, shown + "%", shown + "%FF", "%2e%2E/all"]))
        path = re.sub(r"{\w+}", lambda _: shown, route)
        path = data.draw(st.sampled_from([path, path, path[:-1], path + "/", path.upper(), "/v1/"]))
        query = data.draw(st.sampled_from(QUERIES))
        before = self.server.all()
        self.server.full = full
        answer = self.server.send(method, path + query, b"{}" if method == "POST" else b"")
        self.server.full = False
        if answer.status >= 400 or method in ("GET", "HEAD", "OPTIONS"):
            assert self.server.all() == before

    @precondition(lambda self: self.ids)
    @rule(
        data=st.data(),
        what=st.sampled_from(["start", "start", "enable", "disable", "delete"]),
    )
    def change(self, data: st.DataObject, what: str) -> None:
        """Change a job, which takes effect at once, or find it gone, or disabled (rule M2)."""
        job_id = data.draw(st.sampled_from(self.ids))
        before, totals = self.server.all()
        method, path = ("DELETE", "") if what == "delete" else ("POST", f"{what}/")
        answer = self.server.send(method, f"/api/v1/job/{path}{job_id}/")
        after = self.server.all()
        if job_id not in before:
            assert answer.status == 404
        elif what == "start" and before[job_id]["disabled"]:
            assert answer.status == 409
        else:
            assert answer.status == 204
            assert (job_id in after[0]) == (what != "delete")
            if what in ("enable", "disable"):
                assert after[0][job_id]["disabled"] == (what == "disable")
            return
        assert after == (before, totals)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def post_back(self, data: st.DataObject) -> None:
        """Post an answer back: it makes an equal job, unless its time has passed (S9)."""
        before = self.server.all()
        job = before[0].get(data.draw(st.sampled_from(self.ids)))
        if job is None:
            return
        answer = self.server.post_job(job)
        if answer.status == 201:
            copy = self.created(answer)
            written = bodies.TYPES.keys()
            assert {key: copy[key] for key in copy.keys() & written} == {
                key: job[key] for key in job.keys() & written
            }
            return
        assert answer.status == 400
        assert "schedule: cannot be scheduled in the past" in answer.json()["error"]
        assert self.server.all() == before

    @rule(seconds=st.sampled_from([0, 0.5, 10, 3600, 86_400 * 40]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.server.now += timedelta(seconds=seconds)
        self.server.settle()

    @precondition(lambda self: self.server.in_progress)
    @rule(
        data=st.data(),
        result=st.sampled_from(
            [
                *(Exited(0), Exited(0), Exited(3), Signalled("SIGKILL"), NotStarted("\0 ü")),
                *(Answered(200, is_expected=True), Answered(599, is_expected=False)),
                *(NoAnswer("\0 ü"), Lost()),
            ]
        ),
        written=st.binary(max_size=20),
    )
    def end(
        self,
        data: st.DataObject,
        result: Result,
        written: bytes,
    ) -> None:
        """Let an attempt end, after it has written something."""
        server = self.server
        run_id = data.draw(st.sampled_from([*server.in_progress]))
        act = server.in_progress.pop(run_id)
        self.run_ids.append(run_id)
        path = output_path(server.output, run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written)
        ended = AttemptEnded(run_id, act.number, act.run.started_at, server.now, result)
        server.happen(ended)
        assert server.send("GET", f"/api/v1/run/output/{run_id}/").body == written

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read all that there is about a job: each key that is documented, and no other."""
        job_id = data.draw(st.sampled_from(self.ids))
        jobs, _ = self.server.all()
        for kind, name, check in (
            ("stats", "job_stats", check_stat),
            ("runs", "runs", check_run),
            ("missed", "missed", check_missed),
        ):
            answer = self.server.send("GET", f"/api/v1/job/{kind}/{job_id}")
            if answer.status == 404:
                assert job_id not in jobs
                continue
            assert answer.json().keys() == ({name, "next"} if kind == "runs" else {name})
            for each in answer.json()[name]:
                check(each)
        for job in jobs.values():
            check_job(job)


def check_job(job: Any) -> None:
    """Hold that a job is as documented."""
    assert JOB - {*bodies.USUAL, "pending", "running"} <= job.keys() <= JOB
    assert job["metadata"].keys() == COUNTS | {"number_of_finished_runs"}
    assert {key: job[key] for key in COUNTS} == {key: job["metadata"][key] for key in COUNTS}
    assert len(job["stats"]) <= 10
    for stat in job["stats"]:
        check_stat(stat)


def check_stat(stat: Any) -> None:
    """Hold that a stat is as documented, and says the same in both generations."""
    assert stat.keys() == STAT
    for key in STAT:
        later = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
        assert stat[key] == stat[later]


def check_run(run: Any) -> None:
    """Hold that a run is as documented."""
    assert run["trigger"].keys() == TRIGGER
    if run["outcome"] == "missed":
        assert run.keys() == RUN | {"count", "first", "last"}
        return
    assert run.keys() == RUN
    assert run["attempts"]
    for attempt in run["attempts"]:
        assert attempt.keys() == ATTEMPT


def check_missed(missed: Any) -> None:
    """Hold that a missed record is as documented."""
    assert missed.keys() == MISSED


def test_whatever_is_asked_the_answer_is_as_documented() -> None:
    """C1, S8, S9, M2: no 500, each refusal in a sentence and without a trace, each 201 readable."""
    sequences = max(1, settings().max_examples // 3)  # each is twenty requests and more
    run_state_machine_as_test(
        Api, settings=settings(max_examples=sequences, stateful_step_count=20)
    )


def test_a_list_has_a_bound_of_its_own_in_bytes_and_in_jobs() -> None:
    """D6: one beyond the bound is refused, whatever is in it."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        fields = json.dumps([{"name": "a", "command": "true"}] * 500).encode()
        fits = fields + b" " * (8 * 1024 * 1024 - len(fields))
        answer = server.send("POST", "/api/v1/job/bulk/", fits)
        assert (answer.status, len(answer.json()["ids"])) == (201, 500)
        before = server.all()
        assert server.send("POST", "/api/v1/job/bulk/", fits + b" ").status == 413
        many = server.send("POST", "/api/v1/job/bulk/", json.dumps([{}] * 501).encode())
        assert many.status == 400
        assert many.json()["error"].startswith("body: must be 500 jobs at most; ")
        assert server.all() == before
        server.close()


@given(st.integers(1, 3), st.sampled_from(["application/json", "multipart/form-data; boundary=a"]))
@settings(max_examples=6)
def test_a_body_of_more_than_a_mebibyte_is_refused(more: int, content_type: str) -> None:
    """Neither its size nor its type makes a body more than a refusal; one that fits is read."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        fields = json.dumps({"name": "a", "command": "true"}).encode()
        fits = fields + b" " * (1024 * 1024 - len(fields))
        assert server.send("POST", "/api/v1/job/", fits, content_type).status == 201
        before = server.all()
        refused = server.send("POST", "/api/v1/job/", fits + b" " * more, content_type)
        assert refused.status == 413
        assert server.all() == before
        server.close()
