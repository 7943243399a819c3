"""The Python client for ordinary programs, against a real daemon."""

import inspect
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kala_trio.client import Client, Conflict, NotFound, Outdated, Refused
from kala_trio.core.definition import KEYS
from tests.daemon import FUTURE, Daemon, eventually, fifo


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client


def created(client: Client, **keys: Any) -> str:
    """Create a job that does not run by itself."""
    usual: dict[str, Any] = {"name": "job", "command": "true", "schedule": FUTURE}
    return client.create(**usual | keys)


def test_a_job_that_was_created_is_got_with_its_keys_and_version(client: Client) -> None:
    job_id = created(client, tags={"a"}, timeout=timedelta(minutes=5), retries=2)
    job = client.get(job_id)
    assert (job.id, job.name, job.version) == (job_id, "job", 1)
    assert (job["tags"], job["timeout"], job["retries"]) == (["a"], "PT300S", 2)


def test_a_create_under_one_id_creates_one_job_however_often(client: Client) -> None:
    wanted = uuid.uuid4()
    assert created(client, job_id=wanted) == created(client, job_id=str(wanted)) == str(wanted)


def test_a_list_of_jobs_is_created_whose_entries_name_each_other(client: Client) -> None:
    first, second = client.create_all(
        [
            {"name": "a", "command": "true", "schedule": FUTURE},
            {"name": "b", "command": "true", "parent_jobs": ["a"]},
        ]
    )
    assert client.get(second)["parent_jobs"] == [first]


def test_a_search_goes_on_over_all_of_its_pages(client: Client) -> None:
    owner = str(uuid.uuid4())
    ids = [created(client, owner=owner, name=f"job {number}") for number in range(5)]
    assert [job.id for job in client.find(owner=owner, sort="-name", limit=2)] == ids[::-1]
    assert {*ids} <= {job.id for job in client.find()}
    assert [*client.find(owner=owner, next_before=datetime.now(UTC))] == []


def test_an_edit_of_a_version_that_is_no_more_is_outdated(client: Client) -> None:
    job = client.get(created(client))
    patched = client.patch(job.id, version=job.version, retries=3)
    assert (patched["retries"], patched.version) == (3, 2)
    with pytest.raises(Outdated, match="read it again"):
        client.patch(job.id, version=job.version, retries=4)
    replaced = client.replace(job.id, version=2, name="other", command="false")
    assert (replaced.name, replaced["retries"]) == ("other", 0)
    assert client.patch(job.id, owner=None).version == 4


def test_a_job_is_disabled_and_enabled_and_deleted(client: Client) -> None:
    job_id = created(client)
    client.disable(job_id)
    with pytest.raises(Conflict, match="is disabled; enable it first"):
        client.start(job_id)
    client.enable(job_id)
    assert not client.get(job_id)["disabled"]
    client.delete(job_id)
    with pytest.raises(NotFound, match="there is no job"):
        client.delete(job_id)


def test_a_job_by_the_name_of_all_jobs_is_not_found(client: Client) -> None:
    job_id = created(client)
    with pytest.raises(NotFound, match="delete_all deletes all jobs"):
        client.delete("all")
    assert client.get(job_id)


def test_what_became_of_a_started_job_is_told(client: Client) -> None:
    job_id = created(client, command="echo hello")
    client.start(job_id)
    eventually(lambda: [*client.runs(job_id, outcome="succeeded")])
    (run,) = client.runs(job_id, cause=["manual", "parent"], limit=1)
    assert client.run(run["id"])["output_bytes"] == 6
    assert client.output(run["id"]) == b"hello\n"
    assert client.output(run["id"], tail=3) == b"lo\n"
    assert run in [*client.runs(since=datetime.now(UTC) - timedelta(hours=1))]
    assert client.job_stats(job_id)[0]["success"]
    assert client.missed(job_id) == [*client.notices(job_id)] == []
    assert client.stats()["jobs"] > 0


def test_what_a_run_writes_is_followed_as_it_is_written(client: Client, tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    job_id = created(client, command=f"while read line; do echo $line; done < {gate}", shell=True)
    client.start(job_id)
    run = eventually(lambda: [*client.runs(job_id)])[0]
    with gate.open("w") as go:
        written = client.follow(run["id"])
        for word in ("one", "two"):
            print(word, file=go, flush=True)
            assert next(written) == f"{word}\n".encode()
        go.close()
        assert [*written] == []


def test_a_run_that_is_cancelled_is_over_soon(client: Client, tmp_path: Path) -> None:
    job_id = created(client, command=f"cat {fifo(tmp_path)}")
    client.start(job_id)
    run = eventually(lambda: [*client.runs(job_id)])[0]
    client.cancel(run["id"])
    eventually(lambda: client.run(run["id"])["outcome"] == "cancelled")
    with pytest.raises(Conflict, match="not in progress"):
        client.cancel(run["id"])


def test_a_refusal_is_the_sentence_of_the_daemon(client: Client) -> None:
    with pytest.raises(Refused, match=r"^shedule: a job has no such field") as refusal:
        client.create(name="a", command="true", shedule=FUTURE)
    assert refusal.value.status == 400


@pytest.mark.parametrize("job_id", ["a/b", "..", "ü", "", "?", "a b", "all", "bulk"])
def test_no_text_is_anything_but_an_id_in_a_path(client: Client, job_id: str) -> None:
    job = created(client)
    for method in (client.get, client.delete, client.start, client.missed, client.run):
        with pytest.raises(NotFound):
            method(job_id)
    assert client.get(job)


def test_no_key_of_a_job_is_taken_for_something_else() -> None:
    named = {
        name
        for method in (Client.create, Client.replace, Client.patch)
        for name, it in inspect.signature(method).parameters.items()
        if it.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert named == {"job_id", "version"}
    assert named & {*KEYS, "type"} == set()
