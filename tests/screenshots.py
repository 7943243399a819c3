"""Pictures of all pages, of a daemon that has something to show.

    python -m tests.screenshots docs/images

Needs what ``tests/test_browser.py`` needs.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.daemon import Daemon, eventually, running

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SIZE: ViewportSize = {"width": 1180, "height": 760}


def main() -> None:
    """Write a picture of each page into the directory that the command line names."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "kala.db") as daemon:
        pages = populate(daemon)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
            for name, path in pages.items():
                page = browser.new_page(base_url=daemon.url, viewport=_SIZE)
                page.goto(path)
                take(page, target / f"{name}.png")
            browser.close()


def take(page: Page, file: Path) -> None:
    """Take a picture of what fits on a screen."""
    page.wait_for_load_state("load")
    page.screenshot(path=file)


def populate(daemon: Daemon) -> dict[str, str]:
    """Have some jobs, in all states; return the paths of pages that show them, by their names."""
    extract = daemon.create(
        name="extract", command="sh -c 'echo 1,200 rows; sleep 0.4'", cron="0 * * * *", tags=["etl"]
    )
    load = daemon.create(
        name="load", command="sh -c 'sleep 0.2; echo loaded'", parent_jobs=[extract], tags=["etl"]
    )
    alarm = daemon.create(name="tell the team", command="true", schedule="R0/2099-01-01T00:00:00Z/")
    report = daemon.create(
        name="monthly report",
        command="sh -c 'echo no rows for this month; exit 3'",
        schedule="R/2030-01-31T09:00:00[America/New_York]/P1M",
        on_failure_job=alarm,
        retries=1,
    )
    daemon.create(name="summary", command="true", parent_jobs=[load, extract], parent_rule="all")
    backup = daemon.create(
        name="nightly backup",
        command=r"for each in 1 2 3 4 5 6; do printf '\033[32mok\033[0m part %s\n' $each; done; "
        "sleep 600",
        shell=True,
        cron="30 2 * * *",
        time_zone="Europe/Berlin",
        tags=["backup"],
    )
    for _ in range(6):
        daemon.post(f"/job/start/{extract}/")
        eventually(lambda: not daemon.job(extract).get("running"))
    daemon.post(f"/job/start/{report}/")
    daemon.post(f"/job/start/{backup}/")
    eventually(lambda: daemon.outcomes(report) == ["failed"])
    eventually(lambda: "part 6" in daemon.output(f"{backup}.1"))
    return {
        "overview": "/webui/",
        "jobs": "/webui/jobs/",
        "job": f"/webui/job/{extract}/",
        "run": f"/webui/run/{backup}.1/",
        "new": "/webui/new/",
        "graph": "/webui/graph/",
        "history": "/webui/history/",
    }


if __name__ == "__main__":
    main()
