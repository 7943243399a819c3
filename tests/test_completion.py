"""What a shell offers while somebody types a command."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.command_line import added, done, environment
from tests.daemon import Daemon

SCRIPTS = sysconfig.get_path("scripts")
NOWHERE = "http://127.0.0.1:1"


def offered(url: str, *words: str) -> list[str]:
    """Return what bash would offer for the last of these words."""
    line = " ".join(f"'{each}'" for each in ("kala-trio", *words))
    script = (
        'eval "$(kala-trio completion bash)"; '
        f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; "
        "_kala_trio_completion kala-trio; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=environment(url) | {"PATH": path},
    )
    assert not done.stderr
    return done.stdout.split("\n")[:-1]


def test_commands_options_and_choices_are_completed_without_a_daemon() -> None:
    assert {"runs", "run"} == {*offered(NOWHERE, "ru")}
    assert offered(NOWHERE, "job", "list", "--st") == ["--state"]
    assert offered(NOWHERE, "job", "list", "--state", "wai") == ["waiting"]
    assert offered(NOWHERE, "job", "show", "any") == [""]


def test_jobs_are_completed_by_name_or_by_the_id_of_one_that_would_need_quotes(
    daemon: Daemon,
) -> None:
    added(daemon, "completed-by.name", "true")
    spaced = added(daemon, "completed by id", "true")
    for words in (["job", "edit"], ["logs", "-f"], ["runs"]):
        assert {*offered(daemon.url, *words, "compl")} == {"completed-by.name", spaced}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(done(NOWHERE, "completion", shell))
    assert "_KALA_TRIO_COMPLETE" in script.read_text()
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    subprocess.run([shell, "-n", script], check=True)


def test_another_shell_is_refused() -> None:
    assert "'bash', 'zsh', 'fish'" in done(NOWHERE, "completion", "sh", status=2)
