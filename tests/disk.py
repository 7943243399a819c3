"""Disks for tests: a small one that can be filled and made read-only, and one that fails."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=700" disk "$2" && echo mounted && exec sleep infinity'


class SmallDisk:
    """A file system of its own, mounted at ``path`` for a daemon that is run with ``wrapper``.

    Others find its files under ``seen``. It goes with the context; the test is skipped where
    nothing can be mounted.
    """

    def __init__(self, path: Path, size: str) -> None:
        """Mount a disk of ``size`` in a namespace of its own, which one process holds open."""
        for tool in ("unshare", "nsenter"):
            if not shutil.which(tool):
                pytest.skip(f"there is no {tool} to mount a disk with")
        path.mkdir()
        unshare, enter = ["unshare", "--mount"], ["nsenter", "--mount"]
        if os.geteuid():
            unshare.append("--map-root-user")
            enter += ["--user", "--preserve-credentials"]
        self._holder = subprocess.Popen(
            [*unshare, "sh", "-c", _MOUNT, "sh", size, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._holder.stdout
        said = self._holder.stdout.readline()
        if said != "mounted\n":
            self._holder.communicate()
            pytest.skip(f"no disk can be mounted here: {said}")
        self.path = path
        self.seen = Path(f"/proc/{self._holder.pid}/root{path}")
        self.wrapper = (*enter, f"--target={self._holder.pid}")

    def __enter__(self) -> Self:
        """Hold the disk."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it go."""
        self._holder.kill()
        self._holder.communicate()

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.seen / "ballast").open("ab", buffering=0) as file:
            for size in (64 * 1024, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def free(self) -> None:
        """Give back what ``fill`` took."""
        (self.seen / "ballast").unlink()

    def remount(self, option: str) -> None:
        """Make it ``ro`` or ``rw``."""
        mount = ["mount", "-o", f"remount,bind,{option}", str(self.path)]
        subprocess.run([*self.wrapper, *mount], check=True)


class FailingDisk:
    """Lets a daemon that is run with ``wrapper`` fail to write or to sync, when told so."""

    def __init__(self, directory: Path, library: Path) -> None:
        """Begin well; ``library`` is ``failing_disk.c``, compiled."""
        self._flag = directory / "failing"
        self.wrapper = ("env", f"LD_PRELOAD={library}", f"FAILING_DISK={self._flag}")

    def fail(self, kind: str) -> None:
        """Let each ``write`` or ``sync`` fail from now on."""
        Path(f"{self._flag}.{kind}").touch()

    def mend(self, kind: str) -> None:
        """Let them succeed again."""
        Path(f"{self._flag}.{kind}").unlink()
