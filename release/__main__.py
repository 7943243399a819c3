"""``python -m release DIR``: build a release of the commit twice, and see that both are the same."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.building import build, digests, sums

ROOT = Path(__file__).parent.parent


def main(target: Path) -> None:
    """Write the files of a release, and their hashes, into an empty or new directory."""
    if changes := _git("status", "--porcelain"):
        sys.exit(f"what is released is a commit, but there are changes:\n{changes}")
    epoch = int(_git("log", "-1", "--format=%ct"))
    with TemporaryDirectory() as first, TemporaryDirectory(prefix="in-another-place-") as second:
        found = []
        for directory, umask in ((first, 0o022), (second, 0o077)):
            clone, built = Path(directory) / "clone", Path(directory) / "built"
            os.umask(umask)
            _git("clone", "--quiet", str(ROOT), str(clone))
            built.mkdir()
            build(clone, built, epoch)
            found.append(digests(built))
        if found[0] != found[1]:
            sys.exit(f"two builds differ: {dict(found[0].items() ^ found[1].items())}")
        target.mkdir(parents=True, exist_ok=True)
        for path in built.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
            (target / path.name).chmod(0o755 if path.suffix == ".pyz" else 0o644)
    (target / "SHA256SUMS").write_text(sums(found[0]))
    print(sums(found[0]), end="")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
