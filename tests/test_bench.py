"""The benchmark: all of it works, and says what the documentation says. Nothing here is fast."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kala_trio.bench.figures import Figure, Limit, Sample, Target, gather, table
from kala_trio.bench.suite import SECTIONS

ROOT = Path(__file__).parent.parent


def run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kala_trio", "bench", "--tiny", *words]
    environment = os.environ | variables
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_each_section_gives_figures_a_table_and_a_plot(tmp_path: Path) -> None:
    written, drawn = tmp_path / "figures.json", tmp_path / "lateness.svg"
    done = run(f"--json={written}", f"--svg={drawn}", f"--dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    figures = read(written)["figures"]
    assert {figure["section"] for figure in figures} == set(SECTIONS)
    assert all(figure["name"] in done.stdout for figure in figures)
    plot = ElementTree.parse(drawn)
    assert plot.getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "C loop" in "".join(plot.getroot().itertext())
    assert {path.name for path in tmp_path.iterdir()} == {"figures.json", "lateness.svg"}


def test_the_keys_of_the_json_are_documented_and_the_other_way_round(tmp_path: Path) -> None:
    done = run("throughput", "--rounds=2", f"--json={tmp_path / 'figures.json'}")
    assert done.returncode == 0, done.stderr
    found = read(tmp_path / "figures.json")
    keys = {*found, *(f"machine.{key}" for key in found["machine"])}
    keys |= {f"figures[].{key}" for figure in found["figures"] for key in figure}
    told = (ROOT / "docs/cli.md").read_text().partition("The JSON has these keys")[2]
    told = told.partition("\n## ")[0]
    named = {word for line in re.findall(r"^\| (`.*?) \|", told, re.M) for word in line.split(", ")}
    assert {f"`{key}`" for key in keys - {"machine", "figures"}} == named
    assert [len(figure["rounds"]) for figure in found["figures"]] == [2] * len(found["figures"])


def test_without_a_compiler_the_daemon_says_when_runs_started(tmp_path: Path) -> None:
    (tmp_path / "true").symlink_to("/bin/true")
    done = run("lateness", "throughput", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Starts are noted by the daemon" in done.stdout


def test_an_unknown_section_is_refused() -> None:
    done = run("speed")
    assert done.returncode == 2
    assert done.stderr.startswith("kala-trio: section: there is no such section, found 'speed'")


def figure(*values: float, limits: tuple[float, ...] = (), target: Target | None = None) -> Figure:
    (found,) = gather(
        ("section", Sample("name", value, "ms", Limit("limit", limit) if limit else None, target))
        for value, limit in zip(values, limits or (0.0,) * len(values), strict=True)
    )
    return found


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """On a machine that is slow in one round, both are slow in it."""
    assert figure(10, 90, 20, limits=(10, 100, 10)).ratio == 1.0


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (Target("≤", 2.0), True),
        (Target("≤", 1.9), False),
        (Target("≥", 2.0), True),
        (Target("≥", 2.1), False),
        (Target("≥", 0.5, of_limit=True), True),
        (Target("≥", 0.6, of_limit=True), False),
    ],
)
def test_a_target_is_compared_with_the_median_or_with_the_ratio(
    target: Target, is_met: bool
) -> None:
    found = figure(1, 2, 3, limits=(4, 4, 4), target=target)
    assert found.met is is_met
    assert ("missed" in table([found])) is not is_met
