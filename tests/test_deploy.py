"""What is deployed by: units of systemd, an image, supervisord; and that all name one version."""

import configparser
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from kala_trio import __version__
from kala_trio.settings import Settings
from tests.daemon import Daemon, eventually, running
from tests.released import PROJECT, ROOT, WHEEL_NAME, said, tool

DEPLOY = ROOT / "deploy"
UNITS = {"kala-trio.service": "--system", "user/kala-trio.service": "--user"}
OPERATING = (ROOT / "docs/operating.md").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
LEAST_TO_STOP = Settings().grace + 15
"""What docs/operating.md says of how long a stop takes at most, in seconds."""


def installed(unit: str, directory: Path, *drop_ins: str) -> Path:
    """Install a unit, with a program that is there, and drop-ins."""
    text = (DEPLOY / unit).read_text()
    path = directory / "kala-trio.service"
    path.write_text(with_a_program(text))
    for number, drop_in in enumerate(drop_ins):
        place = directory / "kala-trio.service.d"
        place.mkdir(exist_ok=True)
        (place / f"{number}.conf").write_text(drop_in)
    return path


def with_a_program(unit: str) -> str:
    """Let a unit start a program that is there."""
    return re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", unit, flags=re.M)


def keys(unit: str) -> configparser.ConfigParser:
    # What may be said twice is of no interest here.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / unit)
    return parser


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_no_fault_in_a_unit(unit: str, tmp_path: Path) -> None:
    verify = [tool("systemd-analyze"), "verify", "--man=no", UNITS[unit]]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert said(*verify, installed(unit, tmp_path), env=environment) == ""


def test_the_service_is_exposed_no_more_than_the_documents_say(tmp_path: Path) -> None:
    said_there = re.search(r"exposure level .*?(\d\.\d)", OPERATING)
    assert said_there
    security = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager"]
    told = said(*security, installed("kala-trio.service", tmp_path))
    found = re.search(r"Overall exposure level .*?: (\d+\.\d)", told)
    assert found, told
    assert float(found[1]) <= float(said_there[1])


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_leaves_the_jobs_to_the_daemon_and_gives_it_time_to_stop(unit: str) -> None:
    """C3, C4: it ends what it has started, and what outlives its crash is found again."""
    service = keys(unit)["Service"]
    assert service["KillMode"] == "process"
    assert service["OOMPolicy"] == "continue"
    assert float(service["TimeoutStopSec"]) >= LEAST_TO_STOP


def test_supervisord_leaves_the_jobs_to_the_daemon_and_gives_it_time_to_stop() -> None:
    parser = configparser.RawConfigParser()
    parser.read(DEPLOY / "supervisord.conf")
    program = parser["program:kala-trio"]
    assert program["stopasgroup"] == program["killasgroup"] == "false"
    assert program["stopsignal"] == "TERM"
    assert float(program["stopwaitsecs"]) >= LEAST_TO_STOP


def test_hadolint_finds_no_fault_in_the_dockerfile() -> None:
    assert said(tool("hadolint"), DEPLOY / "Dockerfile") == ""


def test_the_compose_file_keeps_to_its_specification_and_gives_time_to_stop() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="pip install --group release")
    composed = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text())
    composed.validate()
    pause = composed.get_service("kala-trio").stop_grace_period
    assert float(pause.removesuffix("s")) >= LEAST_TO_STOP


def test_what_the_image_is_built_from_is_enough_to_build_the_wheel(tmp_path: Path) -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name in (line.removeprefix("!") for line in lines if line.startswith("!")):
        source, target = ROOT / name, tmp_path / "context" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    said(tool("uv"), "build", "--quiet", "--wheel", tmp_path / "context", "-o", tmp_path)
    assert (tmp_path / WHEEL_NAME).exists()


def test_the_first_process_of_the_image_reaps_what_jobs_leave_behind(tmp_path: Path) -> None:
    """As in a container: alone with its children in a namespace of process ids."""
    (words,) = re.findall(r"^ENTRYPOINT \[(.*)\]", DOCKERFILE, re.M)
    first, *_ = re.findall('"(.*?)"', words)
    if os.geteuid() != 0:
        pytest.skip("only root can make a namespace of process ids")
    container = (tool("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")
    with running(tmp_path / "kala.db", wrapper=(*container, tool(first), "--")) as daemon:
        job = daemon.create(
            command="sh -c '(setsid sh -c \"exit 0\" &) ; echo $$'", schedule="R0//PT1S"
        )
        eventually(lambda: daemon.outcomes(job) == ["succeeded"])
        eventually(lambda: left_behind(daemon) == [])


def left_behind(daemon: Daemon) -> list[str]:
    """Return the zombies that the first process of the namespace has taken on."""
    (init,) = children(daemon.process.pid)
    return [pid for pid in children(init) if state(pid) == "Z"]


def children(pid: int | str) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def state(pid: str) -> str:
    """Return the state of a process; empty where it has been reaped."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def test_one_version_is_named_everywhere() -> None:
    """The code has it in one place, which the manual pages and the file names follow."""
    code = {path for path in (ROOT / "kala_trio").rglob("*.py") if __version__ in path.read_text()}
    assert code == {ROOT / "kala_trio/__init__.py"}
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "kala_trio/__init__.py"
    named = {
        "Node": [json.loads((ROOT / "clients/node/package.json").read_text())["version"]],
        "Dockerfile": re.findall(r'image\.version="(.*?)"', DOCKERFILE),
        "compose.yaml": re.findall(
            r"image: kala-trio:(\S+)", (DEPLOY / "compose.yaml").read_text()
        ),
    }
    for name in ("README.md", "docs/cli.md", "docs/tutorial.md"):
        named[name] = re.findall(r"^kala-trio (\d\S*): http", (ROOT / name).read_text(), re.M)
    assert {name: {*found} for name, found in named.items()} == {
        name: {__version__} for name in named
    }


def test_the_changelog_begins_with_this_version_or_what_is_not_released_yet() -> None:
    first = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first
    assert first[1] in ("Unreleased", __version__)
