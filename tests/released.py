"""The files of a release, which ``tox -e release`` has built before it tests them."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kala_trio import __version__
from tests.daemon import PATIENCE

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IS_REQUIRED = os.environ.get("RELEASE_TESTS") == "required"


def released(name: str) -> Path:
    """Return a file of the release; skip the module that asks where none has been built."""
    if "RELEASE" not in os.environ:
        pytest.skip("tox -e release builds what is tested here", allow_module_level=True)
    return Path(os.environ["RELEASE"], name)


WHEEL_NAME = f"kala_trio-{__version__}-py3-none-any.whl"
SDIST_NAME = f"kala_trio-{__version__}.tar.gz"


def tool(name: str) -> str:
    """Return the path of a program; skip the test where it is not there, unless it must be."""
    places = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    if found := shutil.which(name, path=places):
        return found
    if IS_REQUIRED:
        pytest.fail(f"there is no {name}")
    pytest.skip(f"there is no {name}")


def python(version: str) -> str:
    """Return the path of a Python of that version; skip the test where there is none."""
    found = shutil.which(f"python{version}")
    others = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
    for path in (*([found] if found else []), *map(str, others)):
        asked = [path, "-Ic", "import sys; print(sys.executable)"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:  # else it is a stand-in of pyenv's
            return done.stdout.strip()
    pytest.skip(f"there is no Python {version}")


def said(
    *command: str | Path,
    status: int = 0,
    env: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
) -> str:
    """Run a command, which must end with ``status``; return what it said on both its outputs."""
    words: Sequence[str] = [os.fspath(word) for word in command]
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env=env,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def tracked(*under: str) -> set[str]:
    """Return the names of the files that are kept under version control."""
    return set(said("git", "-C", ROOT, "ls-files", "-z", *under).strip("\0").split("\0"))
