"""The commands that tell when a schedule would run, and what it says, without any daemon."""

from datetime import UTC, datetime

import click

from kala_trio.cli.status import exit_status
from kala_trio.cli.tables import say_table
from kala_trio.clock import WallClock
from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition, Timing
from kala_trio.core.schedule import date_time, find_zone
from kala_trio.core.timetable import is_cron, times_of, zone_of
from kala_trio.schedule_words import in_words, remarks

_MOST = 10
_zone_option = click.option("--zone", default="", metavar="ZONE", help="The job's time_zone.")
_after_option = click.option("--after", metavar="INSTANT", help="Later than that, instead of now.")


@click.command("next")
@click.argument("schedule")
@_zone_option
@click.option(
    "-n",
    "--most",
    type=click.IntRange(min=1),
    default=_MOST,
    metavar="COUNT",
    help=f"How many.  [default: {_MOST}]",
)
@_after_option
def preview(schedule: str, zone: str, most: int, after: str | None) -> None:
    """Print the next instants of SCHEDULE: ISO 8601 or cron, as a job may have it.

    No daemon is asked. Times are those of the zone, and of UTC.
    """
    with exit_status():
        now = _begin(after, zone)
        say_table(("LOCAL", "", "UTC"), _rows(schedule, zone, most, now))


@click.command()
@click.argument("schedule")
@_zone_option
@_after_option
def explain(schedule: str, zone: str, after: str | None) -> None:
    """Say what SCHEDULE means, in words, and what is odd about its next instants.

    No daemon is asked.
    """
    with exit_status():
        now = _begin(after, zone)
        text, timing = _read(schedule)
        definition = Definition("job", "true", schedule=text, time_zone=zone, timing=timing)
        check(definition, now)
        click.echo(in_words(definition, now))
        for each in remarks(definition, now, now, _MOST):
            notes = "; ".join(each.notes)
            click.echo(f"  {each.local.isoformat(' ')}{f'  {notes}' if notes else ''}")


def _begin(after: str | None, zone: str) -> datetime:
    if after is None:
        return WallClock().now()
    return date_time(after, "after", "", find_zone(zone)).astimezone(UTC)


def _read(schedule: str) -> tuple[str, Timing]:
    """Return a schedule as a definition has it, by its kind."""
    return ("", Timing(cron=schedule)) if is_cron(schedule) else (schedule, Timing())


def _rows(schedule: str, zone: str, most: int, now: datetime) -> list[tuple[str, str, str]]:
    text, timing = _read(schedule)
    times = times_of("", text, zone, timing, now)
    shown_in = zone_of(text, zone, now)
    rows: list[tuple[str, str, str]] = []
    at: datetime | None = now
    while at is not None and len(rows) < most:
        found = times.next_after(at)
        at = found.at if found else None
        if at is not None:
            there = at.astimezone(shown_in)
            utc = at.isoformat().replace("+00:00", "Z")
            rows.append((there.isoformat(" "), there.tzname() or "", utc))
    return rows
