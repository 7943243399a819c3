"""What a release consists of: a wheel, an sdist, and manual pages."""

import re
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from kala_trio import __version__
from tests.daemon import eventually, running
from tests.released import (
    PROJECT,
    ROOT,
    SDIST_NAME,
    WHEEL_NAME,
    released,
    said,
    tool,
    tracked,
)
from tests.test_tidy import commands

WHEEL, SDIST = released(WHEEL_NAME), released(SDIST_NAME)
MAN = "share/man/man1/"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, with what it requires, into an empty environment."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=True, with_pip=True)
    said(place / "bin/pip", "install", "-q", WHEEL, timeout=900)
    return place


def pages() -> set[str]:
    names = {*commands()}
    groups = {name.rpartition(" ")[0] for name in names}
    return {f"{name.replace(' ', '-')}.1" for name in names | groups}


def test_the_sdist_holds_all_that_is_tracked_and_the_manual_pages() -> None:
    with tarfile.open(SDIST) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members if member.isfile()}
    assert names == tracked() | {f"man/{page}" for page in pages()} | {"PKG-INFO"}
    assert {(member.uid, member.gid, member.mtime) for member in members} == {
        (0, 0, members[0].mtime)
    }


def test_the_wheel_holds_the_package_and_the_manual_pages_and_nothing_else() -> None:
    with ZipFile(WHEEL) as archive:
        names = set(archive.namelist())
    info, data = f"kala_trio-{__version__}.dist-info/", f"kala_trio-{__version__}.data/data/"
    assert {name for name in names if name.startswith("kala_trio/")} == tracked("kala_trio")
    assert {name for name in names if name.startswith(data)} == {
        f"{data}{MAN}{page}" for page in pages()
    }
    assert {name for name in names if not name.startswith(("kala_trio/", info, data))} == set()


def test_the_installed_wheel_says_its_version_and_when_a_schedule_runs(installed: Path) -> None:
    program = installed / "bin/kala-trio"
    assert said(program, "--version") == f"kala-trio {__version__}\n"
    shown = said(program, "next", "R/2035-01-01T00:00:00Z/P1D", "-n", "1", "--zone", "UTC")
    assert "2035-01-01T00:00:00Z" in shown
    assert {path.name for path in (installed / MAN).iterdir()} == pages()


def test_the_daemon_of_the_installed_wheel_runs_a_job_and_serves_its_pages(
    installed: Path, tmp_path: Path
) -> None:
    program = [str(installed / "bin/kala-trio")]
    with running(tmp_path / "kala.db", program=program) as daemon:
        job = daemon.create(command="echo from the wheel", schedule="R0//PT1S")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        assert daemon.output(f"{job}.1") == "from the wheel\n"
        assert "<html" in said("curl", "-sSf", f"{daemon.url}/webui/")
        assert daemon.end()[0] == 0


def test_mandoc_finds_no_fault_in_the_manual_pages(installed: Path) -> None:
    linted = said(tool("mandoc"), "-T", "lint", "-W", "warning", *(installed / MAN).iterdir())
    assert linted == ""


def test_the_manual_page_of_the_service_tells_its_options_and_exit_statuses(
    installed: Path,
) -> None:
    text = said(
        tool("mandoc"), "-T", "utf8", "-O", "width=200", installed / MAN / "kala-trio-run.1"
    )
    plain = re.sub(".\b", "", text)
    assert re.search(r"^ +-p, --port TEXT$", plain, re.M), plain
    assert "[default: ~/.local/share/kala-trio/kala.db]" in plain
    assert re.search(r"^EXIT STATUS\n +0 after a clean stop", plain, re.M)
    assert f"kala-trio {__version__}" in plain


def test_what_is_required_by_version_and_hash_is_what_the_project_requires() -> None:
    """What to do when it is not: CONTRIBUTING.md, "A release"."""
    text = (ROOT / "release/requirements.txt").read_text()
    versions = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.M))
    for wanted in map(Requirement, PROJECT["project"]["dependencies"]):
        assert versions[wanted.name] in wanted.specifier, wanted
