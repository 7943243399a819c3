"""The first page: what needs somebody, what goes on and what comes; and the word of changes."""

from collections.abc import AsyncIterator
from datetime import datetime

import trio
from quart import Blueprint, Response, request

from kala_trio import wire
from kala_trio.core.errors import Unavailable
from kala_trio.store.finding import JobState, Order, Search
from kala_trio.store.history import End, NoOutcome, Place, Wanted
from kala_trio.store.reader import JobView
from kala_trio.web.pages.frame import Context, Site
from kala_trio.web.pages.job import row_of
from kala_trio.web.pages.timeline import timeline_of
from kala_trio.web.queries import Query

SHOWN = 8
"""How many entries each list has at most."""

_LOOKED_AHEAD = 50

# How soon a change is told, and how soon the next one after it, in seconds.
_GLANCE = 0.25
_REST = 2.0
# After so many seconds without a change something is sent, lest a proxy take it for over.
_QUIET = 20.0


def add_overview(pages: Blueprint, site: Site) -> None:
    """Add the first page, and what tells pages that something has changed."""

    @pages.get("/webui/")
    async def get_overview() -> Response:
        return await site.page("overview.html", lambda now: _overview(site, now))

    @pages.get("/webui/events/")
    async def tell_of_changes() -> Response:
        seen = Query(request.args, ("seen",)).text("seen")
        response = Response(_changes(site, seen), content_type="text/event-stream")
        response.timeout = None
        response.headers["Cache-Control"] = "no-store"
        return response


def _overview(site: Site, now: datetime) -> Context:
    reader = site.reader
    totals = reader.totals()
    failing = Search(state=JobState.FAILING, order=Order.LAST_ATTEMPTED_RUN, descending=True)
    failed, _more = reader.find(failing, None, SHOWN)
    coming, _more = reader.find(
        Search(state=JobState.ENABLED, order=Order.NEXT_RUN_AT), None, _LOOKED_AHEAD
    )
    return {
        "totals": totals,
        "count": totals.active + totals.disabled,
        "failing": reader.count(failing),
        "failed": [(view, *_last_failure(site, view)) for view in failed],
        "running": _latest(site, NoOutcome.RUNNING),
        "missed": _latest(site, NoOutcome.MISSED),
        "coming": [view for view in coming[:SHOWN] if view.progress.next],
        **timeline_of(site, coming, now),
    }


def _last_failure(site: Site, view: JobView) -> tuple[str, str]:
    """Return the id of a job's latest run that has ended, and why it failed."""
    if not view.stats:
        return "", ""
    found = site.reader.run_with_attempts(view.stats[-1].id)
    return (found[0].id, wire.reason_of_run(*found) or "") if found else ("", "")


def _latest(site: Site, end: End) -> list[Context]:
    page = site.reader.page(Wanted(ends=(end,)), Place(), SHOWN)
    return [row_of(entry) for entry in page.entries]


async def _changes(site: Site, seen: str) -> AsyncIterator[bytes]:
    """Yield an event for what has changed since a page was ``seen``, until the daemon stops."""
    yield b"retry: 2000\n\n"
    quiet, rest = 0.0, 0.0
    while not site.is_closing():
        if rest <= 0:
            try:
                now = site.mark()
            except Unavailable:
                return  # the browser asks again by itself
            if now != seen:
                seen, quiet, rest = now, 0.0, _REST
                yield b"data: changed\n\n"
        if quiet >= _QUIET:
            quiet = 0.0
            yield b":\n\n"
        await trio.sleep(_GLANCE)
        quiet += _GLANCE
        rest -= _GLANCE
