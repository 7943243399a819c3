"""Who looks by machine: whether it lives, whether it is ready, and a log that nobody reads."""

import json
import os
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from kala_trio.bench.service import command
from kala_trio.tokens import Role, Tokens
from kala_trio.vitals import Vitals, objection
from properties.well import WELL
from tests.daemon import PATIENCE, Daemon, eventually, fifo, running


def looked(daemon: Daemon, path: str) -> tuple[int, dict[str, str]]:
    """Return the status of a look at ``path``, and what it says."""
    try:
        with urllib.request.urlopen(f"{daemon.url}{path}", timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def become(daemon: Daemon, status: int, sentence: str) -> None:
    """Wait until it is as ready as that, and says so."""
    key = "status" if status == 200 else "error"
    eventually(lambda: looked(daemon, "/readyz") == (status, {key: sentence}))


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """Keep everybody from writing to the database."""
    with closing(sqlite3.connect(db, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield


def test_it_is_ready_while_it_can_write_and_alive_all_the_time(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        become(daemon, 200, "ready")
        with locked(tmp_path / "kala.db"):
            job = b'{"name": "a", "command": "true"}'
            assert daemon.request("POST", "/job/", job)[0] == 503
            become(daemon, 503, "the database cannot be written")
            assert looked(daemon, "/healthz") == (200, {"status": "alive"})
        become(daemon, 200, "ready")


def test_while_it_drains_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    with running(tmp_path / "kala.db", f"--grace=PT{PATIENCE:g}S") as daemon:
        job = daemon.create(command=f"cat {gate}", schedule="R//PT1H")
        eventually(lambda: daemon.outcomes(job) == [None])
        daemon.process.send_signal(signal.SIGTERM)
        become(daemon, 503, "kala-trio is stopping")
        assert looked(daemon, "/healthz") == (200, {"status": "alive"})
        gate.write_text("")
        assert daemon.process.wait(PATIENCE) == 0


def test_a_flood_does_not_look_like_an_end(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db", "--max-rate-in-all=1") as daemon:
        eventually(lambda: daemon.request("GET", "/stats/")[0] == 429)
        become(daemon, 200, "ready")
        for _ in range(20):
            assert looked(daemon, "/healthz") == (200, {"status": "alive"})


def test_a_scheduler_that_stands_still_is_not_alive(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        become(daemon, 200, "ready")
        daemon.process.send_signal(signal.SIGSTOP)
        silent = (503, {"error": "the scheduler does not answer"})
        try:
            eventually(lambda: looked(daemon, "/healthz") == silent)
            assert looked(daemon, "/readyz") == silent
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        become(daemon, 200, "ready")


@pytest.mark.parametrize(
    ("vitals", "why"),
    [
        (WELL, ""),
        (replace(WELL, is_restored=False), "kala-trio is starting: it reads its database"),
        (replace(WELL, is_stopping=True), "kala-trio is stopping"),
        (replace(WELL, can_commit=False), "the database cannot be written"),
        (replace(WELL, busy_for=11.0), "the database does not answer"),
        (replace(WELL, busy_for=9.0), ""),
    ],
)
def test_who_is_not_ready_says_why_in_a_sentence(vitals: Vitals, why: str) -> None:
    assert objection(vitals) == why


def test_with_tokens_all_may_ask_whether_it_works_and_only_readers_what_it_counts(
    tmp_path: Path,
) -> None:
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        secret = Tokens(db).new("prometheus", Role.READ, datetime.now(UTC))
        become(daemon, 200, "ready")
        assert looked(daemon, "/healthz") == (200, {"status": "alive"})
        assert looked(daemon, "/metrics")[0] == 401
        asked = urllib.request.Request(f"{daemon.url}/metrics")
        asked.add_header("Authorization", f"Bearer {secret}")
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            assert b"kala_trio_up 1.0" in answer.read()


def test_a_log_that_nobody_reads_holds_up_no_run_and_no_stop(tmp_path: Path) -> None:
    """A pipe takes 64 KiB; each run logs more than 2,000 bytes."""
    reader, writer = os.pipe()
    db = tmp_path / "kala.db"
    words = command(db, "--verbose", "--port=0", "--min-interval=PT0.01S")
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        first_line = b""
        while not first_line.endswith(b"\n"):
            read = os.read(reader, 1)
            assert read, "it has not started"
            first_line += read
        url = first_line.decode().split()[2].rstrip(",")
        job = {"name": "job", "command": "true", "schedule": "R//PT0.01S", "catch_up": "all"}
        body = json.dumps(job | {"name": "n" * 1000}).encode()
        with urllib.request.urlopen(f"{url}/api/v1/job/", body, timeout=PATIENCE) as answer:
            assert answer.status == 201

        def ended() -> int:
            with closing(sqlite3.connect(db)) as database:
                query = "SELECT count(*) FROM runs WHERE outcome NOT NULL"
                return int(database.execute(query).fetchone()[0])

        # More than the pipe takes.
        eventually(lambda: ended() > 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
