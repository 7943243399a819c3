"""What may be asked of a kala-trio: each request as a value, with how its answer is read.

No I/O is done here, so that both clients say the same.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from kala_trio.client.errors import NotFound

T = TypeVar("T")

Keys = dict[str, Any]
"""What the API shows of something, by the names of docs/http-api.md."""

When = datetime | str
"""An instant: an aware ``datetime``, or a text by RFC 3339."""

_JSON = "application/json"
_USUAL_PAGE = 100
# What stands in the place of an id, and means something else.
_NO_IDS = {"", "all", "bulk"}


class Job(Keys):
    """A job as the API shows it: a dict of its keys."""

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self["id"])

    @property
    def name(self) -> str:
        """The job's name, which others may have, too."""
        return str(self["name"])

    @property
    def version(self) -> int:
        """What an edit may name, to change nothing that somebody else has changed meanwhile."""
        return int(self["version"])


class Page(Struct, Generic[T], frozen=True):
    """Some entries of a list, and the cursor of the page after it; None on the last one."""

    entries: list[T]
    cursor: str | None


class Ask(Struct, Generic[T], frozen=True):
    """A request: ``read`` makes of an answer of success what the caller wants of it.

    ``repeatable`` tells that it does no more if it is carried out twice, ``ends`` that nothing is
    to be found once it was carried out, ``streams`` that ``read`` gets the answer before its body.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    repeatable: bool = False
    ends: bool = False
    streams: bool = False


def create(keys: Mapping[str, object], job_id: str | uuid.UUID | None) -> Ask[str]:
    """Create a job, under an id of the client's, so that it may be repeated."""
    written = str(job_id or uuid.uuid4()).encode("ascii", "backslashreplace").decode()
    key = ("Idempotency-Key", written)
    return _post("/job/", _id, keys, headers=(key,), repeatable=True)


def create_all(jobs: Iterable[Mapping[str, object]]) -> Ask[list[str]]:
    """Create all of these jobs, or none."""
    return _post("/job/bulk/", lambda answer: [*_json(answer)["ids"]], [*jobs])


def apply(
    create: Iterable[Mapping[str, object]],
    edit: Iterable[Mapping[str, object]],
    delete: Iterable[Mapping[str, object]],
) -> Ask[None]:
    """Make all of these changes, or none."""
    return _post("/apply/", _nothing, {"create": [*create], "edit": [*edit], "delete": [*delete]})


def get(job_id: str) -> Ask[Job]:
    """Read a job."""
    return _get(f"/job/{_in_path(job_id)}/", _job)


def find(criteria: Mapping[str, object], cursor: str | None) -> Ask[Page[Job]]:
    """Read a page of the jobs that fit."""
    # A search without any criterion would have no pages.
    wanted = {"limit": _USUAL_PAGE} | _given(criteria) | _given({"cursor": cursor})

    def read(answer: httpx.Response) -> Page[Job]:
        found = _json(answer)
        return Page([Job(each) for each in found["jobs"].values()], found["next"])

    return _get("/job/", read, wanted)


def replace(job_id: str, keys: Mapping[str, object], version: int | None) -> Ask[Job]:
    """Put another definition in the place of a job's own."""
    return Ask(
        "PUT",
        f"/job/{_in_path(job_id)}/",
        _job,
        headers=_edit_headers(version),
        body=_encoded(keys),
        repeatable=version is None,  # else the second one would be told that it is outdated
    )


def patch(job_id: str, keys: Mapping[str, object], version: int | None) -> Ask[Job]:
    """Change some keys of a job."""
    path = f"/job/{_in_path(job_id)}/"
    return Ask("PATCH", path, _job, headers=_edit_headers(version), body=_encoded(keys))


def delete(job_id: str) -> Ask[None]:
    """Delete a job, and the children that have no other parent."""
    if job_id == "all":  # which in a path means something else
        raise NotFound("there is no job 'all'; delete_all deletes all jobs")
    return Ask("DELETE", f"/job/{_in_path(job_id)}/", _nothing, repeatable=True, ends=True)


def delete_all() -> Ask[None]:
    """Delete all jobs: not twice, since others may have created jobs meanwhile."""
    return Ask("DELETE", "/job/all/", _nothing)


def start(job_id: str) -> Ask[None]:
    """Start a job now."""
    return _post(f"/job/start/{_in_path(job_id)}/", _nothing)


def enable(job_id: str) -> Ask[None]:
    """Enable a job."""
    return _post(f"/job/enable/{_in_path(job_id)}/", _nothing)


def disable(job_id: str) -> Ask[None]:
    """Disable a job."""
    return _post(f"/job/disable/{_in_path(job_id)}/", _nothing)


def runs(job_id: str | None, criteria: Mapping[str, object], cursor: str | None) -> Ask[Page[Keys]]:
    """Read a page of the history, of a job or of all, the latest first."""
    path = "/run/" if job_id is None else f"/job/runs/{_in_path(job_id)}/"
    wanted = {"limit": _USUAL_PAGE} | _given(criteria) | _given({"cursor": cursor})
    return _get(path, _page("runs"), wanted)


def run(run_id: str) -> Ask[Keys]:
    """Read a run."""
    return _get(f"/run/{_in_path(run_id)}/", _member("run"))


def cancel(run_id: str) -> Ask[None]:
    """End a run that is in progress."""
    return _post(f"/run/cancel/{_in_path(run_id)}/", _nothing)


def output(run_id: str, tail: int | None) -> Ask[bytes]:
    """Read what a run has written so far."""
    path = f"/run/{_in_path(run_id)}/output/"
    return _get(path, lambda answer: answer.content, _given({"tail": tail}))


def follow(run_id: str) -> Ask[httpx.Response]:
    """Read what a run writes, as it writes it; the answer goes on until the run is over."""
    path, params = f"/run/{_in_path(run_id)}/output/", (("follow", "true"),)
    return Ask("GET", path, lambda answer: answer, params, repeatable=True, streams=True)


def missed(job_id: str) -> Ask[list[Keys]]:
    """Read which triggers of a job became no runs."""
    return _get(f"/job/missed/{_in_path(job_id)}/", _member("missed"))


def notices(job_id: str, cursor: str | None) -> Ask[Page[Keys]]:
    """Read a page of what was told of a job, the latest first."""
    path = f"/job/notices/{_in_path(job_id)}/"
    return _get(path, _page("notices"), _given({"cursor": cursor}))


def job_stats(job_id: str) -> Ask[list[Keys]]:
    """Read the stats of a job's runs, oldest first."""
    return _get(f"/job/stats/{_in_path(job_id)}/", _member("job_stats"))


def stats() -> Ask[Keys]:
    """Read the figures over all jobs."""
    return _get("/stats/", _member("Stats"))


def _get(
    path: str, read: Callable[[httpx.Response], T], params: Mapping[str, object] | None = None
) -> Ask[T]:
    written = tuple((name, _written(value)) for name, value in (params or {}).items())
    return Ask("GET", path, read, written, repeatable=True)


def _post(
    path: str,
    read: Callable[[httpx.Response], T],
    body: object = None,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    repeatable: bool = False,
) -> Ask[T]:
    if body is None:
        return Ask("POST", path, read, headers=headers, repeatable=repeatable)
    headers = (*headers, ("Content-Type", _JSON))
    encoded = _encoded(body)
    return Ask("POST", path, read, headers=headers, body=encoded, repeatable=repeatable)


def _edit_headers(version: int | None) -> tuple[tuple[str, str], ...]:
    match = () if version is None else (("If-Match", f'"{version}"'),)
    return (*match, ("Content-Type", _JSON))


def _in_path(name: str) -> str:
    if name in _NO_IDS:
        raise NotFound(f"there is nothing with the id {name!r}")
    # Dots alone would lead elsewhere.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _given(criteria: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in criteria.items() if value is not None}


def _written(value: object) -> str:
    """Write a parameter: several words have commas between them."""
    match value:
        case str():
            return value
        case datetime():
            return value.isoformat()
        case Iterable():
            return ",".join(map(_written, value))
        case _:
            return str(value)


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def _json(answer: httpx.Response) -> Any:
    return msgspec.json.decode(answer.content)


def _nothing(_: httpx.Response) -> None:
    return None


def _id(answer: httpx.Response) -> str:
    return str(_json(answer)["id"])


def _job(answer: httpx.Response) -> Job:
    return Job(_json(answer)["job"])


def _member(name: str) -> Callable[[httpx.Response], Any]:
    return lambda answer: _json(answer)[name]


def _page(name: str) -> Callable[[httpx.Response], Page[Keys]]:
    def read(answer: httpx.Response) -> Page[Keys]:
        found = _json(answer)
        return Page(found[name], found["next"])

    return read
