"""What Prometheus is shown is counted right, documented, and all that board and alerts ask for."""

import json
import re
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from kala_trio.store.sizes import Walk
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, fifo, running

ROOT = Path(__file__).parent.parent
BOARD = ROOT / "contrib/grafana/kala-trio.json"
RULES = ROOT / "contrib/prometheus/kala-trio.rules.yaml"
# Prometheus' own.
OTHERS = {"up"}

# By daemon: how many requests were made only to see them counted.
MARKS: dict[str, int] = {}

Labels = dict[str, str]


# That function of the library has no types.
read_openmetrics: Callable[[str], Iterator[Metric]] = openmetrics


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon for these tests alone, since they count."""
    db = tmp_path_factory.mktemp("metrics") / "kala.db"
    with running(db, "--max-running=9", "--max-running-by-tag=gpu=2") as daemon:
        eventually(lambda: value(daemon, "kala_trio_up") == 1)
        yield daemon


def scrape(daemon: Daemon, accept: str = "") -> tuple[str, str]:
    """Return the text of a scrape, and its type."""
    asked = urllib.request.Request(f"{daemon.url}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def families(daemon: Daemon) -> dict[str, Metric]:
    """Return the metrics of a scrape by their names."""
    return {each.name: each for each in text_string_to_metric_families(scrape(daemon)[0])}


def value(daemon: Daemon, name: str, **labels: str) -> float | None:
    """Return the value of a sample that has these labels; None if there is none."""
    for family in families(daemon).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def counted(daemon: Daemon, name: str, labels: Labels) -> float:
    """Return a value once all that has happened so far is counted in it."""
    count = MARKS[daemon.url] = MARKS.get(daemon.url, 0) + 1
    assert daemon.request("POST", "/job/disable/nobody/")[0] == 404
    marks = {"request": "disable", "answer": "refused"}
    eventually(lambda: value(daemon, "kala_trio_requests_total", **marks) == count)
    return value(daemon, name, **labels) or 0.0


def grown(daemon: Daemon, name: str, labels: Labels, doing: Callable[[], object]) -> float:
    """Return by how much a value grows when something is done."""
    before = counted(daemon, name, labels)
    doing()
    return counted(daemon, name, labels) - before


def run(daemon: Daemon, command: str, **fields: object) -> str:
    """Create a job that runs at once, and wait until it has."""
    job = daemon.create(command=command, **fields)
    eventually(lambda: daemon.outcomes(job) not in ([], [None]))
    return job


@pytest.mark.parametrize(
    ("name", "labels", "by", "job"),
    [
        ("runs_total", {"outcome": "succeeded"}, 1, {"command": "true"}),
        ("runs_total", {"outcome": "failed"}, 1, {"command": "false", "retries": 2}),
        ("attempts_total", {"outcome": "failed"}, 3, {"command": "false", "retries": 2}),
        ("retries_total", {}, 2, {"command": "false", "retries": 2}),
        ("runs_total", {"outcome": "timed_out"}, 1, {"command": "sleep 60", "timeout": "PT0.1S"}),
        ("lateness_seconds_count", {"cause": "occurrence"}, 1, {"command": "false", "retries": 2}),
        ("requests_total", {"request": "create", "answer": "done"}, 1, {"command": "true"}),
    ],
)
def test_what_happens_is_counted_once(
    daemon: Daemon, name: str, labels: Labels, by: int, job: dict[str, Any]
) -> None:
    assert grown(daemon, f"kala_trio_{name}", labels, lambda: run(daemon, **job)) == by


def test_a_request_that_is_refused_is_counted_as_that(daemon: Daemon) -> None:
    labels = {"request": "start", "answer": "refused"}

    def start() -> None:
        assert daemon.request("POST", "/job/start/nobody/")[0] == 404

    assert grown(daemon, "kala_trio_requests_total", labels, start) == 1


def test_what_was_missed_is_counted_by_each_trigger_even_as_its_record_grows(
    tmp_path: Path,
) -> None:
    """Also over a restart, where the record is of an earlier daemon."""
    db, gate = tmp_path / "kala.db", fifo(tmp_path)

    def missed(daemon: Daemon, count: int) -> None:
        """Have so many more triggers of a busy job be missed, and find them counted."""
        before = value(daemon, "kala_trio_missed_total", reason="overlap") or 0.0
        for _ in range(count):
            daemon.post(f"/job/start/{job}/")
        name = "kala_trio_missed_total"
        eventually(lambda: value(daemon, name, reason="overlap") == before + count)

    with running(db) as daemon:
        job = daemon.create(command=f"cat {gate}", schedule=FUTURE, overlap="skip")
        daemon.post(f"/job/start/{job}/")
        missed(daemon, 3)
        daemon.process.kill()
        daemon.process.wait()
    with running(db) as daemon:
        eventually(lambda: value(daemon, "kala_trio_up") == 1)
        missed(daemon, 2)
        gate.write_text("")
    with closing(sqlite3.connect(db)) as database:
        assert database.execute("SELECT sum(count) FROM missed").fetchone() == (5,)


def test_what_is_in_progress_stands_beside_its_limits(daemon: Daemon, tmp_path: Path) -> None:
    gate = fifo(tmp_path)
    job = daemon.create(command=f"cat {gate}", tags=["gpu", "other"])
    eventually(lambda: daemon.outcomes(job) == [None])
    eventually(lambda: value(daemon, "kala_trio_attempts_running") == 1)
    assert value(daemon, "kala_trio_runs_running") == 1
    assert value(daemon, "kala_trio_runs_limit") == 9
    assert value(daemon, "kala_trio_tag_runs_running", tag="gpu") == 1
    assert value(daemon, "kala_trio_tag_runs_limit", tag="gpu") == 2
    gate.write_text("")
    eventually(lambda: value(daemon, "kala_trio_runs_running") == 0)


def test_no_label_is_of_a_clients_making(daemon: Daemon) -> None:
    """But for the tags that the operator has named."""
    run(daemon, "true", name="mine", owner="mine", tags=["mine"])
    for method, path in (("GET", "/mine"), ("MINE", "/job/"), ("GET", "/job/mine/")):
        daemon.request(method, path)
    text, _ = scrape(daemon)
    assert 'method="other"' in text
    assert "mine" not in text


def test_both_formats_are_read_by_the_parsers_of_prometheus(daemon: Daemon) -> None:
    text, kind = scrape(daemon)
    assert kind.startswith("text/plain; version=")
    plain = {each.name for each in text_string_to_metric_families(text)}
    text, kind = scrape(daemon, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert {each.name for each in read_openmetrics(text)} == plain


def test_every_metric_has_its_row_in_the_documents_and_the_other_way_round(
    daemon: Daemon,
) -> None:
    """With its type, its labels and its meaning, word for word."""
    counted(daemon, "", {})
    found = set()
    for name, family in families(daemon).items():
        labels = sorted({label for each in family.samples for label in each.labels} - {"le"})
        full = f"{name}_total" if family.type == "counter" else name
        found.add((full, family.type, ", ".join(labels), family.documentation))
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*?) \|$",
        (ROOT / "docs/observability.md").read_text(),
        re.M,
    )
    assert {(name, kind, labels.replace("`", ""), text) for name, kind, labels, text in rows} == {
        (name, kind, labels, text.rstrip(".")) for name, kind, labels, text in found
    }


def selectors(expression: str) -> list[tuple[str, Labels]]:
    """Return the metrics that an expression asks for, with the labels that it selects by."""
    found: list[tuple[str, Labels]] = []

    def note(node: Any) -> bool:
        selector = getattr(node, "vector_selector", node)
        if isinstance(selector, promql_parser.VectorSelector):
            matchers = {each.name: each.value for each in selector.matchers.matchers}
            found.append((str(selector.name), matchers))
        return True

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


def rules() -> list[Any]:
    """Return the alerts."""
    loaded = yaml.safe_load(RULES.read_text())
    assert [*loaded] == ["groups"]
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def panels() -> list[Any]:
    """Return the panels of the board."""
    found: list[Any] = json.loads(BOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    """Return what board and alerts ask for, with a time in place of Grafana's own."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked = [each.replace("$__rate_interval", "1m").replace("$instance", ".*") for each in asked]
    return asked + [rule["expr"] for rule in rules()]


def test_board_and_alerts_ask_for_what_there_is_and_board_or_alerts_for_all(
    daemon: Daemon,
) -> None:
    counted(daemon, "", {})
    samples = [each for family in families(daemon).values() for each in family.samples]
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
    # Without something to do there is no next instant.
    labels.setdefault("kala_trio_next_wake_time_seconds", {"instance", "job"})
    asked = [each for expression in expressions() for each in selectors(expression)]
    assert len(asked) > 50
    assert {name for name, _ in asked} - labels.keys() == OTHERS
    for name, matchers in asked:
        assert matchers.keys() <= labels.get(name, {"job"}), name


def test_each_alert_says_what_is_wrong_and_each_panel_has_a_place_of_its_own() -> None:
    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"KalaTrio[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert "for" not in rule or re.fullmatch(r"\d+[smh]", rule["for"])
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels()]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_outputs_are_added_up_in_steps_and_never_half(tmp_path: Path) -> None:
    """What a step has found so far is shown only once all was seen."""
    for number in range(10):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "1").write_bytes(b"x" * 100)
    walk = Walk(tmp_path)
    steps = [walk.step(-1) for _ in range(20)]
    assert steps == [None] * 10 + [(10, 1000)] * 10
    assert Walk(tmp_path / "nowhere").step(1) == (0, 0)
