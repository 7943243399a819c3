"""What the options of the keys of a job make of them."""

import json
from collections.abc import Iterator

import pytest

from kala_trio.cli.jobs import job
from kala_trio.cli.options import KeyOption, key_options
from kala_trio.core.definition import KEYS, Remote
from tests.command_line import added, done
from tests.daemon import FUTURE, Daemon, running

PARENT = "0a0a0a0a-0000-4000-8000-000000000001"

GIVEN: dict[str, tuple[list[str], object]] = {
    "owner": (["--owner", "ada"], "ada"),
    "disabled": (["--disabled"], True),
    "schedule": (["--schedule", "R/2098-01-01T00:00Z/P1D"], "R/2098-01-01T00:00Z/P1D"),
    "time_zone": (["--time-zone", "Europe/Berlin", "--schedule", ""], "Europe/Berlin"),
    "parent_jobs": (["--parent-jobs", "the parent", "--schedule", ""], [PARENT]),
    "on_failure_job": (["--on-failure-job", PARENT[:8]], PARENT),
    "retries": (["--retries", "3"], 3),
    "epsilon": (["--epsilon", "PT5M"], "PT5M"),
    "resume_at_next_scheduled_time": (["--resume-at-next-scheduled-time"], True),
    "rerun_lost": (["--rerun-lost"], True),
    "tags": (["--tags", "a b", "--tags", "c"], ["a b", "c"]),
    "file_set": (["--file-set", "website"], "website"),
    "template_delimiters": (["--template-delimiters", "{{ }}"], "{{ }}"),
    "timeout": (["--timeout", "PT1M"], "PT1M"),
    "overlap": (["--overlap", "allow"], "allow"),
    "max_running": (["--max-running", "4", "--overlap", "allow"], 4),
    "catch_up": (["--catch-up", "all"], "all"),
    "catch_up_limit": (["--catch-up-limit", "7", "--catch-up", "all"], 7),
    "parent_rule": (["--parent-rule", "all", "--parent-jobs", PARENT, "--schedule", ""], "all"),
    "retry_delay": (["--retry-delay", "PT10S"], "PT10S"),
    "retry_backoff": (["--retry-backoff", "1.5", "--retry-delay", "PT1S"], 1.5),
    "retry_max_delay": (["--retry-max-delay", "PT1M", "--retry-delay", "PT1S"], "PT1M"),
    "retry_jitter": (["--retry-jitter", "0.5", "--retry-delay", "PT1S"], 0.5),
    "retry_exit_codes": (["--retry-exit-codes", "75", "--retry-exit-codes", "1"], [75, 1]),
    "env": (["--env", "A=b=c", "--env", "B="], {"A": "b=c", "B": ""}),
    "cwd": (["--cwd", "/tmp"], "/tmp"),
    "user": (["--user", "root"], "root"),
    "group": (["--group", "root"], "root"),
    "umask": (["--umask", "027"], "027"),
    "stdin": (["--stdin", "a\nb"], "a\nb"),
    "shell": (["--shell"], True),
    "cron": (["--cron", "0 9 * * MON"], "0 9 * * MON"),
    "schedules": (["--schedules", "@daily", "--schedules", FUTURE], ["@daily", FUTURE]),
    "not_after": (["--not-after", "2100-01-01T00:00Z"], "2100-01-01T00:00Z"),
    "excluded_dates": (["--excluded-dates", "2099-12-25"], ["2099-12-25"]),
    "jitter": (["--jitter", "PT5M"], "PT5M"),
    "notify_webhook": (["--notify-webhook", "http://a.b/"], "http://a.b/"),
    "notify_email": (["--notify-email", "a@b.c"], ["a@b.c"]),
    "notify_on": (
        ["--notify-on", "late", "--notify-on", "start", "--notify-email", "a@b.c"],
        ["late", "start"],
    ),
    "notify_every_time": (["--notify-every-time", "--notify-email", "a@b.c"], True),
    "expect_within": (["--expect-within", "PT1H", "--notify-email", "a@b.c"], "PT1H"),
    "ping_url": (["--ping-url", "http://a.b/"], "http://a.b/"),
    "secrets": (["--secret", "A=b=c", "--secret", "B=d"], {"A": True, "B": True}),
    "secret_files": (["--secret-file", "A=/run/a"], {"A": "/run/a"}),
}
REQUEST: dict[str, tuple[list[str], object]] = {
    "method": (["--method", "PUT"], "PUT"),
    "headers": (
        ["--header", "Accept: text/plain", "--header", "X:a: b", "--header", "X: c"],
        {"Accept": ["text/plain"], "X": ["a: b", "c"]},
    ),
    "body": (["--body", '{"a": 1}', "--method", "POST"], '{"a": 1}'),
    "timeout": (["--request-timeout", "2.5"], 2.5),
    "expected_response_codes": (["--expected-response-codes", "204"], [204]),
    "follow_redirects": (["--follow-redirects"], True),
}


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon that takes jobs of every kind, with a job that others may follow."""
    db = tmp_path_factory.mktemp("post") / "kala.db"
    with running(db, "--smtp=smtp://localhost") as daemon:
        done(daemon.url, "job", "add", "the parent", "true", "--schedule", FUTURE, "--id", PARENT)
        yield daemon


def test_every_key_of_a_job_has_one_option() -> None:
    keys = [option.key for option in key_options()]
    request = [f"remote_properties.{key}" for key in Remote.__struct_fields__]
    assert sorted(keys) == sorted({*KEYS, *request} - {"remote_properties"})
    assert {*GIVEN} | {"name", "command", "remote_properties"} == {*KEYS}
    assert {*REQUEST} | {"url"} == {*Remote.__struct_fields__}


@pytest.mark.parametrize("key", GIVEN)
def test_a_key_arrives_as_its_option_says(post: Daemon, key: str) -> None:
    words, value = GIVEN[key]
    job_id = done(post.url, "job", "add", "a", "true", "--schedule", FUTURE, *words).strip()
    assert post.job(job_id)[key] == value


@pytest.mark.parametrize("key", REQUEST)
def test_a_key_of_a_request_arrives_as_its_option_says(post: Daemon, key: str) -> None:
    words, value = REQUEST[key]
    url = ["--url", "http://localhost/", "--schedule", FUTURE]
    job = post.job(done(post.url, "job", "add", "a", *url, *words).strip())
    assert (job["type"], job["remote_properties"]["url"]) == (1, "http://localhost/")
    assert job["remote_properties"][key] == value


def test_an_edit_changes_what_it_names_and_leaves_the_rest(post: Daemon) -> None:
    words = ["--env", "A=1", "--env", "B=2", "--tags", "x", "--retries", "3", "--shell"]
    job_id = added(post, "edited", "true", *words)
    done(post.url, "job", "edit", "edited", "--tags", "")
    assert "tags" not in post.job(job_id)
    done(post.url, "job", "edit", "edited", "--tags", "y")
    words = ["--env", "A=9", "--env", "B", "--command", "false", "--no-shell", "--reset", "tags"]
    shown = json.loads(done(post.url, "job", "edit", "edited", *words, "--json"))
    assert shown.pop("version") == 4
    assert shown == post.job(job_id)
    assert (shown["env"], shown["command"], shown["retries"]) == ({"A": "9"}, "false", 3)
    assert not {"tags", "shell"} & {*shown}
    assert "there is nothing to be changed" in done(post.url, "job", "edit", "edited", status=2)


def test_a_job_becomes_a_request_and_a_command_again(post: Daemon) -> None:
    job_id = added(post, "changed", "true")
    words = ["--url", "http://localhost/", "--header", "A: b", "--header", "C: d", "--command", ""]
    done(post.url, "job", "edit", job_id, *words)
    done(post.url, "job", "edit", job_id, "--header", "A", "--method", "HEAD")
    request = post.job(job_id)["remote_properties"]
    assert (request["headers"], request["method"]) == ({"C": ["d"]}, "HEAD")
    done(post.url, "job", "edit", job_id, "--reset", "remote_properties", "--command", "true")
    assert post.job(job_id)["type"] == 0


def test_options_of_keys_are_told_from_all_others() -> None:
    add = job.commands["add"]
    flags = [flag for each in add.params for flag in (*each.opts, *each.secondary_opts)]
    assert len(flags) == len({*flags})
    assert sum(isinstance(each, KeyOption) for each in add.params) == len(key_options()) - 2
