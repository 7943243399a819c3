"""The commands of `job`: create, look at, change and start jobs of a daemon that runs."""

from typing import Any

import click

from kala_trio.cli.options import REQUEST, keys_given, with_keys
from kala_trio.cli.reach import as_json, asks, job_argument, job_id_of
from kala_trio.cli.tables import local, say_json, say_keys, say_table
from kala_trio.client import Client, Job, Refused
from kala_trio.core.definition import KEYS

_JOBS = ("parent_jobs", "on_failure_job")
_STATES = ["enabled", "disabled", "running", "waiting", "failing", "done"]


@click.group()
def job() -> None:
    """Create, look at, change and start jobs.

    A JOB is named by its id, by the beginning of it, or by its name, where these are unique.
    """


@job.command()
@click.argument("name")
@click.argument("command", required=False)
@click.option("--id", "job_id", metavar="UUID", help="The id that it is to have, to be repeated.")
@with_keys("name", "command")
@as_json
@asks
def add(kala: Client, /, *, job_id: str | None, as_json: bool, **given: Any) -> None:
    """Create a job that runs COMMAND, or with --url makes a request, and print its id.

    docs/http-api.md tells what each key means; what holds a list is said several times.
    """
    created = kala.create(job_id=job_id, **_resolved(kala, keys_given(given)))
    if as_json:
        say_json({"id": created})
    else:
        click.echo(created)


@job.command("list")
@click.option("--name", metavar="TEXT", help="A part of the name.")
@click.option("--owner", metavar="TEXT", help="Exactly that owner.")
@click.option("--tag", metavar="TEXT", help="Exactly that tag.")
@click.option("--state", type=click.Choice(_STATES), help="In this state.")
@click.option(
    "--sort", metavar="KEY", help="created, name, next_run_at or last_attempted_run; -name"
)
@as_json
@asks
def list_jobs(kala: Client, /, *, as_json: bool, **criteria: Any) -> None:
    """List the jobs, or those that fit."""
    jobs = kala.find(**criteria)
    if as_json:
        for each in jobs:
            say_json(each)
        return
    heads = ("ID", "NAME", "STATE", "RUNS", "NEXT", "LAST")
    say_table(heads, map(_row, jobs))


@job.command()
@job_argument
@as_json
@asks
def show(kala: Client, /, *, job: str, as_json: bool) -> None:
    """Show what is known of JOB."""
    (say_json if as_json else say_keys)(kala.get(job_id_of(kala, job)))


@job.command()
@job_argument
@click.option(
    "--reset",
    multiple=True,
    type=click.Choice([*KEYS]),
    metavar="KEY",
    help="Give a key its default; may be said several times.",
)
@with_keys()
@as_json
@asks
def edit(kala: Client, /, *, job: str, reset: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Change some keys of JOB, and leave the others.

    Of --env, --header and --secret what is given is changed, and a name alone is taken away.
    """
    keys = _resolved(kala, keys_given(given)) | dict.fromkeys(reset)
    if REQUEST in reset:
        keys["type"] = None
    if not keys:
        raise Refused("there is nothing to be changed; for example --retries 3")
    changed = kala.patch(job_id_of(kala, job), **keys)
    if as_json:
        say_json(changed)


@job.command()
@job_argument
@asks
def delete(kala: Client, /, *, job: str) -> None:
    """Delete JOB, and the children that have no other parent."""
    kala.delete(job_id_of(kala, job))


@job.command()
@job_argument
@asks
def start(kala: Client, /, *, job: str) -> None:
    """Start JOB now."""
    kala.start(job_id_of(kala, job))


@job.command()
@job_argument
@asks
def enable(kala: Client, /, *, job: str) -> None:
    """Enable JOB."""
    kala.enable(job_id_of(kala, job))


@job.command()
@job_argument
@asks
def disable(kala: Client, /, *, job: str) -> None:
    """Disable JOB; a run in progress goes on."""
    kala.disable(job_id_of(kala, job))


def _resolved(kala: Client, keys: dict[str, Any]) -> dict[str, Any]:
    """Let keys name other jobs as a command does."""
    for key in _JOBS:
        match keys.get(key):
            case list() as jobs:
                keys[key] = [job_id_of(kala, each) for each in jobs]
            case str() as text if text:
                keys[key] = job_id_of(kala, text)
    return keys


def _row(job: Job) -> tuple[str, ...]:
    runs = [text for text in (job["schedule"], job.get("cron"), *job.get("schedules", ())) if text]
    if job["parent_jobs"]:
        runs.append(f"after {len(job['parent_jobs'])}")
    return (
        job.id,
        job.name,
        _state(job),
        ", ".join(runs) or "once",
        local(job["next_run_at"]),
        local(job["last_attempted_run"]),
    )


def _state(job: Job) -> str:
    """Return the word of the search that says most of a job."""
    if job.get("running"):
        return "running"
    if job["disabled"]:
        return "disabled"
    if job.get("pending"):
        return "waiting"
    if job["stats"] and not job["stats"][-1]["success"]:
        return "failing"
    return "done" if job["is_done"] else "enabled"
