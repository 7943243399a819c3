"""What is found of the notices that wait: the next of each job and receiver, and not too many."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kala_trio.core.definition import News
from kala_trio.core.job import Channel, Notice
from kala_trio.core.messages import Keep
from kala_trio.store.journal import Journal
from kala_trio.store.outbox import Delivery, Outbox

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal that holds nothing."""
    with closing(Journal(tmp_path / "kala.db")) as journal:
        yield journal


def notice(job_id: str, number: int, receiver: str = "http://a") -> Notice:
    """Return a notice of so many seconds past NOW."""
    at = NOW + timedelta(seconds=number)
    channel, name = Channel.WEBHOOK, f"job {job_id}"
    return Notice(job_id, number, name, channel, receiver, News.FAILURE, at, None, at)


def found(journal: Journal, most: int = 4) -> list[tuple[str, int, int]]:
    """Return the heads: job, number, and how many follow."""
    heads = Outbox(journal.path).heads(most)
    return [
        (each.delivery.notice.job_id, each.delivery.notice.number, each.followers) for each in heads
    ]


async def test_of_a_job_and_a_receiver_the_oldest_that_waits_comes_first(journal: Journal) -> None:
    several = [notice("a", 3), notice("a", 1), notice("a", 2, "http://b"), notice("b", 4)]
    await journal.commit([Keep(each) for each in several])
    assert found(journal) == [("a", 1, 1), ("a", 2, 0), ("b", 4, 0)]
    await journal.record_deliveries([Delivery(several[1], 1, delivered_at=NOW)])
    assert found(journal) == [("a", 2, 0), ("a", 3, 0), ("b", 4, 0)]


async def test_what_failed_comes_when_its_turn_has_come_and_holds_up_its_followers(
    journal: Journal,
) -> None:
    first, second, other = notice("a", 1), notice("a", 2), notice("b", 3)
    await journal.commit([Keep(each) for each in (first, second, other)])
    later = NOW + timedelta(seconds=60)
    await journal.record_deliveries([Delivery(first, 1, later, error="no")])
    assert found(journal) == [("b", 3, 0), ("a", 1, 1)]
    (_, head) = Outbox(journal.path).heads(4)
    assert head.delivery == Delivery(first, 1, later, error="no")


async def test_of_a_receiver_no_more_are_found_than_are_asked_for(journal: Journal) -> None:
    many = [notice(job_id, number, "xy"[number]) for job_id in "abcdef" for number in (0, 1)]
    await journal.commit([Keep(each) for each in many])
    receivers = [each.delivery.notice.receiver for each in Outbox(journal.path).heads(2)]
    assert sorted(receivers) == ["x", "x", "y", "y"]
