"""The first page, and how it is told that something has changed, by a real daemon."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running
from tests.visitor import Visitor, assert_safe, finished

HOSTILE = "<b>\"'><script>alert(1)</script>"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path / "kala.db") as daemon:
        yield daemon


@contextmanager
def events(daemon: Daemon, seen: str) -> Iterator[Iterator[bytes]]:
    """Listen for changes since a page was seen."""
    url = f"{daemon.url}/webui/events/?seen={seen}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield (line for line in iter(answer.readline, b"") if line.startswith(b"data:"))


def seen(daemon: Daemon) -> str:
    """Return what the first page says of when it was made."""
    return next(
        given["data-live"] for _, given in Visitor(daemon).get("/").tags if "data-live" in given
    )


def test_whoever_names_no_page_gets_the_overview(daemon: Daemon) -> None:
    visitor = Visitor(daemon)
    assert visitor.send("GET", "/")[0] == 303
    page = visitor.get("/")
    assert page.path == "/webui/"
    assert_safe(page)
    assert "There are no jobs yet" in page.text
    assert page.links["Create the first one"] == "/webui/new/"


def test_the_overview_names_failures_runs_misses_and_what_comes(
    daemon: Daemon, tmp_path: Path
) -> None:
    run_id = finished(daemon, "exit 9", name="<broken>")
    held = daemon.create(name="<held>", command=f"cat {fifo(tmp_path)}", schedule=FUTURE)
    for _ in range(3):
        daemon.post(f"/job/start/{held}/")
    eventually(lambda: daemon.job(held).get("pending"))
    daemon.create(name="off", command="true", schedule=FUTURE, disabled=True)
    page = Visitor(daemon).get("/")
    assert len(page.html) < 50_000
    assert page.by_id("counts") == ("1 failing 1 running 1 waiting 2 enabled 1 disabled")
    assert page.links["output"] == f"/webui/run/{run_id}/"
    assert "exit code 9" in page.text
    assert "1 missed: overlap" in page.text
    assert page.links["<held>"] == f"/webui/job/{held}/"
    assert f'href="/webui/run/{held}.1/"' in page.html
    for number in (1, 2):
        daemon.post(f"/run/cancel/{held}.{number}/")
        eventually(lambda: daemon.outcomes(held).count("cancelled") == number)  # noqa: B023


def test_the_hours_around_now_show_runs_misses_and_what_comes_failing_ones_first(
    daemon: Daemon, tmp_path: Path
) -> None:
    visitor = Visitor(daemon)
    assert visitor.get("/").by_id("timeline") == ""
    coming = datetime.now(UTC) + timedelta(minutes=30)
    often = daemon.create(
        name="often", command="true", schedule=f"R/{coming:%Y-%m-%dT%H:%M:%SZ}/PT1H"
    )
    finished(daemon, "true", name="good")
    held = daemon.create(name="held", command=f"cat {fifo(tmp_path)}", schedule=FUTURE)
    for _ in range(3):
        daemon.post(f"/job/start/{held}/")
    eventually(lambda: daemon.job(held).get("pending"))
    daemon.create(name="far off", command="true", schedule=FUTURE)
    daemon.create(name="off", command="true", schedule="R//PT1H", disabled=True)
    finished(daemon, "false", name=HOSTILE)
    page = visitor.get("/")
    assert_safe(page)
    drawn = page.by_id("timeline")
    assert "held: 1 running, 1 missed." in drawn
    assert "good: 1 succeeded." in drawn
    assert "often: 6 coming." in drawn
    assert f'<a href="/webui/job/{often}/"><text' in page.html
    assert "far off" not in drawn
    assert "off:" not in drawn
    assert drawn.index(f"{HOSTILE}: 1 failed.") < drawn.index("held: ")
    assert "<script>alert" not in page.html
    assert daemon.job(often)["name"] == "often"
    for number in (1, 2):
        daemon.post(f"/run/cancel/{held}.{number}/")
        eventually(lambda: daemon.outcomes(held).count("cancelled") == number)  # noqa: B023


def test_a_flood_of_runs_with_the_longest_names_still_makes_a_small_drawing(
    daemon: Daemon,
) -> None:
    coming = datetime.now(UTC) + timedelta(hours=3)
    for _ in range(25):
        daemon.create(name='"' * 1000, command="true", schedule="R/2099-01-01T00:00:00Z/P1D")
        daemon.create(
            name="'" * 1000, command="true", schedule=f"R/{coming:%Y-%m-%dT%H:%M:%SZ}/PT1H"
        )
    flood = daemon.create(name="flood", command="true", schedule="R319//PT0.01S", catch_up="all")
    eventually(lambda: daemon.job(flood)["success_count"] == 320)
    page = Visitor(daemon).get("/")
    assert len(page.html) < 150_000
    drawn = page.by_id("timeline")
    assert "flood: 300 succeeded" in drawn or "flood: 2" in drawn
    assert "the latest 300 runs and misses" in drawn
    assert "more jobs not shown" in drawn


def test_the_history_is_searched_over_all_jobs_and_read_page_by_page(daemon: Daemon) -> None:
    """H1, H2."""
    finished(daemon, "exit 9", name="<broken>")
    often = daemon.create(name="often", command="true", schedule="R59//PT0.01S", catch_up="all")
    eventually(lambda: daemon.outcomes(often).count("succeeded") == 60)
    visitor = Visitor(daemon)
    page = visitor.get("/webui/history/")
    assert_safe(page)
    assert len(page.html) < 50_000
    earlier = visitor.get(page.links["Earlier"])
    assert "<broken>" in earlier.links
    failed = visitor.submit(page, "Search", outcome="failed", cause="manual", until="2100-01-01")
    assert "exit code 9" in failed.text
    assert "often" not in failed.links
    assert dict(failed.form("Search").fields)["outcome"] == "failed"
    none = visitor.submit(page, "Search", since="2100-01-01T00:00Z")
    assert "There is nothing of that kind" in none.text


def test_without_a_script_the_page_is_loaded_anew_by_itself(daemon: Daemon) -> None:
    page = Visitor(daemon).get("/")
    assert ("meta", {"http-equiv": "refresh", "content": "30"}) in page.tags


def test_a_change_is_told_to_who_has_seen_all_until_then(daemon: Daemon) -> None:
    mark = seen(daemon)
    assert seen(daemon) == mark
    with events(daemon, mark) as lines:
        daemon.create(command="true", schedule=FUTURE)
        assert next(lines) == b"data: changed\n"
    assert seen(daemon) != mark


def test_who_has_missed_a_change_is_told_at_once(daemon: Daemon) -> None:
    mark = seen(daemon)
    daemon.create(command="true", schedule=FUTURE)
    for outdated in (mark, "", "of-another-process"):
        with events(daemon, outdated) as lines:
            assert next(lines) == b"data: changed\n"


def test_a_stop_sends_away_who_waits_for_changes(daemon: Daemon) -> None:
    """C4."""
    with events(daemon, seen(daemon)) as lines:
        ended: list[int] = []
        stop = threading.Thread(target=lambda: ended.append(daemon.end()[0]))
        stop.start()
        assert [*lines] == []
        stop.join(PATIENCE)
        assert ended == [0]
