"""Remote jobs through a real daemon, against real servers: good, bad, slow and hostile ones."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.daemon import PATIENCE, Daemon, eventually, running
from tests.test_remote_runner import refusing
from tests.website import Asked, saying, waiting, website


def create(daemon: Daemon, url: str, more: dict[str, Any] | None = None, **properties: Any) -> str:
    """Create a remote job, ``more`` being keys beside its properties."""
    return daemon.create(type=1, remote_properties={"url": url, **properties}, **more or {})


def reasons(daemon: Daemon, job: str) -> list[str]:
    """Wait until a job is done, and return why the attempts of its one run failed."""
    eventually(lambda: daemon.job(job)["is_done"])
    (run,) = daemon.runs(job)
    return [attempt["reason"] for attempt in run["attempts"]]


def test_a_request_arrives_as_it_was_written_and_says_which_attempt_it_is(daemon: Daemon) -> None:
    """Q1, Q6: and the body of the answer is the output of the run."""
    with website(saying(200, "grüß dich".encode())) as site:
        headers = {"X-Key": ["a", "b"], "user-agent": ["mine"]}
        job = create(daemon, f"{site.url}/a?b=c", method="PUT", body="ü", headers=headers)
        assert reasons(daemon, job) == [""]
    ((method, path, found, body),) = site.asked
    assert (method, path, body) == ("PUT", "/a?b=c", "ü".encode())
    scheduled_at = daemon.runs(job)[0]["trigger"]["scheduled_at"]
    assert found["kala-trio-job-id"] == job
    assert found["kala-trio-run-id"] == found["idempotency-key"] == f"{job}.1"
    assert (found["kala-trio-attempt"], found["kala-trio-scheduled-at"]) == ("1", scheduled_at)
    assert (found["user-agent"], found["x-key"]) == ("mine", "a, b")
    assert daemon.output(f"{job}.1") == "grüß dich"
    assert daemon.outcomes(job) == ["succeeded"]


def test_a_status_that_is_not_expected_fails_the_attempt_which_is_retried(daemon: Daemon) -> None:
    """A1, Q2: with the same key, by which the server may know it again."""
    with website(saying(503, b"busy\n")) as site:
        job = create(daemon, site.url, {"retries": 2})
        assert (
            reasons(daemon, job) == ["status 503, which is not among expected_response_codes"] * 3
        )
    assert [asked.headers["kala-trio-attempt"] for asked in site.asked] == ["1", "2", "3"]
    assert {asked.headers["idempotency-key"] for asked in site.asked} == {f"{job}.1"}
    assert daemon.output(f"{job}.1") == "busy\n" * 3
    assert daemon.job(job)["error_count"] == 3


def test_what_is_expected_is_success_and_nothing_else_is(daemon: Daemon) -> None:
    """A1, Q2."""
    with website(saying(418)) as site:
        job = create(daemon, site.url, expected_response_codes=[200, 418])
        assert reasons(daemon, job) == [""]
    with website(saying(200)) as site:
        job = create(daemon, site.url, expected_response_codes=[418])
        assert "status 200" in reasons(daemon, job)[0]


def test_epsilon_ends_the_retries_of_a_remote_job(daemon: Daemon) -> None:
    """A2: the first answer comes when it is too late for another attempt."""

    def late(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        scheduled_at = datetime.fromisoformat(asked.headers["kala-trio-scheduled-at"])
        end = scheduled_at + timedelta(seconds=2.3)
        while (now := datetime.now(end.tzinfo)) < end:
            site.over.wait((end - now).total_seconds())
        saying(500)(handler, asked)

    with website(late) as site:
        job = create(daemon, site.url, {"retries": 5, "epsilon": "PT2S"})
        assert len(reasons(daemon, job)) == 1


def test_a_child_follows_the_success_of_a_request(daemon: Daemon) -> None:
    """D1."""
    with website(saying(200)) as site:
        parent = create(daemon, site.url, {"schedule": "R0/2099-01-01T00:00:00Z/"})
        child = create(daemon, f"{site.url}/child", {"parent_jobs": [parent]})
        daemon.request("POST", f"/job/start/{parent}/")
        eventually(lambda: daemon.outcomes(child) == ["succeeded"])
    assert [asked.path for asked in site.asked] == ["/", "/child"]


def test_redirects_are_followed_only_if_that_is_asked_for(daemon: Daemon) -> None:
    """Q4."""

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        if asked.path == "/done":
            saying(200, b"done")(handler, asked)
        else:
            handler.send_response(302)
            handler.send_header("Location", "/done")
            handler.end_headers()

    with website(answer) as site:
        assert "status 302" in reasons(daemon, create(daemon, site.url))[0]
        job = create(daemon, site.url, follow_redirects=True)
        assert reasons(daemon, job) == [""]
    assert daemon.output(f"{job}.1") == "done"


def test_a_patch_changes_one_property_and_the_kind_of_a_job(daemon: Daemon) -> None:
    """Q1, M4."""
    with website(saying(200)) as site:
        job = daemon.create(command="true", schedule="R0/2099-01-01T00:00:00Z/")
        remote = {"url": site.url, "method": "POST", "headers": {"a": ["b"]}}
        for patch in (
            {"type": 1, "command": "", "remote_properties": remote},
            {"remote_properties": {"method": None, "timeout": 5}},
        ):
            answer = daemon.request("PATCH", f"/job/{job}/", json.dumps(patch).encode())
            assert answer[0] == 200, answer
        shown = daemon.job(job)["remote_properties"]
        assert (shown["method"], shown["timeout"], shown["headers"]) == ("", 5, {"a": ["b"]})
        daemon.request("POST", f"/job/start/{job}/")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
    assert [(asked.method, asked.headers["a"]) for asked in site.asked] == [("GET", "b")]


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Any:
    """Return what writes ``piece`` again and again, until its client has had enough."""

    def answer(handler: BaseHTTPRequestHandler, _: Asked) -> None:
        handler.wfile.write(start)
        never = threading.Event()
        while not never.wait(pause):
            handler.wfile.write(piece)

    return answer


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (endless(b"", b"H", 0.01), "no whole answer within 0.5 s"),
        (endless(OK, b"a", 0.01), "no whole answer within 0.5 s"),
        (endless(OK + b"\r\n", b"a", 0.01), "no whole answer within 0.5 s"),
        (endless(OK, b"a: b\r\n" * 1000), "did not answer as HTTP asks"),
        (endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000), "bytes without an answer"),
        (endless(b"", b"\0" * 1000), "did not answer as HTTP asks"),
        (lambda *_: None, "closed the connection without an answer"),
        (lambda it, _: it.wfile.write(OK + b"Content-Length: 9\r\n\r\nhi"), "did not answer as"),
    ],
    ids=["drips", "drips heads", "drips a body", "heads", "hints", "noise", "nothing", "half"],
)
def test_a_server_that_does_not_answer_fails_the_attempt_in_bounded_time(
    daemon: Daemon, answer: Any, words: str
) -> None:
    """Q2, Q3, Q5."""
    with website(answer) as site:
        timeout = 0.5 if "0.5" in words else 30
        assert words in reasons(daemon, create(daemon, site.url, timeout=timeout))[0]


def test_of_a_body_without_end_the_beginning_is_the_output(daemon: Daemon) -> None:
    """Q5."""
    with website(endless(OK + b"\r\n", b"0123456789abcdef" * 64)) as site:
        job = create(daemon, site.url)
        assert reasons(daemon, job) == [""]
    assert daemon.output(f"{job}.1") == "0123456789abcdef" * 8192


@contextmanager
def silent() -> Iterator[int]:
    """Lend the port of a server that accepts connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1000)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_says_a_word_is_given_up(daemon: Daemon, scheme: str) -> None:
    """Q3."""
    with silent() as port:
        job = create(daemon, f"{scheme}://127.0.0.1:{port}/", timeout=0.1)
        assert reasons(daemon, job) == [
            "no whole answer within 0.1 s; remote_properties.timeout may allow for more"
        ]


def test_where_nobody_is_at_home_the_reason_says_so(daemon: Daemon) -> None:
    """Q2."""
    with closing(refusing()) as held:
        port = held.getsockname()[1]
        refused = reasons(daemon, create(daemon, f"http://127.0.0.1:{port}/"))[0]
    assert refused.startswith(f"127.0.0.1:{port} cannot be reached: Connection refused; ")
    nowhere = create(daemon, "http://no-such-host.invalid/", timeout=PATIENCE)
    unknown = reasons(daemon, nowhere)[0]
    assert unknown.startswith("the name 'no-such-host.invalid' cannot be looked up: ")


def test_only_a_server_with_a_certificate_that_is_trusted_is_asked(tmp_path: Path) -> None:
    """Q4: the request goes out after its server has proved who it is."""
    authority = trustme.CA()
    pem = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(pem))
    with (
        website(saying(200), authority.issue_cert("localhost")) as good,
        website(saying(200), authority.issue_cert("example.org")) as other,
        website(saying(200), trustme.CA().issue_cert("localhost")) as stranger,
        website(saying(200)) as plain,
        running(tmp_path / "kala.db", wrapper=("env", f"SSL_CERT_FILE={pem}")) as daemon,
    ):
        assert reasons(daemon, create(daemon, good.url)) == [""]
        mismatch = reasons(daemon, create(daemon, other.url))[0]
        assert f"the certificate of localhost:{other.port} is not trusted: Hostname" in mismatch
        untrusted = reasons(daemon, create(daemon, stranger.url))[0]
        assert "is not trusted: " in untrusted
        assert "SSL_CERT_FILE" in untrusted
        wrong = reasons(daemon, create(daemon, f"https://127.0.0.1:{plain.port}/"))[0]
        assert wrong.startswith(f"no TLS connection with 127.0.0.1:{plain.port}: ")
        assert other.asked == stranger.asked == plain.asked == []


def test_a_stop_lets_requests_have_their_grace_and_then_breaks_them_off(tmp_path: Path) -> None:
    """C4, Q7."""
    with website(waiting) as site, running(tmp_path / "kala.db", "--grace=PT0.1S") as daemon:
        job = create(daemon, site.url)
        eventually(lambda: site.asked)
        status, errors = daemon.end()
        assert (status, "Traceback" in errors) == (0, False), errors
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.outcomes(job) == ["stopped"]


def test_a_request_that_is_answered_in_the_grace_period_has_its_outcome(tmp_path: Path) -> None:
    """C4, Q7."""
    gate = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        gate.wait(PATIENCE)
        saying(200)(handler, asked)

    with website(answer) as site, running(tmp_path / "kala.db", "--grace=PT1H") as daemon:
        job = create(daemon, site.url)
        eventually(lambda: site.asked)
        daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: daemon.request("POST", f"/job/enable/{job}/")[0] == 503)
        gate.set()
        assert daemon.process.wait(PATIENCE) == 0
    with running(tmp_path / "kala.db") as daemon:
        assert daemon.outcomes(job) == ["succeeded"]


def test_after_a_crash_a_request_is_lost_at_once_and_not_made_again(tmp_path: Path) -> None:
    """C3, Q7."""
    with website(waiting) as site:
        with running(tmp_path / "kala.db") as daemon:
            job = create(daemon, site.url, {"retries": 3})
            eventually(lambda: site.asked)
            daemon.process.kill()
        with running(tmp_path / "kala.db") as daemon:
            eventually(lambda: daemon.outcomes(job) == ["lost"])
        assert len(site.asked) == 1


def test_the_log_of_a_daemon_that_tells_all_holds_no_secret(tmp_path: Path) -> None:
    """Q1: nor does a reason."""
    with website(saying(404, b"s3cret")) as site:
        with running(tmp_path / "kala.db", "--verbose") as daemon:
            headers = {"Authorization": ["s3cret"]}
            url = f"{site.url}/s3cret?s3cret"
            job = create(daemon, url, body="s3cret", headers=headers, method="POST")
            assert "s3cret" not in reasons(daemon, job)[0]
            _, log = daemon.end()
        assert f'work="POST {site.url}"' in log
        assert "s3cret" not in log


def test_a_remote_job_that_is_none_is_refused_by_name(daemon: Daemon) -> None:
    """Q1: the two kinds of jobs do not mix."""
    remote = {"url": "http://127.0.0.1/"}
    for fields, name in (
        ({"type": 1}, "remote_properties.url"),
        ({"type": 1, "remote_properties": {"method": "GET"}}, "remote_properties.url"),
        ({"type": 1, "remote_properties": remote, "command": "true"}, "command"),
        ({"type": 0, "remote_properties": remote}, "type"),
        ({"remote_properties": remote, "command": "true"}, "type"),
        ({"type": 1, "remote_properties": {**remote, "retries": 1}}, "remote_properties"),
        ({"type": 1, "remote_properties": remote, "retry_exit_codes": [1]}, "retry_exit_codes"),
        ({"type": 1, "remote_properties": remote, "cwd": "/"}, "cwd"),
    ):
        body = json.dumps({"name": "a", **fields}).encode()
        status, text = daemon.request("POST", "/job/", body)
        assert (status, text.startswith(f'{{"error":"{name}: ')) == (400, True), text


def test_a_denied_address_is_not_asked_by_whatever_name_or_redirect(tmp_path: Path) -> None:
    """Q8: of jobs, webhooks and pings."""

    def to_localhost(handler: BaseHTTPRequestHandler, _: Asked) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://127.0.0.2:{hidden.port}/")
        handler.end_headers()

    with (
        website(saying(200)) as hidden,
        website(to_localhost) as door,
        running(tmp_path / "kala.db", "--deny-targets=127.0.0.2,::1") as daemon,
    ):
        job = create(daemon, f"http://127.0.0.2:{hidden.port}/")
        (reason,) = reasons(daemon, job)
        assert "127.0.0.2 is 127.0.0.2, which this kala-trio does not ask" in reason
        job = create(daemon, door.url, follow_redirects=True)
        (reason,) = reasons(daemon, job)
        assert "which this kala-trio does not ask" in reason
        job = daemon.create(command="false", notify_webhook=f"http://127.0.0.2:{hidden.port}")
        (told,) = eventually(
            lambda: [
                each for each in daemon.get(f"/job/notices/{job}/")["notices"] if each["error"]
            ]
        )
        assert "--allow-targets" in told["error"]
        assert hidden.asked == []
