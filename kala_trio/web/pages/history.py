"""The page of what happened, over all jobs: what failed last night, say."""

from urllib.parse import urlencode

from quart import Blueprint, Response, request

from kala_trio.core.job import Cause
from kala_trio.store.history import ENDS, Place, Wanted
from kala_trio.web.pages.frame import Context, Site
from kala_trio.web.pages.job import row_of
from kala_trio.web.queries import Query, written

PAGE = 50
"""How many entries a page shows."""

PATH = "/webui/history/"
_ASKED = ("outcome", "cause", "since", "until")


def add_history(pages: Blueprint, site: Site) -> None:
    """Add the page of what happened."""

    @pages.get(PATH)
    async def get_history() -> Response:
        query = Query(request.args, ("cursor", *_ASKED))
        wanted = Wanted(
            ends=query.choices("outcome", [*ENDS]),
            causes=query.choices("cause", [*Cause]),
            since=query.instant("since"),
            until=query.instant("until"),
        )
        place = query.cursor(Place)
        given = {name: query.text(name) for name in _ASKED if query.text(name)}

        def read(_: object) -> Context:
            page = site.reader.page(wanted, place or Place(), PAGE)
            further = urlencode(given | {"cursor": written(page.next) or ""})
            return {
                "rows": [row_of(entry) for entry in page.entries],
                "asked": {name: query.text(name) for name in _ASKED},
                "is_narrowed": bool(given),
                "is_first": place is None,
                "first": f"{PATH}?{urlencode(given)}",
                "next": f"{PATH}?{further}" if page.next else "",
                "outcomes": ENDS,
                "causes": [*Cause],
            }

        return await site.page("history.html", read)
