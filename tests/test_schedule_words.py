"""Schedules in words, as they are read on a page, and the remarks beside their occurrences."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kala_trio.core.definition import ParentRule, from_keys
from kala_trio.cron_words import cron_in_words
from kala_trio.schedule_words import Note, in_words, remarks

ACCEPTED_AT = datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)
SEVERAL = {"cron": "0 9 * * *", "schedules": ("R/2026-02-02T00:00Z/PT1H",)}


def said(**keys: Any) -> str:
    """Return what is said of a job with these keys."""
    return in_words(from_keys({"name": "a", "command": "true", **keys}), ACCEPTED_AT)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "once, as soon as it is accepted"),
        ("2030-01-01T00:00Z", "once, on 1 January 2030 at 00:00 UTC"),
        (
            "2026-10-25T02:30:00+01:00[Europe/Berlin]",
            "once, on 25 October 2026 at 02:30 Berlin time, the second of two",
        ),
        ("R//PT10S", "every 10 seconds, from 1 March 2026 09:00 UTC"),
        ("R/2026-01-01T02:30[Europe/Berlin]/P1D", "every day at 02:30 Berlin time"),
        (
            "R/2026-03-02T02:30[Europe/Berlin]/P1D",
            "every day at 02:30 Berlin time, from 2 March 2026",
        ),
        (
            "R11/2026-03-31T09:00[America/New_York]/P1M",
            "every month on the 31st or its last day, at 09:00 New York time, "
            "from 31 March 2026, 12 times",
        ),
        ("R/2026-01-15T09:00Z/P1M", "every month on the 15th at 09:00 UTC"),
        (
            "R/2026-01-30T09:00Z/P3M",
            "every 3 months on the 30th or the month's last day, at 09:00 UTC, "
            "from 30 January 2026",
        ),
        ("R/2024-02-29T09:00Z/P1Y", "every year on 29 February or the 28th, at 09:00 UTC"),
        ("R/2026-02-02T00:00+02:00/P7D", "every week on Monday at 00:00 UTC+02:00"),
        (
            "R/2026-02-02T00:00:01.5Z/P1DT12H",
            "every 1 day and 12 hours, from 2 February 2026 00:00:01.5 UTC",
        ),
        ("R/2026-02-02T00:00[Etc/GMT+5]/P1D", "every day at 00:00 Etc/GMT+5 time"),
    ],
)
def test_a_recurrence_is_said_with_its_start_only_where_that_matters(
    schedule: str, words: str
) -> None:
    assert said(schedule=schedule) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 9 * * 1-5", "on weekdays at 09:00"),
        ("*/5 * * * *", "every 5 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("0 * * * *", "every hour"),
        ("15 * * * *", "every hour from 00:15 to 23:15"),
        ("10,25 * * * *", "every hour at minutes 10 and 25"),
        ("*/5 9-17 * * MON-FRI", "every 5 minutes from 09:00 to 17:55 on weekdays"),
        ("*/20 0-9 * * *", "every 20 minutes from 00:00 to 09:40"),
        ("0 18 L * *", "on the last day of the month at 18:00"),
        ("5 0 9 LW * *", "on the last working day of the month at 09:00:05"),
        ("0 9,12 1,15 1,7 *", "on the 1st and the 15th of January and July at 09:00 and 12:00"),
        ("0 9 1-7 * *", "on the 1st to the 7th of the month at 09:00"),
        ("0 9 * * 5#2", "on the second Friday of the month at 09:00"),
        ("0 9 * * 5L", "on the last Friday of the month at 09:00"),
        ("0 9 * 3 SUN,WED", "on Wednesdays and Sundays in March at 09:00"),
        ("0 9 * 3 *", "every day in March at 09:00"),
        ("0 9 * * SAT,SUN", "on weekends at 09:00"),
        ("0 0 * * *", "every day at 00:00"),
        ("0 0 1 * 0-6", "every day at 00:00"),
        ("0 9 1-7 * MON", "at the times of 0 9 1-7 * MON"),
        ("*/7 * * * *", "at the times of */7 * * * *"),
        ("0 9 1,3,5,7,9,11,13 * *", "at the times of 0 9 1,3,5,7,9,11,13 * *"),
    ],
)
def test_a_cron_expression_has_words_or_is_shown_as_it_is(expression: str, words: str) -> None:
    assert cron_in_words(expression) == words


def test_the_zone_is_named_wherever_the_words_name_a_time_or_a_day() -> None:
    berlin = {"time_zone": "Europe/Berlin"}
    assert said(cron="@daily", **berlin) == "every day at 00:00 Berlin time"
    assert said(cron="*/5 * * * *", **berlin) == "every 5 minutes"
    assert said(cron="*/5 * * * 1", **berlin) == "every 5 minutes on Mondays, Berlin time"
    assert said(cron="*/7 * * * *") == "at the times of */7 * * * *, UTC"


def test_several_schedules_are_joined_and_what_is_beyond_eight_is_counted() -> None:
    assert said(**SEVERAL) == (
        "every hour, from 2 February 2026 00:00 UTC; and every day at 09:00 UTC"
    )
    many = said(schedules=tuple(f"{minute} 0 * * *" for minute in range(20)))
    assert many.count("every day at") == 8
    assert many.endswith("; and 12 more schedules")


def test_what_is_left_out_and_moved_is_said_last() -> None:
    away = ("2026-12-25", "2026-12-24/2027-01-01", "2028-01-01")
    rest = {"excluded_dates": away, "not_after": "2030-12-31T23:59:59Z", "jitter": "PT5M"}
    exceptions = (
        "but not on 24 December 2026 to 1 January 2027 and 1 January 2028, "
        "not after 31 December 2030 23:59:59 UTC, moved by less than 5 minutes"
    )
    assert said(cron="@hourly", **rest) == f"every hour, {exceptions}"
    assert said(**SEVERAL, **rest).endswith(f"every day at 09:00 UTC; {exceptions}")
    assert said(jitter="PT1H") == "once, as soon as it is accepted, moved by less than 1 hour"


def test_a_child_is_said_to_come_after_its_parents() -> None:
    assert said(parent_jobs=("p",)) == "after its parent"
    assert said(parent_jobs=("p", "q")) == "after any of its 2 parents"
    both = said(parent_jobs=("p", "q"), parent_rule=ParentRule.ALL)
    assert both == "once all of its 2 parents have succeeded"


def noted(after: datetime, count: int, **keys: Any) -> list[tuple[str, list[Note]]]:
    """Return the local times of the next occurrences, and what is noted of each."""
    definition = from_keys({"name": "a", "command": "true", **keys})
    made = remarks(definition, ACCEPTED_AT, after, count)
    return [(it.local.isoformat()[:16], [*it.notes]) for it in made]


def test_days_around_the_gap_and_the_fold_of_a_zone_are_remarked_on() -> None:
    daily = {"schedule": "R/2026-03-02T02:30[Europe/Berlin]/P1D"}
    assert noted(datetime(2026, 3, 28, 2, tzinfo=UTC), 2, **daily) == [
        ("2026-03-29T03:30", [Note.MOVED, Note.CHANGED]),
        ("2026-03-30T02:30", []),
    ]
    assert noted(datetime(2026, 10, 24, 12, tzinfo=UTC), 2, **daily) == [
        ("2026-10-25T02:30", [Note.FIRST]),
        ("2026-10-26T02:30", [Note.CHANGED]),
    ]
    hourly = {"schedule": "R/2026-03-02T02:30[Europe/Berlin]/PT1H"}
    assert noted(datetime(2026, 10, 25, tzinfo=UTC), 2, **hourly) == [
        ("2026-10-25T02:30", [Note.FIRST]),
        ("2026-10-25T02:30", [Note.SECOND, Note.CHANGED]),
    ]


def test_a_cron_job_in_a_gap_is_said_to_be_moved_to_its_end() -> None:
    nightly = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}
    away = noted(
        datetime(2026, 3, 27, 12, tzinfo=UTC), 1, **nightly, excluded_dates=("2026-03-28",)
    )
    assert away == [("2026-03-29T03:00", [Note.MOVED, Note.CHANGED, Note.EXCLUDED])]


def test_a_cron_job_that_goes_by_the_clock_is_not_moved_nor_one_by_a_correction() -> None:
    hourly = {"cron": "0 * * * *", "time_zone": "Europe/Berlin"}
    assert noted(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 1, **hourly) == [
        ("2026-03-29T03:00", [Note.CHANGED]),
    ]
    keys = {"name": "a", "command": "true", "cron": "0 0 * * *", "time_zone": "Pacific/Apia"}
    accepted_at = datetime(2011, 12, 28, tzinfo=UTC)
    *_, last = remarks(from_keys(keys), accepted_at, accepted_at, 3)
    assert (last.local.day, last.notes) == (31, (Note.CHANGED,))


def test_a_date_that_was_skipped_before_the_job_was_accepted_is_of_no_account() -> None:
    keys = {"name": "a", "command": "true", "schedule": "R/2011-12-28T09:00[Pacific/Apia]/P2D"}
    accepted_at = datetime(2011, 12, 30, 22, tzinfo=UTC)
    (first,) = remarks(from_keys(keys), accepted_at, accepted_at, 1)
    assert (first.local.month, first.notes) == (1, ())


def test_a_short_month_and_a_skipped_date_are_remarked_on() -> None:
    monthly = {"schedule": "R/2026-01-31T09:00Z/P1M"}
    assert noted(ACCEPTED_AT, 2, **monthly) == [
        ("2026-03-31T09:00", []),
        ("2026-04-30T09:00", [Note.CLAMPED]),
    ]
    definition = from_keys(
        {"name": "a", "command": "true", "schedule": "R/2011-12-28T09:00[Pacific/Apia]/P1D"}
    )
    accepted_at = datetime(2011, 12, 1, tzinfo=UTC)
    *_, last = remarks(definition, accepted_at, accepted_at, 3)
    assert last.occurrence.number == 3
    assert (last.local.day, last.offset) == (31, timedelta(hours=14))
    assert last.notes == (Note.CHANGED, Note.SKIPPED)


def test_nothing_is_shown_that_was_over_before_the_job_was_accepted() -> None:
    daily = {"schedule": "R/2026-01-01T08:00Z/P1D"}
    assert noted(datetime(2026, 1, 1, tzinfo=UTC), 1, **daily) == [("2026-03-02T08:00", [])]
    assert noted(ACCEPTED_AT, 5, parent_jobs=("p",)) == []


def test_jitter_moves_what_is_shown_once_the_id_is_known() -> None:
    definition = from_keys({"name": "a", "command": "true", "cron": "@daily", "jitter": "PT1H"})
    still, moved = (remarks(definition, ACCEPTED_AT, ACCEPTED_AT, 1, each)[0] for each in ("", "a"))
    assert still.local == datetime(2026, 3, 2, tzinfo=UTC)
    assert timedelta() < moved.local - still.local < timedelta(hours=1)
    assert moved.occurrence.number == still.occurrence.number
