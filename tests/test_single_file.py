"""The release that is one file: it needs Python, unpacks itself once, and runs from there."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from zipfile import ZipFile

import pytest

from kala_trio import __version__
from release.bootstrap import SUMS
from release.pyz import PYTHONS
from tests.daemon import PATIENCE, eventually, running
from tests.released import python, released, said

PYZ = released("kala-trio.pyz")
VERSION = f"kala-trio {__version__}\n"


class Home:
    """An empty home, and whoever runs the file there with nothing else in the environment."""

    def __init__(self, path: Path) -> None:
        """Live there."""
        self.path = path
        self.cache = path / ".cache/kala-trio"
        self.env = ["env", "-i", f"HOME={path}"]

    def says(self, *words: str, file: Path = PYZ, status: int = 0) -> str:
        """Run it by this Python."""
        return said(*self.env, sys.executable, "-I", file, *words, status=status)

    def unpacked(self) -> list[Path]:
        """Return what lies in the cache, the lock apart."""
        return sorted(path for path in self.cache.iterdir() if path.name != ".lock")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Make an empty home."""
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def changed(path: Path, sums: str) -> Path:
    """Write the file with another list of what it holds."""
    with ZipFile(PYZ) as old, ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, sums if name == SUMS else old.read(name))
    return path


def listed() -> str:
    with ZipFile(PYZ) as archive:
        return archive.read(SUMS).decode()


def files(place: Path) -> Iterator[tuple[str, int]]:
    """Yield each file that was unpacked, and when; what Python compiles is its own affair."""
    for path in sorted(place.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path), path.stat().st_mtime_ns


def test_with_an_empty_environment_and_home_it_runs_a_job_and_serves_pages(
    home: Home, tmp_path: Path
) -> None:
    with running(tmp_path / "kala.db", program=[*home.env, str(PYZ)]) as daemon:
        job = daemon.create(command="env", schedule="R0//PT1S")
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        variables = daemon.output(f"{job}.1").splitlines()
        page = said("curl", "-sSf", f"{daemon.url}/webui/")
        style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert "{" in said("curl", "-sSf", f"{daemon.url}{style}")
        assert daemon.end()[0] == 0
    # Of how it was started nothing is left in what jobs inherit.
    inherited = [each for each in variables if not each.startswith("KALA_TRIO_")]
    assert {each.partition("=")[0] for each in inherited} <= {"HOME", "LC_CTYPE", "PWD"}


def test_packages_that_the_caller_has_put_in_the_way_are_not_seen(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "in-the-way").mkdir()
    for name in ("trio", "click", "quart"):
        (tmp_path / f"in-the-way/{name}.py").write_text("raise SystemExit('it was imported')")
    program = [*home.env, f"PYTHONPATH={tmp_path / 'in-the-way'}", str(PYZ)]
    with running(tmp_path / "kala.db", program=program) as daemon:
        assert daemon.get("/job/") == {"jobs": {}}
        assert daemon.end()[0] == 0


def test_it_has_the_compiled_parts_of_each_python_on_each_platform() -> None:
    wanted = {
        f"cpython-{python.replace('.', '')}-{machine}-linux-{library}"
        for python in PYTHONS
        for machine in ("x86_64", "aarch64")
        for library in ("gnu", "musl")
    }
    compiled = [line.partition("  ")[2] for line in listed().splitlines() if line.endswith(".so")]
    packages = {name.partition("/")[0] for name in compiled}
    assert "msgspec" in packages
    for package in packages:
        built = [name.split(".")[-2] for name in compiled if name.startswith(f"{package}/")]
        assert sorted(built) == sorted(wanted), package


@pytest.mark.parametrize("version", PYTHONS)
def test_each_python_that_is_here_finds_its_own_compiled_parts(home: Home, version: str) -> None:
    assert said(*home.env, python(version), PYZ, "--version") == VERSION
    compiled = [path.name for path in home.cache.rglob("*.so")]
    assert compiled
    assert all(f".cpython-{version.replace('.', '')}-" in name for name in compiled)


def test_what_it_unpacks_is_for_its_user_alone(home: Home) -> None:
    home.cache.mkdir(parents=True)
    home.cache.chmod(0o755)
    before = os.umask(0)
    try:
        assert home.says("--version") == VERSION
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home.cache, *home.unpacked())]
    assert modes == [0o700, 0o700]


def test_the_second_start_unpacks_nothing(home: Home) -> None:
    assert home.says("--version") == VERSION
    (place,) = home.unpacked()
    before = [*files(place)]
    assert home.says("--version") == VERSION
    assert home.unpacked() == [place]
    assert [*files(place)] == before


@pytest.mark.parametrize("damage", ["truncate", "remove", "redirect"])
def test_what_was_damaged_since_is_unpacked_anew(home: Home, damage: str) -> None:
    """After a power cut, or when somebody has swept the cache."""
    home.says("--version")
    (place,) = home.unpacked()
    (victim,) = place.glob("lib/*/site-packages/kala_trio/cli/__init__.py")
    if damage == "truncate":
        victim.write_bytes(b"")
    elif damage == "remove":
        victim.unlink()
    else:
        (place / "bin/python").unlink()
        (place / "bin/python").symlink_to("/nonexistent")
    assert home.says("--version") == VERSION
    assert home.says("--version") == VERSION
    assert place in home.unpacked()


def test_versions_lie_beside_each_other(home: Home, tmp_path: Path) -> None:
    older = changed(tmp_path / "older.pyz", listed().replace(__version__, "0.0.9", 1))
    assert home.says("--version") == home.says("--version", file=older) == VERSION
    assert {path.name.partition("-")[0] for path in home.unpacked()} == {"0.0.9", __version__}


def test_a_kill_while_it_unpacks_leaves_nothing_in_the_way(home: Home) -> None:
    process = subprocess.Popen([*home.env, sys.executable, str(PYZ), "--version"])
    eventually(lambda: home.cache.exists() and [*home.cache.glob("*")])
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    # And what is sure to be there: one that was killed in the midst of it.
    (home.cache / ".unpacking-killed/lib").mkdir(parents=True)
    assert home.says("--version") == VERSION
    assert [path.name.partition("-")[0] for path in home.unpacked()] == [__version__]


def test_several_that_start_at_once_unpack_it_once(home: Home) -> None:
    command = [*home.env, sys.executable, str(PYZ), "--version"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [each.communicate(timeout=PATIENCE)[0] for each in processes] == [VERSION] * 4
    assert len(home.unpacked()) == 1


def test_a_file_that_is_damaged_says_so_and_runs_nothing(home: Home, tmp_path: Path) -> None:
    lines = listed().splitlines()
    number = next(n for n, line in enumerate(lines) if line.endswith("kala_trio/__init__.py"))
    lines[number] = "0" * 64 + lines[number][64:]
    file = changed(tmp_path / "damaged.pyz", "\n".join(lines))
    assert "the file is damaged (kala_trio/__init__.py has another hash)" in home.says(
        "--version", file=file, status=1
    )
    assert not any(path.name.startswith(__version__) for path in home.unpacked())


def test_a_python_that_it_has_no_parts_for_is_told_what_to_do(home: Home, tmp_path: Path) -> None:
    others = [line for line in listed().splitlines() if not line.endswith(EXTENSION_SUFFIXES[0])]
    file = changed(tmp_path / "others.pyz", "\n".join(others))
    message = home.says("--version", file=file, status=1)
    assert message.startswith("kala-trio.pyz: it has no parts for this Python, ")
    assert message.endswith("; pip install kala-trio\n")
    assert not home.cache.exists()


def test_a_home_that_cannot_be_written_to_is_told_in_one_sentence(home: Home) -> None:
    (home.path / ".cache").touch()
    message = home.says("--version", status=1)
    assert message.startswith("kala-trio.pyz: cannot unpack: ")
    assert message.count("\n") == 1
    assert "XDG_CACHE_HOME" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_cache_of_another_user_is_not_run_from(home: Home) -> None:
    home.cache.mkdir(parents=True)
    os.chown(home.cache, 4711, 4711)
    assert "belongs to another user" in home.says("--version", status=1)


def test_an_older_python_is_told_what_is_needed() -> None:
    """Nothing in it is newer than what such a Python can read, up to where it looks."""
    told = said(python("3.8"), PYZ, status=1)
    assert told == "kala-trio.pyz: it needs Python 3.11 or later, and this is 3.8\n"
