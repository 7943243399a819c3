"""Notices through a real daemon to real servers: told, tried again, and on record."""

import json
import signal
import threading
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import trio

from kala_trio.clock import WallClock
from kala_trio.core.definition import News
from kala_trio.core.job import Channel, Notice
from kala_trio.core.messages import Keep
from kala_trio.delivery import Deliveries
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.targets import Targets
from kala_trio.store.journal import Journal
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, running
from tests.test_mail import Postbox, mail_server
from tests.website import Asked, saying, waiting, website


def notices(daemon: Daemon, job: str) -> Any:
    """Return what was told of a job, oldest first."""
    return daemon.get(f"/job/notices/{job}/")["notices"][::-1]


def settled(daemon: Daemon, job: str, count: int) -> Any:
    """Wait until so many notices are over, and return them."""

    def there() -> Any:
        found = notices(daemon, job)
        return found if [each["next_try_at"] for each in found] == [None] * count else None

    return eventually(there)


def test_a_failure_is_told_by_webhook_letter_and_ping(tmp_path: Path) -> None:
    """Rules N1, N3 and N5."""
    box = Postbox()
    with mail_server(box) as port, website(saying(204)) as site:
        flags = (f"--smtp=smtp://localhost:{port}", "--smtp-from=kala@example.com")
        with running(tmp_path / "kala.db", *flags) as daemon:
            job = daemon.create(
                name="näch\nt",
                command="sh -c 'echo so; echo what; exit 3'",
                notify_webhook=f"{site.url}/hook?a=b",
                notify_email=["ada@example.com"],
                ping_url=f"{site.url}/ping/x?y=z",
            )
            told = settled(daemon, job, 4)
            run = daemon.get(f"/run/{job}.1/")["run"]
    assert [(each["news"], each["channel"]) for each in told] == [
        ("start", "ping"),
        ("failure", "webhook"),
        ("failure", "email"),
        ("failure", "ping"),
    ]
    assert all(each["delivered_at"] and each["tries"] == 1 for each in told)
    pings = [asked for asked in site.asked if asked.path.startswith("/ping")]
    rid = uuid.uuid5(uuid.NAMESPACE_URL, f"{job}.1")
    assert [(each.path, each.body) for each in pings] == [
        (f"/ping/x/start?y=z&rid={rid}", b""),
        (f"/ping/x/fail?y=z&rid={rid}", b"exit code 3"),
    ]
    (hook,) = (asked for asked in site.asked if asked.path == "/hook?a=b")
    assert (hook.method, hook.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(hook.body) == {
        "text": "näch t failed: exit code 3",
        "news": "failure",
        "job_id": job,
        "job_name": "näch\nt",
        "number": 2,
        "at": told[1]["at"],
        "scheduled_at": run["trigger"]["scheduled_at"],
        "failures_in_a_row": 1,
        "reason": "exit code 3",
        "run": {key: run[key] for key in run if key != "output_bytes"},
        "output": "so\nwhat\n",
    }
    (letter,) = box.letters
    assert letter["Subject"] == "[kala-trio] näch t failed: exit code 3"
    assert letter["To"] == "ada@example.com"
    for words in (job, f"{job}.1", run["started_at"], "so\nwhat\n", "exit code 3"):
        assert words in letter.get_content().replace("\r\n", "\n")


def test_what_is_late_is_told_as_soon_as_it_is(daemon: Daemon) -> None:
    """Rule N4."""
    with website(saying(200)) as site:
        job = daemon.create(
            command="sleep 1000", notify_webhook=site.url, expect_within="PT0.5S", schedule=""
        )
        (late,) = settled(daemon, job, 1)
        daemon.post(f"/run/cancel/{job}.1/")
    body = json.loads(site.asked[0].body)
    assert (late["news"], late["reason"]) == ("late", "its run is still in progress")
    assert body["text"].startswith("job is late: of ")
    assert body["run"] is None


def test_what_could_not_be_told_is_tried_again_until_it_is(daemon: Daemon) -> None:
    """N5: after ten seconds first."""
    answers = chain([500], repeat(200))

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        saying(next(answers))(handler, asked)

    with website(answer) as site:
        job = daemon.create(command="false", notify_webhook=site.url)
        (failed,) = eventually(lambda: [each for each in notices(daemon, job) if each["error"]])
        assert failed["error"] == "answered with status 500"
        assert failed["next_try_at"] > failed["at"]
        (told,) = settled(daemon, job, 1)
    assert (told["tries"], told["error"], told["delivered_at"] is None) == (2, None, False)
    bodies = [json.loads(asked.body) for asked in site.asked]
    assert [each["number"] for each in bodies] == [1, 1]


def test_what_was_to_be_told_when_the_daemon_was_killed_is_told_by_the_next(
    tmp_path: Path,
) -> None:
    """Rule N5."""
    hangs = True

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        if hangs:
            handler.connection.recv(1)
        else:
            saying(200)(handler, asked)

    with website(answer) as site:
        with running(tmp_path / "kala.db") as daemon:
            job = daemon.create(command="false", notify_webhook=site.url)
            eventually(lambda: site.asked)
            daemon.process.kill()
            daemon.process.wait()
        hangs = False
        with running(tmp_path / "kala.db") as daemon:
            (told,) = settled(daemon, job, 1)
    assert told["delivered_at"]
    first, second = site.asked
    assert first.body == second.body


def test_who_does_not_answer_keeps_no_run_waiting(daemon: Daemon) -> None:
    """Rule N5."""
    with website(waiting) as site:
        job = daemon.create(
            command="true", schedule="R20//PT0.05S", ping_url=site.url, catch_up="all"
        )
        eventually(lambda: daemon.job(job)["success_count"] == 21)
        assert {each["delivered_at"] for each in notices(daemon, job)} == {None}
        daemon.request("DELETE", f"/job/{job}/")


def test_a_receiver_that_hangs_does_not_keep_others_waiting(daemon: Daemon) -> None:
    """N5: however much waits for it."""
    with website(waiting) as hanging, website(saying(200)) as site:
        bodies = [
            {"name": f"{number}", "command": "false", "notify_webhook": hanging.url}
            for number in range(50)
        ]
        status, text = daemon.request("POST", "/job/bulk/", json.dumps(bodies).encode())
        assert status == 201, text
        eventually(lambda: len(hanging.asked) == 4)
        job = daemon.create(command="false", notify_webhook=site.url)
        (told,) = settled(daemon, job, 1)
        assert told["delivered_at"]
        assert len(hanging.asked) == 4
        for each in json.loads(text)["ids"]:
            daemon.request("DELETE", f"/job/{each}/")


def test_a_ping_gives_way_to_a_later_one_after_its_first_try(daemon: Daemon) -> None:
    """Rule N5."""
    answers = chain([500], repeat(200))

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        saying(next(answers))(handler, asked)

    with website(answer) as site:
        job = daemon.create(command="true", ping_url=site.url, schedule="")
        start, success = settled(daemon, job, 2)
    assert (start["news"], start["delivered_at"]) == ("start", None)
    assert start["error"] == "gave way to later pings"
    assert (success["news"], success["error"]) == ("success", None)


def test_the_daemon_tells_that_it_is_well_at_each_interval(tmp_path: Path) -> None:
    """Rule N6."""
    with website(saying(200)) as site:
        flags = (f"--heartbeat-url={site.url}/beat", "--heartbeat-every=PT1S")
        with running(tmp_path / "kala.db", *flags):
            eventually(lambda: len(site.asked) >= 3)
    assert {(asked.method, asked.path) for asked in site.asked} == {("POST", "/beat")}


def test_a_heartbeat_that_nobody_hears_is_told_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path / "kala.db", "--heartbeat-url=http://127.0.0.1:1") as daemon:
        assert "127.0.0.1:1 cannot be reached" in daemon.says("the heartbeat is not heard")


def test_a_job_that_wants_e_mail_is_refused_where_there_is_no_mail_server(daemon: Daemon) -> None:
    body = json.dumps({"name": "a", "command": "true", "notify_email": ["a@b"]}).encode()
    status, text = daemon.request("POST", "/job/", body)
    assert status == 400
    assert "notify_email: this kala-trio has no mail server" in text
    assert "--smtp smtp://localhost" in text


def test_a_letter_that_cannot_be_sent_any_more_is_told_so(tmp_path: Path) -> None:
    """N5: a daemon that has lost its mail server says what is missing."""
    with running(tmp_path / "kala.db", "--smtp=smtp://localhost:1") as daemon:
        job = daemon.create(command="false", notify_email=["a@b"], schedule=FUTURE)
    with running(tmp_path / "kala.db") as daemon:
        daemon.post(f"/job/start/{job}/")
        (told,) = eventually(lambda: [each for each in notices(daemon, job) if each["error"]])
    assert told["error"] == "there is no mail server: start kala-trio with --smtp"


def test_what_was_told_is_shown_page_by_page_of_deleted_jobs_too(daemon: Daemon) -> None:
    """Rule N5."""
    with website(saying(200)) as site:
        job = daemon.create(command="true", schedule=FUTURE, ping_url=site.url)
        for count in (1, 2):
            daemon.post(f"/job/start/{job}/")
            settled(daemon, job, 2 * count)
    daemon.request("DELETE", f"/job/{job}/")
    first = daemon.get(f"/job/notices/{job}/?limit=3")
    rest = daemon.get(f"/job/notices/{job}/?limit=3&cursor={first['next']}")
    assert [each["number"] for each in first["notices"]] == [4, 3, 2]
    assert [each["number"] for each in rest["notices"]] == [1]
    assert rest["next"] is None


@pytest.mark.parametrize("path", ["none/", "none/?limit=0", "none/?since=1"])
def test_who_asks_wrongly_for_notices_is_told_so(daemon: Daemon, path: str) -> None:
    status, text = daemon.request("GET", f"/job/notices/{path}")
    assert status == (404 if path == "none/" else 400)
    assert json.loads(text)["error"]


def test_a_daemon_that_cannot_make_requests_says_so_and_goes_on(
    tmp_path: Path,
) -> None:
    wrapper = ("env", "SSLKEYLOGFILE=/nonexistent/keys")
    with running(tmp_path / "kala.db", wrapper=wrapper) as daemon:
        job = daemon.create(command="false", notify_webhook="http://127.0.0.1:1")
        (told,) = eventually(lambda: [each for each in notices(daemon, job) if each["error"]])
        assert "what requests need cannot be loaded" in told["error"]
        assert daemon.outcomes(job) == ["failed"]


def test_what_is_on_its_way_at_a_stop_is_not_told_twice(tmp_path: Path) -> None:
    """Rule N5."""
    asked, go_on = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler, it: Asked) -> None:
        asked.set()
        go_on.wait(PATIENCE)
        saying(200)(handler, it)

    with website(answer) as site:
        with running(tmp_path / "kala.db") as daemon:
            job = daemon.create(command="false", notify_webhook=site.url)
            assert asked.wait(PATIENCE)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.says("stopping")
            go_on.set()
            assert daemon.process.wait(PATIENCE) == 0
        with running(tmp_path / "kala.db") as daemon:
            (told,) = notices(daemon, job)
            assert told["delivered_at"]
    assert len(site.asked) == 1


async def test_a_clock_that_was_set_back_puts_no_notice_off(tmp_path: Path) -> None:
    """N5: it was decided on at a later instant than it is by now."""
    at = datetime.now(UTC) + timedelta(minutes=50)
    outbound = Outbound(Targets())
    with closing(Journal(tmp_path / "kala.db")) as journal, website(saying(200)) as site:
        notice = Notice("a", 1, "a", Channel.WEBHOOK, site.url, News.FAILURE, at, None, at)
        await journal.commit([Keep(notice)])
        deliveries = Deliveries(journal, tmp_path, WallClock(), outbound, None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deliveries.run)
            await trio.to_thread.run_sync(eventually, lambda: site.asked)
            nursery.cancel_scope.cancel()
    assert len(site.asked) == 1


def test_a_monitor_of_a_busy_job_is_pinged_and_does_not_fall_behind(daemon: Daemon) -> None:
    """N5: old pings give way."""
    with website(saying(200)) as site:
        job = daemon.create(
            command="true", schedule="R30//PT0.05S", catch_up="all", ping_url=site.url
        )
        eventually(lambda: daemon.job(job)["success_count"] == 31)
        told = settled(daemon, job, 62)
        assert told[-1]["delivered_at"]
        assert site.asked[-1].path.startswith("/?rid=")
