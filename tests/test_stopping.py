"""What a stop does to those who are talking to it: raw sockets, so that half answers show."""

import itertools
import json
import os
import signal
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running

CLIENTS = 12


class Connection:
    """A connection that lasts over requests, as most clients keep it."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Connect; raises OSError."""
        self._socket = socket.create_connection(address, timeout=PATIENCE)
        self._received = b""

    def __enter__(self) -> "Connection":
        """Leave with the connection closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send what may come too late: then the answer tells, or its absence."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def answer(self) -> tuple[int, bytes] | None:
        """Return status and body; None where the connection ends without a byte of an answer."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                assert not self._received, f"half an answer: {self._received!r}"
                return None
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        lengths = [
            line[15:] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        ]
        size = int(lengths[0]) if lengths else 0
        assert lengths or status == 204, head
        while len(self._received) < size:
            assert self._receive(), f"half an answer: {head!r} and {len(self._received)} bytes"
        body, self._received = self._received[:size], self._received[size:]
        return status, body

    def _receive(self) -> bool:
        try:
            received = self._socket.recv(65536)
        except ConnectionResetError:
            return False
        self._received += received
        return bool(received)


def address_of(daemon: Daemon) -> tuple[str, int]:
    host, _, port = daemon.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def get(path: str) -> bytes:
    return f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(name: str) -> bytes:
    body = json.dumps({"name": name, "command": "true", "schedule": FUTURE}).encode()
    head = f"POST /api/v1/job/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Crowd:
    """Threads that create jobs and read them, over and over, until nobody listens any more."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Begin at once."""
        self._address = address
        self.accepted: set[str] = set()
        self.statuses: set[int] = set()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients = [self._pool.submit(self._talk, number) for number in range(CLIENTS)]

    def disperse(self) -> None:
        """Wait until all have met a closed door; raises what one of them found wrong."""
        for client in self._clients:
            client.result(PATIENCE)
        self._pool.shutdown()

    def _talk(self, number: int) -> None:
        names = (f"{number}.{count}" for count in itertools.count())
        while True:
            try:
                connection = Connection(self._address)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue
            with connection:
                while self._ask(connection, next(names)):
                    pass

    def _ask(self, connection: Connection, name: str) -> bool:
        """Ask once; tell whether there was an answer."""
        connection.send(get("/job/") if name.endswith("0") else post(name))
        answer = connection.answer()
        if answer is None:
            return False
        status, body = answer
        assert json.loads(body)
        self.statuses.add(status)
        if status == 201:
            self.accepted.add(name)
        return True


def names_of_jobs(db: Path) -> set[str]:
    """Return what a daemon finds that is started now."""
    with running(db) as daemon:
        return {job["name"] for job in daemon.get("/job/")["jobs"].values()}


@pytest.mark.parametrize("before", [1, 50, 150])
def test_a_crowd_gets_whole_answers_and_what_was_created_is_what_was_answered_so(
    tmp_path: Path, before: int
) -> None:
    """C1, C4: no half answer, no 201 that is not kept, and no job behind another answer or none."""
    with running(tmp_path / "kala.db") as daemon:
        crowd = Crowd(address_of(daemon))
        eventually(lambda: len(crowd.accepted) >= before)
        status, errors = daemon.end()
        crowd.disperse()
        assert (status, "Traceback" in errors) == (0, False), errors
    assert crowd.statuses <= {200, 201, 503}
    assert names_of_jobs(tmp_path / "kala.db") == crowd.accepted


def test_while_attempts_have_their_grace_a_crowd_may_read_and_is_told_to_come_back(
    tmp_path: Path,
) -> None:
    """C4."""
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db", "--grace=PT1H") as daemon:
        job = daemon.create(command=f"cat {gate}", name="gate")
        eventually(lambda: daemon.runs(job))
        crowd = Crowd(address_of(daemon))
        eventually(lambda: {200, 201} <= crowd.statuses)
        daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: 503 in crowd.statuses)
        crowd.statuses.clear()
        eventually(lambda: {200, 503} <= crowd.statuses)
        gate.write_text("go on")
        assert daemon.process.wait(PATIENCE) == 0
        crowd.disperse()
    # What was taken before the stop may have been answered after the first refusal.
    assert crowd.statuses <= {200, 201, 503}
    assert names_of_jobs(tmp_path / "kala.db") == crowd.accepted | {"gate"}


@pytest.mark.parametrize("finishes", [True, False])
def test_a_request_whose_body_is_half_there_is_answered_with_503(
    tmp_path: Path, finishes: bool
) -> None:
    """C4: whether the other half comes or not, and nothing was created."""
    request = post("slow")
    with running(tmp_path / "kala.db") as daemon, Connection(address_of(daemon)) as slow:
        with Connection(address_of(daemon)) as other:  # served after what was sent before
            slow.send(request[:-20])
            other.send(get("/stats/"))
            assert other.answer()
            daemon.process.send_signal(signal.SIGTERM)
            assert other.answer() is None
        if finishes:
            slow.send(request[-20:])
        answer = slow.answer()
        assert answer
        assert answer[0] == 503
        assert "stopping" in json.loads(answer[1])["error"]
        assert slow.answer() is None
        assert daemon.process.wait(PATIENCE) == 0
    assert names_of_jobs(tmp_path / "kala.db") == set()


def test_a_request_whose_head_is_half_there_gets_no_answer_and_does_nothing(tmp_path: Path) -> None:
    """C4: nor does it hold up the stop."""
    request = post("half")
    with running(tmp_path / "kala.db") as daemon, Connection(address_of(daemon)) as half:
        half.send(request[:30])
        daemon.get("/stats/")
        status, errors = daemon.end()
        assert (status, "Traceback" in errors) == (0, False), errors
        answer = half.answer()
        assert answer is None or answer[0] == 408  # where that came first, after 5 s
    assert names_of_jobs(tmp_path / "kala.db") == set()


def test_a_commit_that_is_under_way_at_a_stop_is_waited_for(tmp_path: Path) -> None:
    """C1, C4: another program's transaction holds it up until the stop has come."""
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        daemon.get("/stats/")
        with closing(sqlite3.connect(db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with Connection(address_of(daemon)) as client:
                client.send(post("slow"))
                daemon.get("/stats/")
                daemon.process.send_signal(signal.SIGTERM)
                daemon.says("stopping")
                other.execute("ROLLBACK")
                answer = client.answer()
        assert answer
        assert daemon.process.wait(PATIENCE) == 0
    # On a slow machine the request may have come after the stop, or SQLite waited in vain.
    assert answer[0] in (201, 503)
    assert names_of_jobs(db) == ({"slow"} if answer[0] == 201 else set())


def test_a_stop_while_the_web_process_is_being_started_again(tmp_path: Path) -> None:
    """C1, C4: those who came meanwhile get a whole answer or none."""
    with running(tmp_path / "kala.db") as daemon:
        daemon.get("/stats/")
        os.kill(daemon.web_process(), signal.SIGKILL)
        crowd = Crowd(address_of(daemon))
        status, errors = daemon.end()
        crowd.disperse()
        assert (status, "Traceback" in errors) == (0, False), errors
    assert names_of_jobs(tmp_path / "kala.db") == crowd.accepted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_attempts_end_and_records_them(tmp_path: Path, number: signal.Signals) -> None:
    """Rule C4."""
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db", "--grace=PT60S") as daemon:
        job = daemon.create(command=f"cat {gate}")
        eventually(lambda: daemon.runs(job))
        daemon.process.send_signal(number)
        eventually(lambda: daemon.request("POST", f"/job/enable/{job}/")[0] == 503)
        gate.write_text("go on")
        status, errors = daemon.process.wait(PATIENCE), daemon.process.communicate()[1]
        assert (status, "Traceback" in errors) == (0, False)
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.outcomes(job) == ["succeeded"]


def test_a_second_signal_cuts_the_grace_period_short(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db", "--grace=PT1H") as daemon:
        job = daemon.create(command="sleep 1000")
        eventually(lambda: daemon.runs(job))
        daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: daemon.request("POST", f"/job/start/{job}/")[0] == 503)
        assert daemon.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_has_read_the_first_line_can_stop_it(tmp_path: Path, number: signal.Signals) -> None:
    """C4: however early."""
    with running(tmp_path / "kala.db") as daemon:
        status, errors = daemon.end(number)
    assert (status, "Traceback" in errors) == (0, False), errors


def test_signals_while_the_last_answers_are_given_change_nothing(tmp_path: Path) -> None:
    """C4."""
    with running(tmp_path / "kala.db") as daemon, Connection(address_of(daemon)) as slow:
        with Connection(address_of(daemon)) as other:
            slow.send(post("slow")[:-20])
            other.send(get("/stats/"))
            assert other.answer()
            daemon.process.send_signal(signal.SIGTERM)
            assert other.answer() is None
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGINT)
        assert slow.answer()
        assert daemon.process.wait(PATIENCE) == 0


def test_a_web_process_that_stands_still_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    """C4: not for longer than a while."""
    with running(tmp_path / "kala.db") as daemon:
        job = daemon.create(command="sleep 1000")
        eventually(lambda: daemon.runs(job))
        os.kill(daemon.web_process(), signal.SIGSTOP)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGINT)
        status, errors = daemon.end()
        assert (status, "Traceback" in errors) == (0, False), errors
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.outcomes(job) == ["stopped"]
