"""TLS by a real daemon: certificates that are renewed, broken or missing, and odd clients."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kala_trio.certificate import Certificate
from kala_trio.client import AsyncClient, Client
from kala_trio.core.errors import Refused
from kala_trio.tokens import Role, Tokens
from tests.certificates import Files
from tests.command_line import done
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, refusal, running
from tests.test_tokens import NOW

# SIGHUP is a stop for a daemon that has a terminal, as these may have from who runs the tests; and
# it is nothing to one that was started by nohup, as the tests may be.
HEEDING = ("env", "--default-signal=HUP")
NO_TERMINAL = (*HEEDING, "setsid")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return a certificate and its key, of an authority that nobody trusts yet."""
    directory = tmp_path / "tls"
    directory.mkdir()
    return Files(directory)


@pytest.fixture
def daemon(tmp_path: Path, files: Files) -> Iterator[Daemon]:
    """Run a daemon that serves over TLS, and ends without a word that it should not say."""
    with running(tmp_path / "kala.db", *files.flags, wrapper=NO_TERMINAL) as daemon:
        yield daemon
        if daemon.process.returncode is None:
            status, errors = daemon.end()
            assert (status, "Traceback" in errors) == (0, False), errors


def asking(daemon: Daemon, files: Files) -> httpx.Client:
    return httpx.Client(base_url=daemon.url, verify=files.trusting(), timeout=PATIENCE)


def connect(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE)


def received(stream: socket.socket) -> bytes:
    """Read to the end, however that comes."""
    data = b""
    try:
        while more := stream.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_the_api_and_the_pages_are_served_over_tls_and_by_http_1_1(
    daemon: Daemon, files: Files
) -> None:
    assert daemon.first_line.split()[2].startswith("https://127.0.0.1:")
    with asking(daemon, files) as http:
        answer = http.get("/api/v1/stats/")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
        assert http.get("/webui/").status_code == 200
        assert "strict-transport-security" not in answer.headers
    offering = files.trusting()
    offering.set_alpn_protocols(["h2", "http/1.1"])
    with offering.wrap_socket(connect(daemon), server_hostname="localhost") as stream:
        assert stream.selected_alpn_protocol() == "http/1.1"
        assert stream.version() == "TLSv1.3"


def test_a_certificate_is_for_tls_1_2_and_later(files: Files) -> None:
    context = Certificate(files.certificate, files.key).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_client_and_the_commands_trust_what_ssl_cert_file_names(
    daemon: Daemon, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not trusted" in done(daemon.url, "stats", status=2)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority_file))
    with Client(daemon.url) as kala:
        job = kala.create(name="a", command="true", schedule=FUTURE)
    assert job in done(daemon.url, "job", "list")


async def test_the_client_for_trio_trusts_it_likewise(
    daemon: Daemon, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncClient(daemon.url) as kala:
        with pytest.raises(Exception, match="let SSL_CERT_FILE name a file"):
            await kala.stats()
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority_file))
    async with AsyncClient(daemon.url) as kala:
        assert (await kala.stats())["jobs"] == 0


@pytest.mark.parametrize("tls", [True, False])
def test_a_browser_sends_its_token_over_tls_alone_if_it_got_it_so(
    tmp_path: Path, files: Files, *, tls: bool
) -> None:
    secret = Tokens(tmp_path / "kala.db").new("ada", Role.READ, NOW)
    flags = files.flags if tls else []
    with running(tmp_path / "kala.db", *flags) as daemon, asking(daemon, files) as http:
        answer = http.post("/webui/sign-in/", data={"token": secret})
    assert answer.status_code == 303
    assert ("Secure" in answer.headers["set-cookie"].split("; ")) == tls


def test_at_sighup_a_new_certificate_is_shown_and_connections_and_runs_go_on(
    daemon: Daemon, files: Files, tmp_path: Path
) -> None:
    gate = fifo(tmp_path)
    first = files.shown_by(daemon)
    with asking(daemon, files) as http:
        body = {"name": "a", "command": f"cat {gate}"}
        job = http.post("/api/v1/job/", json=body).json()["id"]
        eventually(lambda: http.get(f"/api/v1/job/runs/{job}/").json()["runs"])
        with http.stream("GET", f"/api/v1/run/{job}.1/output/?follow=true") as following:
            second = files.renew()
            assert files.shown_by(daemon) == first != second
            daemon.process.send_signal(signal.SIGHUP)
            daemon.says("SIGHUP: the certificate was loaded anew")
            assert files.shown_by(daemon) == second
            gate.write_text("still here")
            assert following.read() == b"still here"
        ended = eventually(lambda: http.get(f"/api/v1/run/{job}.1/").json()["run"]["outcome"])
        assert ended == "succeeded"


@pytest.mark.parametrize("what", ["certificate", "key"])
def test_a_new_certificate_that_is_broken_is_told_loudly_and_the_old_one_stays(
    daemon: Daemon, files: Files, what: str
) -> None:
    shown = files.shown_by(daemon)
    files.renew()
    files.put(getattr(files, what), [b"half a fi"])
    daemon.process.send_signal(signal.SIGHUP)
    assert f"--tls-{what[:4].rstrip('i')}" in daemon.says("the OLD CERTIFICATE is served on")
    assert files.shown_by(daemon) == shown
    renewed = files.renew()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("loaded anew")
    assert files.shown_by(daemon) == renewed


def test_a_web_process_that_died_is_back_with_the_certificate(daemon: Daemon, files: Files) -> None:
    assert files.shown_by(daemon)
    renewed = files.renew()
    os.kill(daemon.web_process(), signal.SIGKILL)
    daemon.says("the web process ended")
    assert eventually(lambda: files.shown_by(daemon)) == renewed


def test_a_web_process_that_died_while_the_files_are_broken_is_back_when_they_are_not(
    daemon: Daemon, files: Files
) -> None:
    assert files.shown_by(daemon)
    files.put(files.key, [b"half a fi"])
    os.kill(daemon.web_process(), signal.SIGKILL)
    daemon.says("the web process ended")
    renewed = files.renew()
    assert files.shown_by(daemon) == renewed


def test_without_a_certificate_sighup_changes_nothing_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db", wrapper=NO_TERMINAL) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says("there is no certificate to be loaded anew")
        assert daemon.get("/job/") == {"jobs": {}}
        assert daemon.end()[0] == 0


def test_a_terminal_that_is_closed_stops_a_daemon_that_was_started_in_it(tmp_path: Path) -> None:
    """C4: as any stop does, also where its output goes elsewhere."""
    ours, theirs = os.openpty()
    script = "import os, sys; os.setsid(); os.open(sys.argv[1], os.O_RDWR); "
    script += "os.execvp(sys.argv[2], sys.argv[2:])"
    wrapper = (*HEEDING, sys.executable, "-c", script, os.ttyname(theirs))
    with running(tmp_path / "kala.db", wrapper=wrapper) as daemon:
        daemon.get("/stats/")
        os.close(theirs)
        os.close(ours)
        assert daemon.process.wait(PATIENCE) == 0
        assert daemon.process.stderr
        assert "SIGHUP: stopping" in daemon.process.stderr.read()


def test_plain_http_and_noise_end_before_a_word_in_the_log(daemon: Daemon, files: Files) -> None:
    for sent in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01",
        b"\0" * 70_000,
        b"",
    ):
        with connect(daemon) as stream:
            try:
                stream.sendall(sent)
                stream.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has not waited for all of it
            assert b"HTTP" not in received(stream)
    assert files.shown_by(daemon)
    status, errors = daemon.end()
    assert (status, errors.count("\n"), "SIGTERM: stopping" in errors) == (0, 1, True), errors


def test_a_handshake_that_never_ends_holds_up_nobody_and_is_ended(
    daemon: Daemon, files: Files
) -> None:
    assert files.shown_by(daemon)  # the web process is there
    descriptors = Path(f"/proc/{daemon.web_process()}/fd")
    before = len([*descriptors.iterdir()])
    silent: list[socket.socket] = []

    def are_waited_for() -> bool:
        """Open some more, since those from before may have been ended."""
        silent.extend(connect(daemon) for _ in range(20))
        for stream in silent[-20::2]:
            stream.sendall(b"\x16\x03\x01\x02")
        # The connection from which the first look came may be counted before, and gone by now.
        return len([*descriptors.iterdir()]) >= before + 19

    eventually(are_waited_for)
    assert files.shown_by(daemon)
    for stream in silent:
        with stream:
            received(stream)
    eventually(lambda: len([*descriptors.iterdir()]) <= before)


def test_a_handshake_that_never_ends_does_not_hold_up_a_stop(daemon: Daemon, files: Files) -> None:
    with connect(daemon) as silent:
        assert files.shown_by(daemon)
        assert daemon.end()[0] == 0
        assert received(silent) == b""


def test_jobs_get_neither_the_key_nor_word_of_it(tmp_path: Path, files: Files) -> None:
    gate = fifo(tmp_path)
    wrapper = ("env", f"KALA_TRIO_TLS_CERT={files.certificate}", f"KALA_TRIO_TLS_KEY={files.key}")
    with running(tmp_path / "kala.db", wrapper=wrapper) as daemon, asking(daemon, files) as http:
        command = f"env; ls -l /proc/self/fd; cat {gate}"
        body = {"name": "a", "command": command, "shell": True}
        job = http.post("/api/v1/job/", json=body).json()["id"]
        gate.write_text("over")
        said = http.get(f"/api/v1/run/{job}.1/output/?follow=true").text
    assert "KALA_TRIO_JOB_ID" in said
    assert "KALA_TRIO_TLS" not in said
    assert files.key.name not in said
    assert "socket:" not in said


def broken(files: Files, how: str) -> None:
    """Break the files in one way; an encrypted key is one by its first line already."""
    renewed = files.key.read_bytes()
    match how:
        case "not there":
            files.key.unlink()
        case "no file":
            files.key.unlink()
            files.key.mkdir()
        case "of another":
            files.renew()
            files.put(files.key, [renewed])
        case "no key":
            files.put(files.key, [b"hello"])
        case "no certificate":
            files.put(files.certificate, [renewed])
        case "open to others":
            files.put(files.key, [renewed], mode=0o644)
        case "under a password":
            words = ["openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", str(files.key)]
            done = subprocess.run(words, capture_output=True, check=True)
            files.put(files.key, [done.stdout])


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("not there", "--tls-key: cannot be read (No such file or directory), found "),
        ("no file", "--tls-key: is no ordinary file, found "),
        ("of another", "--tls-key: is not that of the certificate "),
        ("no key", "--tls-key: holds no private key in PEM, found "),
        ("no certificate", "--tls-cert: holds no certificate in PEM, found "),
        ("open to others", "--tls-key: is open to every user (its mode is 0644), found "),
        ("under a password", "--tls-key: is kept under a password, which nobody is there to type"),
    ],
)
def test_what_cannot_be_served_with_is_refused_and_named_with_one_that_works(
    files: Files, how: str, sentence: str
) -> None:
    broken(files, how)
    with pytest.raises(Refused) as refused:
        Certificate(files.certificate, files.key)
    assert str(refused.value).startswith(sentence)
    assert "; for example /etc/ssl/" in str(refused.value)


def test_a_daemon_that_cannot_serve_over_tls_does_not_start(tmp_path: Path, files: Files) -> None:
    certificate, key = files.flags
    db = tmp_path / "kala.db"
    assert refusal(db, certificate, status=2).startswith("--tls-key: is missing")
    assert refusal(db, key, status=2).startswith("--tls-cert: is missing")
    files.key.chmod(0o604)
    assert refusal(db, certificate, key, status=2).startswith("--tls-key: is open to every user")
    assert not db.exists()
