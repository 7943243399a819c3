"""All pages, and how they are added to the application."""

from quart import Response

from kala_trio.web.application import Application
from kala_trio.web.pages.forms import add_forms
from kala_trio.web.pages.frame import Site, frame, go_to
from kala_trio.web.pages.graph import add_graph
from kala_trio.web.pages.history import add_history
from kala_trio.web.pages.job import add_job
from kala_trio.web.pages.jobs import add_jobs
from kala_trio.web.pages.overview import add_overview
from kala_trio.web.pages.run import add_run
from kala_trio.web.pages.sign_in import add_sign_in


def add_pages(app: Application, site: Site) -> None:
    """Add the pages to ``app``; whoever comes without a path is sent to them."""
    pages = frame()
    add_overview(pages, site)
    add_jobs(pages, site)
    add_job(pages, site)
    add_run(pages, site)
    add_forms(pages, site)
    add_history(pages, site)
    add_sign_in(pages, site)
    add_graph(pages, site)

    @pages.get("/")
    async def go_in() -> Response:
        return go_to("/webui/")

    app.register_blueprint(pages)
