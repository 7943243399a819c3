"""A socket in the file system in place of a port: who gets in, and who may have it."""

import errno
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from kala_trio.client import AsyncClient, Client, Refused
from kala_trio.core.errors import CannotStart
from kala_trio.listener import listening
from kala_trio.settings import Settings
from kala_trio.tokens import Role, Tokens
from tests.command_line import done
from tests.daemon import FUTURE, PATIENCE, eventually, refusal, running
from tests.test_tokens import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a socket is to be."""
    return tmp_path / "kala.sock"


def mode(path: Path) -> int:
    assert stat.S_ISSOCK(path.lstat().st_mode)
    return stat.S_IMODE(path.lstat().st_mode)


def test_clients_commands_and_curl_reach_it_and_it_is_gone_at_the_end(
    tmp_path: Path, path: Path
) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        url = f"unix:{path}"
        assert daemon.url == url
        with Client(url) as kala:
            job = kala.create(name="a", command="true", schedule=FUTURE)
        assert job in done(url, "job", "list")
        words = ["curl", "-sS", "--unix-socket", str(path), "http://kala/api/v1/job/"]
        answer = subprocess.run(words, capture_output=True, check=True, timeout=PATIENCE)
        assert [*json.loads(answer.stdout)["jobs"]] == [job]
        status, errors = daemon.end()
    assert (status, "Traceback" in errors, path.exists()) == (0, False, False), errors


async def test_the_client_for_trio_reaches_it_too(tmp_path: Path, path: Path) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        async with AsyncClient(daemon.url) as kala:
            assert (await kala.stats())["jobs"] == 0


@pytest.mark.parametrize(("flags", "expected"), [([], 0o600), (["--socket-mode=0660"], 0o660)])
def test_its_permissions_say_who_gets_in(
    tmp_path: Path, path: Path, flags: list[str], expected: int
) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}", *flags):
        assert mode(path) == expected


def test_who_gets_in_needs_no_token_until_there_is_one(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        assert "jobs" in done(daemon.url, "stats")
        secret = Tokens(tmp_path / "kala.db").new("ada", Role.READ, NOW)
        assert "needs a token" in done(daemon.url, "stats", status=2)
        monkeypatch.setenv("KALA_TRIO_TOKEN", secret)
        assert "jobs" in done(daemon.url, "stats")


def test_the_socket_of_a_killed_daemon_is_taken_over(tmp_path: Path, path: Path) -> None:
    """However soon: its web process may have it open for a moment."""
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        assert "jobs" in done(daemon.url, "stats")
        assert daemon.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert path.exists()
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        assert "jobs" in done(daemon.url, "stats")
        assert daemon.end()[0] == 0
    assert not path.exists()


def test_the_socket_of_a_daemon_that_is_alive_is_not_taken(tmp_path: Path, path: Path) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon:
        sentence = refusal(tmp_path / "other.db", f"--socket={path}")
        assert sentence.startswith(f"cannot listen on {path}: Address already in use; for example")
        assert "jobs" in done(daemon.url, "stats")


def test_a_socket_whose_backlog_is_full_is_alive(tmp_path: Path, path: Path) -> None:
    with ExitStack() as open_ones:
        other = open_ones.enter_context(socket.socket(socket.AF_UNIX))
        other.bind(str(path))
        other.listen(0)
        status = 0
        while not status:
            waiting = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            status = waiting.connect_ex(str(path))
        assert status == errno.EAGAIN
        with (
            pytest.raises(CannotStart, match="already in use"),
            listening(Settings(db=tmp_path / "kala.db", socket=path)),
        ):
            pass
    assert path.exists()


def test_of_many_that_want_a_dead_ones_socket_one_gets_it(tmp_path: Path, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    settings = Settings(db=tmp_path / "kala.db", socket=path)
    together, over = threading.Barrier(8), threading.Event()
    listened, refused = [], []

    def want() -> None:
        together.wait()
        try:
            with listening(settings) as listener:
                listened.append(listener)
                assert over.wait(PATIENCE)
        except CannotStart as error:
            refused.append(error)

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(listened) + len(refused) == 8)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    over.set()
    for thread in threads:
        thread.join()
    assert (len(listened), len(refused), path.exists()) == (1, 7, False)


def test_what_is_no_socket_stays(tmp_path: Path, path: Path) -> None:
    path.write_text("precious")
    sentence = refusal(tmp_path / "kala.db", f"--socket={path}")
    assert f"cannot listen on {path}: what is there is no socket" in sentence
    assert path.read_text() == "precious"


def test_what_somebody_else_has_put_there_stays_at_the_end(tmp_path: Path, path: Path) -> None:
    with listening(Settings(db=tmp_path / "kala.db", socket=path)):
        path.rename(tmp_path / "ours")  # so that its number is not used again
        path.write_text("precious")
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("flags", "status", "sentence"),
    [
        (["--socket=/nowhere/kala.sock"], 1, "cannot listen on /nowhere/kala.sock: No such file"),
        ([f"--socket=/tmp/{'x' * 120}"], 1, "AF_UNIX path too long; for example: kala-trio run"),
        (["--socket=x", "--tls-cert=y"], 2, "--socket: has no use for TLS, since no other"),
        (["--socket=x", "--socket-mode=rw"], 2, "--socket-mode: must be permissions"),
        (["--socket=x", "--served-as=http://a"], 2, "--served-as: must be names without scheme"),
    ],
)
def test_what_can_be_no_socket_is_refused_in_one_sentence(
    tmp_path: Path, flags: list[str], status: int, sentence: str
) -> None:
    assert sentence in refusal(tmp_path / "kala.db", *flags, status=status)
    assert (tmp_path / "kala.db").exists() == (status == 1)


def test_where_nobody_listens_a_client_says_which_socket(path: Path) -> None:
    words = [sys.executable, "-m", "kala_trio", "stats", f"--api=unix:{path}"]
    asked = subprocess.run(words, capture_output=True, check=False, text=True, timeout=PATIENCE)
    assert asked.returncode == 1
    assert f"no kala-trio can be reached at unix:{path}: " in asked.stderr
    with pytest.raises(Refused, match=r"for example unix:/run/kala-trio\.sock"):
        Client("unix:")


def test_jobs_do_not_get_the_socket(tmp_path: Path, path: Path) -> None:
    with running(tmp_path / "kala.db", f"--socket={path}") as daemon, Client(daemon.url) as kala:
        job = kala.create(name="a", command="ls -l /proc/self/fd; echo over", shell=True)
        said = b"".join(kala.follow(eventually(lambda: f"{job}.1" if [*kala.runs(job)] else "")))
    assert said.endswith(b"over\n")
    assert b"socket:" not in said
