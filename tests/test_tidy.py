"""The house rules: who may import whom, what the core may not know, and what has to match."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from kala_trio.cli import main
from kala_trio.cli.options import KeyOption
from kala_trio.settings import Settings

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "kala_trio").rglob("*.py"))
}
BUILDINGS = [
    ROOT / each for each in ("kala_trio", "properties", "tests", "torture", "benchmarks", "release")
]
PYTHON = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for building in BUILDINGS
    for path in sorted(building.rglob("*.py"))
}

# Each module imports from floors below its own, or from its own floor's earlier modules; that is
# the order here. A package stands for the modules in it.
FLOORS = [
    "core.errors core.duration core.definition core.job core.schedule core.progression core.zones "
    "core.expression core.cron core.timetable",
    "core.messages core.deeds core.checks.examples core.url core.checks.execution "
    "core.checks.policy core.checks.timing core.checks.remote core.checks.reporting "
    "core.checks.secrecy "
    "core.checks.definition core.wakes core.state core.graph core.occurrences "
    "core.slots core.retries core.notices core.triggers core.runs core.changes core.requests "
    "core.scheduler",
    "clock complaint threads lines printable logs vitals tokens certificate templates store.schema "
    "store.connection store.rows store.trouble store.soundness store.outbox store.journal "
    "store.history store.finding store.kinship store.reader store.expired store.sizes store.backup "
    "runner.orphans runner.variables runner.mask runner.output runner.stream runner.child "
    "runner.spawn runner.secret_files runner.local runner.targets runner.connection "
    "runner.exchange runner.outbound runner.remote "
    "runner.dispatch exposure phrases cron_words schedule_words keys bodies wire letter smtp mail "
    "report",
    "chronicle supervisor door systemd pruning delivery heartbeat",
    "settings listener web.traffic web.acceptance web.peers web.rates web.room web.protocol "
    "web.connection web.serving web.application web.answers web.queries web.following web.runs "
    "web.notices web.audit web.svg web.layout web.graph web.timeline web.edits web.json_schema "
    "web.request_schemas web.answer_schemas web.routes web.openapi web.hosts web.admission "
    "web.guard "
    "web.pages.filters web.pages.frame web.pages.jobs web.pages.graph web.pages.timeline "
    "web.pages.job web.pages.run web.pages.named_jobs web.pages.fields "
    "web.pages.forms web.pages.overview web.pages.history web.pages.sign_in web.pages.site "
    "web.exposition web.health "
    "web.api web.worker "
    "web_process daemon",
    "bench.figures bench.plot bench.databases bench.programs bench.place bench.service bench.bare "
    "bench.commits bench.load bench.due bench.lateness bench.throughput bench.creates bench.reads "
    "bench.size "
    "bench.isolation bench.scale bench.suite",
    "client.errors client.asks client.answers client.client client.async_client",
    "job_files.document job_files.reader job_files.plan job_files.writer job_files.crontab "
    "job_files.kala",
    "simulation.memory simulation.virtual simulation.plan simulation.happenings simulation.telling "
    "simulation.play simulation.summary simulation.words simulation.picture simulation.beginning",
    "cli.status cli.progress cli.service cli.tokens cli.tables cli.options cli.reach cli.jobs "
    "cli.history cli.preview cli.simulate cli.execute cli.top cli.completion cli.applying "
    "cli.importing cli.commands __main__",
]
ORDER = [f"kala_trio.{name}" for floor in FLOORS for name in floor.split()]

# A module has 350 lines at most, a function 60. What has more may only shrink: these are the lines
# that it has, rounded up to fifty and to ten.
LONG_MODULES = {
    "properties/checkers.py": 450,
    "properties/model.py": 600,
    "properties/simulation.py": 450,
    "properties/test_api.py": 550,
    "properties/test_machine.py": 500,
    "properties/test_scheduler.py": 500,
    "tests/test_end_to_end.py": 400,
    "tests/test_supervisor.py": 400,
    "tests/test_wire.py": 500,
}
LONG_FUNCTIONS = {
    "kala_trio/store/schema.py _first_version": 80,
    "kala_trio/web/api.py create_app": 100,
}

FORBIDDEN_IN_CORE = {"trio", "sqlite3", "sqlite_utils", "quart", "hypercorn", "socket", "random"}
FORBIDDEN_IN_CORE |= {"secrets", "time", "uuid", "os", "subprocess", "logging", "threading"}


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports; of ``from a import b`` both a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            assert not node.level, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return all functions there are, each with the name of its file."""
    for name, text in PYTHON.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node


def longer_than(most: int, lines: Iterable[tuple[str, int]], step: int) -> dict[str, int]:
    """Return what has more lines than ``most``, rounded up to whole steps."""
    return {name: -(-count // step) * step for name, count in lines if count > most}


def test_every_module_has_its_place_in_the_house() -> None:
    rooms = {name for name in MODULES if MODULES[name].name != "__init__.py"}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_only_downwards(name: str) -> None:
    ours = imports_of(MODULES[name]) & set(ORDER)
    assert {other for other in ours if ORDER.index(other) >= ORDER.index(name)} == set()


@pytest.mark.parametrize(
    "needless",
    ["kala_trio.bench", "kala_trio.client", "kala_trio.job_files", "yaml", "httpx", "sqlite_utils"],
)
def test_the_service_starts_without_what_only_others_need(
    needless: str,
) -> None:
    modules = "kala_trio.cli.service, kala_trio.web.worker"
    script = f"import sys, {modules}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not [name for name in done.stdout.split() if name.startswith(needless)]


def test_a_scheduler_without_remote_jobs_does_not_load_what_they_need() -> None:
    script = "import sys, kala_trio.daemon; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"h11", "jinja2", "kala_trio.runner.exchange"} & {*done.stdout.split()}


@pytest.mark.parametrize("name", [name for name in ORDER if ".core." in name])
def test_the_core_knows_no_world(name: str) -> None:
    """No I/O, no clock, no chance: instants and ids come in with the event."""
    imported = {module.partition(".")[0] for module in imports_of(MODULES[name])}
    assert imported & FORBIDDEN_IN_CORE == set()
    assert not re.search(r"\b(now|today|utcnow|open)\(", MODULES[name].read_text())


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_why_it_exists(name: str) -> None:
    text = MODULES[name].read_text()
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert first.endswith((".", ":"))


def test_a_module_can_be_read_in_one_sitting() -> None:
    lines = ((name, len(text.splitlines())) for name, text in PYTHON.items())
    assert longer_than(350, lines, 50) == LONG_MODULES


def test_a_function_can_be_seen_at_once() -> None:
    lines = (
        (f"{name} {it.name}", (it.end_lineno or it.lineno) - it.lineno + 1)
        for name, it in functions()
    )
    assert longer_than(60, lines, 10) == LONG_FUNCTIONS


def test_the_name_of_a_test_is_a_claim() -> None:
    tests = {(name, it.name) for name, it in functions() if it.name.startswith("test_")}
    assert {test for test in tests if len(test[1].split("_")) < 5} == set()


def test_nothing_is_left_to_be_done_later() -> None:
    later = re.compile("TO[D]O|FIX[M]E|XX[X]")
    assert {name for name, text in PYTHON.items() if later.search(text)} == set()
    others = ("*.md", "*.toml", "*.ini", "*/*.md", "*/*.sh", "*/*.c", "kala_trio/*/*.c")
    paths = [path for pattern in others for path in ROOT.glob(pattern)]
    assert [path for path in paths if later.search(path.read_text())] == []


def test_no_name_says_nothing() -> None:
    words = {word for name in MODULES for word in re.split(r"[._]", name)}
    assert (
        words & {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"} == set()
    )


def test_only_the_clock_and_the_web_read_the_wall_clock() -> None:
    readers = {name for name, path in MODULES.items() if "datetime.now" in path.read_text()}
    web = {f"kala_trio.web.{name}" for name in ("acceptance", "api", "pages.frame", "pages.forms")}
    assert readers == {"kala_trio.clock"} | web


def test_every_rule_of_the_documentation_has_a_property_and_the_other_way_round() -> None:
    rule = re.compile(r"\b[SLADMCEQHNK]\d{1,2}\b")
    stated = set(
        re.findall(r"^- \*\*([SLADMCEQHNK]\d+)\*\*", (ROOT / "docs/semantics.md").read_text(), re.M)
    )
    proved = set()
    for name, function in functions():
        if name.startswith(("properties/", "tests/")):
            proved |= set(rule.findall(ast.get_docstring(function) or ""))
    assert proved == stated


def test_what_the_documents_say_is_shown_by_a_test_is_shown_by_one_that_is_there() -> None:
    tests = {it.name for _, it in functions()} | {Path(name).stem for name in PYTHON}
    text = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"::(test_\w+)", text)) | set(
        re.findall(r"`(?:properties/)?(test_\w+)", text)
    )
    named |= {f"test_{name}" for name in re.findall(r"`…(\w+)`", text)}
    assert named - tests == set()


@pytest.mark.parametrize("document", ["docs/design.md", "CONTRIBUTING.md"])
def test_what_a_tour_names_in_the_code_is_there(document: str) -> None:
    """A module by its path, what is in it behind a dot, a method behind its class."""
    modules = {name.removesuffix(".py").removeprefix("kala_trio/"): name for name in PYTHON}
    classes = {
        it.name: name
        for name, text in PYTHON.items()
        for it in ast.parse(text).body
        if isinstance(it, ast.ClassDef) and name.startswith("kala_trio/")
    }
    named = set(re.findall(r"`(?!v\d)(\w[\w/]*(?:\.\w+)+)`", (ROOT / document).read_text()))
    assert len(named) > 20
    for each in sorted(named):
        first, *rest = each.split(".")
        if any((ROOT / folder / each).exists() for folder in ("", "kala_trio")):
            continue
        if first in classes:
            rest = [first, *rest]
        found: object = import_module(
            (modules.get(first) or classes[first]).removesuffix(".py").replace("/", ".")
        )
        for name in rest:
            assert hasattr(found, name), f"{document} names {each}"
            found = getattr(found, name)


@pytest.mark.parametrize("document", ["docs/design.md", "CONTRIBUTING.md"])
def test_each_path_that_a_tour_names_leads_somewhere(document: str) -> None:
    for each in re.findall(r"`(\w+(?:/\w+)+)/?`", (ROOT / document).read_text()):
        places = [ROOT / each, ROOT / "kala_trio" / each]
        assert any(it.is_dir() or it.with_suffix(".py").exists() for it in places), each


def test_every_route_is_documented_and_the_other_way_round() -> None:
    code = "".join(path.read_text() for path in sorted((ROOT / "kala_trio/web").glob("*.py")))
    routes = set(re.findall(r'@app\.(\w+)\("(/(?:api/v1/.*?|metrics|healthz|readyz))"', code))
    built = set()
    for method, path in routes:
        for what in ("start", "enable", "disable") if "any(" in path else ("",):
            named = re.sub(r"<any\(.*?\):what>", what, path)
            built.add((method.upper(), re.sub(r"<(\w+)>", r"{\1}", named)))
    documented = re.findall(r"^### (\w+) `(.*?)`", (ROOT / "docs/http-api.md").read_text(), re.M)
    assert built == set(documented)


def commands(group: click.Group = main, name: str = "kala-trio") -> dict[str, click.Command]:
    """Return all commands by their full names; a group stands for those in it."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for each in group.list_commands(context):
        command, full = group.get_command(context, each), f"{name} {each}"
        assert command
        found |= commands(command, full) if isinstance(command, click.Group) else {full: command}
    return found


def test_every_command_has_a_section_and_the_other_way_round() -> None:
    """With its arguments, as its usage shows them."""
    usages = {
        " ".join([name, *command.collect_usage_pieces(click.Context(command))[1:]])
        for name, command in commands().items()
    }
    titles = re.findall(r"^###? (`kala-trio.*)", (ROOT / "docs/cli.md").read_text(), re.M)
    assert sorted(re.findall("`(.*?)`", " ".join(titles))) == sorted(usages)


def test_every_flag_and_setting_is_documented_and_the_other_way_round() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    flags = {
        flag
        for command in commands().values()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        # The keys of a job have their table in http-api.md.
        if not isinstance(parameter, KeyOption)
        for flag in parameter.opts
    }
    assert set(re.findall(r"`(--?[a-z-]+)", rows)) == flags
    assert set(re.findall(r"`(--[a-z-]+)", (ROOT / "docs/operating.md").read_text())) <= flags
    settings = set(Settings.__struct_fields__)
    assert set(re.findall(r"\| `([a-z_]+)` \|", rows)) == settings
    assert {name.upper() for name in settings} <= set(re.findall(r"`KALA_TRIO_([A-Z_]+)`", rows))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=str
)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_daemon_starts_with_what_it_says_it_needs() -> None:
    """Every package that is imported is declared, or is the standard library."""
    imported = {name.partition(".")[0] for path in MODULES.values() for name in imports_of(path)}
    imported -= sys.stdlib_module_names | {"kala_trio"}
    declared = (ROOT / "pyproject.toml").read_text()
    packages = {"pyyaml" if name == "yaml" else name.replace("_", "-") for name in imported}
    # Quart and Werkzeug come with quart-trio, which is their face here.
    missing = {name for name in packages if f'"{name}>=' not in declared}
    assert missing <= {"quart", "werkzeug"}


def test_the_workflow_tests_each_python_that_is_promised_by_environments_that_there_are() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"3\.\d+", matrix) == promised
    known = re.findall(r"^\[testenv:(.*)\]", (ROOT / "tox.ini").read_text(), re.M)
    called = re.findall(r"tox -e (\w+)", workflow)
    assert called
    assert {*called} <= {*known, "py"}
