"""The machine's clock: its sleep is never too short, and leaves nothing open."""

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from kala_trio.clock import WallClock


@pytest.mark.parametrize("seconds", [0.0, 1e-10, 0.000_3, 0.001, 1.000_2])
async def test_a_sleep_is_never_shorter_than_asked_for(seconds: float) -> None:
    began = time.monotonic()
    await WallClock().sleep(seconds)
    assert time.monotonic() - began >= seconds


async def test_a_sleep_that_is_cancelled_leaves_no_descriptor() -> None:
    before = timers()
    with trio.move_on_after(0.001) as scope:
        await WallClock().sleep(3600)
    assert scope.cancelled_caught
    assert timers() == before


def timers() -> int:
    """Count the timers that this process has open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # some thread has closed it meanwhile
            found += "[timerfd]" in os.readlink(each)
    return found


async def test_it_sleeps_too_where_no_descriptor_is_left() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    began = time.monotonic()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        await WallClock().sleep(0.002)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert time.monotonic() - began >= 0.002
