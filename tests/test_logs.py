"""How lines of the log look: one line each, whatever somebody has named a job."""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kala_trio.logs import LogFormat, logged
from kala_trio.printable import printable

HOSTILE = "x\n2026-01-01T00:00:00Z ERROR forged\r\x1b[2J\u2028\u202e\x9b1m\udc80"

log = logging.getLogger("kala_trio.test")


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[LogFormat], str]:
    """Return what stands in the log once something hostile was logged in each way there is."""

    def said(log_format: LogFormat) -> str:
        path = tmp_path / "log"
        with path.open("w") as file:
            monkeypatch.setattr(sys, "stderr", file)
            # Else pytest would keep what is logged, of which UTF-8 has no form, for its report.
            monkeypatch.setattr(logging.getLogger(), "handlers", [])
            with logged(log_format, verbose=True) as to:
                to.say(f"first {HOSTILE}", url="http://localhost")
                log.warning("of %s", HOSTILE, extra={"job_name": HOSTILE, "lateness": 0.25})
                try:
                    raise ValueError(HOSTILE)
                except ValueError:
                    log.exception("a bug")
                print(f"raw {HOSTILE}", file=sys.stderr)
        return path.read_bytes().decode()

    return said


def test_no_name_begins_a_line_or_moves_a_cursor_in_text(
    said: Callable[[LogFormat], str],
) -> None:
    lines = said(LogFormat.TEXT).split("\n")
    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    # What stands at the beginning of a line is ours: only raw lines are not told from others.
    assert [line for line in lines if line.startswith("2026-01-01")] == [
        r"2026-01-01T00:00:00Z ERROR forged\r\x1b[2J\u2028\u202e\x9b1m\udc80"
    ]
    levels = [line.split(" ")[1] for line in lines if line[4:5] == "-" and "forged\\r" in line]
    assert levels == ["WARNING", "ERROR"]


def test_as_json_each_line_is_one_value_with_fields(said: Callable[[LogFormat], str]) -> None:
    first, second, third, *raw = map(json.loads, said(LogFormat.JSON).splitlines())
    assert (first["event"], first["url"], first["level"]) == (
        f"first {HOSTILE}",
        "http://localhost",
        "info",
    )
    assert (second["event"], second["job_name"]) == (f"of {HOSTILE}", HOSTILE)
    assert (second["lateness"], second["level"]) == (0.25, "warning")
    assert third["exception"].startswith("Traceback")
    assert [line["event"] for line in raw] == [
        f"raw {line}" for line in HOSTILE.split("\n")[:1]
    ] + [HOSTILE.partition("\n")[2]]
    assert all(line["timestamp"] for line in (first, second, third, *raw))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b", "a b"), ("日次 ü", "日次 ü"), ("a\nb", r"a\nb"), ("\x1b[1m", r"\x1b[1m")],
)
def test_what_can_be_printed_stays_and_the_rest_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_quiet_is_quiet_and_all_is_as_before_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before = root.level, [*root.handlers]
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with logged(LogFormat.TEXT, verbose=False):
            log.info("each attempt")
        assert sys.stderr is file
    assert os.stat(tmp_path / "log").st_size == 0
    assert (root.level, root.handlers) == before
