"""What the documents show is what happens: each of their blocks is run, or read by who reads it."""

import ast
import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack, chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import trio
import yaml

from kala_trio.cli import main
from kala_trio.job_files.reader import read_jobs
from kala_trio.settings import load_settings
from tests.blocks import BLOCKS, KINDS, PAGES, ROOT, Block, blocks_of, commands_in, steps_of
from tests.daemon import PATIENCE
from tests.released import said, tool
from tests.session import Session, agrees, node_modules
from tests.test_deploy import installed, with_a_program

NODE_IS_REQUIRED = os.environ.get("NODE_TESTS") == "required"
NODE = NODE_IS_REQUIRED or shutil.which("node")
# What is carried out; a page that has none of it needs no daemon.
LIVE = ("console", "python", "js")
# Files of other programs.
OF_OTHERS = ("prometheus.yaml",)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def of(*kinds: str) -> list[Any]:
    """Return the blocks of these kinds, as parameters."""
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind in kinds]


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS if block.kind in LIVE}))
def test_what_a_page_shows_is_what_happens(page: str, tmp_path: Path) -> None:
    blocks = [block for block in BLOCKS if block.page == page]
    starts = any(re.search(r"^\$ .*kala-trio run\b", each.text, re.MULTILINE) for each in blocks)
    with ExitStack() as stack:
        session = Session(tmp_path, stack, starts_daemon=starts)
        names: dict[str, object] = {}
        for block in blocks:
            if block.file:
                session.write(block.file, block.text)
            if block.kind == "console":
                session.carry_out(block.text)
            elif block.kind == "python":
                run_python(block, session, names)
            elif block.kind == "js" and NODE:
                run_node(block, session)


def run_python(block: Block, session: Session, names: dict[str, object]) -> None:
    """Run a block with the names of those before it; it may await, as in an async function."""
    code = compile(session.led_here(block.text), str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def run() -> None:
        if awaited := eval(code, names):  # noqa: S307 - the documents are our own
            await awaited

    with chdir(session.place):
        trio.run(run)


def run_node(block: Block, session: Session) -> None:
    """Run a block by Node, to its end."""
    node_modules(session.place)
    session.write("block.mjs", block.text)
    subprocess.run(["node", "block.mjs"], cwd=session.place, timeout=PATIENCE, check=True)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_blocks_of_known_kinds_alone_and_all_of_them_are_fenced(page: str) -> None:
    text = PAGES[page].read_text()
    blocks = blocks_of(page, text)
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(blocks)
    assert {block.kind for block in blocks} <= set(KINDS)
    assert not re.search(r"\n\n    \S", text), "a block by indentation has no kind"


@pytest.mark.parametrize("block", of("text"))
def test_a_text_holds_nothing_that_could_be_run(block: Block) -> None:
    assert "\n$ " not in f"\n{block.text}"


@pytest.mark.parametrize("block", of("sh"))
def test_a_script_is_one_of_bash_and_gives_commands_that_there_are(block: Block) -> None:
    assert not re.search(r"^\$ ", block.text, re.MULTILINE)
    read = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")
    for words in commands_in(block.text):
        accept(words)


def accept(words: list[str]) -> None:
    """See that the command line takes these words; nothing is carried out."""
    command: click.Command = main
    context = click.Context(main, info_name="kala-trio")
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found, f"there is no command {name!r}"
        command, context = found, click.Context(found, context, name)
    command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("block", of("toml"))
def test_settings_that_are_shown_are_read_as_such(block: Block, tmp_path: Path) -> None:
    (tmp_path / "kala-trio.toml").write_text(block.text)
    load_settings({"config": str(tmp_path / "kala-trio.toml")}, {})


@pytest.mark.parametrize("block", of("yaml"))
def test_a_job_file_that_is_shown_is_accepted_and_another_is_yaml(
    block: Block, tmp_path: Path
) -> None:
    if block.file in OF_OTHERS:
        yaml.safe_load(block.text)
        return
    (tmp_path / "jobs.yaml").write_text(block.text)
    assert read_jobs([tmp_path / "jobs.yaml"], NOW)


@pytest.mark.parametrize("block", of("json"))
def test_json_that_is_shown_can_be_parsed(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("ini"))
def test_systemd_finds_no_fault_in_a_unit_that_is_shown(block: Block, tmp_path: Path) -> None:
    """One without a name is laid over the unit of kala-trio itself."""
    for each in BLOCKS:
        if each.page == block.page and each.kind == "ini" and each.file:
            (tmp_path / each.file).write_text(with_a_program(each.text))
    unit = tmp_path / block.file
    if not block.file:
        unit = installed("kala-trio.service", tmp_path, block.text)
    assert said(tool("systemd-analyze"), "verify", "--man=no", unit) == ""


def readme_commands() -> list[str]:
    """Return what the README has one type, the session of curl apart."""
    blocks = blocks_of("README.md", PAGES["README.md"].read_text())
    typed = [
        step.command for block in blocks if block.kind == "console" for step in steps_of(block.text)
    ]
    scripts = [line for block in blocks if block.kind == "sh" for line in block.text.splitlines()]
    return [command for command in typed + scripts if not command.startswith("curl ")]


def test_the_readme_has_exactly_two_commands_beside_its_curl_session() -> None:
    first, second = readme_commands()
    assert first.endswith("/kala-trio run")
    assert second.endswith("/tox")


def test_ci_calls_the_readmes_test_command() -> None:
    assert readme_commands()[-1] in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("a\n…\nd", "a\nb\nc\nd"),
        ("…", ""),
        ('{"a":…,"b":1}', '{"a":"2026","b":1}'),
        ("93b65499-b211-49ce-57e0-19e735cc5abd", "00000000-b211-49ce-57e0-19e735cc5abd"),
        ("took  0.016 s  well", "took    12.3 s  well"),
        ("at 2026-03-01 09:00:00+01:00", "at 2026-11-28 11:59:00+00:00"),
    ],
)
def test_what_differs_each_time_is_no_difference(shown: str, real: str) -> None:
    assert agrees(shown, real, NOW)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("a\n…\nd", "a\nb\nc"),
        ("a", "a\nb"),
        ("", "a"),
        ('{"a":…}', '{"a":1,"b":2'),
        ("exit code 1", "exit code 2"),
        ("at 2030-01-31T23:00:00Z", "at 2030-01-31T22:00:00Z"),
        ("2026-11-28 09:00", "2026-11-28 09:00 and more"),
    ],
)
def test_another_answer_is_a_difference(shown: str, real: str) -> None:
    assert not agrees(shown, real, NOW)


def test_a_command_of_a_session_goes_on_until_its_quotes_are_closed() -> None:
    steps = [(step.command, step.shown) for step in steps_of("$ echo 'a\nb'\na\nb\n^C\n$ true\n")]
    assert steps == [("echo 'a\nb'", "a\nb"), ("^C", ""), ("true", "")]


def test_commands_are_found_wherever_they_stand_in_a_script() -> None:
    script = """
        FOO=1 /opt/kala-trio run \\
            --verbose; crontab -l | kala-trio next R && (kala-trio top)
        systemctl restart kala-trio; eval "$(kala-trio completion bash)"  # every shell
    """
    calls = [["run", "--verbose"], ["next", "R"], ["top"], ["completion", "bash"]]
    assert list(commands_in(script)) == calls


def test_a_command_with_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(click.UsageError):
        accept(["job", "list", "--no-such"])
    with pytest.raises(AssertionError):
        accept(["job", "no-such"])
