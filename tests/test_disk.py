"""A disk that fails: full, read-only, failing to sync, locked or damaged, under a real daemon."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.daemon import PATIENCE, Daemon, command, eventually, running

FUTURE = "R/2099-01-01T00:00:00Z/P1D"
BODY = json.dumps({"name": "a", "command": "true", "schedule": FUTURE}).encode()


class FailingDisk:
    """Lets a daemon's writes or syncs fail, as long as a file is there."""

    def __init__(self, directory: Path, library: Path) -> None:
        """Start well."""
        self._flag = directory / "failing"
        self.wrapper = ("env", f"LD_PRELOAD={library}", f"FAILING_DISK={self._flag}")

    def fail(self, kind: str) -> None:
        """Let each ``write`` or ``sync`` fail from now on."""
        Path(f"{self._flag}.{kind}").touch()

    def mend(self, kind: str) -> None:
        """Let them succeed again."""
        Path(f"{self._flag}.{kind}").unlink()


@pytest.fixture(scope="session")
def failing_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library that makes system calls fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a failing disk with")
    library = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).parent / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def failing(tmp_path: Path, failing_library: Path) -> FailingDisk:
    return FailingDisk(tmp_path, failing_library)


def test_a_batch_whose_sync_failed_does_not_come_back_after_kill_9(
    tmp_path: Path, failing: FailingDisk
) -> None:
    """Rule C1: SQLite had written it whole, so it would be there after a restart."""
    with running(tmp_path / "kala.db", wrapper=failing.wrapper) as daemon:
        kept = daemon.create(command="true", schedule=FUTURE)
        failing.fail("sync")
        status, text = daemon.request("POST", "/job/", BODY)
        assert status == 503
        assert "SQLITE_IOERR_FSYNC" in text
        assert daemon.request("DELETE", f"/job/{kept}/")[0] == 503
        assert list(daemon.get("/job/")["jobs"]) == [kept]
        daemon.end(signal.SIGKILL)
    with running(tmp_path / "kala.db") as daemon:
        assert list(daemon.get("/job/")["jobs"]) == [kept]
