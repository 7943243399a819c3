"""From a source tree to the files of a release: sdist, wheel and single file."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

# The backend writes its version into each wheel.
_BACKEND = "hatchling==1.33.0"
_REQUIREMENTS = "release/requirements.txt"


def build(tree: Path, target: Path, epoch: int) -> None:
    """Build all of it; ``epoch`` is the moment that dates it, in seconds since 1970.

    The manual pages are made in the tree, which must be one that nobody needs any more.
    """
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}

    def python(*words: str, **more: str) -> None:
        subprocess.run([sys.executable, "-m", *words], cwd=tree, env=environment | more, check=True)

    with TemporaryDirectory() as directory:
        backend, packages = Path(directory, "constraints.txt"), Path(directory, "packages")
        backend.write_text(_BACKEND)
        install = ["uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        python(*install, f"--target={packages}", "-r", _REQUIREMENTS)
        python("release.man", "man", PYTHONPATH=str(packages))
        python("build", "--installer=uv", f"--outdir={target}", UV_CONSTRAINT=str(backend))
    (wheel,) = target.glob("*.whl")
    python("release.pyz", str(wheel), _REQUIREMENTS, str(target / "kala-trio.pyz"))
