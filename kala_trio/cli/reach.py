"""What the commands that ask a daemon share: where it is, and which job or run is meant."""

import os
import re
from collections.abc import Callable
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, ParamSpec

import click
from click.shell_completion import CompletionItem

from kala_trio.cli.status import exit_status
from kala_trio.client import URL, Client, Conflict, Keys, NotDone, NotFound, Outdated, Refused
from kala_trio.settings import API_VARIABLE, TOKEN_VARIABLE

P = ParamSpec("P")

_ID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BEGINNING = re.compile("[0-9a-f-]{1,35}")
_PLAIN = re.compile(r"[\w.:@%+/-]+")
_SHOWN = 5
_OFFERED = 50
_PAUSES = (0.1, 0.4)  # somebody waits
_PAGE = 1000

as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
"""The option of commands that show something."""


def complete_job(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the jobs whose names begin so; by its id one that a shell would have to quote."""
    url = context.params.get("api") or os.environ.get(API_VARIABLE, URL)
    try:
        with Client(url, token=os.environ.get(TOKEN_VARIABLE, ""), pauses=()) as kala:
            found = islice(kala.find(name=begun, sort="name", limit=_OFFERED), _OFFERED)
            return [
                CompletionItem(job.name if _PLAIN.fullmatch(job.name) else job.id, help=job.name)
                for job in found
                if job.name.startswith(begun)
            ]
    except NotDone:  # nobody wants to be told while typing
        return []


job_argument = click.argument("job", shell_complete=complete_job)
"""Which job is meant, by its id, the beginning of it, or its name."""

run_argument = click.argument("run", shell_complete=complete_job)
"""Which run is meant, by its id, or by its job."""


def asks(command: Callable[Concatenate[Client, P], None]) -> Callable[..., None]:
    """Give a command the option ``--api``, and a client of the daemon that it names."""

    @click.option(
        "--api",
        envvar=API_VARIABLE,
        default=URL,
        metavar="URL",
        help=f"Where the daemon is; else {API_VARIABLE}.  [default: {URL}]",
    )
    @wraps(command)
    def asking(*args: Any, api: str, **given: Any) -> None:
        with (
            exit_status(Refused, NotFound, Conflict, Outdated),
            Client(api, token=os.environ.get(TOKEN_VARIABLE, ""), pauses=_PAUSES) as kala,
        ):
            command(kala, *args, **given)

    return asking


def job_id_of(kala: Client, text: str) -> str:
    """Return the id of the job that is meant: by its id, its name, or the beginning of its id.

    A whole id is not looked up, so that it may be that of a deleted job.

    Raises:
        NotFound: there is no such job.
        Refused: there are several.
    """
    if _ID.fullmatch(text):
        return text.lower()
    named = [job for job in kala.find(name=text, limit=_PAGE) if job.name == text] if text else []
    if not named and _BEGINNING.fullmatch(text):
        named = [job for job in kala.find(limit=_PAGE) if job.id.startswith(text)]
    if not named:
        raise NotFound(f"there is no job {text!r}; kala-trio job list lists them")
    if len(named) > 1:
        some = ", ".join(job.id for job in named[:_SHOWN])
        more = ", …" if len(named) > _SHOWN else ""
        raise Refused(f"several jobs are meant by {text!r}: {some}{more}; give the id of one")
    return named[0].id


def run_id_of(kala: Client, text: str) -> str:
    """Return the id of the run that is meant: by its job and number, or the latest of its job.

    Raises:
        NotFound: there is no such job, or it has not run.
        Refused: there are several such jobs.
    """
    job, _, number = text.rpartition(".")
    if number.isdecimal():
        try:
            return f"{job_id_of(kala, job)}.{number}"
        except NotFound:
            pass  # it may be a name with a dot
    job_id = job_id_of(kala, text)
    run: Keys | None = next((run for run in kala.runs(job_id) if run["id"]), None)
    if run is None:
        raise NotFound(f"job {text!r} has not run yet")
    return str(run["id"])
