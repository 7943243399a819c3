"""The client for Node: its own tests against a real daemon, its types, and what it is called."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kala_trio import __version__
from tests.daemon import Daemon
from tests.node_types import types

CLIENT = Path(__file__).parent.parent / "clients" / "node"
IS_REQUIRED = os.environ.get("NODE_TESTS") == "required"


def run(*words: str, **environment: str) -> str:
    done = subprocess.run(
        words,
        cwd=CLIENT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(
    not (IS_REQUIRED or shutil.which("node")), reason="there is no Node here; 20 or later is wanted"
)
def test_its_own_tests_pass(daemon: Daemon) -> None:
    said = run("node", "--test", "test/", KALA_TRIO_API=daemon.url)
    assert "fail 0\n" in said
    assert "pass 0\n" not in said


@pytest.mark.skipif(
    not (IS_REQUIRED or (CLIENT / "node_modules").exists()),
    reason="the compiler is not installed; npm ci in clients/node does that",
)
def test_its_types_allow_what_it_does_and_nothing_else() -> None:
    run("npm", "run", "types")


def test_its_types_are_made_of_the_document_of_the_api() -> None:
    """If this fails: python -m tests.node_types >clients/node/api.d.ts."""
    assert (CLIENT / "api.d.ts").read_text() == types()


def test_each_method_that_there_is_has_a_type_and_a_place_in_the_readme() -> None:
    _, _, inside = (CLIENT / "client.js").read_text().partition("class Client {")
    own = inside.partition("\n}\n")[0]
    methods = re.findall(r"^  (?:async )?\*?(\w+)\(.*\{$", own, re.M)
    assert len(methods) > 15
    declared = (CLIENT / "index.d.ts").read_text()
    told = (CLIENT / "README.md").read_text()
    for name in methods:
        assert f"  {name}(" in declared
        assert name == "constructor" or f"`{name}(" in told


def test_it_has_the_version_of_kala_trio() -> None:
    assert json.loads((CLIENT / "package.json").read_text())["version"] == __version__
