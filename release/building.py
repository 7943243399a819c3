"""From a source tree to the files of a release: sdist, wheel and single file."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.pyz import REQUIREMENTS

# The backend writes its version into each wheel.
_BACKEND = "hatchling==1.33.0"


def build(tree: Path, target: Path, epoch: int) -> None:
    """Build all of it; ``epoch`` is the moment that dates it, in seconds since 1970.

    The manual pages are made in the tree, which must be one that nobody needs any more.
    """
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONPATH": ""}
    # The pages tell where the database lies in anybody's home.
    home = {"HOME": "~", "XDG_DATA_HOME": ""}
    _python("release.man", "man", at=tree, environment=environment | home)
    with TemporaryDirectory() as directory:
        backend = Path(directory) / "constraints.txt"
        backend.write_text(_BACKEND)
        constrained = environment | {"PIP_CONSTRAINT": str(backend)}
        _python("build", "--outdir", str(target), at=tree, environment=constrained)
    (wheel,) = target.glob("*.whl")
    single = target / "kala-trio.pyz"
    _python("release.pyz", str(wheel), str(REQUIREMENTS), str(single), at=tree, environment=environment)


def digests(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
    }


def sums(found: dict[str, str]) -> str:
    """Write hashes as ``sha256sum --check`` reads them."""
    return "".join(f"{digest}  {name}\n" for name, digest in found.items())


def _python(module: str, *words: str, at: Path, environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", module, *words], cwd=at, env=environment, check=True)
