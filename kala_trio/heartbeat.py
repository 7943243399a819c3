"""Tells somebody outside, again and again, that this daemon is there and well (rule N6)."""

import logging
from collections.abc import Callable
from typing import NoReturn

import trio
from msgspec import Struct

from kala_trio.complaint import Complaint
from kala_trio.runner.connection import NotAnswered
from kala_trio.runner.outbound import Outbound

log = logging.getLogger(__name__)


class Heartbeat(Struct, frozen=True):
    """Where to, and every how many seconds."""

    url: str
    every: float


async def keep_beating(
    heartbeat: Heartbeat, outbound: Outbound, is_well: Callable[[], bool]
) -> NoReturn:
    """Send a ping now and then at each interval, except while this is not well."""
    complaint = Complaint(log, "the heartbeat is heard again")
    beats = trio.current_time()
    while True:
        if is_well():
            try:
                await outbound.post(heartbeat.url, "", "text/plain; charset=utf-8")
                complaint.end()
            except NotAnswered as error:
                complaint.tell(f"the heartbeat is not heard: {error}")
        beats = max(beats + heartbeat.every, trio.current_time())
        await trio.sleep_until(beats)
