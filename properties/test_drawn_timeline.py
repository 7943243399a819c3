"""Timelines as they are drawn: what is within the hours, where its time is, and no longer."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kala_trio.core.job import Outcome
from kala_trio.web.timeline import Bar, Gap, Row, draw_sparkline, draw_timeline
from properties.drawn import child, legible, names, number, numbers, of_class, read

BEGIN = datetime(2026, 3, 28, 12, tzinfo=UTC)
_EVENTFUL = {"run", "missed", "coming"}

near = st.integers(-100_000, 300_000).map(lambda seconds: BEGIN + timedelta(seconds=seconds))
lengths = st.integers(0, 200_000) | st.integers(0, 2**40)
spans = lengths.map(lambda microseconds: timedelta(microseconds=microseconds * 1000))
outcomes = st.sampled_from(Outcome)
bars = st.builds(lambda at, took, what: Bar(at, at + took, what), near, spans, outcomes) | (
    st.builds(Bar, near)
)
gaps = st.builds(
    lambda at, span, count, reason: Gap(at, at + span, count, reason),
    *(near, spans, st.integers(1, 10**6), names),
)
rows = st.builds(
    Row,
    names,
    st.lists(bars, max_size=6).map(tuple),
    st.lists(gaps, max_size=3).map(tuple),
    st.lists(near, max_size=6).map(tuple),
)
windows = st.tuples(near, spans).map(lambda window: (window[0], window[0] + window[1]))
zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia"]).map(ZoneInfo)


def marks(root: ET.Element) -> list[ET.Element]:
    """Return what stands for something that happened or will."""
    return [each for each in root.iter() if _EVENTFUL & {*each.get("class", "").split()}]


def title(element: ET.Element) -> str:
    """Return what is told of a mark."""
    return child(element, "title").text or ""


def stands_for(element: ET.Element) -> int:
    """Return of how many things a mark tells."""
    found = re.search(r": ([\d,]+) times ", title(element))
    return int(found[1].replace(",", "")) if found else 1


def edges(element: ET.Element) -> tuple[float, float]:
    """Return the left and the right edge of a mark."""
    if path := element.get("d"):
        places = [float(each) for each in re.findall(r"[MH](-?[\d.]+)", path)]
        return min(places), max(places)
    return number(element, "x"), number(element, "x") + number(element, "width")


@given(st.lists(rows, max_size=5), windows, near, zones)
def test_whatever_happened_all_marks_lie_within_the_drawing_and_tell_of_it(
    some: list[Row], window: tuple[datetime, datetime], now: datetime, zone: ZoneInfo
) -> None:
    begin, end = (each.astimezone(zone) for each in window)
    text = draw_timeline(some, begin, end, now)
    root = read(text)
    assert root.get("role") == "img"
    assert child(root, "desc").text
    for each in marks(root):
        left, right = edges(each)
        assert 0 <= left <= right <= number(root, "width")
        assert title(each)
    for each in of_class(root, "hour"):
        assert 0 <= number(child(each, "line"), "x1") <= number(root, "width")
    assert len(of_class(root, "hour")) <= 14
    assert len(of_class(root, "now")) == (begin <= now <= end)
    assert text == draw_timeline(some, begin, end, now)


@given(rows, windows, near)
def test_each_thing_within_the_hours_is_in_one_mark_and_what_is_beyond_in_none(
    row: Row, window: tuple[datetime, datetime], now: datetime
) -> None:
    begin, end = window
    root = read(draw_timeline([row], begin, end, now))
    expected: dict[str, int] = {}

    def within(kind: str, first: datetime, last: datetime, count: int = 1) -> None:
        if first <= end and last >= begin:
            expected[kind] = expected.get(kind, 0) + count

    for run in row.runs:
        last = run.ended_at or max(now, run.started_at)
        within(f"run {run.outcome or 'running'}", run.started_at, last)
    for gap in row.missed:
        within("missed", gap.first, gap.last, gap.count)
    for at in row.coming:
        within("coming", at, at)
    found: dict[str, int] = {}
    for each in marks(root):
        kind = each.attrib["class"]
        found[kind] = found.get(kind, 0) + stands_for(each)
    assert found == expected


@given(st.floats(0, 1), spans, st.integers(1, 5_000), outcomes, zones)
@example(0.5, timedelta(hours=1), 2_880, Outcome.FAILED, ZoneInfo("Europe/Berlin"))
def test_a_bar_is_where_its_time_is_and_as_long_as_its_run_took(
    share: float, took: timedelta, minutes: int, outcome: Outcome, zone: ZoneInfo
) -> None:
    """Also on the day on which the clock of the zone is set."""
    span = timedelta(minutes=minutes)
    begin, end, at = BEGIN, BEGIN + span, BEGIN + share * span
    edge, other_edge, start_here, stop_here = (
        each.astimezone(zone) for each in (begin, end, at, at + took)
    )
    some = [
        Row("whole", (Bar(edge, other_edge, outcome),)),
        Row("a", (Bar(start_here, stop_here, outcome),)),
    ]
    root = read(draw_timeline(some, edge, other_edge, at))
    (left, right), (start, stop) = map(edges, marks(root))
    assert start == pytest.approx(left + (right - left) * ((at - begin) / span), abs=0.01)
    length = (right - left) * ((min(at + took, end) - at) / span)
    assert stop - start == pytest.approx(max(length, 2), abs=0.02)


@given(st.lists(rows, max_size=8), st.integers(0, 6))
def test_failing_jobs_stand_first_and_no_more_rows_than_are_wanted(
    some: list[Row], most: int
) -> None:
    begin, end = BEGIN, BEGIN + timedelta(days=1)
    shown = [row for row in some if of_class(read(draw_timeline([row], begin, end, begin)), "row")]
    ordered = [row for row in shown if row.is_failing] + [
        row for row in shown if not row.is_failing
    ]
    root = read(draw_timeline(some, begin, end, begin, most))
    labels = [title(child(each, "text")) for each in of_class(root, "row")]
    assert labels == [legible(row.name) for row in ordered[:most]]
    assert len(of_class(root, "failing")) == sum(row.is_failing for row in ordered[:most])


@given(st.lists(st.tuples(spans | st.just(-timedelta(seconds=1)), outcomes), max_size=30))
def test_a_sparkline_is_as_high_as_its_runs_took_long(
    runs: list[tuple[timedelta, Outcome]],
) -> None:
    durations, ended = [took for took, _ in runs], [outcome for _, outcome in runs]
    root = read(draw_sparkline(durations, ended))
    drawn = of_class(root, "run")
    assert [each.attrib["class"] for each in drawn] == [f"run {outcome}" for outcome in ended]
    failed = sum(outcome is not Outcome.SUCCEEDED for outcome in ended)
    assert len(of_class(root, "notch")) == failed
    longest = max(durations, default=timedelta())
    for took, each in zip(durations, drawn, strict=True):
        share = took / longest if longest > timedelta() else 0
        assert number(each, "height") == pytest.approx(max(16 * share, 1), abs=0.01)
        assert number(each, "y") + number(each, "height") == pytest.approx(16, abs=0.02)
        assert edges(each)[1] <= number(root, "width")
    places = [number(each, "x") for each in drawn]
    assert places == sorted({*places})
    assert numbers(root.attrib["viewBox"])[2:] == [number(root, "width"), number(root, "height")]
