"""What makes a definition acceptable, and what a refusal tells."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Refused

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = Definition("backup", "sh backup.sh")


def refusal(**changes: Any) -> Refused:
    """Return why a good definition is refused after ``changes``."""
    with pytest.raises(Refused) as caught:
        check(replace(GOOD, **changes), NOW)
    return caught.value


def offered(example: str) -> object:
    """Return the value that an example begins with: JSON, or a text up to the word ``or``."""
    try:
        return json.JSONDecoder().raw_decode(example)[0]
    except json.JSONDecodeError:
        return example.partition(" or ")[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \t\n"),
        ("name", "a\0b"),
        ("command", ""),
        ("command", "  "),
        ("command", "''"),
        ("command", "echo 'half quoted"),
        ("command", "echo \\"),
        ("command", "echo \0"),
        ("owner", "\0"),
        ("on_failure_job", "i" * 101),
        ("retries", -1),
        ("retries", 1_000_001),
        ("epsilon", "P0D"),
        ("epsilon", "-PT1S"),
        ("epsilon", "five minutes"),
        ("epsilon", "PT1S\0"),
        ("epsilon", "P" + "1" * 500),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "europe/berlin"),
        ("schedule", "tomorrow"),
        ("schedule", "R/2026-13-01T00:00:00Z/" + "P" * 500),
        ("parent_jobs", ("a", "\0")),
    ],
)
def test_a_refusal_names_the_field_and_shows_a_value_that_works(field: str, value: object) -> None:
    error = refusal(**{field: value})
    assert error.field == field
    assert str(error).startswith(f"{field}: ")
    value = offered(error.example)
    check(replace(GOOD, **{field: tuple(value) if isinstance(value, list) else value}), NOW)


@pytest.mark.parametrize(
    ("schedule", "part"),
    [
        ("Rx/2030-01-01T00:00:00Z/P1D", "repetitions"),
        ("R/2030-02-30T00:00:00Z/P1D", "start"),
        ("R/2030-01-01T00:00:00Z/PT", "interval"),
        ("R/2030-01-01T00:00:00Z/2029-01-01T00:00:00Z", "end"),
        ("R/2030-01-01T00:00:00[Mars/Olympus]/P1D", "time zone"),
    ],
)
def test_a_bad_schedule_is_refused_by_the_part_that_is_bad(schedule: str, part: str) -> None:
    """Rule S1."""
    error = refusal(schedule=schedule)
    assert (error.field, error.problem.partition(":")[0]) == ("schedule", part)


def test_a_zone_that_contradicts_the_schedule_is_refused() -> None:
    """Rule S2."""
    error = refusal(schedule="R/2030-01-01T00:00:00[Asia/Tokyo]/P1D", time_zone="Europe/Berlin")
    assert error.field == "schedule"
    assert "Asia/Tokyo" in str(error)


def test_a_schedule_of_its_own_is_refused_to_a_child() -> None:
    """Rule D1."""
    error = refusal(schedule="R//P1D", parent_jobs=("a",))
    assert error.field == "schedule"
    check(replace(GOOD, schedule=str(offered(error.example)), parent_jobs=("a",)), NOW)


def test_a_parent_counts_once_where_it_came_first() -> None:
    """Rule D1."""
    assert check(replace(GOOD, parent_jobs=("b", "a", "b")), NOW).parent_jobs == ("b", "a")


def test_more_parents_than_a_thousand_are_refused() -> None:
    parents = tuple(map(str, range(1_001)))
    assert refusal(parent_jobs=parents).field == "parent_jobs"
    assert check(replace(GOOD, parent_jobs=parents[1:]), NOW).parent_jobs == parents[1:]


@pytest.mark.parametrize(
    "definition",
    [
        GOOD,
        Definition("n" * 1_000, "c" * 10_000, owner="o" * 1_000, retries=1_000_000),
        Definition("日次", "printf '%s\n' 'two words' \"§\"", epsilon="P1Y2M3DT4.5H"),
        Definition("a", "true", schedule="R//PT0,5S", time_zone="America/Nuuk", disabled=True),
        Definition("a", "true", schedule="R0/2020-01-01T00:00:00Z/"),  # the past is S9's affair
        Definition("a", "true", parent_jobs=("x",), on_failure_job="y"),
    ],
)
def test_what_is_acceptable_is_kept_as_it_was_written(definition: Definition) -> None:
    assert check(definition, NOW) == definition
