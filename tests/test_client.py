"""The Python client, in both forms, against a real daemon."""

import inspect
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from kala_trio.client import (
    AsyncClient,
    Client,
    Conflict,
    NotDone,
    NotFound,
    Outdated,
    Refused,
    TryLater,
    Unanswered,
)
from kala_trio.core.definition import KEYS
from tests.daemon import FUTURE, Daemon, eventually, fifo
from tests.relay import BUG, BUSY, CUT, relay

AT_ONCE = (0.0, 0.0, 0.0)


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


@pytest.mark.parametrize("job_id", ["a/b", "..", "ü", "", "?", "a b", "all"])
def test_no_text_is_anything_but_an_id_in_a_path(client: Client, job_id: str) -> None:
    job = created(client)
    for method in (client.get, client.delete, client.start, client.missed, client.run):
        with pytest.raises(NotFound):
            method(job_id)
    assert client.get(job)


@pytest.mark.parametrize("trouble", [(CUT, CUT), (BUSY, BUSY, CUT)])
def test_a_create_whose_connection_breaks_is_repeated_and_creates_one_job(
    daemon: Daemon, trouble: tuple[str, ...]
) -> None:
    owner = str(uuid.uuid4())
    with relay(daemon, *trouble) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client, owner=owner)
        assert way.asked == ["POST /api/v1/job/"] * (len(trouble) + 1)
        assert [job.id for job in client.find(owner=owner)] == [job_id]


def test_what_may_have_been_done_by_an_earlier_try_is_not_called_undone(daemon: Daemon) -> None:
    trouble = (CUT, BUSY, BUSY, BUSY)
    with relay(daemon, *trouble) as way, Client(way.url, pauses=AT_ONCE) as client:
        with pytest.raises(Unanswered) as error:
            created(client)
        assert (len(way.asked), error.value.status) == (4, 503)


def test_a_delete_that_is_repeated_does_not_miss_what_it_has_deleted(daemon: Daemon) -> None:
    with relay(daemon) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client)
        way.trouble.append(CUT)
        client.delete(job_id)
        assert len(way.asked) == 3


@pytest.mark.parametrize("trouble", [CUT, BUSY])
def test_a_start_is_never_sent_a_second_time(daemon: Daemon, trouble: str) -> None:
    with relay(daemon) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client)
        way.trouble.append(trouble)
        with pytest.raises(Unanswered if trouble == CUT else TryLater):
            client.start(job_id)
        assert len(way.asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda client, job_id: client.patch(job_id, retries=1),
        lambda client, job_id: client.replace(job_id, version=1, name="a", command="true"),
        lambda client, job_id: client.create_all([{"name": "a", "command": "true"}]),
        lambda client, job_id: client.disable(job_id),
    ],
)
def test_what_another_might_have_changed_meanwhile_is_not_sent_again(
    daemon: Daemon, change: Callable[[Client, str], object]
) -> None:
    with relay(daemon) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client)
        way.trouble.append(CUT)
        with pytest.raises(Unanswered, match="broke before all was answered"):
            change(client, job_id)
        assert len(way.asked) == 2


def test_what_stays_busy_is_told_after_as_many_tries_as_were_allowed(daemon: Daemon) -> None:
    with relay(daemon, *[BUSY] * 9) as way, Client(way.url, pauses=AT_ONCE) as client:
        with pytest.raises(TryLater, match=r"^no$") as error:
            client.stats()
        assert (len(way.asked), error.value.status, error.value.retry_after) == (4, 503, 0)


def test_a_bug_is_not_asked_for_again(daemon: Daemon) -> None:
    with relay(daemon, BUG) as way, Client(way.url, pauses=AT_ONCE) as client:
        with pytest.raises(Unanswered, match=r"^no$"):
            client.stats()
        assert len(way.asked) == 1


def test_where_nobody_listens_nothing_was_changed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with Client(url, pauses=()) as client, pytest.raises(TryLater, match="can be reached") as error:
        client.start("a")
    assert url in str(error.value)


@pytest.mark.parametrize("url", ["", "kala", "ftp://localhost", "http://", "http://a:b"])
def test_what_is_no_url_is_refused_with_one_that_works(url: str) -> None:
    with pytest.raises(Refused, match=r"for example http://127.0.0.1:8000"):
        Client(url)


def test_another_server_is_told_from_a_kala_trio(daemon: Daemon) -> None:
    url = f"{daemon.url}/api/v1/job/stats"
    with Client(url) as client, pytest.raises(NotDone):
        client.stats()


def test_a_password_in_the_url_is_sent_and_not_told(daemon: Daemon) -> None:
    url = f"http://ada:secret@127.0.0.1:{daemon.port}"
    with Client(url) as client:
        assert client.stats()
    with Client(f"{url}/api/v1/job/stats") as client, pytest.raises(NotDone) as error:
        client.find().__next__()
    assert "secret" not in str(error.value)


def test_no_key_of_a_job_is_taken_for_something_else() -> None:
    named = {
        name
        for method in (Client.create, Client.replace, Client.patch)
        for name, it in inspect.signature(method).parameters.items()
        if it.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert named == {"job_id", "version"}
    assert named & {*KEYS, "type"} == set()


def test_both_clients_have_the_same_methods_with_the_same_words() -> None:
    def methods(kind: type) -> dict[str, tuple[str | None, list[object]]]:
        return {
            name: (it.__doc__, [*map(str, inspect.signature(it).parameters.values())])
            for name, it in vars(kind).items()
            if callable(it) and not name.startswith("_")
        }

    assert methods(AsyncClient) == methods(Client)


async def test_the_client_for_trio_creates_finds_and_deletes(daemon: Daemon) -> None:
    owner = str(uuid.uuid4())
    async with AsyncClient(daemon.url) as client:
        async with trio.open_nursery() as nursery:
            for name in "dcba":
                keys = {"name": name, "command": "true", "schedule": FUTURE, "owner": owner}
                nursery.start_soon(partial(client.create, **keys))
        found = [job async for job in client.find(owner=owner, sort="name", limit=3)]
        assert [job.name for job in found] == [*"abcd"]
        for job in found:
            await client.delete(job.id)
        with pytest.raises(NotFound):
            await client.get(found[0].id)


async def test_the_client_for_trio_repeats_what_broke(daemon: Daemon) -> None:
    with relay(daemon, CUT, BUSY) as way:
        async with AsyncClient(way.url, pauses=AT_ONCE) as client:
            await client.create(name="job", command="true", schedule=FUTURE)
            assert len(way.asked) == 3


async def test_a_search_with_trio_may_be_left_before_its_end(daemon: Daemon) -> None:
    owner = str(uuid.uuid4())
    async with AsyncClient(daemon.url) as client:
        for name in "ab":
            await client.create(name=name, command="true", schedule=FUTURE, owner=owner)
        async with aclosing(client.find(owner=owner, limit=1)) as jobs:
            async for job in jobs:
                assert job.name == "a"
                break


async def test_who_follows_with_trio_may_stop_at_any_time(daemon: Daemon, tmp_path: Path) -> None:
    async with AsyncClient(daemon.url) as client:
        command = f"echo begun; cat {fifo(tmp_path)}"
        job_id = await client.create(name="job", command=command, shell=True, schedule=FUTURE)
        await client.start(job_id)
        run_id = f"{job_id}.1"
        eventually(lambda: daemon.outcomes(job_id) == [None])
        with trio.CancelScope() as scope:
            async for data in client.follow(run_id):
                assert data == b"begun\n"
                scope.cancel()
        assert scope.cancelled_caught
        await client.cancel(run_id)
        eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])
        assert [data async for data in client.follow(run_id)] == [b"begun\n"]
