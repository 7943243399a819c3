"""The golden vectors are what counting finds, and the implementation under test agrees."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from properties.implementation import Point, Refusal
from properties.judged import implementation
from properties.vectors import FILES, HERE, instant, written

MICROSECOND = timedelta(microseconds=1)


def vectors_of(name: str) -> list[dict[str, Any]]:
    """Read a file of vectors."""
    read: list[dict[str, Any]] = json.loads((HERE / name).read_text("utf-8"))
    return read


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_what_the_count_finds(name: str) -> None:
    """S1 to S7: ``python -m properties.vectors`` writes them as they are."""
    assert (HERE / name).read_text("utf-8") == written(FILES[name]())


def test_occurrences_are_those_of_the_vectors() -> None:
    """S1 to S7: S(k) is what the vector says; and the searches find it there (S6)."""
    wrong = []
    for vector in vectors_of("occurrences.json"):
        accepted_at = datetime.fromisoformat(vector["accepted_at"])
        schedule = implementation().parse(vector["schedule"], vector["time_zone"], accepted_at)
        for k, expected in vector["occurrences"]:
            at = schedule.occurrence(k)
            if instant(at) != expected:
                wrong.append((vector["why"], vector["schedule"], k, expected, instant(at)))
            elif at and {schedule.last_at(at), schedule.next_after(at - MICROSECOND)} != {
                Point(k, at)
            }:
                wrong.append((vector["why"], vector["schedule"], k, expected, "not found"))
    assert wrong == []


def test_refusals_name_the_part_of_the_vectors() -> None:
    """S1 to S3: the text is refused, for the part that the vector names."""
    wrong = []
    for vector in vectors_of("refusals.json"):
        accepted_at = datetime.fromisoformat("2026-05-01T12:00:00Z")
        try:
            implementation().parse(vector["schedule"], vector["time_zone"], accepted_at)
        except Refusal as refusal:
            if refusal.part != vector["part"]:
                wrong.append((vector, refusal.part))
        else:
            wrong.append((vector, "accepted"))
    assert wrong == []
