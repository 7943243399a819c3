"""The pages, as a browser without JavaScript gets them of a real daemon."""

import json
import re
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest

from kala_trio.web.pages import filters
from tests.daemon import FUTURE, Daemon, eventually, fifo, running
from tests.visitor import Page, Visitor, assert_safe, finished

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\u202e"


@pytest.fixture
def visitor(daemon: Daemon) -> Visitor:
    return Visitor(daemon)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Daemon]:
    """Run a daemon of its own, without any job."""
    with running(tmp_path / "kala.db") as daemon:
        yield daemon


def create_many(daemon: Daemon, count: int) -> None:
    """Create jobs of all kinds of names, in lists."""
    for start in range(0, count, 500):
        jobs = [
            {
                "name": f"job {number:05}",
                "command": "true",
                "schedule": FUTURE,
                "owner": f"owner {number % 7}",
                "tags": [f"tag{number % 3}"],
            }
            for number in range(start, start + 500)
        ]
        status, text = daemon.request("POST", "/job/bulk/", json.dumps(jobs).encode())
        assert status == 201, text


def rows(page: Page) -> list[str]:
    """Return the names of the jobs that a page lists."""
    return re.findall(r'<th scope="row"><a href="/webui/job/[^"]*">(.*?)</a>', page.html)


@pytest.mark.parametrize(
    "path", ["/", "/webui", "/webui/jobs", "/webui/jobs/?state=running", "/webui/new"]
)
def test_a_page_loads_nothing_but_files_of_our_own(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    assert page.status == 200
    assert_safe(page)
    for tag, given in page.tags:
        if tag in ("script", "img", "link"):
            status, headers, _ = visitor.send("GET", given.get("src") or given["href"])
            assert (status, headers["x-content-type-options"]) == (200, "nosniff")
            assert "immutable" in headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    ["/webui/nowhere/", "/webui/job/x/", "/webui/run/x/", "/webui/job/x/delete/", "/static/x.css"],
)
def test_what_is_not_there_is_said_on_a_page(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    assert page.status == 404
    assert "There is no" in page.text or "there is no" in page.text
    assert_safe(page)


def test_a_question_that_makes_no_sense_is_answered_in_a_sentence(visitor: Visitor) -> None:
    page = visitor.get("/webui/jobs/?state=good")
    assert page.status == 400
    assert "state: must be one of enabled, disabled" in page.text


def test_a_list_without_jobs_says_what_to_do_next(alone: Daemon) -> None:
    page = Visitor(alone).get("/webui/jobs/")
    assert "There are no jobs yet" in page.text
    assert page.links["Create the first one"] == "/webui/new/"


def test_a_job_is_found_by_what_the_search_form_asks_for(daemon: Daemon, visitor: Visitor) -> None:
    daemon.create(name="Nightly & backup", command="true", schedule=FUTURE, owner="eve", tags=["n"])
    page = visitor.get("/webui/jobs/")
    found = visitor.submit(page, "Search", name="y & B", owner="eve", tag="n", state="enabled")
    assert rows(found) == ["Nightly &amp; backup"]
    assert found.form("Search").fields[0] == ("name", "y & B")
    assert FUTURE in found.text
    assert "never ran" in found.text
    none = visitor.submit(found, "Search", owner="nobody at all")
    assert "No job fits" in none.text


def test_the_list_says_schedules_in_words_and_as_they_are_written(
    daemon: Daemon, visitor: Visitor
) -> None:
    daemon.create(name="in words", command="true", cron="*/5 9-17 * * MON-FRI", time_zone="UTC")
    page = visitor.get("/webui/jobs/?name=in%20words")
    written = "*/5 9-17 * * MON-FRI"
    assert ("span", {"title": written}) in page.tags
    assert re.search(r"every 5 minutes .* UTC \*/5 9-17", page.text)


def test_ten_thousand_jobs_are_shown_fifty_at_a_time_and_each_once(alone: Daemon) -> None:
    create_many(alone, 10_000)
    visitor = Visitor(alone)
    page = visitor.get("/webui/jobs/?sort=-name")
    seen = rows(page)
    assert seen[0] == "job 09999"
    assert "10,000 jobs in all" in page.text
    for _ in range(3):
        assert len(page.html) < 50_000
        page = visitor.get(page.links["Next page"])
        seen += rows(page)
    assert seen == [f"job {number:05}" for number in range(9_999, 9_799, -1)]
    last = visitor.get("/webui/jobs/?name=job%20000&tag=tag1&sort=name")
    assert rows(last) == [f"job {number:05}" for number in range(1, 100, 3)]
    assert "Next page" not in last.links


def test_the_longest_and_most_hostile_names_still_make_a_small_page(alone: Daemon) -> None:
    for _ in range(50):
        tags = [f"<{number}" + '"' * 97 for number in range(20)]
        alone.create(name='"' * 1000, command="true", owner="'" * 1000, tags=tags, schedule=FUTURE)
    page = Visitor(alone).get("/webui/jobs/")
    assert len(rows(page)) == 50
    assert len(page.html) < 100_000


def test_how_far_off_an_instant_is_is_said_by_the_script_in_the_same_units() -> None:
    script = (Path(filters.__file__).parent.parent / "static" / "live.js").read_text()
    _, _, table = script.partition("const UNITS = ")
    units = literal_eval(table.partition(";")[0])
    assert [tuple(each) for each in units] == filters.UNITS


def test_columns_say_how_they_are_sorted_and_turn_around(visitor: Visitor, daemon: Daemon) -> None:
    daemon.create(command="true", schedule=FUTURE)
    page = visitor.get("/webui/jobs/?owner=&name=job")
    up = visitor.get(page.links["Next run"])
    assert ("th", {"scope": "col", "aria-sort": "ascending"}) in up.tags
    down = visitor.get(up.links["Next run"])
    assert ("th", {"scope": "col", "aria-sort": "descending"}) in down.tags
    assert "name=job" in down.links["Next run"]


def test_states_are_said_in_the_words_by_which_jobs_are_found(
    daemon: Daemon, visitor: Visitor, tmp_path: Path
) -> None:
    held = daemon.create(name="s running", command=f"cat {fifo(tmp_path)}", schedule=FUTURE)
    for _ in range(2):
        daemon.post(f"/job/start/{held}/")
    eventually(lambda: daemon.job(held).get("pending"))
    finished(daemon, "false", name="s failing", owner="s")
    daemon.create(name="s disabled", command="true", schedule=FUTURE, disabled=True)
    parent = daemon.create(name="s parent", command="true", schedule=FUTURE)
    daemon.create(name="s child", command="true", parent_jobs=[parent])
    once = daemon.create(name="s done", command="true")
    eventually(lambda: daemon.outcomes(once) == ["succeeded"])
    for state in ("enabled", "disabled", "running", "waiting", "failing", "done"):
        page = visitor.get(f"/webui/jobs/?name=s%20&state={state}")
        expected = rows(page)
        assert expected
        if state != "enabled":
            assert page.html.count(f'<span class="badge {state}">') == len(expected)
    for number in (1, 2):
        daemon.post(f"/run/cancel/{held}.{number}/")
        eventually(lambda: daemon.outcomes(held).count("cancelled") == number)  # noqa: B023


def test_hostile_names_and_outputs_are_text_on_each_page(daemon: Daemon, visitor: Visitor) -> None:
    env = {"TEXT": HOSTILE + "\x1b[31m\x1b]0;title\x07red\x1b[0m\0</pre>"}
    command = "python3 -c 'import os; os.write(1, os.environ[\"T\"].encode() + bytes([255]))'"
    fields = {"name": HOSTILE, "owner": HOSTILE, "tags": ["<b>"], "stdin": HOSTILE}
    env = {"T": env["TEXT"].replace("\0", "")}
    run_id = finished(daemon, command, env=env, **fields)
    job_id = run_id.partition(".")[0]
    child = daemon.create(name=HOSTILE, command=HOSTILE, shell=True, parent_jobs=[job_id])
    for path in (
        f"/webui/job/{job_id}/",
        f"/webui/job/{child}/",
        f"/webui/job/{job_id}/delete/",
        f"/webui/run/{run_id}/",
        "/webui/jobs/?state=enabled&name=%3Cscript%3E",
    ):
        page = visitor.get(path)
        assert page.status == 200
        assert_safe(page)
        assert not {"b", "img src=x"} & {tag for tag, _ in page.tags}
        assert "{{ 7*7 }}" in page.text or "49" not in page.text
        assert "<script>alert" in page.text
        assert "<script>alert" not in page.html
    assert visitor.get(f"/webui/run/{run_id}/").described["written"] == (
        f"\n{HOSTILE}red</pre>\ufffd"
    )


def test_the_graph_has_who_follows_whom_and_leaves_out_who_is_alone(alone: Daemon) -> None:
    visitor = Visitor(alone)
    assert "No job follows another one yet" in visitor.get("/webui/graph/").text
    alone.create(name="alone", command="true", schedule=FUTURE)
    rescue = alone.create(name="rescue", command="true", schedule=FUTURE, disabled=True)
    first = alone.create(name=HOSTILE, command="true", schedule=FUTURE, on_failure_job=rescue)
    child = alone.create(name="<b>child", command="true", parent_jobs=[first])
    page = visitor.get(visitor.get("/").links["Graph"])
    assert_safe(page)
    nodes = {
        given["href"]: given["class"]
        for tag, given in page.tags
        if tag == "a" and given.get("class", "").startswith("node ")
    }
    assert nodes == {
        f"/webui/job/{rescue}/": "node disabled",
        f"/webui/job/{first}/": "node new",
        f"/webui/job/{child}/": "node new",
    }
    assert "3 jobs, 2 edges" in page.by_id("graph")
    assert "<script>alert" not in page.html
    assert "<b>child" not in page.html


def test_a_graph_of_too_many_jobs_draws_some_and_says_so(alone: Daemon) -> None:
    jobs: list[dict[str, object]] = [{"name": "first", "command": "true", "schedule": FUTURE}]
    jobs += [
        {"name": f"child {number}", "command": "true", "parent_jobs": ["first"]}
        for number in range(320)
    ]
    status, text = alone.request("POST", "/job/bulk/", json.dumps(jobs).encode())
    assert status == 201, text
    page = Visitor(alone).get("/webui/graph/")
    assert "the first 300 of 321 jobs" in page.text
    assert page.html.count('class="node ') == 300


def test_jobs_with_many_parents_each_still_make_a_graph_that_can_be_loaded(alone: Daemon) -> None:
    jobs: list[dict[str, object]] = [
        {"name": f"{number} " + '"' * 900, "command": "true", "schedule": FUTURE}
        for number in range(40)
    ]
    parents = [job["name"] for job in jobs]
    jobs += [
        {"name": f"child {number} " + "<" * 900, "command": "true", "parent_jobs": parents}
        for number in range(40)
    ]
    status, text = alone.request("POST", "/job/bulk/", json.dumps(jobs).encode())
    assert status == 201, text
    page = Visitor(alone).get("/webui/graph/")
    assert "600 more arrows between them are not drawn" in page.text
    assert len(page.html) < 1_500_000


def test_no_page_that_is_only_looked_at_changes_anything(daemon: Daemon, visitor: Visitor) -> None:
    """Each link is followed, and where only a POST does something, a GET finds nothing."""
    job_id = daemon.create(name="looked at", command="true", schedule=FUTURE)
    before = daemon.job(job_id)
    pages = [
        "/",
        "/webui/jobs/?name=looked",
        f"/webui/job/{job_id}/",
        f"/webui/job/{job_id}/delete/",
    ]
    for page in map(visitor.get, pages):
        for link in page.links.values():
            if link.startswith("/"):
                visitor.get(link)
        for form in page.forms:
            if form.method == "post":
                visitor.get(form.action)
    assert daemon.job(job_id) == before


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_a_form_of_another_site_changes_nothing(
    daemon: Daemon, visitor: Visitor, headers: dict[str, str]
) -> None:
    job_id = daemon.create(command="true", schedule=FUTURE)
    for what in ("start", "disable", "delete"):
        assert visitor.send("POST", f"/webui/job/{job_id}/{what}/", b"", **headers)[0] == 403
    assert (daemon.job(job_id)["disabled"], daemon.outcomes(job_id)) == (False, [])
