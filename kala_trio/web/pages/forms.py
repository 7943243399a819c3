"""The forms by which a job is created and edited, and what its schedule would mean."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from quart import Blueprint, Response, request

from kala_trio import wire
from kala_trio.core.definition import Definition, Timing
from kala_trio.core.errors import KalaTrioError, NotFound, Outdated, Refused
from kala_trio.core.job import Job, Occurrence
from kala_trio.core.messages import Create, Edit
from kala_trio.core.occurrences import (
    first_occurrence,
    is_scheduled,
    is_timed_alike,
    schedule_of,
)
from kala_trio.core.timetable import zone_of
from kala_trio.phrases import shown as local_of
from kala_trio.schedule_words import Note, in_words, remarks
from kala_trio.store.reader import JobView
from kala_trio.threads import in_thread
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.answers import found, status_of
from kala_trio.web.pages import fields
from kala_trio.web.pages.fields import Given
from kala_trio.web.pages.filters import clock, path_of
from kala_trio.web.pages.frame import Context, Site, fields_of_form, go_to, render, shown
from kala_trio.web.pages.named_jobs import by_id
from kala_trio.web.queries import Query

UPCOMING = 5
"""How many occurrences a preview shows."""

_TIMED = ("schedule", "time_zone", "parent_jobs", "epsilon", *Timing.__struct_fields__)
_STAND_IN = {"name": "preview", "command": "true"}
_MOMENT = timedelta(microseconds=1)
_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A sentence about what is empty says more than one about what is missing.
_EMPTY: dict[str, Any] = {"name": "", "command": ""}


class Upcoming(Struct, frozen=True):
    """An instant, as the clock of its job's zone shows it, and what is odd about it."""

    at: datetime
    there: str
    notes: tuple[Note, ...] = ()


class Preview(Struct, frozen=True):
    """What a schedule would mean: a sentence, and perhaps some instants.

    ``words`` say what is written; ``key`` is the field at fault, if there is a fault.
    """

    sentence: str
    times: tuple[Upcoming, ...] = ()
    key: str = ""
    words: str = ""


class Form(Struct, frozen=True):
    """A form as it is shown: ``texts`` in its fields, and what is wrong with one of them.

    ``new_id`` is that of the job which it creates, so that to send it twice makes no second job.
    """

    texts: Mapping[str, str]
    preview: Preview | None = None
    problem: str = ""
    key: str = ""
    view: JobView | None = None
    version: str = ""
    new_id: str = ""

    def context(self) -> Context:
        """Return what its template is given."""
        return {
            "form": self,
            "first": [fields.FIELDS[key] for key in fields.FIRST],
            "sections": fields.sections(),
            "is_placed": self.key in self.texts,
        }


def add_forms(pages: Blueprint, site: Site) -> None:
    """Add the forms, and their previews."""
    _add_new(pages, site)
    _add_edit(pages, site)

    @pages.post("/webui/preview/")
    async def preview_schedule() -> Response:
        given = await fields_of_form()
        job_id = request.args.get("job", "")
        view = found(site.reader.job(job_id), job_id) if job_id else None
        form = await _previewed(site, given, view)
        return shown(render("preview.html", {"form": form, "now": datetime.now(UTC)}))


def _add_new(pages: Blueprint, site: Site) -> None:
    @pages.get("/webui/new/")
    async def get_new() -> Response:
        after = Query(request.args, ("after",)).text("after")
        return await site.page("form.html", lambda now: _new(site, now, after).context())

    @pages.post("/webui/new/")
    async def create_job() -> Response:
        given = await fields_of_form()
        if "preview" in given:
            return _answer(await _previewed(site, given))
        try:
            definition = await in_thread(_accepted, site, given, limiter=site.threads)
            job_id = await in_thread(_wanted_id, site, given, limiter=site.threads)
            await site.ask(Create(job_id, definition))
        except KalaTrioError as error:
            return _answer(_refused(await _previewed(site, given), error), status_of(error))
        return go_to(path_of(job_id))


def _add_edit(pages: Blueprint, site: Site) -> None:
    @pages.get("/webui/job/<job_id>/edit/")
    async def get_edit(job_id: str) -> Response:
        def read(_: datetime) -> Context:
            view = found(site.reader.job(job_id), job_id)
            texts = fields.texts(_before(view))
            version = str(view.progress.version)
            told = _told(view.job, view.progress.next)
            return Form(texts, told, view=view, version=version).context()

        return await site.page("form.html", read)

    @pages.post("/webui/job/<job_id>/edit/")
    async def edit_job(job_id: str) -> Response:
        given = await fields_of_form()
        view = found(site.reader.job(job_id), job_id)
        if "preview" in given:
            return _answer(await _previewed(site, given, view))
        (version,) = given.get("version", [""])[-1:]
        try:
            if version != str(view.progress.version):
                raise _outdated()
            definition = await in_thread(_accepted, site, given, view, limiter=site.threads)
            await site.ask(Edit(job_id, definition, view.progress.version))
        except NotFound:
            raise
        except KalaTrioError as error:
            form = await _previewed(site, given, view)
            return _answer(_refused(form, error), status_of(error))
        return go_to(path_of(job_id))


def preview(acceptance: Acceptance, given: Given, view: JobView | None, now: datetime) -> Preview:
    """Return what the schedule in a form would mean from now on; nothing is created."""
    before = _before(view) if view else {}
    timed = {key: given.get(key, []) for key in _TIMED}
    try:
        changes = fields.patch({key: before[key] for key in _TIMED if key in before}, timed)
        kept = {key: value for key, value in before.items() if key in _TIMED}
        definition = acceptance.patch(kept | _STAND_IN, wire.encode(changes))
        if view and is_timed_alike(view.job, definition):
            return _told(view.job, view.progress.next)
        job = Job(view.job.id if view else "", 1, now, definition)
        return _told(job, first_occurrence(job))
    except Refused as error:
        return Preview(str(error), key=error.field)


def _told(job: Job, coming: Occurrence | None) -> Preview:
    definition = job.definition
    times = schedule_of(job)
    if times is None:
        return Preview("Runs after its parents.")
    said = in_words(definition, job.scheduled_from) if is_scheduled(definition) else ""
    if coming is None:
        return Preview("Nothing will run by itself.", words=said)
    if not said:
        return Preview("Runs once, as soon as it is there.", _in_zone(job, [coming.at]))
    upcoming: list[datetime] = []
    while coming and len(upcoming) < UPCOMING:
        upcoming.append(coming.at)
        coming = times.next_after(coming.at)
    sentence = "The next runs:" if coming else "The next runs, and then no more:"
    return Preview(sentence, _in_zone(job, upcoming), words=said)


def _in_zone(job: Job, some: list[datetime]) -> tuple[Upcoming, ...]:
    definition, accepted_at = job.definition, job.scheduled_from
    zone = zone_of(definition.schedule, definition.time_zone, accepted_at)
    after = max(some[0], _FIRST_INSTANT + _MOMENT) - _MOMENT
    remarked = remarks(definition, accepted_at, after, len(some), job.id)
    notes = {each.occurrence.at: each.notes for each in remarked}
    return tuple(Upcoming(at, clock(local_of(at, zone)), notes.get(at, ())) for at in some)


def _new(site: Site, now: datetime, after: str) -> Form:
    """Return an empty form; ``after`` may be the id of a job that the new one is to follow."""
    texts = fields.texts({"parent_jobs": [after] if after else []})
    told = preview(site.acceptance, {"parent_jobs": [after]}, None, now)
    return Form(texts, told, new_id=site.acceptance.new_id())


def _accepted(site: Site, given: Given, view: JobView | None = None) -> Definition:
    """Return the definition that a form describes, of the job in ``view`` or a new one.

    Raises:
        Refused: there is something wrong with it.
    """
    before = _before(view) if view else {}
    changes = by_id(site.reader, fields.patch(before, given))
    if view:
        return site.acceptance.patch(before, wire.encode(changes))
    return site.acceptance.job(wire.encode(_EMPTY | _without_none(changes)))


def _wanted_id(site: Site, given: Given) -> str:
    """Return the id that a form has brought, unless it is none, or was a deleted job's (M7)."""
    (wanted,) = given.get("new_id", [""])[-1:]
    is_free = site.reader.job(wanted) or not site.reader.remembers(wanted)
    return wanted if _UUID.fullmatch(wanted) and is_free else site.acceptance.new_id()


async def _previewed(site: Site, given: Given, view: JobView | None = None) -> Form:
    """Return a form as it was filled in, with what its schedule would mean."""
    now = datetime.now(UTC)
    told = await in_thread(preview, site.acceptance, given, view, now, limiter=site.threads)
    (version,) = given.get("version", [""])[-1:]
    new_id = _wanted_id(site, given)
    return Form(fields.filled(given), told, view=view, version=version, new_id=new_id)


def _refused(form: Form, error: KalaTrioError) -> Form:
    """Return a form with what was wrong with it, which is said once."""
    key = error.field if isinstance(error, Refused) else ""
    told = None if form.preview and form.preview.key == key else form.preview
    return replace(form, preview=told, problem=str(error), key=key)


def _answer(form: Form, status: int = 200) -> Response:
    context = form.context() | {"now": datetime.now(UTC)}
    response = shown(render("form.html", context), status)
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _before(view: JobView) -> dict[str, object]:
    return wire.encode_definition(view.job.definition, view.progress.disabled)


def _without_none(changes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in changes.items()
        if value is not None
    }


def _outdated() -> Outdated:
    return Outdated(
        "somebody else has changed this job since the form was opened; open it again, and change "
        "that"
    )
