"""The command that tells what a daemon would do, in virtual time, without any."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from kala_trio.cli.progress import progress
from kala_trio.cli.status import exit_status
from kala_trio.cli.tables import say_json, say_table
from kala_trio.clock import WallClock
from kala_trio.core.duration import HOUR, Duration
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.core.messages import EMPTY
from kala_trio.core.schedule import date_time, find_zone
from kala_trio.job_files.document import Mistakes
from kala_trio.job_files.reader import read_jobs
from kala_trio.printable import printable
from kala_trio.settings import Settings, load_settings
from kala_trio.simulation.beginning import create_all
from kala_trio.simulation.happenings import CameUp, Happening, WentDown
from kala_trio.simulation.picture import Picture
from kala_trio.simulation.plan import Failure, Plan
from kala_trio.simulation.play import Downtime, Simulation
from kala_trio.simulation.summary import Summaries, Summary
from kala_trio.simulation.words import SUMMARY_HEADS, Words
from kala_trio.store.journal import read_snapshot

_MOST = 1_000_000
_DAY = timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC)
_LONGEST = 87_600 * HOUR
_EXAMPLE = "--from 2026-03-28T12:00 --to 2026-03-29T12:00"
_NOT_CLEAN = 3
_SHOWN = 5
_TIME = len("2026-03-29 02:30:00+01:00")
_SLASH = re.compile(r"/(?![^\[]*\])")
_ATTEMPTS = re.compile(r"(.+)@([1-9][0-9]{0,8})(?:\.([1-9][0-9]{0,8}))?", re.DOTALL)


class _Given(Struct, frozen=True):
    """What the command line says."""

    paths: tuple[Path, ...]
    begin: str | None
    end: str | None
    zone: str
    db: Path | None
    durations: tuple[str, ...]
    failures: tuple[str, ...]
    downtimes: tuple[str, ...]
    grace: str | None
    max_running: str | None
    max_running_by_tag: str | None
    config: Path | None
    seed: str
    most: int
    is_brief: bool
    as_json: bool
    svg: Path | None
    strict: bool

    def settings(self) -> Settings:
        """Return those of a daemon, as far as they matter here."""
        keys = ("grace", "max_running", "max_running_by_tag", "config")
        return load_settings({key: getattr(self, key) for key in keys}, os.environ)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--from", "begin", metavar="INSTANT", help="Where it begins.  [default: now]")
@click.option("--to", "end", metavar="INSTANT", help="Where it ends.  [default: a day later]")
@click.option("--zone", default="", metavar="ZONE", help="Whose clock counts.  [default: UTC]")
@click.option(
    "--db",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Go on from where the jobs of that database stand, instead of files.",
)
@click.option(
    "--duration",
    "durations",
    multiple=True,
    metavar="[JOB=]DURATION",
    help="How long attempts of JOB take, or else all.  [default: PT1S]",
)
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="JOB[@K[.N]]",
    help="JOB fails: always, or all attempts of its K-th run, or the N-th of these.",
)
@click.option(
    "--down",
    "downtimes",
    multiple=True,
    metavar="FROM/TO",
    help="The daemon is stopped meanwhile.",
)
@click.option("--grace", metavar="DURATION", help="As for run.  [default: PT10S]")
@click.option("--max-running", metavar="COUNT", help="As for run.  [default: 0]")
@click.option("--max-running-by-tag", metavar="TAG=COUNT,...", help="As for run.")
@click.option("--config", type=click.Path(path_type=Path), metavar="PATH", help="As for run.")
@click.option("--seed", default="", metavar="TEXT", help="Another one draws other jitter.")
@click.option(
    "-n",
    "--most",
    type=click.IntRange(min=1),
    default=_MOST,
    metavar="COUNT",
    help=f"Give up if more happens.  [default: {_MOST:,}]",
)
@click.option("--summary", "is_brief", is_flag=True, help="Tell only what it comes to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each.")
@click.option(
    "--svg", type=click.Path(path_type=Path), metavar="FILE", help="Draw it as a timeline, too."
)
@click.option("--strict", is_flag=True, help="Exit with 3 if anything is missed, late or fails.")
def simulate(**options: Any) -> None:
    """Tell what a daemon would do with the jobs of files, in virtual time: nothing is run.

    PATHs are job files, folders of them, or - for the standard input. Each time it tells the same.

    Exit status: 0 if all was played, 3 with --strict if anything is missed, late or fails, 2 if
    something is wrong with what was given or more than --most happens, 70 for a bug.
    """
    with exit_status(Mistakes):
        given = _Given(**options)
        zone, now = find_zone(given.zone), WallClock().now()
        start = _instant("--from", given.begin, zone) if given.begin else now
        until = start + min(_DAY, _LAST - start)
        if given.end:
            until = _instant("--to", given.end, zone)
        if until <= start:
            problem = "must be later than --from"
            raise Refused("--to", problem, found=given.end or given.begin, example=_EXAMPLE)
        downtimes = _downtimes(given.downtimes, start, until, zone)
        simulation = _begun(given, start, now)
        picture = Picture() if given.svg else None
        happenings = _bounded(simulation.play(until, downtimes), given.most)
        # A table on the same screen shows by itself how far it is.
        with progress("played", wanted=given.is_brief or not sys.stdout.isatty()) as tell:
            told = _telling(happenings, lambda at: tell((at - start) / (until - start)))
            summaries = _tell(given, told, simulation, zone, picture)
        if given.svg and picture:
            _write(given.svg, picture.drawn(start, until, zone))
        if given.strict:
            _hold_to(summaries)


# What is given


def _begun(given: _Given, start: datetime, now: datetime) -> Simulation:
    """Return the simulation at its start: of the jobs of files, or of those of a database."""
    if bool(given.paths) == bool(given.db):
        problem = "must be job files, or --db with a database, and not both"
        raise Refused("PATH", problem, found=[*map(str, given.paths)], example="jobs.yaml")
    settings = given.settings()
    jobs = read_jobs(given.paths, start) if given.paths else ()
    snapshot = read_snapshot(given.db.expanduser()) if given.db else EMPTY
    names = {job.name for job in jobs} | {job.definition.name for job in snapshot.jobs}
    usual, durations = _durations(given.durations, names)
    simulation = Simulation(
        Plan(usual, durations, _failures(given.failures, names)),
        min(start, now) if given.db else start,
        settings.limits,
        snapshot=snapshot,
        grace=timedelta(seconds=settings.grace),
    )
    create_all(simulation, jobs, given.seed)
    for _ in _bounded(simulation.play(start), given.most):
        pass  # what is before the start is not told
    return simulation


def _instant(option: str, text: str, zone: tzinfo) -> datetime:
    return date_time(text, option, "", zone).astimezone(UTC)


def _durations(
    given: Sequence[str], names: Collection[str]
) -> tuple[timedelta, dict[str, timedelta]]:
    """Return what is said of all jobs, and of each that is named."""
    usual, durations = timedelta(seconds=1), {}
    for text in given:
        name, equals, duration = text.rpartition("=")
        took = _exact(duration)
        if equals:
            durations[_known("--duration", name, names)] = took
        else:
            usual = took
    return usual, durations


def _exact(text: str) -> timedelta:
    """Read an exact duration of ten years at most."""
    duration = Duration.parse(text, field="--duration")
    if duration.months or duration.days or duration.microseconds > _LONGEST:
        problem = "must be in hours, minutes and seconds only, and ten years at most"
        raise Refused("--duration", problem, found=text, example="PT5M, or for a job backup=PT5M")
    return timedelta(microseconds=duration.microseconds)


def _failures(given: Sequence[str], names: Collection[str]) -> dict[str, tuple[Failure, ...]]:
    failures: dict[str, tuple[Failure, ...]] = {}
    for text in given:
        name, failure = text, Failure()
        if text not in names and (match := _ATTEMPTS.fullmatch(text)):
            name = match[1]
            failure = Failure(int(match[2]), int(match[3]) if match[3] else None)
        _known("--fail", name, names)
        failures[name] = (*failures.get(name, ()), failure)
    return failures


def _known(option: str, name: str, names: Collection[str]) -> str:
    if name not in names:
        some = difflib.get_close_matches(name[:50], names, n=1) or sorted(names)[:1] or ["backup"]
        raise Refused(option, "names no job", found=name, example=some[0])
    return name


def _downtimes(
    given: Sequence[str], start: datetime, until: datetime, zone: tzinfo
) -> list[Downtime]:
    """Return when the daemon is down, in order."""
    example = "2026-03-01T01:00/2026-03-01T03:00"
    downtimes = []
    for text in given:
        match _SLASH.split(text):
            case [first, last]:
                begin, end = (_instant("--down", each, zone) for each in (first, last))
            case _:
                raise Refused("--down", "must be two instants", found=text, example=example)
        if not start <= begin < end < until:
            problem = "must be in order, and within --from and --to"
            raise Refused("--down", problem, found=text, example=example)
        downtimes.append(Downtime(begin, end))
    downtimes.sort(key=lambda each: each.begin)
    if any(one.end >= other.begin for one, other in pairwise(downtimes)):
        problem = "must not overlap or touch"
        raise Refused("--down", problem, found=[*given], example=example)
    return downtimes


# What is told


def _tell(
    given: _Given,
    happenings: Iterator[Happening],
    simulation: Simulation,
    zone: tzinfo,
    picture: Picture | None,
) -> list[Summary]:
    """Print what happens as it comes, and then what it comes to for each job."""
    names = {job.id: job.definition.name for job in simulation.jobs.values()}
    words, summaries = Words(zone, names), Summaries(names, simulation.running())
    table = None if given.as_json or given.is_brief else _Table(words, names.values())
    for it in happenings:
        summaries.add(it)
        if picture:
            picture.add(it)
        if table:
            table.say(it)
        elif not given.is_brief:
            say_json(it)
    if given.as_json:
        for each in summaries.all():
            say_json(each)
    else:
        if table:
            click.echo()
        say_table(SUMMARY_HEADS, map(words.row, summaries.all()))
    return summaries.all()


class _Table:
    """Prints a row for each happening as it comes, since there may be very many."""

    def __init__(self, words: Words, names: Iterable[str]) -> None:
        self._words = words
        self._width = max(len(printable(each)) for each in ("JOB", *names))
        click.secho(f"{'TIME':{_TIME}}  {'JOB':{self._width}}  WHAT", bold=True)

    def say(self, it: Happening) -> None:
        time, what = self._words.time(it.at), self._words.sentence(it)
        name = "-" if isinstance(it, WentDown | CameUp) else it.job_name
        click.echo(f"{time:{_TIME}}  {printable(name):{self._width}}  {printable(what)}")


def _bounded(happenings: Iterator[Happening], most: int) -> Iterator[Happening]:
    """Yield so many at most, and then refuse to go on."""
    for number, it in enumerate(happenings):
        if number == most:
            problem = f"more happens by {it.at:%Y-%m-%dT%H:%M:%SZ} already; give an earlier --to"
            raise Refused("--most", problem, found=most, example=f"--most {10 * most}")
        yield it


def _telling(
    happenings: Iterator[Happening], tell: Callable[[datetime], None]
) -> Iterator[Happening]:
    for it in happenings:
        tell(it.at)
        yield it


def _write(file: Path, svg: str) -> None:
    try:
        file.write_text(svg)
    except OSError as error:
        raise Unavailable(f"--svg: {file} can't be written: {error.strerror}") from error


def _hold_to(summaries: Sequence[Summary]) -> None:
    """Exit with a sentence if not all went well."""
    names = sorted(each.job_name for each in summaries if not each.is_clean)
    if names:
        more = ", …" if len(names) > _SHOWN else ""
        some = ", ".join(map(printable, names[:_SHOWN]))
        click.echo(f"kala-trio: something is missed, late or fails: {some}{more}", err=True)
        sys.exit(_NOT_CLEAN)
