"""What the README shows is what happens."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.daemon import PATIENCE, eventually, running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SESSIONS = re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def steps() -> Iterator[tuple[str, str]]:
    """Yield the commands of the README's sessions, each with what follows it."""
    for session in SESSIONS:
        for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            command, _, answer = step.partition("\n")
            yield command, answer


def normal(answer: str) -> str:
    """Replace what differs from day to day: ids, the times of this century, and durations."""
    answer = re.sub(UUID, "<id>", answer)
    answer = re.sub(r"20[0-2]\d-\d\d-\d\dT[\d:.]+Z", "<time>", answer)
    return re.sub(r'((E|_e|"e)xecution_?[dD]uration"?:)\d+', r"\1<ns>", answer)


def test_there_are_exactly_two_commands_beside_the_curl_session() -> None:
    commands = [command for command, _ in steps() if not command.startswith("curl ")]
    assert len(commands) == 2
    assert commands[0].endswith("/kala-trio run")
    assert commands[1].endswith("/tox")


def test_ci_calls_the_readmes_test_command() -> None:
    *_, (command, _) = steps()
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_curl_session_gives_the_answers_that_are_shown(tmp_path: Path) -> None:
    shown_id, real_id = "93b65499-b211-49ce-57e0-19e735cc5abd", ""
    with running(tmp_path / "kala.db") as daemon:
        for command, shown in steps():
            if not command.startswith("curl "):
                continue
            words = command.replace("http://127.0.0.1:8000", daemon.url).replace(shown_id, real_id)
            answer = subprocess.run(
                words.replace("curl ", "curl -sS ", 1),
                shell=True,
                stdout=subprocess.PIPE,
                text=True,
                timeout=PATIENCE,
                check=True,
            ).stdout
            assert normal(answer) == normal(shown), command
            if answer.startswith('{"id"'):
                real_id = answer.split('"')[3]
            if "/start/" in command:
                eventually(lambda: daemon.outcomes(real_id) == ["succeeded"])  # noqa: B023
