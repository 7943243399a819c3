"""The page of a run: its attempts, and what it has written, live where a script may run."""

import re
from html import escape

from quart import Blueprint, Response

from kala_trio import wire
from kala_trio.core.errors import no_run
from kala_trio.core.job import reason_of
from kala_trio.core.messages import Cancel
from kala_trio.runner.output import output_path
from kala_trio.web.pages.frame import Context, Site, go_to
from kala_trio.web.runs import output_of

_MOST_SHOWN = 16 * 1024
# Colours and moves of the cursor, titles of windows, and other controls than tabs and line breaks.
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_MOST_ATTEMPTS = 100


def add_run(pages: Blueprint, site: Site) -> None:
    """Add the page of a run, and its button."""

    @pages.get("/webui/run/<run_id>/")
    async def get_run(run_id: str) -> Response:
        def read(_: object) -> Context:
            there = site.reader.run_with_attempts(run_id)
            if there is None:
                raise no_run(run_id)
            run, attempts = there
            text, is_cut = excerpt(output_of(output_path(site.output, run_id)))
            shown = [
                (each, reason_of(each.result) if each.result else "")
                for each in attempts[-_MOST_ATTEMPTS:]
            ]
            return {
                "run": run,
                "attempts": shown,
                "earlier": len(attempts) - len(shown),
                "reason": wire.reason_of_run(run, attempts) or "",
                "is_job_there": site.reader.job(run.job_id) is not None,
                "text": text,
                "is_cut": is_cut,
                "output": f"/api/v1/run/{run_id}/output/",
            }

        return await site.page("run.html", read)

    @pages.post("/webui/run/<run_id>/cancel/")
    async def cancel_run(run_id: str) -> Response:
        if site.reader.run(run_id) is None:
            raise no_run(run_id)
        await site.ask(Cancel(run_id))
        return go_to(f"/webui/run/{run_id}/")


def excerpt(written: bytes) -> tuple[str, bool]:
    """Return the end of an output as plain text, and whether something stood before it.

    As much as a page may have: what has to be escaped counts as long as it is then.
    """
    text = written[-_MOST_SHOWN:].decode(errors="replace")
    text = _CONTROLS.sub("", text.replace("\r\n", "\n"))
    is_cut = len(written) > _MOST_SHOWN
    while len(escape(text)) > _MOST_SHOWN:
        text, is_cut = text[len(text) // 4 + 1 :], True
    return (text.partition("\n")[2] or text, True) if is_cut else (text, False)
