"""Who gets in, by raw sockets: what a browser would send for another site, and odd protocol."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kala_trio.tokens import Role, Tokens
from tests.daemon import PATIENCE, Daemon, running
from tests.test_tokens import NOW

JOB = b'{"name": "a", "command": "true", "schedule": "R/2099-01-01T00:00:00Z/P1D"}'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run one daemon for all tests here."""
    with running(tmp_path_factory.mktemp("guard") / "kala.db") as daemon:
        yield daemon
        assert "Traceback" not in daemon.end()[1]


def connect(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE)


def talk(daemon: Daemon, *lines: str, body: bytes = b"") -> bytes:
    """Send a request, and read until the server closes the connection."""
    head = [*lines, f"Content-Length: {len(body)}"]
    with connect(daemon) as stream:
        stream.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return b"".join(iter(lambda: stream.recv(65536), b""))


def post(daemon: Daemon, *headers: str) -> tuple[int, bytes]:
    """Create a job with such headers; return the status and the body of the answer."""
    answer = talk(daemon, "POST /api/v1/job/ HTTP/1.1", "Connection: close", *headers, body=JOB)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.example"],
        ["Host: 127.0.0.1.evil.example"],
        ["Host: localhost", "Origin: https://evil.example"],
        ["Host: localhost", "Origin: null", "Content-Type: text/plain"],
        ["Host: localhost:1", "Origin: http://localhost:2"],
        ["Host: localhost", "Origin: http://[::1"],
        ["Host: localhost", "Sec-Fetch-Site: cross-site"],
        ["Host: localhost", "Sec-Fetch-Site: same-site"],
    ],
)
def test_a_page_of_another_site_can_change_nothing(daemon: Daemon, headers: list[str]) -> None:
    before = daemon.get("/job/")
    status, body = post(daemon, *headers)
    assert status == 403
    assert json.loads(body)["error"].startswith(("Host: ", "Origin: ", "Sec-Fetch-Site: "))
    assert daemon.get("/job/") == before


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: 127.0.0.1:8000"],
        ["Host: localhost"],
        ["Host: [::1]:8000"],
        ["Host: localhost:8000", "Origin: http://localhost:8000", "Sec-Fetch-Site: same-origin"],
    ],
)
def test_this_machine_and_its_own_pages_get_in(daemon: Daemon, headers: list[str]) -> None:
    assert post(daemon, *headers)[0] == 201


def is_judged(answer: bytes) -> bool:
    """Tell whether a request was kept out for its Host."""
    return b'"Host: ' in answer


HOSTS = ["localhost", "192.0.2.7:8000", "[2001:db8::1]", socket.gethostname().upper()]
OTHERS = ["evil.example", "192.0.2.7.evil.example", "kala.example.com.", "127.1"]


@pytest.mark.parametrize(
    ("flags", "has_token", "allowed"),
    [
        (["--host=0.0.0.0", "--insecure"], False, HOSTS),
        (["--host=0.0.0.0"], True, HOSTS + OTHERS),
        (["--host=0.0.0.0", "--served-as=a.example, Kala.example.com"], True, [*HOSTS, OTHERS[2]]),
        (["--served-as=kala.example.com"], False, ["localhost", OTHERS[2]]),
        ([], True, ["localhost"]),
    ],
    ids=["insecure", "token", "token and names", "loopback and a name", "loopback and a token"],
)
def test_a_name_that_somebody_else_lets_point_here_gains_him_nothing(
    tmp_path: Path, flags: list[str], has_token: bool, allowed: list[str]
) -> None:
    """Where a token is needed anyway it may be any, unless names are given."""
    if has_token:
        Tokens(tmp_path / "kala.db").new("ada", Role.READ, NOW)
    with running(tmp_path / "kala.db", *flags) as daemon:
        for host in HOSTS + OTHERS:
            lines = ["GET /api/v1/stats/ HTTP/1.1", f"Host: {host}", "Connection: close"]
            assert is_judged(talk(daemon, *lines)) == (host not in allowed), host


@pytest.mark.parametrize(
    "lines",
    [
        ["GET /api/v1/stats/ HTTP/1.0"],
        ["GET /api/v1/stats/ HTTP/1.1", "Host: localhost", "Connection: close"],
        ["GET /api/v1/stats/ HTTP/1.1", "Host: localhost"],
    ],
    ids=["http-1.0", "close", "idle"],
)
def test_a_connection_is_closed_after_its_answer(daemon: Daemon, lines: list[str]) -> None:
    """At once where the client wants it, else when it has been idle for some seconds."""
    assert b'{"Stats"' in talk(daemon, *lines)


def test_a_connection_whose_body_was_too_large_is_closed(daemon: Daemon) -> None:
    size = 2 * 1024 * 1024
    with connect(daemon) as stream:
        head = f"POST /api/v1/job/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        stream.sendall(head.encode() + b"x" * size)
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.split()[1] == b"413"


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="],
        ["Upgrade: websocket", "Sec-WebSocket-Extensions: \xff"],
        ["Upgrade: h2c", "HTTP2-Settings: AAM"],
    ],
    ids=["websocket", "odd-websocket", "h2c"],
)
def test_whatever_else_a_client_would_speak_is_passed_over(
    daemon: Daemon, lines: list[str]
) -> None:
    before = daemon.web_process()
    request = ["GET /api/v1/stats/ HTTP/1.1", "Host: localhost", "Connection: Upgrade, close"]
    assert b'{"Stats"' in talk(daemon, *request, *lines, body=b"\xff" * 9)
    assert daemon.get("/stats/")
    assert daemon.web_process() == before


@pytest.mark.parametrize(
    "target", ["http://localhost/api/v1/stats/", "*", "api/v1/stats/", "localhost:80", "?a=b"]
)
def test_a_target_that_is_no_path_is_refused(daemon: Daemon, target: str) -> None:
    answer = talk(daemon, f"OPTIONS {target} HTTP/1.1", "Host: localhost", "Connection: close")
    assert answer.split()[1] == b"400"
    assert b"the target must be a path" in answer


@pytest.mark.parametrize("method", ["head", "Get", "post"])
def test_a_method_in_small_letters_is_no_method(daemon: Daemon, method: str) -> None:
    answer = talk(daemon, f"{method} /api/v1/stats/ HTTP/1.1", "Host: localhost")
    assert answer.split()[1] == b"400"


@pytest.mark.parametrize(
    "path", ["/job", "/job/", "/stats", "/job/x", "/job/start/x", "/job/runs/x"]
)
def test_another_method_is_405_with_and_without_the_slash(daemon: Daemon, path: str) -> None:
    assert daemon.request("OPTIONS", path)[0] == 405


def test_a_request_that_takes_no_body_does_not_wait_for_the_one_it_announced(
    daemon: Daemon,
) -> None:
    with connect(daemon) as stream:
        head = b"POST /api/v1/job/start/x/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        stream.sendall(head)
        assert stream.recv(65536).split()[1] == b"404"
