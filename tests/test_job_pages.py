"""The pages of a job and of a run, as a browser without JavaScript gets them of a real daemon."""

from pathlib import Path

import pytest

from tests.daemon import FUTURE, Daemon, eventually, fifo
from tests.visitor import Visitor, assert_safe, finished


@pytest.fixture
def visitor(daemon: Daemon) -> Visitor:
    return Visitor(daemon)


def test_a_job_page_shows_its_definition_its_family_and_its_history(
    daemon: Daemon, visitor: Visitor
) -> None:
    parent = daemon.create(name="the parent", command="true", schedule=FUTURE)
    run_id = finished(daemon, "exit 3", name="the job", retries=1, env={"A": "b"}, tags=["x", "y"])
    job_id = run_id.partition(".")[0]
    child = daemon.create(name="the child", command="true", parent_jobs=[parent, job_id])
    page = visitor.get(f"/webui/job/{job_id}/")
    assert_safe(page)
    assert page.links["the child"] == f"/webui/job/{child}/"
    assert page.links["Run 1"] == f"/webui/run/{run_id}/"
    assert page.by_id("entries").startswith("Runs and what was missed")
    for words in ("exit code 3", "failed", "2 attempts", "A=b", FUTURE, "2099-01-01 00:00:00 UTC"):
        assert words in page.text
    assert visitor.get(page.links["the child"]).links["the parent"] == f"/webui/job/{parent}/"


def test_a_job_page_says_when_it_runs_by_both_clocks_and_what_is_odd(
    daemon: Daemon, visitor: Visitor
) -> None:
    job_id = daemon.create(command="true", schedule="R/2099-03-28T02:30[Europe/Berlin]/P1D")
    page = visitor.get(f"/webui/job/{job_id}/")
    assert_safe(page)
    assert "Every day at 02:30 Berlin time, from 28 March 2099" in page.by_id("facts")
    coming = page.by_id("occurrences")
    assert coming.count(" UTC") == 11
    assert "Sun 2099-03-29 03:30:00 CEST" in coming
    assert "2099-03-29 01:30:00 UTC Moved forward, since the clock skips its own time" in coming


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"schedule": FUTURE, "disabled": True}, "None of them runs while it is disabled."),
        ({"schedule": "R0//PT1S"}, "There are no more."),
    ],
)
def test_occurrences_that_will_not_run_are_not_promised(
    daemon: Daemon, visitor: Visitor, keys: dict[str, object], words: str
) -> None:
    job_id = daemon.create(command="true", **keys)
    eventually(lambda: words in visitor.get(f"/webui/job/{job_id}/").by_id("occurrences"))


def test_a_family_is_drawn_two_steps_far_and_leads_to_each_of_it(
    daemon: Daemon, visitor: Visitor
) -> None:
    rescue = daemon.create(name="rescue", command="true", schedule=FUTURE)
    line = [daemon.create(name="step 0", command="true", schedule=FUTURE, on_failure_job=rescue)]
    for number in range(1, 6):
        line.append(
            daemon.create(name=f"step {number}", command="true", parent_jobs=[line[number - 1]])
        )
    page = visitor.get(f"/webui/job/{line[2]}/")
    assert_safe(page)
    drawn = [given for tag, given in page.tags if tag == "a" and "node" in given.get("class", "")]
    assert {each["href"] for each in drawn} == {f"/webui/job/{each}/" for each in line[:5]}
    assert "step 0 → step 1" in page.by_id("relatives")
    assert "step 0 fails → rescue" in visitor.get(f"/webui/job/{line[0]}/").by_id("relatives")
    assert "step 0 fails → rescue" in visitor.get(f"/webui/job/{rescue}/").by_id("relatives")
    alone = daemon.create(command="true", schedule=FUTURE)
    assert "relatives" not in visitor.get(f"/webui/job/{alone}/").described


def test_of_a_large_family_the_nearest_are_drawn_and_more_is_said(
    daemon: Daemon, visitor: Visitor
) -> None:
    parent = daemon.create(name="of many", command="true", schedule=FUTURE)
    for number in range(70):
        daemon.create(name=f"child {number}", command="true", parent_jobs=[parent])
    page = visitor.get(f"/webui/job/{parent}/")
    assert "60 jobs, 59 edges" in page.by_id("relatives")
    assert "There is more than is drawn." in page.by_id("relatives")


def test_how_long_the_last_runs_took_is_drawn_with_what_failed(
    daemon: Daemon, visitor: Visitor, tmp_path: Path
) -> None:
    line = f"mkdir {tmp_path}/first && exit 1; exit 0"
    job_id = daemon.create(command=line, shell=True, schedule=FUTURE)
    assert "Duration of the last runs" not in visitor.get(f"/webui/job/{job_id}/").text
    for count in (1, 2):
        daemon.post(f"/job/start/{job_id}/")
        eventually(lambda: len([each for each in daemon.outcomes(job_id) if each]) == count)  # noqa: B023
    page = visitor.get(f"/webui/job/{job_id}/")
    assert "How long the last 2 runs took" in page.by_id("facts")
    classes = [given.get("class", "") for tag, given in page.tags if tag == "rect"]
    assert classes == ["run failed", "notch", "run succeeded"]


def test_a_long_history_is_read_page_by_page(daemon: Daemon, visitor: Visitor) -> None:
    job_id = daemon.create(command="true", schedule="R24//PT0.01S", catch_up="all")
    eventually(lambda: daemon.outcomes(job_id).count("succeeded") == 25)
    page = visitor.get(f"/webui/job/{job_id}/")
    assert [name for name in page.links if name.startswith("Run ")][-1] == "Run 6"
    earlier = visitor.get(page.links["Earlier"])
    assert {"Run 5", "Run 1"} <= earlier.links.keys()
    assert "Earlier" not in earlier.links


def test_buttons_start_and_switch_a_job_and_lead_back_to_it(
    daemon: Daemon, visitor: Visitor
) -> None:
    job_id = daemon.create(command="true", schedule=FUTURE)
    page = visitor.submit(visitor.get(f"/webui/job/{job_id}/"), "Start now")
    assert page.path == f"/webui/job/{job_id}/"
    eventually(lambda: daemon.outcomes(job_id) == ["succeeded"])
    page = visitor.submit(page, "Disable")
    assert "none while it is disabled" in page.text
    assert daemon.job(job_id)["disabled"]
    visitor.submit(page, "Enable")
    assert not daemon.job(job_id)["disabled"]


def test_what_the_state_of_a_job_forbids_is_said_on_a_page(
    daemon: Daemon, visitor: Visitor
) -> None:
    job_id = daemon.create(command="true", schedule=FUTURE)
    page = visitor.get(f"/webui/job/{job_id}/")
    daemon.post(f"/job/disable/{job_id}/")
    refused = visitor.submit(page, "Start now")
    assert refused.status == 409
    assert "is disabled; enable it first" in refused.text


def test_a_deletion_names_what_goes_with_it_and_nothing_else_goes(
    daemon: Daemon, visitor: Visitor
) -> None:
    """D5."""
    first = daemon.create(name="first", command="true", schedule=FUTURE)
    other = daemon.create(name="other", command="true", schedule=FUTURE)
    only = daemon.create(name="only child", command="true", parent_jobs=[first])
    both = daemon.create(name="of both", command="true", parent_jobs=[first, other])
    last = daemon.create(name="grandchild", command="true", parent_jobs=[only])
    page = visitor.get(visitor.get(f"/webui/job/{first}/").links["Delete"])
    assert "go 2 more jobs" in page.text
    assert {"only child", "grandchild"} <= page.links.keys()
    assert not {"of both", "other"} & page.links.keys()
    assert daemon.job(first)["name"] == "first"
    assert visitor.submit(page, "Delete all 3").path == "/webui/jobs/"
    assert {first, only, last} & daemon.get("/job/")["jobs"].keys() == set()
    assert daemon.job(both)["parent_jobs"] == [other]


def test_nothing_is_deleted_that_the_question_has_not_named(
    daemon: Daemon, visitor: Visitor
) -> None:
    job_id = daemon.create(name="first", command="true", schedule=FUTURE)
    page = visitor.get(f"/webui/job/{job_id}/delete/")
    child = daemon.create(name="child", command="true", parent_jobs=[job_id])
    refused = visitor.submit(page, "Delete it")
    assert refused.status == 412
    assert daemon.job(child)["parent_jobs"] == [job_id]


def test_of_a_deleted_job_its_history_is_still_shown(daemon: Daemon, visitor: Visitor) -> None:
    """M3."""
    run_id = finished(daemon, "echo last words", name="gone")
    job_id = run_id.partition(".")[0]
    visitor.submit(visitor.get(f"/webui/job/{job_id}/delete/"), "Delete it")
    page = visitor.get(f"/webui/job/{job_id}/")
    assert "This job was deleted" in page.text
    assert page.forms == []
    run = visitor.get(page.links["Run 1"])
    assert "last words" in run.by_id("written")
    assert "gone (deleted)" in run.text


def test_a_run_page_shows_each_attempt_with_its_reason_and_the_output(
    daemon: Daemon, visitor: Visitor
) -> None:
    run_id = finished(daemon, "echo attempt $KALA_TRIO_ATTEMPT; exit 7", retries=1)
    page = visitor.get(f"/webui/run/{run_id}/")
    assert_safe(page)
    assert page.text.count("exit code 7") == 3
    assert page.by_id("written") == "attempt 1 attempt 2"
    assert page.links["Download"] == f"/api/v1/run/{run_id}/output/?download=true"
    status, headers, text = visitor.send("GET", page.links["Download"])
    assert (status, text) == (200, "attempt 1\nattempt 2\n")
    assert headers["content-disposition"].startswith("attachment")


def test_a_run_is_cancelled_by_its_button(daemon: Daemon, visitor: Visitor, tmp_path: Path) -> None:
    job_id = daemon.create(command=f"cat {fifo(tmp_path)}", schedule=FUTURE)
    daemon.post(f"/job/start/{job_id}/")
    page = visitor.get(f"/webui/run/{job_id}.1/")
    assert "Nothing was written yet." in page.text
    visitor.submit(page, "Cancel")
    eventually(lambda: daemon.outcomes(job_id) == ["cancelled"])
    page = visitor.get(f"/webui/run/{job_id}.1/")
    assert "cancelled by hand" in page.text
    assert page.forms == []


@pytest.mark.parametrize("line", ["seq 100000", 'yes \'""""""""""\' | head -c 200000'])
def test_a_long_output_is_shown_from_its_end_and_the_page_stays_small(
    daemon: Daemon, visitor: Visitor, line: str
) -> None:
    run_id = finished(daemon, f"{line}; echo the end")
    page = visitor.get(f"/webui/run/{run_id}/")
    assert len(page.html) < 50_000
    assert "This is the end of it" in page.text
    assert page.by_id("written").endswith("the end")
    assert len(page.by_id("written")) > 2_000
