"""What makes a job's further schedules, and what is left out of them, acceptable (S11 to S16)."""

from datetime import datetime
from fractions import Fraction

from kala_trio.core.checks.examples import refused
from kala_trio.core.checks.policy import check_delay
from kala_trio.core.definition import Definition, Timing
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Malformed, Refused
from kala_trio.core.expression import parse_expression
from kala_trio.core.schedule import date_time, parse_schedule
from kala_trio.core.timetable import is_cron, parse_dates, zone_of

MOST_SCHEDULES = 100
"""How many further schedules a job may have."""

FEW = 1_000
"""How many times a schedule may repeat at any interval."""

MOST_DATES = 1_000
"""How many dates and pairs of dates may be excluded."""


def check_timing(definition: Definition, accepted_at: datetime) -> None:
    """Check all keys but ``schedule`` and ``time_zone``, which must be good already.

    Raises:
        Refused: naming the key at fault.
    """
    timing = definition.timing
    if timing == Timing():
        return
    if definition.parent_jobs:
        key = next(key for key in Timing.__struct_fields__ if getattr(timing, key))
        problem = "a job that its parents trigger has no schedule of its own"
        raise refused(key, problem, getattr(timing, key))
    if timing.cron:
        parse_expression(timing.cron, "cron")
    _check_schedules(definition, accepted_at)
    if timing.not_after:
        zone = zone_of(definition.schedule, definition.time_zone, accepted_at)
        try:
            date_time(timing.not_after, "not_after", "", zone)
        except Malformed as error:
            raise refused("not_after", error.problem, timing.not_after) from None
    if len(timing.excluded_dates) > MOST_DATES:
        found = len(timing.excluded_dates)
        raise refused("excluded_dates", f"must be {MOST_DATES} at most", found)
    for text in timing.excluded_dates:
        parse_dates(text)
    check_delay("jitter", timing.jitter)


def check_interval(definition: Definition, accepted_at: datetime, least: Duration) -> None:
    """Check that no schedule, and not all together, repeat for long more often than ``least``.

    The definition must be good already, ``least`` be exact.

    Raises:
        Refused: by rule S17.
    """
    recurrences = {"schedule": [definition.schedule], "schedules": definition.timing.schedules}
    often = Fraction(0)
    for key, texts in recurrences.items():
        for text in texts:
            if not text or is_cron(text):  # of which none is due more than once a minute
                continue
            schedule = parse_schedule(text, definition.time_zone, accepted_at=accepted_at)
            interval = schedule.interval
            has_end = schedule.repeats is not None and schedule.repeats <= FEW
            if has_end or not interval or interval.months or interval.days:
                continue
            often += Fraction(least.microseconds, interval.microseconds)
            if often > 1:
                problem = (
                    f"must not repeat more than {FEW} times at less than {least} "
                    "(--min-interval), counted over all of a job's schedules"
                )
                raise refused(key, problem, text)


def _check_schedules(definition: Definition, accepted_at: datetime) -> None:
    schedules = definition.timing.schedules
    if len(schedules) > MOST_SCHEDULES:
        raise refused("schedules", f"must be {MOST_SCHEDULES} at most", len(schedules))
    for text in schedules:
        try:
            if is_cron(text):
                parse_expression(text, "schedules")
            else:
                parse_schedule(text, definition.time_zone, accepted_at=accepted_at)
        except Malformed as error:
            part = "" if error.field in ("schedule", "schedules") else f"{error.field}: "
            raise Refused(
                "schedules", f"{part}{error.problem}", found=error.found, example=error.example
            ) from None
