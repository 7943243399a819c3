"""What the Python client makes of connections that break, and of servers that can't or won't."""

import socket
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from kala_trio.client import Client, NotDone, Refused, TryLater, Unanswered
from tests.daemon import FUTURE, Daemon
from tests.relay import BUG, BUSY, CUT, relay
from tests.website import Answer, Asked, saying, website

AT_ONCE = (0.0, 0.0, 0.0)
TOO_SOON = saying(429, b'{"error": "no"}')


def created(client: Client, **keys: Any) -> str:
    """Create a job that does not run by itself."""
    usual: dict[str, Any] = {"name": "job", "command": "true", "schedule": FUTURE}
    return client.create(**usual | keys)


@pytest.mark.parametrize("trouble", [(CUT, CUT), (BUSY, BUSY, CUT)])
def test_a_create_whose_connection_breaks_is_repeated_and_creates_one_job(
    daemon: Daemon, trouble: tuple[Answer, ...]
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
def test_a_start_is_never_sent_a_second_time(daemon: Daemon, trouble: Answer) -> None:
    with relay(daemon) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client)
        way.trouble.append(trouble)
        with pytest.raises(Unanswered if trouble == CUT else TryLater):
            client.start(job_id)
        assert len(way.asked) == 2


def test_what_came_too_soon_is_repeated_whatever_it_is_and_as_often_as_it_takes(
    daemon: Daemon,
) -> None:
    """429: nothing was done of it."""
    with relay(daemon) as way, Client(way.url, pauses=AT_ONCE) as client:
        job_id = created(client)
        way.trouble.extend([TOO_SOON] * 10)
        client.start(job_id)
        assert len(way.asked) == 12
        way.trouble.extend([TOO_SOON] * 40)
        with pytest.raises(TryLater) as error:
            client.start(job_id)
        assert error.value.status == 429


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
        assert (len(way.asked), error.value.status, error.value.retry_after) == (4, 503, None)


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


def test_who_is_asked_to_wait_for_long_is_told_so(daemon: Daemon) -> None:
    def later(handler: BaseHTTPRequestHandler, _: Asked) -> None:
        handler.send_response_only(503)
        handler.send_header("Retry-After", "3600")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with relay(daemon, later) as way, Client(way.url, pauses=AT_ONCE) as client:
        with pytest.raises(TryLater) as error:
            client.stats()
        assert (len(way.asked), error.value.retry_after) == (1, 3600)


def test_a_certificate_is_trusted_as_the_system_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    with website(saying(200, b'{"Stats": {}}'), authority.issue_cert("localhost")) as site:
        with Client(site.url) as client, pytest.raises(Refused, match="let SSL_CERT_FILE name"):
            client.stats()
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with Client(site.url) as client:
            assert client.stats() == {}


def test_a_password_in_the_url_is_sent_and_not_told(daemon: Daemon) -> None:
    url = f"http://ada:secret@127.0.0.1:{daemon.port}"
    with Client(url) as client:
        assert client.stats()
    with Client(f"{url}/api/v1/job/stats") as client, pytest.raises(NotDone) as error:
        client.find().__next__()
    assert "secret" not in str(error.value)
