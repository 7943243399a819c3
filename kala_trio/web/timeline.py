"""What ran, was missed and will run, drawn along the hours; and how long the last runs took.

The classes are ``timeline``; ``hour`` for a line and its label, ``now``; ``row``, ``failing``
beside it, ``label``; ``run`` beside its outcome or ``running``, ``missed``, ``coming``; and of the
small drawing ``sparkline``, with ``run`` likewise, and ``notch`` below what did not succeed.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.duration import Duration
from kala_trio.core.job import Outcome
from kala_trio.phrases import MONTHS, shown, span_of
from kala_trio.web.svg import drawing, element, shortened, written

_LEFT: Final = 184
_PLOT: Final = 768
_RIGHT: Final = 24
_TOP: Final = 24
_ROW: Final = 24
_LETTERS: Final = 24
_LEAST: Final = 2.0
_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_MOST_HOURS: Final = 13
_MICROSECOND: Final = timedelta(microseconds=1)


class Bar(Struct, frozen=True):
    """A run; without ``ended_at`` and ``outcome`` it is in progress."""

    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None


class Gap(Struct, frozen=True):
    """Some adjacent triggers that were missed, for one reason."""

    first: datetime
    last: datetime
    count: int = 1
    reason: str = ""


class Row(Struct, frozen=True):
    """A job, with what became of its triggers and the occurrences to come, each in order.

    Its name leads to ``href``, if there is one.
    """

    name: str
    runs: tuple[Bar, ...] = ()
    missed: tuple[Gap, ...] = ()
    coming: tuple[datetime, ...] = ()
    href: str = ""

    @property
    def is_failing(self) -> bool:
        """Whether the last of its runs that ended did not succeed, and was not cancelled."""
        ended = [run.outcome for run in self.runs if run.outcome]
        return bool(ended) and ended[-1].is_failure


class _Mark(Struct, frozen=True):
    """Something on a row: ``count`` things of one kind, from one instant to another."""

    kind: str
    first: datetime
    last: datetime
    count: int = 1
    note: str = ""


def draw_timeline(
    entries: Iterable[Row], begin: datetime, end: datetime, now: datetime, most: int = 30
) -> str:
    """Return the drawing as SVG: a row for each job with something to show, failing ones first.

    Beyond ``most`` rows they are only counted. Hours are those of the zone of ``begin``. What is
    of one kind and would touch is one mark, whose title tells how many it stands for.
    """
    scale, now = _Scale(begin, end), _utc(now)
    rows = [(row, _marks(row, scale, now)) for row in entries]
    rows = [(row, marks) for row, marks in rows if marks]
    rows.sort(key=lambda each: not each[0].is_failing)
    drawn = rows[:most]
    height = _TOP + _ROW * len(drawn) + 8
    about = f"From {scale.time(scale.begin)} to {scale.time(scale.end)}. "
    about += " ".join(f"{row.name}: {_summary(marks)}." for row, marks in drawn)
    if len(rows) > most:
        about += f" And {len(rows) - most:,} more."
    parts = [_hour(scale, each, height) for each in scale.hours()]
    parts += [_row(row, marks, scale, number) for number, (row, marks) in enumerate(drawn)]
    if scale.begin <= now <= scale.end:
        line = {"x1": scale.x(now), "x2": scale.x(now), "y1": _TOP - 6, "y2": height}
        title = element("title", written(f"now, {scale.time(now)}"))
        parts.append(element("line", title, class_="now", stroke="currentColor", **line))
    size = (_LEFT + _PLOT + _RIGHT, height)
    # In an image nothing could be reached.
    role = "group" if any(row.href for row, _ in drawn) else "img"
    return drawing("timeline", role, size, "What runs when", *parts, about=about)


def draw_sparkline(durations: Sequence[timedelta], outcomes: Sequence[Outcome]) -> str:
    """Return a small drawing of how long runs took, the oldest first: a bar each, from 0 on."""
    longest = max(durations, default=timedelta())
    bars = []
    for at, (duration, outcome) in enumerate(zip(durations, outcomes, strict=True)):
        share = max(duration / longest, 0.0) if longest > timedelta() else 0.0
        height = max(16 * share, 1.0)
        title = element("title", written(f"{_named(outcome)}, {_span(duration)}"))
        bar = {"x": 6 * at, "y": 16 - height, "width": 5, "height": height}
        bars.append(element("rect", title, class_=f"run {outcome}", **bar))
        if outcome is not Outcome.SUCCEEDED:
            bars.append(element("rect", class_="notch", x=6 * at, y=18, width=5, height=2))
    about = f"The longest took {_span(longest)}, the latest {_span(durations[-1])}." if bars else ""
    title = f"How long the last {len(durations)} runs took"
    return drawing("sparkline", "img", (max(6 * len(durations), 1), 20), title, *bars, about=about)


class _Scale:
    """Puts instants between two edges, proportionally, and shows them by one zone's clock."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self._zone = begin.tzinfo or UTC
        self.begin, self.end = _utc(begin), _utc(end)
        self._span = max(self.end - self.begin, _MICROSECOND)

    def x(self, at: datetime) -> float:
        """Return where an instant is; at an edge if it is beyond it."""
        return _LEFT + _PLOT * min(max((at - self.begin) / self._span, 0.0), 1.0)

    def clock(self, at: datetime) -> datetime:
        return shown(at, self._zone)

    def time(self, at: datetime) -> str:
        return self.clock(at).isoformat(" ", "seconds")

    def has(self, mark: _Mark) -> bool:
        return mark.first <= self.end and mark.last >= self.begin

    def hours(self) -> Iterator[datetime]:
        """Yield full hours, or other even times of day, no more than there is room for."""
        steps = [timedelta(minutes=each) for each in _MINUTES]
        fitting = (step for step in steps if self._span / step < _MOST_HOURS)
        step = next(fitting, self._span / _MOST_HOURS // steps[-1] * steps[-1] + steps[-1])
        wall = self.clock(self.begin).replace(tzinfo=None)
        since = (wall - datetime.min) % step
        number = int(since > timedelta())
        while (past := number * step - since) <= self.end - self.begin:
            yield self.begin + past
            number += 1


def _marks(row: Row, scale: _Scale, now: datetime) -> list[_Mark]:
    """Return what of a row is within the drawing; of one kind what would touch as one."""
    found = [
        [_run(run, now) for run in row.runs],
        [_Mark("missed", _utc(it.first), _utc(it.last), it.count, it.reason) for it in row.missed],
        [_Mark("coming", _utc(at), _utc(at)) for at in row.coming],
    ]
    marks = []
    for some, room in zip(found, (_LEAST, 8.0, 8.0), strict=True):
        marks += _joined((mark for mark in some if scale.has(mark)), scale, room)
    # What did not succeed lies on top.
    return sorted(marks, key=lambda mark: mark.kind != Outcome.SUCCEEDED)


def _run(run: Bar, now: datetime) -> _Mark:
    first, last = _utc(run.started_at), _utc(run.ended_at or now)
    return _Mark(run.outcome or "running", first, max(first, last))


def _utc(at: datetime) -> datetime:
    """Return an instant in UTC: two of one other zone would be compared by its clock."""
    return shown(at, UTC)


def _joined(marks: Iterable[_Mark], scale: _Scale, room: float) -> list[_Mark]:
    """Return marks in order, as one where they are of a kind and closer than ``room``."""
    joined: list[_Mark] = []
    for mark in sorted(marks, key=lambda mark: mark.first):
        last = joined[-1] if joined else None
        alike = last and (last.kind, last.note) == (mark.kind, mark.note)
        if last and alike and scale.x(mark.first) < scale.x(last.last) + room:
            until = max(last.last, mark.last)
            joined[-1] = replace(last, last=until, count=last.count + mark.count)
        else:
            joined.append(mark)
    return joined


def _row(row: Row, marks: Sequence[_Mark], scale: _Scale, number: int) -> str:
    top = _TOP + _ROW * number
    label = written(shortened(row.name, _LETTERS))
    title = element("title", written(row.name))
    named = element("text", title, label, class_="label", x=4, y=top + 16)
    return element(
        "g",
        element("a", named, href=row.href) if row.href else named,
        *(_drawn(mark, row.name, scale, top) for mark in marks),
        class_="row failing" if row.is_failing else "row",
    )


def _drawn(mark: _Mark, name: str, scale: _Scale, top: float) -> str:
    """Return a mark: a low bar for success and a high one for all else, a cross, or a ring."""
    title = element("title", written(f"{name}: {_told(mark, scale)}"))
    x, end, middle = scale.x(mark.first), scale.x(mark.last), top + _ROW / 2
    if mark.kind == "coming":
        ring: dict[str, str | float] = {"x": x - 4, "y": middle - 4, "rx": 4}
        ring |= {"width": end - x + 8, "height": 8, "fill": "none", "stroke": "currentColor"}
        return element("rect", title, class_="coming", **ring)
    if mark.kind == "missed":
        cross = "".join(_cross(each, middle) for each in dict.fromkeys((x, end)))
        line = f"M{x:.2f} {middle:.2f}H{end:.2f}{cross}"
        return element("path", title, class_="missed", d=line, fill="none", stroke="currentColor")
    height = 10 if mark.kind == Outcome.SUCCEEDED else 18
    bar = {"x": x, "y": middle - height / 2, "width": max(end - x, _LEAST), "height": height}
    return element("rect", title, class_=f"run {mark.kind}", **bar)


def _cross(x: float, y: float) -> str:
    return f"M{x - 4:.2f} {y - 4:.2f}l8 8M{x - 4:.2f} {y + 4:.2f}l8 -8"


def _told(mark: _Mark, scale: _Scale) -> str:
    many = f"{mark.count:,} times " if mark.count > 1 else ""
    note = f" ({mark.note})" if mark.note else ""
    until = "" if mark.last == mark.first else f" to {scale.time(mark.last)}"
    took = "" if mark.count > 1 or not until else f", {_span(mark.last - mark.first)}"
    return f"{many}{_named(mark.kind)}{note}, {scale.time(mark.first)}{until}{took}"


def _summary(marks: Sequence[_Mark]) -> str:
    """Say how often a row has what."""
    counts: dict[str, int] = {}
    for mark in marks:
        counts[mark.kind] = counts.get(mark.kind, 0) + mark.count
    return ", ".join(f"{count:,} {_named(kind)}" for kind, count in counts.items())


def _hour(scale: _Scale, at: datetime, height: float) -> str:
    x, clock = scale.x(at), scale.clock(at)
    is_midnight = clock.hour == clock.minute == 0
    label = f"{clock.day} {MONTHS[clock.month - 1][:3]}" if is_midnight else f"{clock:%H:%M}"
    line = {"x1": x, "x2": x, "y1": _TOP - 4, "y2": height}
    return element(
        "g",
        element("line", stroke="currentColor", stroke_opacity=0.2, **line),
        element("text", label, x=x, y=_TOP - 8, text_anchor="middle"),
        class_="hour",
    )


def _named(kind: str) -> str:
    return kind.replace("_", " ")


def _span(duration: timedelta) -> str:
    """Say how long something took, to the millisecond."""
    milliseconds = max(duration, timedelta()) // timedelta(milliseconds=1)
    return span_of(Duration(microseconds=1000 * milliseconds))
