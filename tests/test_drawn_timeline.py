"""Timelines as they are drawn, looked at closely: what stands there in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from kala_trio.core.job import Outcome
from kala_trio.web.timeline import Bar, Gap, Row, draw_sparkline, draw_timeline
from properties.drawn import child, of_class, read

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
MIDNIGHT = NOON + timedelta(hours=12)
HOUR = timedelta(hours=1)


def titles(*rows: Row, end: datetime = MIDNIGHT) -> list[str | None]:
    """Return what is told of the marks of some rows, from noon to midnight."""
    root = read(draw_timeline(rows, NOON, end, NOON + 6 * HOUR))
    drawn = [each for name in ("run", "missed", "coming") for each in of_class(root, name)]
    return [child(each, "title").text for each in drawn]


def test_a_mark_tells_its_exact_times_by_the_clock_of_the_zone() -> None:
    failed = Bar(NOON + HOUR, (NOON + 1.5 * HOUR).astimezone(UTC), Outcome.TIMED_OUT)
    row = Row(
        "a", (failed, Bar(NOON + 5 * HOUR)), (Gap(NOON, NOON + HOUR, 2, "downtime"),), (MIDNIGHT,)
    )
    assert titles(row) == [
        "a: timed out, 2026-03-28 13:00:00+01:00 to 2026-03-28 13:30:00+01:00, 30 minutes",
        "a: running, 2026-03-28 17:00:00+01:00 to 2026-03-28 18:00:00+01:00, 1 hour",
        "a: 2 times missed (downtime), 2026-03-28 12:00:00+01:00 to 2026-03-28 13:00:00+01:00",
        "a: coming, 2026-03-29 00:00:00+01:00",
    ]


def test_a_name_leads_to_its_job_and_only_then_is_there_anything_to_be_reached() -> None:
    run = (Bar(NOON, NOON + HOUR, Outcome.SUCCEEDED),)
    for href, role in (("/webui/job/<a>/", "group"), ("", "img")):
        root = read(draw_timeline([Row("a", run, href=href)], NOON, MIDNIGHT, NOON))
        assert root.get("role") == role
        links = [each.get("href") for each in root.iter() if each.tag.endswith("}a")]
        assert links == ([href] if href else [])


def test_what_would_touch_is_one_mark_but_never_of_different_outcomes() -> None:
    starts = [NOON + timedelta(minutes=each) for each in range(60)]
    runs = [Bar(at, at + timedelta(seconds=50), Outcome.SUCCEEDED) for at in starts]
    runs[30] = Bar(starts[30], starts[30] + timedelta(seconds=50), Outcome.FAILED)
    before, after, failed = titles(Row("a", (*runs,)))
    assert before == (
        "a: 30 times succeeded, 2026-03-28 12:00:00+01:00 to 2026-03-28 12:29:50+01:00"
    )
    assert after
    assert after.startswith("a: 29 times succeeded, 2026-03-28 12:31:00+01:00 to")
    assert failed == (
        "a: failed, 2026-03-28 12:30:00+01:00 to 2026-03-28 12:30:50+01:00, 50 seconds"
    )


def test_runs_at_the_same_time_are_one_mark_as_long_as_the_longest() -> None:
    runs = Bar(NOON, NOON + 5 * HOUR, Outcome.LOST), Bar(NOON + HOUR, NOON + 2 * HOUR, Outcome.LOST)
    (mark,) = of_class(read(draw_timeline([Row("a", runs)], NOON, NOON + 6 * HOUR, NOON)), "run")
    assert float(mark.attrib["width"]) == 640


def test_success_lies_below_and_is_lower_than_what_did_not_succeed() -> None:
    runs = Bar(NOON, NOON + HOUR, Outcome.FAILED), Bar(NOON, NOON + HOUR, Outcome.SUCCEEDED)
    below, above = of_class(read(draw_timeline([Row("a", runs)], NOON, MIDNIGHT, NOON)), "run")
    assert "succeeded" in below.attrib["class"]
    assert float(below.attrib["height"]) < float(above.attrib["height"])


def test_hours_are_those_of_the_zone_also_where_its_clock_is_set() -> None:
    root = read(draw_timeline([], NOON, NOON + 24 * HOUR, NOON))
    labels = [child(each, "text").text for each in of_class(root, "hour")]
    assert labels[:3] == ["12:00", "14:00", "16:00"]
    assert labels[5:9] == ["22:00", "29 Mar", "03:00", "05:00"]
    root = read(draw_timeline([], NOON + HOUR / 7, NOON + HOUR / 2, NOON))
    labels = [child(each, "text").text for each in of_class(root, "hour")]
    assert labels == [f"12:{minute}" for minute in range(10, 31, 2)]


def test_the_whole_is_told_to_those_who_see_nothing_of_it() -> None:
    rows = [
        Row("a", (Bar(NOON, NOON + HOUR, Outcome.SUCCEEDED),), (), (MIDNIGHT,)),
        Row("b", (Bar(NOON, NOON + HOUR, Outcome.FAILED),), (Gap(NOON, NOON, 3),)),
        Row("c", (), (), (MIDNIGHT + HOUR,)),
        Row("d", (), (), (MIDNIGHT,)),
    ]
    root = read(draw_timeline(rows, NOON, MIDNIGHT, NOON, 2))
    assert child(root, "desc").text == (
        "From 2026-03-28 12:00:00+01:00 to 2026-03-29 00:00:00+01:00. "
        "b: 1 failed, 3 missed. a: 1 succeeded, 1 coming. And 1 more."
    )


def test_a_sparkline_tells_each_outcome_and_how_long_it_took() -> None:
    took = [timedelta(seconds=1.5), timedelta(), timedelta(minutes=1, microseconds=7)]
    ended = [Outcome.SUCCEEDED, Outcome.TIMED_OUT, Outcome.SUCCEEDED]
    root = read(draw_sparkline(took, ended))
    assert child(root, "desc").text == "The longest took 1 minute, the latest 1 minute."
    assert [child(each, "title").text for each in of_class(root, "run")] == [
        "succeeded, 1.5 seconds",
        "timed out, 0 seconds",
        "succeeded, 1 minute",
    ]
    assert child(read(draw_sparkline([], [])), "title").text == "How long the last 0 runs took"
