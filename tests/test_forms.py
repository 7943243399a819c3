"""The forms of jobs, as a browser without JavaScript sends them to a real daemon."""

import json
import re
from typing import Any

import pytest

from kala_trio.core.definition import KEYS, Remote
from kala_trio.web.pages import fields
from tests.daemon import FUTURE, Daemon
from tests.visitor import Page, Visitor, assert_safe

FULL: dict[str, Any] = {
    "name": "full\nof it",
    "command": "",
    "owner": "ada",
    "disabled": True,
    "schedule": "R/2099-01-01T09:00:00/P1M",
    "time_zone": "Europe/Berlin",
    "retries": 3,
    "epsilon": "PT5M",
    "tags": ["a b", "c"],
    "cron": "0 9 * * MON-FRI",
    "schedules": ["@daily", "R/2099-01-01T18:00:00/P1M"],
    "excluded_dates": ["2099-12-25", "2099-12-24/2100-01-01"],
    "not_after": "2100-12-31T23:59:59Z",
    "catch_up": "all",
    "catch_up_limit": 7,
    "retry_backoff": 1.5,
    "retry_delay": "PT1S",
    "notify_webhook": "https://example.com/hook",
    "notify_on": ["failure", "late"],
    "expect_within": "PT1H",
    "type": 1,
    "remote_properties": {
        "url": "https://example.com/?a=b&c",
        "method": "POST",
        "headers": {"Accept": ["a: b", "c"], "X-Empty": [""]},
        "body": "\n{}\r\n\t<textarea>",
        "timeout": 1.5,
        "expected_response_codes": [200, 201],
        "follow_redirects": True,
    },
}


@pytest.fixture
def visitor(daemon: Daemon) -> Visitor:
    return Visitor(daemon)


def created(page: Page) -> str:
    """Return the id of the job whose page this is."""
    match = re.fullmatch(r"/webui/job/([0-9a-f-]{36})/", page.path)
    assert match, page.text
    return match[1]


def test_a_simple_job_needs_three_fields_and_no_script(daemon: Daemon, visitor: Visitor) -> None:
    form = visitor.get("/webui/new/")
    assert_safe(form)
    assert len(form.html) < 50_000
    filled = {"name": "<simple> & short", "command": "echo 'a  b'", "schedule": FUTURE}
    page = visitor.submit(form, "Create", **filled)
    job = daemon.job(created(page))
    assert {key: job[key] for key in filled} == filled
    assert visitor.get(page.links["Edit"]).form("Save").fields[1:4] == [*filled.items()]


def test_a_form_that_is_sent_twice_makes_one_job(daemon: Daemon, visitor: Visitor) -> None:
    """By a double click, say; and one that was refused keeps its id."""
    form = visitor.get("/webui/new/")
    refused = visitor.submit(form, "Create", name="sent twice", command="true", schedule="bogus")
    assert refused.status == 400
    first = created(visitor.submit(refused, "Create", schedule=FUTURE))
    assert created(visitor.submit(refused, "Create", schedule=FUTURE)) == first
    assert len(daemon.get("/job/?name=sent%20twice")["jobs"]) == 1
    daemon.request("DELETE", f"/job/{first}/")


def test_each_key_of_a_job_has_one_field_in_the_form(visitor: Visitor) -> None:
    names = {f"remote_properties.{key}" for key in Remote.__struct_fields__} | {"type"}
    shown = [
        given["name"]
        for tag, given in visitor.get("/webui/new/").tags
        if tag in ("input", "textarea", "select")
        and given.get("name") not in ("notify_on", "new_id")
    ]
    assert sorted(shown) == sorted(KEYS.keys() - {"remote_properties", "notify_on"} | names)


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("name", "", "name: a job needs a name, found ''"),
        ("command", "", "command: a job needs a command"),
        ("command", "echo 'a", "command: cannot be split into words"),
        ("schedule", "R2/2015-06-04T19:25:16Z/PT10S", "schedule: cannot be scheduled in the past"),
        ("schedule", "<daily>", "schedule: "),
        ("cron", "0 9 * *", "cron: "),
        ("retries", "many", "retries: must be a whole number, found 'many'"),
        ("retries", "-1", "retries: must be 0 to 1000000, found -1"),
        ("retry_backoff", "0.5", "retry_backoff: "),
        ("retry_exit_codes", "1, b", "retry_exit_codes: must be a whole number, found 'b'"),
        ("env", "A=1\nB", "env: must have a name, = and a value on each line, found 'B'"),
        ("parent_jobs", "nobody", "parent_jobs: "),
        ("on_failure_job", "nobody", "on_failure_job: there is no such job, found 'nobody'"),
        ("time_zone", "Mars", "time_zone: "),
        ("remote_properties.url", "x", "type: must be 1 where there are remote_properties"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(
    daemon: Daemon, visitor: Visitor, key: str, text: str, words: str
) -> None:
    before = daemon.get("/job/")["jobs"].keys()
    filled = {"name": "a <name>", "command": "true", "schedule": FUTURE, "tags": "a\nb", key: text}
    if key in ("cron", "parent_jobs"):
        filled["schedule"] = ""
    page = visitor.submit(visitor.get("/webui/new/"), "Create", **filled)
    assert page.status == 400
    assert_safe(page)
    field = words.partition(":")[0]
    assert words in page.by_id(f"field-{field}-wrong")
    (invalid,) = (given for _, given in page.tags if "aria-invalid" in given)
    assert invalid["name"] == field
    assert f"field-{field}-wrong" in invalid["aria-describedby"].split()
    assert dict(page.form("Create").fields) | filled == dict(page.form("Create").fields)
    assert page.text.count(words) == 1
    is_timed = field in ("schedule", "cron", "time_zone")
    assert (re.search("The next runs|Runs (once|after)", page.by_id("preview")) is None) == is_timed
    assert daemon.get("/job/")["jobs"].keys() == before


def test_other_jobs_may_be_given_by_name(daemon: Daemon, visitor: Visitor) -> None:
    first, second, third = (
        daemon.create(name=name, command="true", schedule=FUTURE)
        for name in ("first by name", "second by name", "third by name")
    )
    filled = {"name": "follows", "command": "true", "parent_jobs": f"first by name\n{second}"}
    page = visitor.submit(
        visitor.get("/webui/new/"), "Create", on_failure_job="third by name", **filled
    )
    job_id = created(page)
    job = daemon.job(job_id)
    assert (job["parent_jobs"], job["on_failure_job"]) == ([first, second], third)
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    visitor.submit(form, "Save", parent_jobs="third by name", on_failure_job="")
    assert daemon.job(job_id)["parent_jobs"] == [third]


def test_a_name_of_several_jobs_means_none_of_them(daemon: Daemon, visitor: Visitor) -> None:
    one, other = (daemon.create(name="a twin", command="true", schedule=FUTURE) for _ in "ab")
    filled = {"name": "follows twins", "command": "true", "parent_jobs": "a twin"}
    page = visitor.submit(visitor.get("/webui/new/"), "Create", **filled)
    assert page.status == 400
    wrong = page.by_id("field-parent_jobs-wrong")
    assert wrong.startswith("parent_jobs: 2 jobs have this name, so give the id of the one that is")
    assert one in wrong
    assert dict(page.form("Create").fields)["parent_jobs"].strip() == "a twin"
    job_id = created(visitor.submit(page, "Create", parent_jobs=other))
    assert daemon.job(job_id)["parent_jobs"] == [other]


def test_an_id_goes_before_a_name(daemon: Daemon, visitor: Visitor) -> None:
    meant = daemon.create(name="meant", command="true", schedule=FUTURE)
    daemon.create(name=meant, command="true", schedule=FUTURE)
    filled = {"name": "follows an id", "command": "true", "parent_jobs": meant}
    job_id = created(visitor.submit(visitor.get("/webui/new/"), "Create", **filled))
    assert daemon.job(job_id)["parent_jobs"] == [meant]


def test_the_page_of_a_job_leads_to_the_form_of_one_that_follows_it(
    daemon: Daemon, visitor: Visitor
) -> None:
    first = daemon.create(name="is followed", command="true", schedule=FUTURE)
    form = visitor.get(visitor.get(f"/webui/job/{first}/").links["New job after this one"])
    assert_safe(form)
    assert "Runs after its parents." in form.by_id("preview")
    page = visitor.submit(form, "Create", name="follows it", command="true")
    assert daemon.job(created(page))["parent_jobs"] == [first]


def test_a_job_full_of_keys_is_shown_in_the_form_and_stays_as_it_is(
    daemon: Daemon, visitor: Visitor
) -> None:
    """What a text can't say is not touched by who changes something else."""
    job_id = daemon.create(**FULL)
    before = daemon.job(job_id)
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    visitor.submit(form, "Save")
    assert daemon.job(job_id) == before
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    visitor.submit(form, "Save", retries="4", notify_on=["late"])
    assert daemon.job(job_id) == before | {"retries": 4, "notify_on": ["late"]}


@pytest.mark.parametrize(
    ("key", "text", "after"),
    [
        ("env", "A=2\nC==", {"A": "2", "C": "="}),
        ("env", '{"A": "1\\n2"}', {"A": "1\n2"}),
        ("env", "", None),
        ("tags", "x\n\n y ", ["x", "y"]),
        ("tags", "", None),
        ("shell", [], None),
        ("stdin", "one\n two \n", "one\n two \n"),
        ("overlap", "skip", "skip"),
        ("retry_exit_codes", "1, 2 3", [1, 2, 3]),
        ("cwd", "/tmp", "/tmp"),
    ],
)
def test_an_edit_changes_that_key_and_no_other(
    daemon: Daemon, visitor: Visitor, key: str, text: str | list[str], after: object
) -> None:
    given = {"env": {"A": "1", "B": "x\ny"}, "tags": ["t"], "shell": True, "stdin": "a"}
    job_id = daemon.create(command="true", schedule=FUTURE, **given)
    before = daemon.job(job_id)
    visitor.submit(visitor.get(f"/webui/job/{job_id}/edit/"), "Save", **{key: text})
    assert daemon.job(job_id).get(key) == after
    assert {**daemon.job(job_id), key: 0} == {**before, key: 0}


def test_a_request_is_edited_in_fields_of_its_own(daemon: Daemon, visitor: Visitor) -> None:
    job_id = daemon.create(**FULL)
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    headers = {"remote_properties.headers": "Accept: text/plain"}
    visitor.submit(form, "Save", **headers)
    after = FULL["remote_properties"] | {"headers": {"Accept": ["text/plain"]}}
    assert daemon.job(job_id)["remote_properties"] == after


def test_who_was_slower_changes_nothing_and_is_told(daemon: Daemon, visitor: Visitor) -> None:
    """M5."""
    job_id = daemon.create(command="true", schedule=FUTURE)
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    visitor.submit(visitor.get(f"/webui/job/{job_id}/edit/"), "Save", name="first")
    late = visitor.submit(form, "Save", name="second")
    assert late.status == 412
    assert "somebody else has changed this job" in late.text
    assert dict(late.form("Save").fields)["name"] == "second"
    assert daemon.job(job_id)["name"] == "first"


@pytest.mark.parametrize(
    ("filled", "words"),
    [
        ({"schedule": "R/2099-03-01T09:00:00Z/P1D"}, "Sun 2099-03-01 09:00:00 UTC"),
        ({"schedule": "R1/2099-03-01T09:00:00Z/P1D"}, "The next runs, and then no more:"),
        ({"schedule": ""}, "Runs once, as soon as it is there."),
        ({"schedule": "R//P1"}, "schedule: "),
        ({"schedule": "R2/2015-06-04T19:25:16Z/PT10S"}, "cannot be scheduled in the past"),
        ({"cron": "0 9 1 1 *", "time_zone": "Europe/Berlin"}, "09:00:00 CET"),
        ({"cron": "nonsense"}, "cron: "),
        ({"schedule": "R/9999-12-31T22:00:00/PT1H", "time_zone": "Etc/GMT-9"}, "9999-12-31"),
        ({"schedule": "R/9999-12-31T22:00:00Z/PT1H"}, "Fri 9999-12-31 23:00:00 UTC"),
        ({"parent_jobs": "some id"}, "Runs after its parents."),
        ({"cron": "0 9 * * MON"}, "On Mondays at 09:00 UTC. The next runs:"),
        (
            {"schedule": "R/2099-03-28T02:30[Europe/Berlin]/P1D"},
            "Every day at 02:30 Berlin time, from 28 March 2099. The next runs:",
        ),
        (
            {"schedule": "R/2099-03-28T02:30[Europe/Berlin]/P1D"},
            "moved forward, since the clock skips its own time",
        ),
    ],
)
def test_a_preview_says_when_it_would_run_and_creates_nothing(
    daemon: Daemon, visitor: Visitor, filled: dict[str, str], words: str
) -> None:
    before = daemon.get("/job/")["jobs"].keys()
    page = visitor.submit(visitor.get("/webui/new/"), "Preview", **filled)
    assert page.status == 200
    assert words in page.by_id("preview")
    assert dict(page.form("Create").fields).items() >= filled.items()
    assert daemon.get("/job/")["jobs"].keys() == before


def test_the_preview_of_an_edit_is_of_that_job_and_changes_nothing(
    daemon: Daemon, visitor: Visitor
) -> None:
    jitter = {"schedule": "R/2099-01-01T00:00:00Z/P1D", "jitter": "PT10H"}
    job_id = daemon.create(command="true", **jitter)
    before = daemon.job(job_id)
    form = visitor.get(f"/webui/job/{job_id}/edit/")
    moved = before["next_run_at"].partition("T")[2][:8]
    assert f"2099-01-02 {moved}" in form.by_id("preview")
    page = visitor.submit(form, "Preview", schedule="R/2099-01-01T00:00:00Z/P1M")
    assert f"2099-02-01 {moved}" in page.by_id("preview")
    assert daemon.job(job_id) == before


def test_a_job_of_the_first_instant_that_there_is_can_be_edited(
    daemon: Daemon, visitor: Visitor
) -> None:
    first = "0001-01-01T00:00:00Z"
    job_id = daemon.create(command="true", schedule=first, epsilon="P9999Y", disabled=True)
    assert "1 January 1 at 00:00" in visitor.get(f"/webui/job/{job_id}/edit/").by_id("preview")


def test_what_is_no_form_is_refused_on_a_page(daemon: Daemon, visitor: Visitor) -> None:
    before = daemon.get("/job/")["jobs"].keys()
    for body in (b"name=%ff", b"\xff", b"&".join(b"a=b" for _ in range(1000)), b"", b"{}"):
        for path in ("/webui/new/", "/webui/preview/"):
            status, _, text = visitor.send("POST", path, body)
            assert status in (200, 400)
            assert "<h1>" in text or 'id="preview"' in text
    assert visitor.send("POST", "/webui/new/", b"a" * 1_100_000)[0] == 413
    assert daemon.get("/job/")["jobs"].keys() == before


@pytest.mark.parametrize("key", [*fields.FIELDS, *fields.REMOTE_FIELDS])
def test_the_example_of_a_field_can_be_read_back(key: str) -> None:
    field = (fields.FIELDS | fields.REMOTE_FIELDS)[key]
    assert field.label
    assert field.meaning
    if field.example and field.kind is not fields.Kind.FLAG:
        value = field.value({key: field.example.split("\n")})
        assert field.text(json.loads(json.dumps(value)))


def test_a_form_shows_no_secret_and_keeps_those_that_are_left_alone(
    daemon: Daemon, visitor: Visitor
) -> None:
    """K1, K2: a text that was typed in vain is asked for again."""
    job = daemon.create(command="true", schedule=FUTURE, secrets={"A": "hunter2", "B": "hunter3"})
    path = f"/webui/job/{job}/edit/"
    page = visitor.get(path)
    assert dict(page.form("Save").fields)["secrets"] == "A\nB"
    refused = visitor.submit(page, "Save", secrets="A=hunter4\nB", retries="many")
    assert (refused.status, "hunter" in refused.html) == (400, False)
    assert dict(refused.form("Save").fields)["secrets"] == "A=\nB"
    again = visitor.submit(refused, "Save", retries="1")
    assert (again.status, "must have texts of 1 to 16000" in again.text) == (400, True)
    visitor.submit(again, "Save", secrets="A=hunter4\nB", retries="1")
    assert daemon.job(job)["secrets"] == {"A": True, "B": True}
    visitor.submit(visitor.get(path), "Save", secrets="B")
    assert daemon.job(job)["secrets"] == {"B": True}
