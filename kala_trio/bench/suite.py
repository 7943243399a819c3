"""All of it: the sections, measured round by round, then shown and written."""

import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from kala_trio import __version__
from kala_trio.bench import creates, isolation, lateness, reads, scale, size, throughput
from kala_trio.bench.figures import Figure, Sample, gather, table
from kala_trio.bench.place import Extent, Place
from kala_trio.bench.plot import svg
from kala_trio.clock import WallClock
from kala_trio.core.errors import Refused

SECTIONS: dict[str, Callable[[Place], Iterator[Sample]]] = {
    "lateness": lateness.measure,
    "throughput": throughput.measure,
    "creates": creates.measure,
    "reads": reads.measure,
    "size": size.measure,
    "isolation": isolation.measure,
    "scale": scale.measure,
}


def run(
    sections: Sequence[str],
    extent: Extent,
    *,
    directory: Path | None = None,
    json_file: Path | None = None,
    svg_file: Path | None = None,
) -> None:
    """Measure, print a table, and write the files that are wanted.

    ``directory`` is where the databases lie meanwhile: on the disk that is to be measured.

    Raises:
        CannotStart: a daemon could not be started, or did not do what it should.
        Refused: there is no such section.
    """
    for section in sections:
        if section not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise Refused("section", "there is no such section", found=section, example=known)
    began = WallClock().now()
    with tempfile.TemporaryDirectory(prefix="kala-trio-bench-", dir=directory) as place_directory:
        place = Place(Path(place_directory), extent)
        about = _about(place, Path(place_directory))
        samples = []
        for number in range(1, extent.rounds + 1):
            for section in sections or SECTIONS:
                _say(f"round {number} of {extent.rounds}: {section}")
                samples += [(section, sample) for sample in SECTIONS[section](place)]
    figures = gather(samples)
    about["load_average_at_the_end"] = os.getloadavg()[0]
    click.echo(_heading(about, extent.rounds))
    click.echo(table(figures))
    if json_file:
        found: dict[str, Any] = {"kala_trio": __version__, "at": began.isoformat()}
        found |= {"machine": about, "rounds": extent.rounds}
        found["figures"] = [figure.as_json() for figure in figures]
        json_file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if svg_file:
        svg_file.write_text(_plot(figures))


def _plot(figures: Sequence[Figure]) -> str:
    return svg(figures, "Lateness of jobs that are due at one instant", "jobs", "ms late")


def _say(what: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)


def _about(place: Place, directory: Path) -> dict[str, Any]:
    return {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": _file_system(directory),
        "starts_noted_by": place.programs.who_notes,
        "load_average_at_the_start": os.getloadavg()[0],
    }


def _heading(about: dict[str, Any], rounds: int) -> str:
    return (
        f"kala-trio {__version__}; {about['processors']} × {about['processor']}, "
        f"{about['system']}, {about['file_system']}, Python {about['python']}, "
        f"SQLite {about['sqlite']}.\n"
        f"Rounds: {rounds}. Starts are noted by {about['starts_noted_by']}. Load average "
        f"{about['load_average_at_the_start']:.1f} before, "
        f"{about['load_average_at_the_end']:.1f} at the end.\n"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    """Return the type of the file system that a directory lies on."""
    found = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, at, kind, *_ = line.split()
        if directory.is_relative_to(at) and len(at) >= len(found[0]):
            found = (at, kind)
    return found[1]
