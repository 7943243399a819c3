"""The commands of jobs as code: have a daemon do what files say, and write what it does."""

import re
import sys
import uuid
from pathlib import Path
from typing import Any

import click
import msgspec

from kala_trio.cli.reach import as_json, asks
from kala_trio.cli.status import PENDING, exit_status
from kala_trio.cli.tables import say_json
from kala_trio.client import Client, Conflict, NotFound, Outdated, Refused
from kala_trio.clock import WallClock
from kala_trio.job_files.document import Mistakes, Problem
from kala_trio.job_files.plan import Difference, Plan, plan
from kala_trio.job_files.reader import STDIN, read_jobs
from kala_trio.job_files.writer import draft_of, written
from kala_trio.printable import printable

_PAGE = 1000
_LONGEST = 100
_FIELD = re.compile(r"(?P<field>(?:create|edit)\.\d+\.[\w.]+): ")


@click.command()
@click.argument("path", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--file-set", default="", metavar="NAME", help="The file set of jobs that name none.")
@click.option("--prune", is_flag=True, help="Delete jobs of the file set that stand in no file.")
@click.option("--dry-run", is_flag=True, help=f"Only tell; status {PENDING} if there is a change.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@as_json
@asks
def apply(  # noqa: PLR0913 - its options
    kala: Client,
    /,
    *,
    path: tuple[Path, ...],
    file_set: str,
    prune: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Create and change jobs so that they are as the files at PATH say: all of them, or none.

    A folder stands for the files in it, and - for the standard input. What is to be changed is told
    first.
    """
    with exit_status(Refused, NotFound, Conflict, Outdated, Mistakes):
        files = read_jobs(path, WallClock().now())
        jobs = kala.find(limit=_PAGE)
        to_do = plan(files, jobs, file_set=file_set, prune=prune, new_id=lambda: str(uuid.uuid4()))
        if as_json:
            say_json(_json(to_do))
        else:
            _say(to_do)
        if dry_run and to_do:
            sys.exit(PENDING)
        if not to_do:
            return
        if not yes:
            _ask(may_ask=STDIN not in path)
        _carry_out(kala, to_do)


def _ask(*, may_ask: bool) -> None:
    if not (may_ask and sys.stdin.isatty()):
        raise Refused("there is nobody to be asked; --yes makes these changes without asking")
    click.confirm("Make these changes?", abort=True, err=True)


def _carry_out(kala: Client, to_do: Plan) -> None:
    try:
        kala.apply(
            create=[each.keys for each in to_do.creations],
            edit=[each.keys for each in to_do.editions],
            delete=[{"id": job["id"], "version": job["version"]} for job in to_do.deletions],
        )
    except Refused as error:
        # What the daemon alone can judge: told by the line of the file, as all else is.
        found = _FIELD.match(str(error))
        place = to_do.file_of(found["field"]) if found else None
        if found is None or place is None:
            raise
        file, key = place
        sentence = f"{key}: {str(error)[found.end() :]}"
        raise Mistakes(Problem(file.path, file.line_of(key), sentence)) from None


def _say(to_do: Plan) -> None:
    """Print what is to be changed, job by job and key by key."""
    for creation in to_do.creations:
        _say_job("create", creation.file.name, "green")
    for edition in to_do.editions:
        _say_job("edit", edition.file.name, "yellow")
        for each in edition.differences:
            click.echo(f"  {each.key}: {_shown(each.old)} → {_shown(each.new)}")
    for job in to_do.deletions:
        _say_job("delete", job["name"], "red")
    counts = (
        f"{len(to_do.creations)} to create",
        f"{len(to_do.editions)} to edit",
        f"{len(to_do.deletions)} to delete",
        f"{to_do.unchanged} unchanged",
    )
    click.echo(", ".join(counts))


def _say_job(what: str, name: str, colour: str) -> None:
    click.echo(f"{click.style(what.ljust(6), fg=colour)}  {printable(name)}")


def _shown(value: object) -> str:
    """Return a value as JSON has it, shortened; a dash where there is none."""
    if value is None:
        return "-"
    text = msgspec.json.encode(value, enc_hook=repr).decode()
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _json(to_do: Plan) -> dict[str, Any]:
    def changed(each: Difference) -> dict[str, object]:
        return {"key": each.key, "old": each.old, "new": each.new}

    return {
        "create": [{"id": each.keys["id"], "name": each.file.name} for each in to_do.creations],
        "edit": [
            {
                "id": each.keys["id"],
                "name": each.file.name,
                "changes": [changed(one) for one in each.differences],
            }
            for each in to_do.editions
        ],
        "delete": [{"id": job["id"], "name": job["name"]} for job in to_do.deletions],
        "unchanged": to_do.unchanged,
    }


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="To a file.")
@click.option("--file-set", metavar="NAME", help="Only jobs of this file set.")
@asks
def export(kala: Client, /, *, output: Path | None, file_set: str | None) -> None:
    """Write all jobs, or those of a file set, as a job file."""
    jobs = [
        job
        for job in kala.find(limit=_PAGE)
        if file_set is None or job.get("file_set", "") == file_set
    ]
    text = written(draft_of(jobs))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{output} can't be written: {error.strerror}") from None
