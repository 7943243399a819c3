"""The routes of the API, as a table: what may be asked, with what, and what is answered."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from kala_trio import bodies
from kala_trio.core.job import Cause
from kala_trio.store.finding import JobState, Order
from kala_trio.store.history import ENDS
from kala_trio.web.json_schema import Schema, an_object, list_of, ref, schema_of, told, words
from kala_trio.web.queries import PAGE, USUAL_PAGE
from kala_trio.web.runs import MOST_BYTES


class Route(NamedTuple):
    """What may be asked, and what is answered with ``status`` if all is well.

    ``query`` are the parameters that are known, None where nobody looks at them. ``conflicts``: the
    present state may forbid it. ``names_versions``: its body tells which versions were read.
    ``is_versioned``: the answer has an ``ETag``. ``takes_key``: it may be repeated with an
    ``Idempotency-Key``. ``is_open``: it needs no token.
    """

    method: str
    path: str
    name: str
    summary: str
    status: int
    answer: Schema | None = None
    body: Schema | None = None
    query: Mapping[str, Schema] | None = None
    conflicts: bool = False
    names_versions: bool = False
    is_versioned: bool = False
    takes_key: bool = False
    is_open: bool = False

    @property
    def has_precondition(self) -> bool:
        """Whether it may depend on a version."""
        return self.is_versioned and self.method != "get"


TEXT = schema_of(str)
METRICS = told(str, "Or application/openmetrics-text for who accepts that")
_INSTANT = schema_of(datetime)
_ORDERS = [each.value for each in Order]
_JOB = an_object({"job": ref("Job")})
_NEXT = told(str | None, "The cursor of the next page")


def _page(usual: int) -> dict[str, Schema]:
    limit = told(int, "How many", minimum=1, maximum=PAGE, default=usual)
    return {"limit": limit, "cursor": told(str, "The next of the page before")}


_SEARCH = {
    "name": told(str, "A part of the name, in whatever case"),
    "owner": TEXT,
    "tag": TEXT,
    "state": words(JobState),
    "next_before": told(_INSTANT, "The next run is before that"),
    "sort": words([*_ORDERS, *(f"-{each}" for each in _ORDERS)]),
}
_FILTER = {
    "outcome": {"type": "array", "items": words(ENDS)},
    "cause": {"type": "array", "items": words(Cause)},
    "since": told(_INSTANT, "What started, or was to start, from then on"),
    "until": told(_INSTANT, "What started, or was to start, before then"),
}
_OUTPUT = {
    "follow": told(bool, "Go on as it is written, until the run is over", default=False),
    "tail": told(int, "Only so many bytes of the end", minimum=1, maximum=MOST_BYTES),
    "download": told(bool, "As a file, for browsers", default=False),
}
_JOBS = {"type": "object", "additionalProperties": ref("Job")}
_FOUND = an_object({"jobs": _JOBS, "next": told(_NEXT, "If there are parameters")}, {"next"})
_ENTRIES = an_object({"runs": list_of("Entry"), "next": _NEXT})

_ANY_JOB = "/api/v1/job/{job_id}/"
_ANY_RUN = "/api/v1/run/{run_id}/"
_CHANGES = {
    "start": "Start a job now, or again once it is over",
    "enable": "Enable a job",
    "disable": "Disable a job; a run in progress goes on",
}
ROUTES = (
    Route(
        *("post", "/api/v1/job/", "create_job", "Create a job", 201),
        answer=an_object({"id": str}),
        body=ref("NewJob"),
        conflicts=True,
        takes_key=True,
    ),
    Route(
        *("post", "/api/v1/job/bulk/", "create_jobs", "Create jobs, all of them or none", 201),
        answer=an_object({"ids": tuple[str, ...]}),
        body=list_of("ListedJob", maxItems=bodies.MOST_JOBS),
        conflicts=True,
    ),
    Route(
        *("post", "/api/v1/apply/", "apply_changes", "Make all changes of jobs, or none", 204),
        body=ref("Changes"),
        conflicts=True,
        names_versions=True,
    ),
    Route(
        *("get", "/api/v1/job/", "list_jobs", "All jobs, or those that fit, page by page", 200),
        answer=_FOUND,
        query=_SEARCH | _page(USUAL_PAGE),
    ),
    Route("get", _ANY_JOB, "get_job", "One job", 200, _JOB, is_versioned=True),
    Route(
        *("put", _ANY_JOB, "replace_job", "Replace a job's definition by another", 200),
        answer=_JOB,
        body=ref("NewJob"),
        is_versioned=True,
    ),
    Route(
        *("patch", _ANY_JOB, "patch_job", "Change some keys, by a JSON merge patch", 200),
        answer=_JOB,
        body=ref("JobPatch"),
        is_versioned=True,
    ),
    Route("delete", _ANY_JOB, "delete_job", "Delete a job, and children left alone", 204),
    Route("delete", "/api/v1/job/all/", "delete_all_jobs", "Delete all jobs", 204),
    *(
        Route(
            *("post", f"/api/v1/job/{what}/{{job_id}}/", f"{what}_job", meaning, 204),
            conflicts=what == "start",
        )
        for what, meaning in _CHANGES.items()
    ),
    Route(
        *("get", "/api/v1/job/stats/{job_id}/", "get_job_stats", "A stat of each ended run", 200),
        answer=an_object({"job_stats": list_of("Stat")}),
    ),
    Route(
        *("get", "/api/v1/job/runs/{job_id}/", "get_job_runs", "What became of its triggers", 200),
        answer=_ENTRIES,
        query=_FILTER | _page(PAGE),
    ),
    Route(
        *("get", "/api/v1/job/missed/{job_id}/", "get_job_missed", "What it missed", 200),
        answer=an_object({"missed": list_of("Missed")}),
    ),
    Route(
        *("get", "/api/v1/job/notices/{job_id}/", "get_job_notices", "What was told of it", 200),
        answer=an_object({"notices": list_of("Notice"), "next": _NEXT}),
        query=_page(USUAL_PAGE),
    ),
    Route(
        *("get", "/api/v1/run/", "list_runs", "What became of the triggers of all jobs", 200),
        answer=_ENTRIES,
        query=_FILTER | {"job": told(str, "The id of a job")} | _page(USUAL_PAGE),
    ),
    Route("get", _ANY_RUN, "get_run", "One run", 200, an_object({"run": ref("Run")}), query={}),
    Route(
        *("post", "/api/v1/run/cancel/{run_id}/", "cancel_run", "End a run in progress", 204),
        conflicts=True,
    ),
    Route(
        *("get", f"{_ANY_RUN}output/", "get_run_output", "What a run has written so far", 200),
        answer=TEXT,
        query=_OUTPUT,
    ),
    Route(
        *("get", "/api/v1/run/output/{run_id}/", "get_output", "The same", 200),
        answer=TEXT,
        query=_OUTPUT,
    ),
    Route(
        *("get", "/api/v1/audit/", "get_audit", "Who has done what, with a token", 200),
        answer=an_object({"deeds": list_of("Deed"), "next": _NEXT}),
        query={"subject": TEXT, "who": TEXT} | _page(USUAL_PAGE),
    ),
    Route(
        *("get", "/api/v1/stats/", "get_stats", "Figures over all jobs", 200),
        answer=an_object({"Stats": ref("Figures")}),
    ),
    Route(
        *("get", "/healthz", "get_health", "Whether it is alive", 200),
        answer=an_object({"status": str}),
        is_open=True,
    ),
    Route(
        *("get", "/readyz", "get_readiness", "Whether it is ready", 200),
        answer=an_object({"status": str}),
        is_open=True,
    ),
    Route("get", "/metrics", "get_metrics", "All metrics, for Prometheus", 200, METRICS),
    Route("get", "/api/v1/openapi.json", "get_openapi", "This document", 200, {"type": "object"}),
)
