"""Clients that only hold connections, drip, or never read, beside jobs that are to run."""

import http.client
import json
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kala_trio.client import Client
from kala_trio.core.errors import CannotStart
from kala_trio.tokens import Role, Tokens
from tests.daemon import PATIENCE, Daemon, eventually, running

MEGABYTES = 1024  # in KiB, as /proc tells of memory
CROWD = 1_000
DEAF = 200


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Let this process open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and hard < count:
        pytest.skip(f"only {hard} descriptors may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that are kept open: half of them say nothing, half a byte from time to time."""

    def __init__(self, port: int, count: int) -> None:
        """Open them."""
        self._port = port
        self._connections = [self._connect() for _ in range(count)]
        self._over = threading.Event()
        self.rounds = 0
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def disperse(self) -> None:
        """Close them."""
        self._over.set()
        self._thread.join()
        for each in self._connections:
            each.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        connection.setblocking(False)
        return connection

    def _hold(self) -> None:
        while not self._over.is_set():
            for place, connection in enumerate(self._connections):
                if self._is_closed(connection):
                    connection.close()
                    self._connections[place] = self._connect()
                elif place % 2:
                    with suppress(OSError):
                        connection.send(b"G" if place % 4 == 1 else b"GET / HTTP/1.1\r\nA: b\r\n")
            self.rounds += 1
            self._over.wait(0.5)

    def _is_closed(self, connection: socket.socket) -> bool:
        try:
            return not connection.recv(1024)
        except BlockingIOError:
            return False
        except OSError:
            return True


@contextmanager
def crowded(daemon: Daemon, count: int) -> Iterator[Crowd]:
    """Hold connections to the end of the block."""
    crowd = Crowd(daemon.port, count)
    try:
        yield crowd
    finally:
        crowd.disperse()


def is_done(daemon: Daemon, job: str) -> bool:
    """Tell whether a job is done; a connection may have to go for another one of the crowd."""
    with suppress(OSError, http.client.HTTPException):
        return bool(daemon.job(job)["is_done"])
    return False


@pytest.mark.parametrize("flags", [[], ["--max-connections=300"]], ids=["room", "no-room"])
def test_a_thousand_idle_and_dripping_connections_keep_no_job_from_its_time(
    tmp_path: Path, flags: list[str]
) -> None:
    """Nor others from being answered; the daemon itself judges what is late, by ``epsilon``."""
    with descriptors(2 * CROWD + 500), running(tmp_path / "kala.db", *flags) as daemon:
        with crowded(daemon, CROWD) as crowd:
            job = daemon.create(
                command="true", schedule="R19//PT0.5S", epsilon="PT60S", catch_up="all"
            )
            eventually(lambda: is_done(daemon, job))
            eventually(lambda: crowd.rounds > 1)
        assert daemon.outcomes(job) == ["succeeded"] * 20
        assert daemon.get(f"/job/missed/{job}/")["missed"] == []
        assert "Traceback" not in daemon.end()[1]


def test_more_connections_than_descriptors_are_no_trouble(tmp_path: Path) -> None:
    wrapper = ("prlimit", "--nofile=256:256")
    try:
        with descriptors(1_500), running(tmp_path / "kala.db", wrapper=wrapper) as daemon:
            with crowded(daemon, 500):
                job = daemon.create(command="true")
                eventually(lambda: daemon.outcomes(job) == ["succeeded"])
            assert daemon.end()[1].count("\n") == 1
    except (FileNotFoundError, CannotStart):
        pytest.skip("there is no prlimit to set limits with")


def test_clients_that_never_read_cost_a_bounded_memory_and_nobody_his_answer(
    tmp_path: Path,
) -> None:
    with descriptors(1_500), running(tmp_path / "kala.db") as daemon:
        jobs = [{"name": "a", "command": "true", "stdin": "x" * 90_000, "disabled": True}] * 80
        assert daemon.request("POST", "/job/bulk/", json.dumps(jobs).encode())[0] == 201
        whole = len(daemon.request("GET", "/job/")[1])
        assert whole > 7_000_000
        web = Path(f"/proc/{daemon.web_process()}/status")
        before = memory(web, "VmRSS")
        deaf = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(DEAF)]
        for each in deaf:
            each.sendall(b"GET /api/v1/job/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert len(daemon.request("GET", "/job/")[1]) == whole
        # Unread they would be 1.4 GB; a few are made at a time, beside those that are kept.
        assert memory(web, "VmHWM") - before < 400 * MEGABYTES
        job = daemon.create(command="true")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        for each in deaf:
            each.close()


def memory(status: Path, name: str) -> int:
    """Return a number of /proc/<pid>/status, in KiB."""
    return int(status.read_text().partition(f"{name}:")[2].split()[0])


HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run one daemon for all tests that only send it something odd."""
    with running(tmp_path_factory.mktemp("crowding") / "kala.db") as daemon:
        yield daemon


def talk(port: int, data: bytes) -> tuple[int, bytes, bytes]:
    """Send that, and return the status, the head and the body of the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stream:
        stream.sendall(data)
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += (part := stream.recv(65536))
            assert part, answer
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /" + b"a" * 8_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /?" + b"a" * 200_000, 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 16_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 200_000, 431),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
    ],
)
def test_what_can_not_be_understood_or_is_too_large_is_refused_in_a_sentence(
    daemon: Daemon, request_: bytes, status: int
) -> None:
    found, head, body = talk(daemon.port, request_)
    assert found == status
    assert b"application/json" in head
    assert json.loads(body)["error"]


def test_an_offer_to_speak_http_2_is_passed_over(daemon: Daemon) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    status, head, body = talk(
        daemon.port, b"GET /api/v1/stats/ HTTP/1.1\r\n" + HOST + offer + b"\r\n"
    )
    assert (status, head[:9]) == (200, b"HTTP/1.1 ")
    assert json.loads(body)["Stats"]


def test_more_requests_a_second_than_all_may_send_get_429_and_the_client_waits(
    tmp_path: Path,
) -> None:
    request = b"GET /api/v1/stats/ HTTP/1.1\r\n" + HOST + b"\r\n"
    with running(tmp_path / "kala.db", "--max-rate-in-all=1") as daemon:
        assert [talk(daemon.port, request)[0] for _ in range(9)] == [200] * 9
        status, head, body = talk(daemon.port, request)
        while status == 200:
            status, head, body = talk(daemon.port, request)
        assert status == 429
        assert b"retry-after: 1" in head.lower()
        assert json.loads(body)["error"].startswith("too many requests")
        with Client(daemon.url) as client:
            ids = {client.create(name=str(count), command="true") for count in range(3)}
        assert len(ids) == 3


def test_who_guesses_tokens_is_slowed_down_and_who_has_one_is_not(tmp_path: Path) -> None:
    db = tmp_path / "kala.db"
    secret = Tokens(db).new("ada", Role.ADMIN, datetime.now(UTC))
    with running(db) as daemon:

        def status(token: str) -> int:
            return daemon.request("GET", "/stats/", Authorization=f"Bearer {token}")[0]

        assert [status(f"kt_{count}") for count in range(9)] == [401] * 9
        eventually(lambda: status("kt_no") == 429)
        assert status(secret) == 200
        assert daemon.request("GET", "/stats/")[0] == 401


def test_a_schedule_that_would_be_a_busy_loop_is_refused_unless_it_is_allowed(
    daemon: Daemon, tmp_path: Path
) -> None:
    """S17."""
    body = json.dumps({"name": "a", "command": "true", "schedule": "R//PT0.000001S"}).encode()
    status, text = daemon.request("POST", "/job/", body)
    assert status == 400
    assert json.loads(text)["error"].startswith("schedule: must not repeat more than 1000 times")
    with running(tmp_path / "kala.db", "--min-interval=") as patient:
        kept = json.dumps({"disabled": True} | json.loads(body)).encode()
        assert patient.request("POST", "/job/", kept)[0] == 201


def test_no_more_jobs_are_created_than_there_may_be(tmp_path: Path) -> None:
    """M9: a list neither, of which none is created then."""
    with running(tmp_path / "kala.db", "--max-jobs=2") as daemon:
        first = daemon.create(command="true")
        job = {"name": "a", "command": "true"}
        status, text = daemon.request("POST", "/job/bulk/", json.dumps([job, job]).encode())
        assert (status, "2 jobs at most" in text) == (409, True)
        assert [*daemon.get("/job/")["jobs"]] == [first]
        daemon.create(command="true")
        assert daemon.request("POST", "/job/", json.dumps(job).encode())[0] == 409
        assert daemon.request("DELETE", f"/job/{first}/")[0] == 204
        daemon.create(command="true")
