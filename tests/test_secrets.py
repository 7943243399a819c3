"""Secrets on real processes and servers: they arrive where they should, and nowhere else."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.daemon import FUTURE, Daemon, eventually, fifo, running
from tests.test_execution import as_root, why, written
from tests.visitor import Visitor
from tests.website import Asked, saying, website

SECRET = "hunter2 & ünd/more"
HIDDEN = {"A": True}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon that a service manager has started, as it were, with secrets of its own."""
    given = {"KALA_TRIO_TOKEN": SECRET, "KALA_TRIO_KEEP_DAYS": "5", "KALA_TRIO_API": "http://x"}
    given |= {"NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "1", "CREDENTIALS_DIRECTORY": "/run/x"}
    wrapper = ("env", *(f"{name}={value}" for name, value in given.items()))
    db = tmp_path_factory.mktemp("secrets") / "kala.db"
    with running(db, "--verbose", wrapper=wrapper) as daemon:
        yield daemon


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file that holds a secret."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def test_a_command_finds_its_secrets_in_its_environment(daemon: Daemon, file: Path) -> None:
    """K1, K3: those from files without the end of their line."""
    line = 'printf %s "$A" | od -An -tx1 | tr -d " \\n"; test "$A" = "$B" && echo same'
    shown = written(
        daemon, command=line, shell=True, secrets={"A": SECRET}, secret_files={"B": str(file)}
    )
    assert shown == f"{SECRET.encode().hex()}same\n"


def test_a_command_finds_nothing_of_what_is_the_daemons_own(daemon: Daemon) -> None:
    """E2: neither its settings and tokens, nor what a service manager tells it; nor its files."""
    shown = written(daemon, command="env; ls /proc/self/fd", shell=True).splitlines()
    names = {line.partition("=")[0] for line in shown if "=" in line}
    own = {f"KALA_TRIO_{each}" for each in ("JOB_ID", "JOB_NAME", "RUN_ID", "ATTEMPT")}
    own |= {"KALA_TRIO_SCHEDULED_AT", "KALA_TRIO_CAUSE"}
    assert {name for name in names if name.startswith("KALA_TRIO_")} == own
    assert not names & {"NOTIFY_SOCKET", "LISTEN_FDS", "CREDENTIALS_DIRECTORY"}
    assert {"PATH", "HOME"} <= names
    assert [line for line in shown if line.isdecimal()] == ["0", "1", "2", "3"]  # 3 is ls's own


def test_a_command_that_asks_a_daemon_gets_its_token_as_a_secret(daemon: Daemon) -> None:
    """K1: of the names that are kala-trio's these two are free."""
    line = 'test "$KALA_TRIO_TOKEN" = kt_abcdef && echo "$KALA_TRIO_API"'
    given = {"env": {"KALA_TRIO_API": "http://a"}, "secrets": {"KALA_TRIO_TOKEN": "kt_abcdef"}}
    assert written(daemon, command=line, shell=True, **given) == "http://a\n"


def test_a_secret_that_was_changed_in_its_file_is_new_for_the_next_attempt(
    daemon: Daemon, file: Path, tmp_path: Path
) -> None:
    """K3: also within a run."""
    line = f'test "$A" = rotated || {{ echo rotated > {file}; exit 1; }}'
    assert written(daemon, command=line, shell=True, secret_files={"A": str(file)}, retries=1) == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "must have 1 to 16000 characters, without NUL"),
        (b"\n", "must have 1 to 16000 characters, without NUL"),
        (b"hunter2\0", "must have 1 to 16000 characters, without NUL"),
        (b"hunter2" * 10_000, "must have 1 to 16000 characters, without NUL"),
        (b"hunter2\xff", "is no text of UTF-8"),
    ],
)
def test_a_file_without_a_secret_is_the_reason_of_an_attempt_that_did_not_start(
    daemon: Daemon, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """K3: it names the variable and the path, and nothing that stands there."""
    path, mark = tmp_path / "secret", tmp_path / "started"
    if content is not None:
        path.write_bytes(content)
    reason = why(daemon, command=f"touch {mark}", secret_files={"PGPASSWORD": str(path)})
    assert f"secret_files: the file of PGPASSWORD {problem}" in reason
    assert str(path)[:40] in reason
    assert "hunter2" not in reason
    assert not mark.exists()


def test_what_is_no_file_holds_nobody_up(daemon: Daemon, tmp_path: Path) -> None:
    """K3: a pipe that nobody writes to, and a directory."""
    for path, problem in ((fifo(tmp_path), "it is no regular file"), (tmp_path, "Is a directory")):
        reason = why(daemon, command="true", secret_files={"A": str(path)})
        assert f"the file of A cannot be read ({problem})" in reason


@as_root
def test_a_user_gets_no_secret_that_this_user_may_not_read(daemon: Daemon, tmp_path: Path) -> None:
    """K3: though the daemon, being root, could read it."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    try:
        (own := directory / "own").write_text("of nobody\n")
        (others := directory / "others").write_text("of root\n")
        own.chmod(0o400)
        others.chmod(0o400)
        os.chown(own, 65534, 65534)
        given: dict[str, Any] = {"user": "nobody", "cwd": "/", "shell": True}
        line = 'test "$A" = "of nobody" && id -u'
        assert written(daemon, command=line, secret_files={"A": str(own)}, **given) == "65534\n"
        reason = why(daemon, command=line, secret_files={"A": str(others)}, **given)
        assert "the file of A cannot be read (Permission denied, as user 65534)" in reason
        reason = why(daemon, command=line, secret_files={"A": "/proc/1/environ"}, **given)
        assert "Permission denied" in reason
    finally:
        subprocess.run(["rm", "-r", str(directory)], check=True)


def test_what_a_run_writes_is_kept_without_its_secrets(daemon: Daemon, file: Path) -> None:
    """K5: whatever pieces it comes in; for children, too."""
    line = 'printf %s "<$A>"; printf %.5s "$A"; printf "%s\\n" "${A#?????}"'
    parent = daemon.create(command=line, shell=True, secret_files={"A": str(file)}, schedule=FUTURE)
    child = daemon.create(
        command='echo "$KALA_TRIO_SOURCE_LAST_LINE"', shell=True, parent_jobs=[parent]
    )
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(child) == ["succeeded"])
    assert daemon.output(f"{parent}.1") == daemon.output(f"{child}.1") == "<***>***\n"


def test_an_edit_of_a_secret_alone_is_an_edit(daemon: Daemon) -> None:
    """K2, M5: it has another version, and the secret holds from then on."""
    line = 'printf %s "$A" | wc -c'
    job = daemon.create(command=line, shell=True, secrets={"A": SECRET}, schedule=FUTURE)
    shown, visitor = daemon.job(job), Visitor(daemon)
    assert shown["secrets"] == HIDDEN
    edits = [({"A": "four"}, 4), ({"A": True}, 4), ({"A": "twelve chars"}, 12)]
    for count, (body, length) in enumerate(edits, 1):
        _, before, _ = visitor.send("GET", f"/api/v1/job/{job}/")
        changed = json.dumps(shown | {"secrets": body}).encode()
        status, after, text = visitor.send("PUT", f"/api/v1/job/{job}/", changed)
        assert (status, json.loads(text)["job"]["secrets"]) == (200, HIDDEN), text
        assert int(after["etag"].strip('"')) == int(before["etag"].strip('"')) + 1
        daemon.post(f"/job/start/{job}/")
        run_id = f"{job}.{count}"
        assert await_end(daemon, run_id) == "succeeded"
        assert daemon.output(run_id).strip() == str(length)
    status, text = daemon.request("PATCH", f"/job/{job}/", b'{"secrets": {"B": true}}')
    assert (status, "there is none of that name, found 'B'" in text) == (400, True)
    status, text = daemon.request("PATCH", f"/job/{job}/", b'{"secrets": {"A": null}}')
    assert (status, "secrets" in json.loads(text)["job"]) == (200, False)


def await_end(daemon: Daemon, run_id: str) -> Any:
    """Return the outcome of a run, when it is over."""
    return eventually(lambda: daemon.get(f"/run/{run_id}/")["run"]["outcome"])


def asking(daemon: Daemon, url: str, **properties: Any) -> str:
    """Create a job that makes a request with a secret; it runs once, at once."""
    return daemon.create(
        type=1,
        remote_properties={"url": url, **properties},
        template_delimiters="{{ }}",
        secrets={"A": SECRET.replace("ü", "u"), "B": "s3cret body"},
    )


def test_a_request_has_its_secrets_in_url_headers_and_body(daemon: Daemon) -> None:
    """K4: and what the server says again of it is kept without them."""

    def echo(handler: BaseHTTPRequestHandler, it: Asked) -> None:
        saying(200, f"{it.path} {it.headers['authorization']} ".encode() + it.body)(handler, it)

    with website(echo) as site:
        headers = {"Authorization": ["Bearer {{ secrets.A }}"]}
        job = asking(
            daemon,
            f"{site.url}/x?key={{{{ secrets.A }}}}",
            headers=headers,
            body="<{{ secrets.B }}>",
        )
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
    (asked,) = site.asked
    plain = SECRET.replace("ü", "u")
    assert asked.path == f"/x?key={quote(plain, safe='')}"
    assert (asked.headers["authorization"], asked.body) == (f"Bearer {plain}", b"<s3cret body>")
    assert daemon.output(f"{job}.1") == "/x?key=*** Bearer *** <***>"


@pytest.mark.parametrize(("status", "arrives"), [(302, True), (307, False), (308, False)])
def test_no_redirect_takes_a_secret_to_another_server(
    daemon: Daemon, status: int, arrives: bool
) -> None:
    """K4, Q4: headers that hold one stay behind; with one in the body nothing is sent there."""
    with website(saying(200)) as other:

        def redirect(handler: BaseHTTPRequestHandler, _: Asked) -> None:
            handler.send_response(status)
            handler.send_header("Location", f"{other.url}/there")
            handler.end_headers()

        with website(redirect) as site:
            headers = {"X-Key": ["{{ secrets.A }}"], "X-Other": ["plain"]}
            job = asking(
                daemon,
                site.url,
                method="POST",
                headers=headers,
                body="{{ secrets.B }}",
                follow_redirects=True,
            )
            eventually(lambda: daemon.job(job)["is_done"])
    if arrives:
        (asked,) = other.asked
        assert ("x-key" in asked.headers, asked.headers["x-other"]) == (False, "plain")
        assert asked.body == b""
    else:
        assert other.asked == []
        assert "for which the secret in the body is not meant" in daemon.runs(job)[0]["reason"]


def test_a_server_that_says_again_what_it_was_sent_puts_no_secret_into_reasons(
    daemon: Daemon,
) -> None:
    """K5: one that speaks no HTTP, say."""

    def parrot(handler: BaseHTTPRequestHandler, it: Asked) -> None:
        handler.wfile.write(f"{it.path}\r\n\r\n".encode())

    with website(parrot) as site:
        job = asking(daemon, f"{site.url}/{{{{ secrets.B }}}}")
        eventually(lambda: daemon.outcomes(job) == ["failed"])
    reason = daemon.runs(job)[0]["reason"]
    assert "did not answer as HTTP asks" in reason
    assert "***" in reason
    assert "s3cret" not in reason


def test_a_webhook_and_a_ping_may_be_secrets(daemon: Daemon, file: Path) -> None:
    """K4: in records of notices there is only a name, also where one can't be sent."""
    with website(saying(204)) as site:
        file.write_text(f"{site.url}/ping/hunter2\n")
        job = daemon.create(
            command="false",
            notify_webhook="secrets.HOOK",
            ping_url="secrets.PING",
            secrets={"HOOK": f"{site.url}/hook/hunter2"},
            secret_files={"PING": str(file)},
        )
        told = eventually(
            lambda: (
                [
                    each
                    for each in daemon.get(f"/job/notices/{job}/")["notices"]
                    if each["delivered_at"] and each["news"] == "failure"
                ][1:]
                and daemon.get(f"/job/notices/{job}/")["notices"]
            )
        )
    paths = {asked.path.partition("?")[0] for asked in site.asked}
    assert {"/hook/hunter2", "/ping/hunter2/fail"} <= paths
    assert {each["receiver"] for each in told} == {"secrets.HOOK", "secrets.PING"}
    file.write_text("no URL, hunter2\n")
    daemon.post(f"/job/start/{job}/")

    def error() -> Any:
        found = daemon.get(f"/job/notices/{job}/")["notices"]
        return next(
            (each["error"] for each in found if each["error"] and each["news"] == "failure"), None
        )

    assert eventually(error) == "the secret PING holds no URL of http or https"


@pytest.mark.parametrize("umask", ["000", "077"])
def test_all_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path, umask: str) -> None:
    """K6: database, its companions, tokens, outputs, pipes, notes and backups; and directories."""
    home = tmp_path / "made" / "here"
    wrapper = ("sh", "-c", f'umask {umask}; exec "$@"', "sh")
    with running(home / "kala.db", wrapper=wrapper) as daemon:
        over = fifo(tmp_path)
        first = daemon.create(command="echo done")
        job = daemon.create(command=f"sh -c 'echo begun; cat {over}'", secrets={"A": SECRET})
        eventually(lambda: daemon.outcomes(first) == ["succeeded"])
        eventually(lambda: daemon.output(f"{job}.1") == "begun\n")
        for words in (("backup", str(home / "copy.db")), ("token", "new", "ada")):
            kala = ["-m", "kala_trio", *words, f"--db={home}/kala.db"]
            subprocess.run([*wrapper, sys.executable, *kala], check=True, stdout=subprocess.DEVNULL)
        found = {path: path.lstat().st_mode for path in [home, *home.rglob("*")]}
        names = {path.suffix for path in found}
        assert {".db", ".db-wal", ".db-shm", ".db-tokens", ".fifo", ".group"} <= names
        wrong = {
            str(path): oct(mode)
            for path, mode in found.items()
            if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)
        }
        assert wrong == {}
        over.write_text("")


def test_what_is_open_to_others_is_told_at_the_start_and_left_as_it_is(tmp_path: Path) -> None:
    """K6."""
    db = tmp_path / "kala.db"
    with running(db) as daemon:
        daemon.end()
    (outputs := tmp_path / "kala.db-output").mkdir(exist_ok=True)
    for path, mode in ((db, 0o644), (outputs, 0o755), (tmp_path, 0o777)):
        path.chmod(mode)
    with running(db) as daemon:
        for words in (f"{db} is open to others", f"{outputs} is open to others"):
            daemon.says(words)
        daemon.says(f"others may put files of theirs into {tmp_path}")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (db, outputs)] == [0o644, 0o755]
