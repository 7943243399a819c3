"""What ``kala-trio.pyz`` does first: unpack itself into the user's cache, once, and run from there.

This is the archive's ``__main__``, so it knows of Python alone. What it makes is a virtual
environment: no setting of the caller's Python, and no package of the system's, gets into it, and
none of it into what jobs inherit. Compiled parts are there for several Pythons and machines, and
only those for this one are unpacked.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn
from zipfile import BadZipFile, ZipFile

FILES = "files/"
"""Under this name lies in the archive what is to be unpacked."""
SUMS = "SHA256SUMS"
"""The hash and the name of each of those files, a line for each; the version in the first line."""

_PART = ".unpacking-"  # what a name begins with as long as what it names is not whole
_SUFFIX = EXTENSION_SUFFIXES[0]  # such as .cpython-311-x86_64-linux-gnu.so
# Without a PATH Python does not know where it lies itself.
_PYTHON = os.path.realpath(getattr(sys, "_base_executable", "") or "/proc/self/exe")
_LIBRARY = "lib/python{}.{}/site-packages".format(*sys.version_info)


def main() -> NoReturn:
    """Become kala-trio, unpacked."""
    if sys.version_info < (3, 11):  # noqa: UP036 - nobody has looked before
        _fail("it needs Python 3.11 or later, and this is {}.{}".format(*sys.version_info))
    try:
        with ZipFile(Path(__file__).parent) as archive:
            place = _unpacked(archive)
    except (BadZipFile, KeyError) as error:
        _fail(f"the file is damaged ({error}); get it anew")
    except OSError as error:
        _fail(f"cannot unpack: {error}; XDG_CACHE_HOME may name another directory for it")
    python = place / "bin/python"
    os.execv(python, [os.fspath(python), "-I", "-m", "kala_trio", *sys.argv[1:]])


def _unpacked(archive: ZipFile) -> Path:
    """Return where this version is for this Python; what is not there, or damaged, is made anew."""
    sums = archive.read(SUMS).decode()
    version, *lines = sums.splitlines()
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    compiled = {name for name in wanted if name.endswith(".so")}
    ours = {name for name in compiled if name.endswith(_SUFFIX)}
    if not ours:
        known = ", ".join(sorted({Path(name).name.partition(".")[2] for name in compiled}))
        _fail(f"it has no parts for this Python, *{_SUFFIX}, only {known}; pip install kala-trio")
    wanted = {name: wanted[name] for name in sorted(wanted.keys() - compiled | ours)}

    cache = _cache()
    key = hashlib.sha256("\n".join((sums, _SUFFIX, _PYTHON)).encode()).hexdigest()[:16]
    place = cache / f"{version}-{key}"
    if not _is_whole(place, wanted):
        # One at a time; the lock is free again as soon as its holder is gone, however it went.
        lock = os.open(cache / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(place, wanted):
            for left in cache.glob(f"{_PART}*"):
                shutil.rmtree(left)
            _unpack(archive, wanted, place)
        os.close(lock)
    return place


def _cache() -> Path:
    """Return the directory that is this user's alone, made if it is not there."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    cache = Path(named if os.path.isabs(named) else f"{home}/.cache") / "kala-trio"
    cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache.mkdir(mode=0o700, exist_ok=True)
    if cache.stat().st_uid != os.geteuid():
        _fail(f"{cache} belongs to another user; XDG_CACHE_HOME may name another directory")
    cache.chmod(0o700)
    return cache


def _is_whole(place: Path, wanted: "dict[str, str]") -> bool:
    """Tell whether each file has its hash: a machine may have lost power, or swept its caches."""
    try:
        return (
            os.readlink(place / "bin/python") == _PYTHON
            and (place / "pyvenv.cfg").read_text() == _settings()
            and all(_digest(place / _LIBRARY / name) == wanted[name] for name in wanted)
        )
    except (OSError, UnicodeError):
        return False


def _digest(path: Path) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.sha256(file.readall()).hexdigest()


def _settings() -> str:
    return f"home = {os.path.dirname(_PYTHON)}\ninclude-system-site-packages = false\n"


def _unpack(archive: ZipFile, wanted: "dict[str, str]", place: Path) -> None:
    """Make a virtual environment beside, and give it its name once it is whole."""
    part = Path(mkdtemp(prefix=_PART, dir=place.parent))
    (part / "bin").mkdir()
    (part / "bin/python").symlink_to(_PYTHON)
    (part / "pyvenv.cfg").write_text(_settings())
    for name, digest in wanted.items():
        content = archive.read(FILES + name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadZipFile(f"{name} has another hash")
        path = part / _LIBRARY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if place.exists():
        place.rename(f"{part}-damaged")
    part.rename(place)


def _fail(problem: str) -> NoReturn:
    sys.exit(f"kala-trio.pyz: {problem}")


if __name__ == "__main__":
    main()
