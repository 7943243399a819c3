"""Lines that a thread writes: nobody waits for who reads them, and none is lost unseen."""

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kala_trio.lines import Lines
from tests.daemon import PATIENCE, eventually


def told(lost: int) -> str:
    return f"lost {lost}"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a pipe, whose ends are the test's to close."""
    reader, writer = os.pipe()
    yield reader, writer
    for each in (reader, writer):
        try:
            os.close(each)
        except OSError:
            continue


def fill(writer: int) -> None:
    """Write until nothing more is taken."""
    before = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, before | os.O_NONBLOCK)
    try:
        while os.write(writer, b"\0" * 4096):
            pass
    except BlockingIOError:
        fcntl.fcntl(writer, fcntl.F_SETFL, before)


def read_all(reader: int) -> list[str]:
    """Return the lines until the last writer has gone."""
    with open(reader, closefd=False) as file:
        return file.read().replace("\0", "").splitlines()


def test_lines_arrive_in_order_and_the_last_ones_before_the_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with Lines(writer, told) as lines:
        for number in range(100):
            lines.put(str(number))
    os.close(writer)
    assert read_all(reader) == [str(number) for number in range(100)]
    assert lines.dropped == 0


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_was_dropped_is_told(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kala_trio.lines._PARTING", PATIENCE)
    reader, writer = pipe
    fill(writer)
    found: list[str] = []
    with Lines(writer, told) as lines:
        for _ in range(3000):  # three times what there is room for
            lines.put("x" * 1000)
        dropped = lines.dropped
        assert 1000 < dropped < 2500
        thread = threading.Thread(target=lambda: found.extend(read_all(reader)))
        thread.start()
    os.close(writer)
    thread.join()
    assert found == ["x" * 1000] * (3000 - dropped) + [f"lost {dropped}"]


def test_a_pipe_that_nobody_reads_holds_up_the_end_for_a_bounded_time(
    pipe: tuple[int, int],
) -> None:
    _, writer = pipe
    fill(writer)
    with Lines(writer, told) as lines:
        lines.put("in vain")
    eventually(lambda: not [each for each in threading.enumerate() if each.name == "lines"])


def test_who_shares_the_descriptor_finds_it_as_it_was(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    before = fcntl.fcntl(writer, fcntl.F_GETFL)
    with Lines(writer, told) as lines:
        lines.put("hello")
        assert fcntl.fcntl(writer, fcntl.F_GETFL) == before


def test_a_reader_that_has_gone_is_no_trouble(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    with Lines(writer, told) as lines:
        lines.put("in vain")
    assert lines.dropped == 1


def test_what_stands_in_a_file_stays_there(tmp_path: Path) -> None:
    """Lines are added where the descriptor is, as the shell has opened it."""
    path = tmp_path / "log"
    with path.open("w") as file:
        file.write("first\n")
        file.flush()
        with Lines(file.fileno(), told) as lines:
            lines.put("second")
        file.write("third\n")
    assert path.read_text() == "first\nsecond\nthird\n"


def test_without_standard_error_all_is_dropped() -> None:
    with Lines(None, told) as lines:
        lines.put("in vain")
    assert lines.dropped == 1
