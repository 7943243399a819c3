"""The one file that needs nothing but Python: kala-trio and its packages for several machines.

python -m release.pyz WHEEL REQUIREMENTS TARGET
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from kala_trio import __version__
from release.bootstrap import FILES, SUMS

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = tuple(
    f"{machine}-{system}"
    for machine in ("x86_64", "aarch64")
    for system in ("manylinux_2_17", "unknown-linux-musl")
)
# A zip has no earlier moment, and the files are the same whenever it was made.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_NOT_NEEDED = {"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


def build(wheel: Path, requirements: Path, target: Path) -> None:
    """Write the archive: the wheel, and what it requires for each Python and platform.

    Compiled parts lie side by side, since their names say what they are for.

    Raises:
        RuntimeError: a package has for one Python another file of the same name than for another.
    """
    files: dict[str, bytes] = {}
    _gather(files, ["--no-deps", str(wheel)], PYTHONS[0], PLATFORMS[0])
    required = ["--require-hashes", "--no-deps", "-r", str(requirements)]
    for python, platform in product(PYTHONS, PLATFORMS):
        _gather(files, required, python, platform)
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]
    bootstrap = Path(__file__).with_name("bootstrap.py").read_bytes()
    with open(target, "wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=9) as archive:
            _add(archive, "__main__.py", bootstrap)
            _add(archive, SUMS, "\n".join([__version__, *sums]).encode())
            for name in sorted(files):
                _add(archive, FILES + name, files[name])
    target.chmod(0o755)


def _gather(files: dict[str, bytes], what: Iterable[str], python: str, platform: str) -> None:
    """Install for that Python and platform, and add what is not among the files yet."""
    with TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config"]
        command += ["--only-binary=:all:", f"--python-version={python}"]
        command += [f"--python-platform={platform}", f"--target={directory}"]
        subprocess.run([*command, *what], check=True)
        for path in sorted(Path(directory).rglob("*")):
            name = path.relative_to(directory)
            if path.is_dir() or name.parts[0] in {"bin", "share", ".lock"}:
                continue
            if name.parts[0].endswith(".dist-info") and name.name in _NOT_NEEDED:
                continue
            content = path.read_bytes()
            if files.setdefault(name.as_posix(), content) != content:
                raise RuntimeError(f"{name} is another one for Python {python} on {platform}")


def _add(archive: ZipFile, name: str, content: bytes) -> None:
    info = ZipInfo(name, _MOMENT)
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:]))
