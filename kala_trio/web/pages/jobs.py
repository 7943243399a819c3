"""The page of jobs: found by name, owner, tag and state, in some order, fifty at a time."""

from urllib.parse import urlencode

from msgspec import Struct
from quart import Blueprint, Response, request

from kala_trio.store.finding import JobState, Mark, Order
from kala_trio.store.reader import JobView
from kala_trio.web.pages.frame import Context, Site
from kala_trio.web.queries import SEARCHES, Query, search_of, written

PAGE = 50
"""How many jobs a page shows."""

PATH = "/webui/jobs/"


class Column(Struct, frozen=True):
    """A column's head; with a ``link`` it orders the jobs, and ``sorting`` says how it does now."""

    title: str
    link: str = ""
    sorting: str = ""


_COLUMNS = (
    ("Name", Order.NAME),
    ("State", None),
    ("Schedule", None),
    ("Last result", Order.LAST_ATTEMPTED_RUN),
    ("Next run", Order.NEXT_RUN_AT),
)


def add_jobs(pages: Blueprint, site: Site) -> None:
    """Add the page of jobs."""

    @pages.get(PATH)
    async def list_jobs() -> Response:
        query = Query(request.args, ("cursor", *SEARCHES))
        search, after = search_of(query), query.cursor(Mark)
        given = {name: query.text(name) for name in SEARCHES if query.text(name)}

        def read(_: object) -> Context:
            views, mark = site.reader.find(search, after, PAGE)
            totals = site.reader.totals()
            further = given | {"cursor": written(mark) or ""}
            return {
                "views": views,
                "names": site.reader.names(first_parents(views)),
                "count": totals.active + totals.disabled,
                "asked": {name: query.text(name) for name in SEARCHES},
                "is_narrowed": bool(given.keys() - {"sort"}),
                "is_first": after is None,
                "first": f"{PATH}?{urlencode(given)}",
                "next": f"{PATH}?{urlencode(further)}" if mark else "",
                "columns": [_column(title, order, given) for title, order in _COLUMNS],
                "all_states": [*JobState],
            }

        return await site.page("jobs.html", read)


def first_parents(views: list[JobView]) -> list[str]:
    """Return the ids of the parents that a list of jobs names: of each job one."""
    return [view.job.definition.parent_jobs[0] for view in views if view.job.definition.parent_jobs]


def _column(title: str, order: Order | None, given: dict[str, str]) -> Column:
    if order is None:
        return Column(title)
    now = given.get("sort", "")
    link = f"{PATH}?{urlencode(given | {'sort': f'-{order}' if now == order else order.value})}"
    sorting = {order.value: "ascending", f"-{order}": "descending"}.get(now, "")
    return Column(title, link, sorting)
