"""Schedules in words, and remarks on occurrences: beside the slow truth, and plain clocks."""

import re
from datetime import date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kala_trio.core.checks.definition import check
from kala_trio.core.definition import Definition, ParentRule, Policy, Timing
from kala_trio.core.errors import Refused
from kala_trio.core.job import Occurrence
from kala_trio.core.timetable import times_of
from kala_trio.cron_words import cron_in_words
from kala_trio.schedule_words import Note, in_words, remarks
from properties import test_cron, test_timetable
from properties.stepping import (
    Interval,
    Moment,
    Spec,
    Stepped,
    moved,
    offset_at,
    resolved,
    showings,
    shown,
)
from properties.strategies import ACCEPTED_AT, near_questions, specs

_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def job(spec: Spec, timing: Timing | None = None) -> Definition:
    """Return a job with that schedule."""
    zone = spec.time_zone
    timing = timing or Timing()
    return Definition("a", "true", schedule=spec.text(), time_zone=zone, timing=timing)


# --- Words

timings = st.builds(
    Timing,
    cron=st.just("") | test_cron.expressions,
    schedules=st.lists(test_cron.expressions | st.just("R//PT90M"), max_size=12).map(tuple),
    not_after=st.sampled_from(["", "2030-12-31T23:59:59", "9999-12-31T23:59:59.999999Z"]),
    excluded_dates=st.lists(
        test_timetable.dates | st.sampled_from(["0001-01-01", "9999-12-31"]), max_size=12
    ).map(tuple),
    jitter=st.sampled_from(["", "PT5M", "PT0.000001S"]),
)
children = st.builds(
    Definition,
    st.just("a"),
    st.just("true"),
    parent_jobs=st.lists(st.sampled_from("pqrs"), min_size=1, unique=True).map(tuple),
    policy=st.builds(Policy, parent_rule=st.sampled_from(ParentRule)),
)
definitions = (
    children
    | st.builds(job, specs(), st.just(Timing()) | timings)
    | st.builds(lambda timing: Definition("a", "true", timing=timing), timings)
)


@given(definitions)
def test_every_good_definition_can_be_said_in_one_line_of_words(definition: Definition) -> None:
    try:
        check(definition, ACCEPTED_AT)
    except Refused:
        assume(False)
    said = in_words(definition, ACCEPTED_AT)
    assert said == " ".join(said.split())
    assert said.isascii()
    assert re.match("(after|at|every|on|once) ?\\b", said), said
    assert in_words(definition, ACCEPTED_AT) == said


def test_expressions_with_the_same_words_have_the_same_times() -> None:
    clocks = [
        "0 0",
        "*/5 *",
        "0,30 *",
        "0 9,17",
        "*/20 9-17",
        "*/5 0-9",
        "7 *",
        "0 */6",
        "0 */4",
        "* 1",
    ]
    days = ["*", "1-31", "*/2", "1", "L", "LW", "1,L", "1-7", "2,4,6,8,10,12,14"]
    weekdays = ["*", "0-6", "1-5", "0,6", "7", "SUN", "5#2", "5L", "MON,5#2"]
    meanings: dict[str, set[tuple[object, ...]]] = {}
    year = [date(2027, 1, 1) + number * _DAY for number in range(366)]
    for text in product(clocks, days, ["*", "3", "JAN,JUL", "2-12"], weekdays):
        matcher = CronSim(" ".join(text), datetime(2027, 1, 1))
        clock = (*sorted(matcher.minutes), -1, *sorted(matcher.hours))
        matching = (each for each in year if each.month in matcher.months)
        meaning = clock, tuple(each for each in matching if matcher.match_day(each))
        meanings.setdefault(cron_in_words(" ".join(text)), set()).add(meaning)
    assert [said for said, those in meanings.items() if len(those) > 1] == []


# --- Remarks


Judged = tuple[datetime, timedelta, tuple[Note, ...]]


def judged(stepped: Stepped, k: int, start: datetime) -> Judged:
    """Return what the slow truth says of occurrence ``k``, which exists."""
    at, zone = stepped.occurrence(k), stepped.zone
    assert at
    before = k - 1
    while before >= 0 and ((it := stepped.occurrence(before)) is None or it == at):
        before -= 1
    last = stepped.occurrence(before)
    since = last if last and last > start else start
    skipped = [j for j in range(before + 1, k) if stepped.passes_over(j)]
    equal = showings(shown(at, zone), zone)
    by_calendar = k == 0 or bool(stepped.months or stepped.days)
    in_month = moved(stepped.wall.date(), k * stepped.months, 0)
    notes = {
        Note.MOVED: by_calendar and not showings(stepped.wall_of(k), zone),
        Note.FIRST: len(equal) > 1 and at == equal[0],
        Note.SECOND: len(equal) > 1 and at == equal[1],
        Note.CHANGED: since == last and offset_at(since, zone) != offset_at(at, zone),
        Note.CLAMPED: in_month.day != stepped.wall.day,
        Note.SKIPPED: any((would_be := place(stepped, j)) and would_be > since for j in skipped),
    }
    return at, offset_at(at, zone), tuple(note for note, holds in notes.items() if holds)


def place(stepped: Stepped, k: int) -> datetime:
    """Return where an occurrence on a skipped date would be."""
    start = resolved(stepped.wall_of(k), stepped.zone) if k else stepped.anchor
    return start + k * timedelta(microseconds=stepped.microseconds)


@given(near_questions, st.sampled_from([0, 1, 3]))
@example((Spec(Moment(datetime(2026, 3, 28, 2, 30), zone="Europe/Berlin"), Interval(days=1)), 1), 1)
@example((Spec(Moment(datetime(2011, 12, 28), zone="Pacific/Apia"), Interval(days=1)), 3), 1)
def test_a_remark_is_there_exactly_if_the_slow_truth_makes_it(
    question: tuple[Spec, int], back: int
) -> None:
    spec, k = question
    stepped = Stepped(spec, ACCEPTED_AT)
    try:
        ks = [each for each in range(max(0, k - back), k + 1) if stepped.occurrence(each)]
        assume(ks)
        start = stepped.anchor if spec.start is None else stepped.anchor - _DAY
        expected = [judged(stepped, each, start - _MOMENT) for each in ks]
    except OverflowError:  # an end of time
        assume(False)
    # Of several at one instant the first counts.
    unique = [
        it for place, it in enumerate(expected) if it[0] not in [e[0] for e in expected[:place]]
    ]
    made = remarks(job(spec), start, unique[0][0] - _MOMENT, len(unique))
    assert [(it.occurrence.at, it.offset, it.notes) for it in made] == unique
    assert [shown(it.occurrence.at, stepped.zone) for it in made] == [
        it.local.replace(tzinfo=None, fold=0) for it in made
    ]


@given(test_timetable.drawn, test_timetable.zones, st.lists(test_timetable.dates, max_size=3))
def test_remarks_are_on_the_occurrences_of_the_core_and_tell_of_those_excluded(
    some: list[str], zone: str, excluded: list[str]
) -> None:
    some = test_timetable.fitting(some, zone)
    start, end = test_timetable.START, test_timetable.END
    timing = Timing(schedules=tuple(some), excluded_dates=tuple(excluded), jitter="PT1H")
    definition = Definition("a", "true", time_zone=zone, timing=timing)
    times = times_of("a", "", zone, timing, start)
    made = remarks(definition, start, start - 2 * _DAY, 80, "a")
    found: list[Occurrence] = []
    t = start - _MOMENT
    while len(found) < 80 and (coming := times.next_after(t)):
        found.append(coming)
        t = coming.at
    assert [it.occurrence for it in made] == found
    still = remarks(definition, start, start - _MOMENT, 80)
    everything = sorted(test_timetable.apart(some, zone))
    since = start - _MOMENT
    for it in still:
        if it.occurrence.at > end:
            break
        between = any(since < at < it.occurrence.at for at in everything)
        assert (Note.EXCLUDED in it.notes) == between
        since = it.occurrence.at


@given(test_cron.expressions, test_cron.zones, test_cron.turns, st.sampled_from([10, 1440]))
def test_a_cron_job_is_moved_exactly_if_the_clock_skips_a_time_that_it_names(
    text: str, zone: str, turn: datetime, minutes: int
) -> None:
    start, clock = turn - timedelta(minutes=minutes), ZoneInfo(zone)
    definition = Definition("a", "true", time_zone=zone, timing=Timing(cron=text))
    is_fixed = not any(field.startswith("*") for field in text.split()[:2])
    for it in remarks(definition, start, start, 40):
        at = it.occurrence.at
        gap_begin = shown(at - _MOMENT, clock) + _MOMENT
        gap_end = shown(at, clock)
        named = gap_begin - timedelta(minutes=1)
        if gap_begin < gap_end:
            named = next(CronSim(text, named))
        assert (Note.MOVED in it.notes) == (is_fixed and gap_begin <= named < gap_end)
