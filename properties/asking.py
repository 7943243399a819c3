"""What most S properties ask of the implementation under test."""

from collections.abc import Iterable
from datetime import datetime

import pytest

from properties.implementation import Point, Recurrence, Refusal
from properties.judged import implementation
from properties.stepping import Spec, Stepped
from properties.strategies import ACCEPTED_AT, FIRST, LAST

PARTS = ("schedule", "repetitions", "start", "interval", "end", "time zone")


def parsed(spec: Spec | str, time_zone: str = "") -> Recurrence:
    """Read a schedule that is accepted at ``ACCEPTED_AT``."""
    if isinstance(spec, Spec):
        return implementation().parse(spec.text(), spec.time_zone, ACCEPTED_AT)
    return implementation().parse(spec, time_zone, ACCEPTED_AT)


def stepped(spec: Spec) -> Stepped:
    """Count the occurrences of a schedule that is accepted at ``ACCEPTED_AT``."""
    return Stepped(spec, ACCEPTED_AT)


def part_at_fault(text: str, time_zone: str = "") -> str:
    """Hold that a text is refused, and return the part that is blamed."""
    with pytest.raises(Refusal) as refusal:
        parsed(text, time_zone)
    return refusal.value.part


def existing(schedule: Recurrence, numbers: Iterable[int]) -> list[Point]:
    """Look at each number in turn."""
    return [Point(k, at) for k in numbers if (at := schedule.occurrence(k)) is not None]


def assert_answers(schedule: Recurrence, t: datetime, k: int) -> None:
    """Hold that no question raises or finds what rule S7 rules out."""
    before, after = schedule.last_at(t), schedule.next_after(t)
    assert before is None or FIRST <= before.at <= t
    assert after is None or t < after.at <= LAST
    assert schedule.occurrence(-1) is None
    at = schedule.occurrence(k)
    assert at is None or FIRST <= at <= LAST


def assert_same(one: Recurrence, other: Recurrence, numbers: Iterable[int]) -> None:
    """Hold that two schedules are the same, as far as questions can tell."""
    assert one.text() == other.text()
    for k in numbers:
        assert one.occurrence(k) == other.occurrence(k)
    for t in (FIRST, ACCEPTED_AT, LAST):
        assert one.next_after(t) == other.next_after(t)
        assert one.last_at(t) == other.last_at(t)


def assert_judged(text: str, time_zone: str = "") -> None:
    """Hold that a text is a schedule that all questions can be put to, or is refused."""
    try:
        schedule = parsed(text, time_zone)
    except Refusal as refusal:
        assert refusal.part in PARTS  # noqa: PT017  # both endings are fine
        return
    assert parsed(schedule.text()).text() == schedule.text()
    assert_answers(schedule, ACCEPTED_AT, 10**12)
