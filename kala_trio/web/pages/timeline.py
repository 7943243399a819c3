"""The last and the next hours on the first page, and what the last runs of a job took."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain

from markupsafe import Markup
from msgspec import Struct, field

from kala_trio.core.job import Missed, Run
from kala_trio.core.occurrences import schedule_of
from kala_trio.store.history import Entry, NoOutcome, Place, Wanted
from kala_trio.store.reader import JobView
from kala_trio.web.pages.filters import path_of, shortened
from kala_trio.web.pages.frame import Context, Site
from kala_trio.web.timeline import Bar, Gap, Row, draw_sparkline, draw_timeline

SPAN = timedelta(hours=6)
"""How far a timeline goes, into the past and into the future."""

ENTRIES = 300
"""How many of the latest runs and misses it shows at most."""

COMING = 8
"""How many coming occurrences of a job it shows at most."""

_MOST_RUNNING = 50
_MOST_ROWS = 20
_LETTERS = 40


class _Lane(Struct):
    """What is found of a job; runs and misses the latest first."""

    job_id: str
    name: str
    runs: list[Bar] = field(default_factory=list)
    missed: list[Gap] = field(default_factory=list)
    coming: list[datetime] = field(default_factory=list)

    def row(self) -> Row:
        """Return what is drawn of it."""
        name = shortened(self.name, _LETTERS)
        past = (*reversed(self.runs),), (*reversed(self.missed),)
        return Row(name, *past, (*self.coming,), path_of(self.job_id))


def timeline_of(site: Site, coming: Sequence[JobView], now: datetime) -> Context:
    """Return what happened in the last hours, and what of those jobs comes in the next.

    The latest entries are read by their place and not by their time, which no index knows: so
    it takes as long with a long history as with a short one.
    """
    begin, end = now - SPAN, now + SPAN
    latest = site.reader.page(Wanted(), Place(), ENTRIES)
    running = site.reader.page(Wanted(ends=(NoOutcome.RUNNING,)), Place(), _MOST_RUNNING)
    lanes: dict[str, _Lane] = {}
    for entry in _within(begin, latest.entries, running.entries):
        lane = lanes.setdefault(entry.job_id, _Lane(entry.job_id, entry.job_name))
        if isinstance(entry, Run):
            lane.runs.append(Bar(entry.started_at, entry.ended_at, entry.outcome))
        else:
            lane.missed.append(Gap(entry.first, entry.last, entry.count, entry.reason))
    for view in coming:
        if soon := _soon(view, end):
            lane = lanes.setdefault(view.job.id, _Lane(view.job.id, view.job.definition.name))
            lane.coming = soon
    rows = [lane.row() for lane in lanes.values()]
    svg = draw_timeline(rows, begin, end, now, _MOST_ROWS)
    return {
        "timeline": Markup(svg) if rows else None,  # noqa: S704 - it escapes what it is given
        "more_rows": max(0, len(rows) - _MOST_ROWS),
        "is_latest_only": _is_cut(begin, latest.entries),
        "most_entries": ENTRIES,
        "most_coming": COMING,
    }


def sparkline_of(view: JobView) -> Context:
    """Return what the last runs of a job took, drawn small."""
    ended = [(run.ended_at - run.started_at, run.outcome) for run in view.stats if run.ended_at]
    known = [(took, outcome) for took, outcome in ended if outcome]
    svg = draw_sparkline([took for took, _ in known], [outcome for _, outcome in known])
    return {"sparkline": Markup(svg) if known else None}  # noqa: S704 - it holds no names


def _within(begin: datetime, *some: Iterable[Entry]) -> list[Run | Missed]:
    """Return each of some entries once that was not over by an instant."""
    found: dict[object, Run | Missed] = {}
    for entry in map(_alone, chain(*some)):
        if isinstance(entry, Missed):
            key: tuple[str, int | str] = (entry.job_id, entry.number)
            over = entry.last
        else:
            key, over = (entry.job_id, entry.id), entry.ended_at or begin
        if over >= begin:
            found[key] = entry
    return sorted(found.values(), key=_began, reverse=True)


def _alone(entry: Entry) -> Run | Missed:
    """Return a run without its attempts, or what was missed."""
    return entry if isinstance(entry, Missed) else entry[0]


def _began(entry: Run | Missed) -> datetime:
    return entry.started_at if isinstance(entry, Run) else entry.first


def _is_cut(begin: datetime, entries: Sequence[Entry]) -> bool:
    """Tell whether the latest entries do not go back to an instant."""
    if len(entries) < ENTRIES:
        return False
    return _began(_alone(entries[-1])) > begin


def _soon(view: JobView, end: datetime) -> list[datetime]:
    """Return a job's next occurrences until an instant."""
    coming, times = view.progress.next, schedule_of(view.job)
    if coming is None or times is None or view.progress.disabled:
        return []
    soon: list[datetime] = []
    while coming and coming.at <= end and len(soon) < COMING:
        soon.append(coming.at)
        coming = times.next_after(coming.at)
    return soon
