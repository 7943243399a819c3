"""The page of a job, with its history, and the forms that start, switch and delete it."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from kala_trio import wire
from kala_trio.core.errors import Outdated, no_job
from kala_trio.core.job import Missed
from kala_trio.core.messages import Delete, Disable, Enable, Start
from kala_trio.core.occurrences import is_scheduled
from kala_trio.core.timetable import zone_of
from kala_trio.phrases import place_of
from kala_trio.schedule_words import remarks
from kala_trio.store.history import Entry, Place, Wanted
from kala_trio.store.reader import JobView
from kala_trio.threads import in_thread
from kala_trio.web.answers import found
from kala_trio.web.pages.filters import path_of, upper
from kala_trio.web.pages.frame import Context, Site, fields_of_form, go_to
from kala_trio.web.pages.graph import family_of
from kala_trio.web.pages.jobs import PATH as JOBS
from kala_trio.web.pages.timeline import sparkline_of
from kala_trio.web.queries import Query, written

HISTORY = 20
"""How many entries of its history a job's page shows."""

OCCURRENCES = 10
"""How many coming occurrences it shows."""

_MOST_RELATIVES = 50
_CHANGES: dict[str, type[Start | Enable | Disable]] = {
    "start": Start,
    "enable": Enable,
    "disable": Disable,
}


def add_job(pages: Blueprint, site: Site) -> None:
    """Add the page of a job, and what its buttons do."""

    @pages.get("/webui/job/<job_id>/")
    async def get_job(job_id: str) -> Response:
        query = Query(request.args, ("cursor",))
        place = query.cursor(Place)

        def read(now: datetime) -> Context:
            view = site.reader.job(job_id)
            page = site.reader.page(Wanted(job_id), place or Place(), HISTORY)
            if view is None and not page.entries:
                raise no_job(job_id)
            further = urlencode({"cursor": written(page.next) or ""})
            history: Context = {
                "job_id": job_id,
                "name": view.job.definition.name if view else name_in(page.entries),
                "rows": [row_of(entry) for entry in page.entries],
                "is_first": place is None,
                "next": f"{path_of(job_id)}?{further}" if page.next else "",
            }
            return history | (_described(site, view, now) if view else {"view": None})

        return await site.page("job.html", read)

    @pages.post("/webui/job/<job_id>/<any(start, enable, disable):what>/")
    async def change_job(job_id: str, what: str) -> Response:
        await site.ask(_CHANGES[what](job_id))
        return go_to(path_of(job_id))

    @pages.get("/webui/job/<job_id>/delete/")
    async def ask_whether_to_delete(job_id: str) -> Response:
        def read(_: object) -> Context:
            view = found(site.reader.job(job_id), job_id)
            gone = site.reader.deleted_with(job_id)
            return {
                "view": view,
                "mark": _mark(gone),
                "others": gone[1 : _MOST_RELATIVES + 1],
                "more": max(0, len(gone) - 1 - _MOST_RELATIVES),
                "count": len(gone),
            }

        return await site.page("delete.html", read)

    @pages.post("/webui/job/<job_id>/delete/")
    async def delete_job(job_id: str) -> Response:
        (mark,) = (await fields_of_form()).get("mark", [""])
        gone = await in_thread(site.reader.deleted_with, job_id, limiter=site.threads)
        if gone and mark != _mark(gone):
            raise Outdated("meanwhile other jobs would go with it; look again at what is deleted")
        await site.ask(Delete(job_id))
        return go_to(JOBS)


def row_of(entry: Entry) -> Context:
    """Return what a table of the history shows of an entry."""
    if isinstance(entry, Missed):
        return {"missed": entry, "job_id": entry.job_id, "job_name": entry.job_name}
    run, attempts = entry
    return {
        "missed": None,
        "run": run,
        "job_id": run.job_id,
        "job_name": run.job_name,
        "word": run.outcome or "running",
        "reason": wire.reason_of_run(run, attempts) or "",
        "took": run.ended_at - run.started_at if run.ended_at else None,
    }


def name_in(entries: tuple[Entry, ...]) -> str:
    """Return what a job was called that is there no more."""
    latest = entries[0]
    return latest.job_name if isinstance(latest, Missed) else latest[0].job_name


def _described(site: Site, view: JobView, now: datetime) -> Context:
    definition = view.job.definition
    parents = definition.parent_jobs[:_MOST_RELATIVES]
    children = view.dependents[:_MOST_RELATIVES]
    failure = [definition.on_failure_job] if definition.on_failure_job else []
    names = site.reader.names([*parents, *children, *failure])

    def named(ids: list[str] | tuple[str, ...]) -> list[tuple[str, str]]:
        return [(each, names.get(each, each)) for each in ids]

    relatives = [
        ("Parents", named(parents), len(definition.parent_jobs) - len(parents)),
        ("Children", named(children), len(view.dependents) - len(children)),
        ("On failure", named(failure), 0),
    ]
    return {
        "view": view,
        "keys": _said(view),
        "relatives": [each for each in relatives if each[1]],
        **_upcoming(view, now),
        **family_of(site, view),
        **sparkline_of(view),
    }


def _upcoming(view: JobView, now: datetime) -> Context:
    """Return the next occurrences, and by whose clock they are told."""
    definition, accepted_at = view.job.definition, view.job.scheduled_from
    zone = zone_of(definition.schedule, definition.time_zone, accepted_at)
    return {
        "is_scheduled": is_scheduled(definition),
        "upcoming": remarks(definition, accepted_at, now, OCCURRENCES, view.job.id),
        "place": upper(place_of(zone)),
    }


def _said(view: JobView) -> list[tuple[str, object]]:
    """Return the keys of a definition that say something, and are not shown elsewhere."""
    keys = wire.encode_definition(view.job.definition, view.progress.disabled)
    remote = keys.pop("remote_properties")
    for shown in ("name", "disabled", "type", "parent_jobs", "on_failure_job"):
        keys.pop(shown)
    if view.job.definition.remote_properties and isinstance(remote, Mapping):
        keys |= remote
    return [(key, value) for key, value in keys.items() if value not in ("", None, [], {}, False)]


def _mark(gone: list[tuple[str, str]]) -> str:
    ids = ",".join(job_id for job_id, _ in gone)
    return blake2b(ids.encode(), digest_size=16).hexdigest()
