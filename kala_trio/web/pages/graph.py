"""Who follows whom, on a page of its own, and a job's family for the job's page."""

from datetime import datetime

from markupsafe import Markup
from quart import Blueprint, Response

from kala_trio.core.job import Progress
from kala_trio.store.reader import JobView
from kala_trio.web.graph import SYMBOLS, Condition, Edge, Node, draw_graph
from kala_trio.web.pages.filters import is_failing, path_of, shortened
from kala_trio.web.pages.frame import Context, Site

MOST = 300
"""How many jobs the page draws."""

MOST_EDGES = 1_000
"""How many arrows a drawing has: with many parents each, jobs would have tens of thousands."""

_STEPS = 2
_MOST_RELATED = 60
_LETTERS = 60


def add_graph(pages: Blueprint, site: Site) -> None:
    """Add the page of all jobs that follow others, or are followed."""

    @pages.get("/webui/graph/")
    async def get_graph() -> Response:
        def read(_: datetime) -> Context:
            views, count = site.reader.related(MOST)
            drawing, more_edges = _drawn(views)
            return {
                "drawing": drawing,
                "more_edges": more_edges,
                "shown": len(views),
                "count": count,
                "symbols": SYMBOLS,
            }

        return await site.page("graph.html", read)


def family_of(site: Site, view: JobView) -> Context:
    """Return what a job's page shows of those it follows, and that follow it."""
    views, has_more = site.reader.family(view.job.id, _STEPS, _MOST_RELATED)
    drawing, more_edges = _drawn(views)
    is_alone = len(views) < 2
    return {
        "family": None if is_alone else drawing,
        "has_more_family": has_more or more_edges > 0,
    }


def _drawn(views: list[JobView]) -> tuple[Markup, int]:
    """Return a drawing of jobs, and how many arrows it lacks; it is SVG that has escaped names."""
    ids = {view.job.id for view in views}
    nodes = [
        Node(
            view.job.id,
            shortened(view.job.definition.name, _LETTERS),
            path_of(view.job.id),
            condition_of(view.progress),
        )
        for view in views
    ]
    edges = [
        Edge(parent, view.job.id)
        for view in views
        for parent in view.job.definition.parent_jobs
        if parent in ids
    ]
    edges += [
        Edge(view.job.id, view.job.definition.on_failure_job, on_failure=True)
        for view in views
        if view.job.definition.on_failure_job in ids
    ]
    drawing = draw_graph(nodes, edges[:MOST_EDGES])
    more = max(0, len(edges) - MOST_EDGES)
    return Markup(drawing), more  # noqa: S704 - the drawing escapes what it is given


def condition_of(progress: Progress) -> Condition:
    """Return how a job is, in one word."""
    conditions = {
        Condition.RUNNING: bool(progress.running),
        Condition.WAITING: progress.pending is not None,
        Condition.DISABLED: progress.disabled,
        Condition.FAILED: is_failing(progress),
        Condition.SUCCEEDED: progress.last_success is not None,
    }
    return next((each for each, holds in conditions.items() if holds), Condition.NEW)
