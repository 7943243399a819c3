"""A run's output, followed while a real daemon runs it."""

import http.client
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path / "kala.db") as daemon:
        yield daemon


@contextmanager
def followed(daemon: Daemon, run_id: str) -> Iterator[Iterator[bytes]]:
    """Follow a run's output; yield its lines as they come."""
    url = f"{daemon.url}/api/v1/run/{run_id}/output/?follow=true"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        yield iter(answer.readline, b"")


def started(daemon: Daemon, command: str) -> str:
    """Start a line of shell; return the id of its run, which is in progress."""
    job_id = daemon.create(command=command, shell=True, schedule=FUTURE)
    daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: daemon.outcomes(job_id) == [None])
    return f"{job_id}.1"


def test_each_line_is_seen_before_the_next_one_is_written(daemon: Daemon, tmp_path: Path) -> None:
    """H5: and the end, with the run's."""
    gate = fifo(tmp_path)
    run_id = started(daemon, f"while read line; do echo got $line; done < {gate}")
    with gate.open("w") as go, followed(daemon, run_id) as lines:
        for number in range(3):
            go.write(f"{number}\n")
            go.flush()
            assert next(lines) == b"got %d\n" % number
        go.close()
        assert [*lines] == []


def test_who_follows_a_run_that_is_over_gets_all_of_it_and_the_end(daemon: Daemon) -> None:
    """H5: as who does not follow it; also what was left out."""
    run_id = started(daemon, "seq -w 1 1000000 | head -c 3000000")
    eventually(lambda: daemon.outcomes(run_id.partition(".")[0]) == ["succeeded"])
    with followed(daemon, run_id) as lines:
        assert b"".join(lines).decode() == daemon.output(run_id)
    status, text = daemon.request("GET", f"/run/{run_id}/output/?tail=16")
    assert (status, len(text)) == (200, 16)
    assert daemon.get(f"/run/{run_id}/")["run"]["output_bytes"] == 3_000_000


def test_a_stop_sends_away_who_follows(daemon: Daemon, tmp_path: Path) -> None:
    """H5, C4: and waits for nobody."""
    run_id = started(daemon, f"echo begun; cat {fifo(tmp_path)}")
    with followed(daemon, run_id) as lines:
        assert next(lines) == b"begun\n"
        ended: list[int] = []
        stop = threading.Thread(target=lambda: ended.append(daemon.end()[0]))
        stop.start()
        (tmp_path / "fifo").write_text("over\n")
        rest: list[bytes] = []
        with suppress(http.client.IncompleteRead):  # on a machine that takes seconds for that
            rest.extend(lines)
        assert rest in ([], [b"over\n"])
        stop.join(PATIENCE)
        assert ended == [0]


def test_who_goes_away_is_followed_by_nothing(daemon: Daemon, tmp_path: Path) -> None:
    """H5: the web process lets go of the connection."""
    run_id = started(daemon, f"cat {fifo(tmp_path)}")
    with socket.create_connection(("127.0.0.1", daemon.port)) as stream:
        path = f"/api/v1/run/{run_id}/output/?follow=true"
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b" 200 " in stream.recv(100)
        meanwhile = _sockets(daemon.web_process())
    eventually(lambda: _sockets(daemon.web_process()) < meanwhile)
    (tmp_path / "fifo").write_text("over\n")


def _sockets(pid: int) -> int:
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # it is closed meanwhile
            found += "socket:" in os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/run/x/", "there is no run 'x'"),
        ("/run/x/output/", "there is no run 'x'"),
        ("/run/?outcome=good", "outcome: must be one of running, missed, succeeded"),
        ("/run/?since=yesterday", "since: must be a date and time by RFC 3339"),
        ("/job/?stat=failing", "stat: there is no such parameter here"),
        ("/job/?state=good", "state: must be one of enabled, disabled"),
        ("/job/?sort=age", "sort: must be one of created, name"),
        ("/job/?cursor=00", "cursor: must be the next of an answer"),
    ],
)
def test_what_can_not_be_looked_for_is_refused_in_a_sentence(
    daemon: Daemon, path: str, words: str
) -> None:
    """H1, H3."""
    status, text = daemon.request("GET", path)
    assert status in (400, 404)
    assert words in text


def test_why_it_did_not_run_is_in_the_list_of_runs(daemon: Daemon, tmp_path: Path) -> None:
    """H1: and what waits, in the job's own answer."""
    job_id = daemon.create(command=f"cat {fifo(tmp_path)}", schedule=FUTURE)
    for _ in range(3):
        daemon.post(f"/job/start/{job_id}/")
    job = daemon.job(job_id)
    assert (job["running"], job["pending"]["cause"]) == ([f"{job_id}.1"], "manual")
    missed, run = daemon.get(f"/job/runs/{job_id}/")["runs"]
    assert (missed["outcome"], missed["reason"], missed["count"]) == ("missed", "overlap", 1)
    assert (run["id"], run["outcome"]) == (f"{job_id}.1", None)
    found = daemon.get("/job/?state=waiting&name=JO&sort=-created")
    assert [*found["jobs"]] == [job_id]
    assert daemon.get(f"/run/?outcome=missed&job={job_id}")["runs"] == [missed]
    daemon.post(f"/run/cancel/{job_id}.1/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled", None])
    daemon.post(f"/run/cancel/{job_id}.2/")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled", "cancelled"])
