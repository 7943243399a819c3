"""The commands that tell what happened: runs, what they wrote, what was missed, who was told."""

import sys
from itertools import islice
from typing import Any

import click

from kala_trio.cli.reach import (
    as_json,
    asks,
    complete_job,
    job_argument,
    job_id_of,
    run_argument,
    run_id_of,
)
from kala_trio.cli.tables import elapsed, for_terminal, local, say_json, say_keys, say_table
from kala_trio.client import Client, Keys

_MOST = 20
_most = click.option(
    "-n",
    "--most",
    type=click.IntRange(min=1),
    default=_MOST,
    metavar="COUNT",
    help=f"How many, the latest first.  [default: {_MOST}]",
)


@click.command()
@click.argument("job", required=False, shell_complete=complete_job)
@click.option("--outcome", metavar="WORD,...", help="failed, missed and so on.")
@click.option("--cause", metavar="WORD,...", help="occurrence, manual, parent, failure or rerun.")
@click.option("--since", metavar="INSTANT", help="From then on: 2026-03-01T09:00Z")
@click.option("--until", metavar="INSTANT", help="Before then.")
@_most
@as_json
@asks
def runs(kala: Client, /, *, job: str | None, most: int, as_json: bool, **criteria: Any) -> None:
    """List what became of the triggers of JOB, or of all jobs: runs, and what was missed."""
    job_id = None if job is None else job_id_of(kala, job)
    found = islice(kala.runs(job_id, limit=min(most, 1000), **criteria), most)
    if as_json:
        for each in found:
            say_json(each)
        return
    say_table(("RUN", "JOB", "STARTED", "TOOK", "OUTCOME", "REASON"), map(_row, found))


@click.command()
@run_argument
@as_json
@asks
def show(kala: Client, /, *, run: str, as_json: bool) -> None:
    """Show what became of RUN, attempt by attempt.

    A RUN is named by its id; or by its job, which may be named as for `job`: its latest, or with
    .3 after it its third.
    """
    found = kala.run(run_id_of(kala, run))
    if as_json:
        say_json(found)
        return
    attempts = found.pop("attempts")
    say_keys(found)
    click.echo()
    rows = (
        (
            str(each["number"]),
            local(each["started_at"]),
            elapsed(each["started_at"], each["ended_at"]),
            each["reason"] or ("succeeded" if each["ended_at"] else "running"),
        )
        for each in attempts
    )
    say_table(("ATTEMPT", "STARTED", "TOOK", "END"), rows)


@click.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on as it is written, until RUN is over.")
@click.option("--tail", type=click.IntRange(min=1), metavar="BYTES", help="Only the last of it.")
@asks
def logs(kala: Client, /, *, run: str, follow: bool, tail: int | None) -> None:
    """Print what RUN has written; RUN is named as for `show`.

    On a terminal it can give itself colours, and do no more; elsewhere it is as it was written.
    """
    run_id = run_id_of(kala, run)
    written = kala.follow(run_id) if follow else [kala.output(run_id, tail=tail)]
    for data in for_terminal(written) if sys.stdout.isatty() else written:
        click.echo(data, nl=False)


@click.command()
@run_argument
@asks
def cancel(kala: Client, /, *, run: str) -> None:
    """End RUN, which is in progress; it is named as for `show`."""
    kala.cancel(run_id_of(kala, run))


@click.command()
@job_argument
@as_json
@asks
def missed(kala: Client, /, *, job: str, as_json: bool) -> None:
    """List which triggers of JOB became no runs, and why."""
    found = kala.missed(job_id_of(kala, job))
    if as_json:
        for each in found:
            say_json(each)
        return
    rows = (
        (
            local(each["first"]),
            local(each["last"]),
            f"{each['count']}",
            each["cause"],
            each["reason"],
        )
        for each in found
    )
    say_table(("FIRST", "LAST", "COUNT", "CAUSE", "REASON"), rows)


@click.command()
@job_argument
@_most
@as_json
@asks
def notices(kala: Client, /, *, job: str, most: int, as_json: bool) -> None:
    """List what was told of JOB, to whom, and what became of that."""
    found = islice(kala.notices(job_id_of(kala, job)), most)
    if as_json:
        for each in found:
            say_json(each)
        return
    rows = (
        (local(each["at"]), each["news"], each["receiver"], _delivery(each), each["error"] or "")
        for each in found
    )
    say_table(("AT", "NEWS", "RECEIVER", "DELIVERY", "ERROR"), rows)


@click.command()
@as_json
@asks
def stats(kala: Client, /, *, as_json: bool) -> None:
    """Show figures over all jobs."""
    found = kala.stats()
    if as_json:
        say_json(found)
        return
    for key, value in found.items():
        if key.islower():  # the names of later releases, of which one is enough
            say = local(value) if isinstance(value, str) else value
            click.echo(f"{key}: {say}")


def _row(entry: Keys) -> tuple[str, ...]:
    started = entry["started_at"] or entry["trigger"]["scheduled_at"]
    count: int = entry.get("count", 1)
    reason: Any = entry["reason"] or ""
    return (
        entry["id"] or "-",
        entry["job_name"],
        local(started),
        elapsed(entry["started_at"], entry["ended_at"]),
        entry["outcome"] or "running",
        f"{reason} ({count} times)" if count > 1 else reason,
    )


def _delivery(notice: Keys) -> str:
    if notice["delivered_at"]:
        return "delivered"
    return "waiting" if notice["next_try_at"] else "given up"
