"""The pages in a real browser: Debian's Chromium, driven by Playwright, judged by axe-core.

Both are optional: ``pip install --group browser`` and ``apt-get install chromium``; where the
environment has ``BROWSER_TESTS=required`` they must be there.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kala_trio.tokens import Role, Tokens
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running
from tests.shaking import LET_TIME_PASS, NOTE_JUMPS, TWO_FRAMES
from tests.website import Asked, saying, website

CHROMIUM = Path("/usr/bin/chromium")
if os.environ.get("BROWSER_TESTS") != "required":
    if not CHROMIUM.exists():
        pytest.skip("there is no /usr/bin/chromium", allow_module_level=True)
    for package in ("playwright", "axe_playwright_python"):
        pytest.importorskip(package, reason="pip install --group browser")
playwright = import_module("playwright.sync_api")
playwright.expect.set_options(timeout=1000 * PATIENCE)
axe_package = import_module("axe_playwright_python")

AXE = next(Path(str(axe_package.__file__)).parent.rglob("axe.min.js"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
COLOURS = r"\033[1;31mred\033[0m \033[42mgreen\033[49m <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run a browser for all tests here."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any, daemon: Daemon) -> Iterator[Any]:
    """Open a tab, in which nothing may be refused or go wrong."""
    context = chromium.new_context(base_url=daemon.url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda it: problems.append(it.text) if it.type == "error" else None)
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def busy(daemon: Daemon, tmp_path: Path) -> Iterator[str]:
    """Have jobs in all states; return the id of one that runs, until the test is over."""
    line = f"printf '{COLOURS}\\n'; cat {fifo(tmp_path, 'busy')}"
    job_id = daemon.create(name="busy", command=line, shell=True, schedule=FUTURE, tags=["t"])
    for _ in range(3):
        daemon.post(f"/job/start/{job_id}/")
    child = daemon.create(name="child", command="true", parent_jobs=[job_id])
    failing = daemon.create(name="bad", command="false", schedule=FUTURE, retries=2)
    daemon.post(f"/job/start/{failing}/")
    daemon.post(f"/job/disable/{child}/")
    eventually(lambda: daemon.outcomes(failing) == ["failed"])
    eventually(lambda: "red" in daemon.output(f"{job_id}.1"))
    yield job_id
    for number in (1, 2):
        daemon.post(f"/run/cancel/{job_id}.{number}/")
        eventually(lambda: daemon.outcomes(job_id).count("cancelled") == number)  # noqa: B023


def paths(daemon: Daemon, job_id: str) -> list[str]:
    """Return the pages there are, each in a state that shows most of it."""
    failing = next(iter(daemon.get("/job/?name=bad&sort=-created")["jobs"]))
    return [
        *(
            "/webui/",
            "/webui/jobs/",
            "/webui/jobs/?name=nothing",
            "/webui/graph/",
            "/webui/history/",
            "/webui/new/",
            "/webui/no/",
        ),
        *(f"/webui/job/{job_id}/{what}" for what in ("", "edit/", "delete/")),
        *(f"/webui/run/{job_id}.1/", f"/webui/run/{failing}.1/"),
    ]


def test_a_job_made_in_the_form_is_watched_as_it_runs(
    daemon: Daemon, tab: Any, tmp_path: Path
) -> None:
    """From the first letter of its name to its last word, without a page being loaded again."""
    gate = fifo(tmp_path)
    tab.goto("/webui/")
    tab.get_by_role("link", name="New job").click()
    tab.get_by_label("Name", exact=True).fill("watched")
    command = f"while read line; do echo got $line; done < {gate}"
    tab.get_by_label("Command", exact=True).fill(command)
    preview = tab.locator("#preview")
    tab.get_by_label("Schedule", exact=True).fill("R/2099-01-01")
    playwright.expect(preview).to_contain_text("schedule: ")
    tab.get_by_label("Schedule", exact=True).fill(FUTURE)
    playwright.expect(preview).to_contain_text("Fri 2099-01-02 00:00:00 UTC")
    tab.get_by_text("How the command runs").click()
    tab.get_by_label("Shell", exact=True).check()
    tab.get_by_role("button", name="Create").click()
    tab.get_by_role("button", name="Start now").click()
    tab.get_by_role("link", name="Run 1").first.click()
    tab.wait_for_url(re.compile("/webui/run/"))
    written = tab.get_by_label("What the run has written")
    playwright.expect(tab.locator("#title")).to_contain_text("running")
    tab.evaluate("window.isSame = true")
    with gate.open("w") as go:
        for number in range(3):
            go.write(f"{number}\n")
            go.flush()
            playwright.expect(written).to_contain_text(f"got {number}")
    playwright.expect(tab.locator("#title")).to_contain_text("succeeded")
    assert written.inner_text() == "got 0\ngot 1\ngot 2\n"
    assert tab.get_by_role("button", name="Cancel").count() == 0
    assert tab.evaluate("window.isSame")


def test_colours_become_classes_and_hostile_output_stays_text(
    daemon: Daemon, tab: Any, busy: str
) -> None:
    tab.goto(f"/webui/run/{busy}.1/")
    written = tab.get_by_label("What the run has written")
    playwright.expect(written.locator(".sgr-bold.sgr-1")).to_have_text("red")
    playwright.expect(written.locator(".sgr-on-2")).to_have_text("green")
    assert written.inner_text() == "red green <img src=x onerror=alert(1)>\n"
    assert written.locator("img").count() == 0


def test_the_overview_changes_by_itself_and_keeps_the_focus(daemon: Daemon, tab: Any) -> None:
    tab.goto("/webui/")
    tab.evaluate("window.isSame = true")
    tab.locator("#counts a").nth(3).focus()
    job_id = daemon.create(name="just failed", command="false", schedule=FUTURE)
    daemon.post(f"/job/start/{job_id}/")
    link = tab.locator("#lists").get_by_role("link", name="just failed")
    playwright.expect(link.first).to_be_visible()
    playwright.expect(tab.locator("#counts a").nth(3)).to_be_focused()
    assert tab.evaluate("window.isSame")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_on_any_page(
    daemon: Daemon, chromium: Any, busy: str, scheme: str
) -> None:
    """Contrasts, labels, headings and roles: WCAG 2.2, levels A and AA, and best practices."""
    context = chromium.new_context(base_url=daemon.url, color_scheme=scheme)
    page = context.new_page()
    for path in paths(daemon, busy):
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run()")
        told = [
            (each["id"], [node["html"][:200] for node in each["nodes"]])
            for each in found["violations"]
        ]
        assert told == [], path
    context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen_and_nothing_jumps(
    daemon: Daemon, chromium: Any, busy: str, width: int
) -> None:
    """Neither while a page loads, far from UTC, nor as time goes by, up to 59 days."""
    context = chromium.new_context(
        base_url=daemon.url, viewport={"width": width, "height": 700}, timezone_id="Asia/Kathmandu"
    )
    page = context.new_page()
    page.add_init_script(NOTE_JUMPS)
    for path in paths(daemon, busy):
        page.goto(path, wait_until="load")
        page.evaluate(TWO_FRAMES)
        assert page.evaluate("window.jumps") < 0.02, path
        for later in (47, 3_000, 169_200, 5_097_600):
            page.evaluate(LET_TIME_PASS, later)
            page.evaluate(TWO_FRAMES)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, later)
            assert page.evaluate("window.jumps") < 0.02, (path, later)
    context.close()


def test_a_keyboard_is_enough_to_find_a_job_and_start_it(daemon: Daemon, tab: Any) -> None:
    job_id = daemon.create(name="by keyboard", command="true", schedule=FUTURE)
    tab.goto("/webui/jobs/")
    tab.keyboard.press("Tab")
    playwright.expect(tab.get_by_text("Skip to the content")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    playwright.expect(tab.get_by_label("Name", exact=True)).to_be_focused()
    tab.keyboard.type("by keyboard")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile("name=by"))
    tab.get_by_role("link", name="by keyboard").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(job_id))
    tab.get_by_role("button", name="Start now").focus()
    tab.keyboard.press("Enter")
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    playwright.expect(tab.locator("#entries")).to_contain_text("succeeded")


def test_a_form_is_sent_and_an_output_read_without_a_script(daemon: Daemon, chromium: Any) -> None:
    page = chromium.new_page(base_url=daemon.url, java_script_enabled=False)
    page.goto("/webui/new/")
    page.locator("[name=name]").fill("no script")
    page.locator("[name=command]").fill("echo 'so it is'")
    page.locator("[name=schedule]").fill("R2//PT1000H")
    page.get_by_role("button", name="Preview").click()
    playwright.expect(page.locator("#preview")).to_contain_text("The next runs, and then no more")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile("/webui/job/"))
    job_id = page.url.split("/")[-2]
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    page.goto(f"/webui/job/{job_id}/")
    page.get_by_role("link", name="Run 1").click()
    assert page.locator("#written").inner_text() == "so it is\n"
    page.close()


def test_a_job_is_found_among_ten_thousand(chromium: Any, tmp_path: Path) -> None:
    with running(tmp_path / "kala.db") as daemon:
        for part in range(20):
            jobs = [
                {"name": f"job {part * 500 + number}", "command": "true", "schedule": FUTURE}
                for number in range(500)
            ]
            assert daemon.request("POST", "/job/bulk/", json.dumps(jobs).encode())[0] == 201
        page = chromium.new_page(base_url=daemon.url)
        page.goto("/webui/jobs/")
        playwright.expect(page.locator("main")).to_contain_text("10,000 jobs")
        assert page.locator("tbody tr").count() == 50
        page.get_by_label("Name", exact=True).fill("job 9876")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="job 9876").click()
        playwright.expect(page.locator("#title")).to_contain_text("job 9876")
        page.close()


def test_a_hostile_name_is_a_name_on_every_page(daemon: Daemon, tab: Any) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>"
    job_id = daemon.create(name=name, command="false", owner=name, tags=["<b>"])
    eventually(lambda: daemon.outcomes(job_id) == ["failed"])
    daemon.create(name=f"child of {name}", command="true", parent_jobs=[job_id])
    said: list[str] = []
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    for path in (
        *("/webui/", "/webui/jobs/", "/webui/history/", f"/webui/job/{job_id}/"),
        *(f"/webui/job/{job_id}/edit/", f"/webui/job/{job_id}/delete/"),
        f"/webui/run/{job_id}.1/",
    ):
        tab.goto(path)
        assert tab.locator("main script, main img").count() == 0
        playwright.expect(tab.locator("main")).to_contain_text("<script>alert(1)")
    assert said == []
    # A name that turns text around, by U+202E say, turns no more than itself.
    assert (
        tab.locator("main a").first.evaluate("it => getComputedStyle(it).unicodeBidi") == "isolate"
    )


def test_a_page_of_another_site_makes_no_job_in_a_browser(daemon: Daemon, chromium: Any) -> None:
    """Neither by a form, which needs no permission, nor by a script."""

    def lure(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        target = f"{daemon.url}/api/v1/job/"
        body = '{"name": "lured", "command": "true", "x": "'
        page = (
            f"<!doctype html><form method=post enctype=text/plain action='{target}'>"
            f"<input name='{body}' value='\"}}'></form><script>"
            f"fetch('{target}', {{method: 'POST', mode: 'no-cors', body: "
            '\'{"name": "lured", "command": "true"}\'})'
            ".finally(() => document.forms[0].submit())</script>"
        )
        saying(200, page.encode())(handler, asked)

    refused: list[int] = []
    with website(lure) as site:
        page = chromium.new_page()
        page.on(
            "response",
            lambda it: refused.append(it.status) if it.url.startswith(daemon.url) else None,
        )
        page.goto(f"http://localhost:{site.port}/")
        eventually(lambda: page.wait_for_timeout(20) or len(refused) >= 2)
        page.close()
    assert set(refused) == {403}
    assert "lured" not in daemon.request("GET", "/job/")[1]


def test_a_browser_signs_in_and_out_with_a_token(chromium: Any, tmp_path: Path) -> None:
    secret = Tokens(tmp_path / "kala.db").new("ada", Role.READ, datetime.now(UTC))
    with running(tmp_path / "kala.db") as daemon:
        page = chromium.new_page(base_url=daemon.url)
        page.goto("/webui/jobs/")
        page.get_by_label("Token").fill("kt_wrong")
        page.get_by_role("button", name="Sign in").click()
        playwright.expect(page.get_by_role("alert")).to_contain_text("not known here")
        page.get_by_label("Token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        playwright.expect(page.locator("#counts")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("link", name="Sign in or out").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Sign out").click()
        page.goto("/webui/")
        playwright.expect(page.get_by_label("Token")).to_be_visible()
        page.close()


def test_a_failing_child_is_seen_in_the_graph_and_leads_to_its_job(
    daemon: Daemon, tab: Any
) -> None:
    parent = daemon.create(name="the parent", command="true", schedule=FUTURE)
    child = daemon.create(name="the failing child", command="false", parent_jobs=[parent])
    daemon.post(f"/job/start/{parent}/")
    eventually(lambda: daemon.outcomes(child) == ["failed"])
    tab.goto("/webui/graph/")
    node = tab.locator("a.node.failed", has_text="the failing child")
    playwright.expect(node).to_be_visible()
    playwright.expect(node.locator(".symbol")).to_have_text("✗")
    node.click()
    tab.wait_for_url(re.compile(child))
    playwright.expect(tab.locator("#title")).to_contain_text("the failing child")


def test_instants_are_in_the_zone_of_who_looks(daemon: Daemon, chromium: Any) -> None:
    job_id = daemon.create(name="zoned", command="true", schedule=FUTURE)
    page = chromium.new_page(base_url=daemon.url, timezone_id="America/New_York")
    page.goto(f"/webui/job/{job_id}/")
    time = page.locator("time[datetime^='2099-01-01']").first
    playwright.expect(time.locator("small")).to_have_text(re.compile("2098-12-31 19:00:00"))
    assert time.get_attribute("title") == "2099-01-01 00:00:00 UTC"
    page.close()
