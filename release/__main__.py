"""``python -m release``: build the commit twice, see that both are the same, keep it in dist/."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.building import build

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write the files of a release, and their hashes, into ``dist``, which is made anew."""
    if changes := _git("status", "--porcelain"):
        sys.exit(f"what is released is a commit, but there are changes:\n{changes}")
    epoch = int(_git("log", "-1", "--format=%ct"))
    with TemporaryDirectory() as first, TemporaryDirectory(prefix="in-another-place-") as second:
        once = _built(Path(first), epoch, umask=0o022)
        again = _built(Path(second), epoch, umask=0o077)
        if once != again:
            names = sorted({name for name, _ in once.items() ^ again.items()})
            sys.exit(f"two builds of the same commit differ in {', '.join(names)}")
    os.umask(0o022)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    (ROOT / "dist").mkdir()
    sums = ""
    for name, content in once.items():
        (ROOT / "dist" / name).write_bytes(content)
        sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    (ROOT / "dist/kala-trio.pyz").chmod(0o755)
    (ROOT / "dist/SHA256SUMS").write_text(sums)
    print(sums, end="")


def _built(directory: Path, epoch: int, umask: int) -> dict[str, bytes]:
    """Build a clean clone, and return the files by their names."""
    os.umask(umask)
    _git("clone", "--quiet", str(ROOT), str(directory / "clone"))
    build(directory / "clone", directory / "built", epoch)
    return {path.name: path.read_bytes() for path in sorted((directory / "built").iterdir())}


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
