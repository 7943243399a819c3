"""A create that is repeated, as after a connection that broke."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.daemon import FUTURE, Daemon, eventually

JOB = json.dumps({"name": "once", "command": "true", "schedule": FUTURE}).encode()


def created(daemon: Daemon, key: str, body: bytes = JOB) -> tuple[int, str]:
    """Create a job under a key."""
    return daemon.request("POST", "/job/", body, Idempotency_Key=key)


def test_a_create_that_is_repeated_creates_one_job_and_is_answered_alike(daemon: Daemon) -> None:
    """Rule M7."""
    key = str(uuid.uuid4())
    first = created(daemon, key)
    assert first == (201, f'{{"id":"{key}"}}\n')
    daemon.post(f"/job/disable/{key}/")
    before = daemon.job(key)
    assert created(daemon, f'"{key.upper()}"') == first
    assert daemon.job(key) == before


def test_of_creates_at_the_same_time_one_creates_and_all_are_answered(daemon: Daemon) -> None:
    """Rule M7: none of them waits for the others."""
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = {*pool.map(lambda _: created(daemon, key), range(8))}
    assert answers == {(201, f'{{"id":"{key}"}}\n')}
    assert [*daemon.get("/job/")["jobs"]].count(key) == 1


def test_a_repeated_create_is_done_though_a_parent_has_gone_since(daemon: Daemon) -> None:
    """Rule M7: what was accepted is not judged again."""
    key = str(uuid.uuid4())
    parent = daemon.create(command="true", schedule=FUTURE)
    other = daemon.create(command="true", schedule=FUTURE)
    body = json.dumps({"name": "a", "command": "true", "parent_jobs": [parent, other]})
    first = created(daemon, key, body.encode())
    assert daemon.request("DELETE", f"/job/{parent}/") == (204, "")
    assert created(daemon, key, body.encode()) == first


def test_the_id_of_a_deleted_job_with_a_history_is_no_new_jobs(daemon: Daemon) -> None:
    """Rule M7: runs of two jobs would have one id."""
    key = str(uuid.uuid4())
    assert created(daemon, key)[0] == 201
    daemon.post(f"/job/start/{key}/")
    eventually(lambda: daemon.outcomes(key) == ["succeeded"])
    assert daemon.request("DELETE", f"/job/{key}/") == (204, "")
    status, text = created(daemon, key)
    assert status == 409
    assert "was deleted; a new job needs another Idempotency-Key" in text


@pytest.mark.parametrize("key", ["once", "93b65499b21149ce57e019e735cc5abd", "{}", "é"])
def test_a_key_that_is_no_uuid_is_refused_with_one_that_works(daemon: Daemon, key: str) -> None:
    before = daemon.get("/job/")["jobs"].keys()
    status, text = created(daemon, key)
    assert status == 400
    assert json.loads(text)["error"].startswith("Idempotency-Key: must be a UUID, found ")
    example = json.loads(text)["error"].rpartition("; for example ")[2]
    assert str(uuid.UUID(example)) == example
    assert daemon.get("/job/")["jobs"].keys() == before
