"""One daemon that most tests share: they only add jobs of their own."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.daemon import Daemon, running


@pytest.fixture(scope="session", autouse=True)
def _heeded_interrupts() -> None:
    """Let daemons heed SIGINT, even behind a shell's ``&``, which has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_environment() -> None:
    """Let no setting, and no proxy, of whoever runs the tests get at daemons and clients."""
    for name in [*os.environ]:
        if name.startswith("KALA_TRIO_") or name.lower().endswith("_proxy"):
            del os.environ[name]


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon for all tests that leave it as it was, other jobs apart."""
    with running(tmp_path_factory.mktemp("daemon") / "kala.db") as daemon:
        yield daemon
        status, errors = daemon.end()
    assert status == 0
    assert "Traceback" not in errors, errors
