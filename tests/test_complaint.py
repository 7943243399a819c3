"""How often trouble is told."""

import logging

import pytest
import trio
from trio.testing import MockClock

from kala_trio.complaint import Complaint

log = logging.getLogger("test")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


async def test_trouble_is_told_at_its_start_once_a_minute_and_at_its_end(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = Complaint(log, "it is over")
    complaint.end()
    for second in range(150):
        complaint.tell(f"trouble {second}")
        await trio.sleep(1)
    assert said(caplog) == ["trouble 0", "trouble 60", "trouble 120"]
    complaint.end()
    complaint.end()
    assert said(caplog) == ["it is over"]


async def test_trouble_that_comes_and_goes_is_told_no_more_often(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = Complaint(log, "it is over")
    for second in range(90):
        complaint.tell(f"trouble {second}")
        complaint.end()
        await trio.sleep(1)
    assert said(caplog) == ["trouble 0", "it is over", "trouble 60", "it is over"]
