"""The client for ordinary programs: each call waits for its answer."""

import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self, TypeVar

import httpx

from kala_trio.client import asks
from kala_trio.client.answers import FAILURES, PAUSES, URL, Reach, Tries, reading, request
from kala_trio.client.asks import Ask, Job, Keys, Page, When

T = TypeVar("T")


class Client:
    """Asks a daemon; one client may be used by several threads.

    Each method raises a ``NotDone`` whose kind says what to do. What may be repeated without harm
    is repeated if the connection breaks or the daemon can't do it now: all that only reads,
    ``create``, ``delete``, and ``replace`` without a version.
    """

    def __init__(
        self, url: str = URL, *, token: str = "", pauses: Sequence[float] = PAUSES
    ) -> None:
        """Ask the daemon at ``url``; repeat what may be, after each of these pauses, in seconds.

        That of a socket in the file system is ``unix:`` and its path. Where the daemon asks for a
        token it gets ``token``.
        """
        reach = Reach.of(url)
        transport = httpx.HTTPTransport(**reach.transport())
        self._http = httpx.Client(transport=transport, **reach.options(token))
        self._place = reach.place
        self._pauses = tuple(pauses)

    def __enter__(self) -> Self:
        """Use it until the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def create(self, *, job_id: str | uuid.UUID | None = None, **keys: object) -> str:
        """Create a job of these keys, and return its id: ``job_id``, a UUID, or one of its own.

        There is no second job, however often the request had to be sent, or ``create`` is called
        with one ``job_id``.
        """
        return self._carry_out(asks.create(keys, job_id))

    def create_all(self, jobs: Iterable[Mapping[str, object]]) -> list[str]:
        """Create all of these jobs, 500 at most, or none; return their ids in the same order."""
        return self._carry_out(asks.create_all(jobs))

    def apply(
        self,
        create: Iterable[Mapping[str, object]] = (),
        edit: Iterable[Mapping[str, object]] = (),
        delete: Iterable[Mapping[str, object]] = (),
    ) -> None:
        """Create, edit and delete jobs, each by its ``id``: make all of these changes, or none.

        Those to create have ids of the caller's, UUIDs, so that all may name each other. To edit
        and to delete each has the ``version`` that was read, too.
        """
        self._carry_out(asks.apply(create, edit, delete))

    def get(self, job_id: str) -> Job:
        """Return a job."""
        return self._carry_out(asks.get(job_id))

    def find(  # noqa: PLR0913 - the API's own
        self,
        *,
        name: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        state: str | None = None,
        next_before: When | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Yield the jobs that fit, all of them if nothing is said; ``limit`` is how many at once.

        They are read page by page, as they are wanted.
        """
        criteria = {
            "name": name,
            "owner": owner,
            "tag": tag,
            "state": state,
            "next_before": next_before,
            "sort": sort,
            "limit": limit,
        }
        return self._pages(lambda cursor: asks.find(criteria, cursor))

    def replace(self, job_id: str, /, *, version: int | None = None, **keys: object) -> Job:
        """Put another definition in the place of a job's own, if it is still at ``version``."""
        return self._carry_out(asks.replace(job_id, keys, version))

    def patch(self, job_id: str, /, *, version: int | None = None, **keys: object) -> Job:
        """Change some keys of a job, if it is still at ``version``; None gives one its default."""
        return self._carry_out(asks.patch(job_id, keys, version))

    def delete(self, job_id: str) -> None:
        """Delete a job, and the children that have no other parent."""
        self._carry_out(asks.delete(job_id))

    def delete_all(self) -> None:
        """Delete all jobs."""
        self._carry_out(asks.delete_all())

    def start(self, job_id: str) -> None:
        """Start a job now; never repeated, since it might run twice."""
        self._carry_out(asks.start(job_id))

    def enable(self, job_id: str) -> None:
        """Enable a job."""
        self._carry_out(asks.enable(job_id))

    def disable(self, job_id: str) -> None:
        """Disable a job; a run in progress goes on."""
        self._carry_out(asks.disable(job_id))

    def runs(  # noqa: PLR0913 - the API's own
        self,
        job_id: str | None = None,
        *,
        outcome: str | Sequence[str] | None = None,
        cause: str | Sequence[str] | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
    ) -> Iterator[Keys]:
        """Yield what became of the triggers of a job, or of all, the latest first.

        They are read page by page, as they are wanted; ``limit`` is how many at once.
        """
        criteria = {
            "outcome": outcome,
            "cause": cause,
            "since": since,
            "until": until,
            "limit": limit,
        }
        return self._pages(lambda cursor: asks.runs(job_id, criteria, cursor))

    def run(self, run_id: str) -> Keys:
        """Return a run, with how much it has written."""
        return self._carry_out(asks.run(run_id))

    def cancel(self, run_id: str) -> None:
        """End a run that is in progress."""
        self._carry_out(asks.cancel(run_id))

    def output(self, run_id: str, *, tail: int | None = None) -> bytes:
        """Return what a run has written so far, or the last bytes of that."""
        return self._carry_out(asks.output(run_id, tail))

    def follow(self, run_id: str) -> Generator[bytes, None, None]:
        """Yield what a run writes, from its beginning, as it writes it, until it is over."""
        answer = self._carry_out(asks.follow(run_id))
        with closing(answer), reading(self._place):
            yield from answer.iter_bytes()

    def missed(self, job_id: str) -> list[Keys]:
        """Return which triggers of a job became no runs, the latest first, and why."""
        return self._carry_out(asks.missed(job_id))

    def notices(self, job_id: str) -> Iterator[Keys]:
        """Yield what was told of a job, to whom, and what became of that, the latest first."""
        return self._pages(lambda cursor: asks.notices(job_id, cursor))

    def job_stats(self, job_id: str) -> list[Keys]:
        """Return the stats of a job's runs, oldest first."""
        return self._carry_out(asks.job_stats(job_id))

    def stats(self) -> Keys:
        """Return the figures over all jobs."""
        return self._carry_out(asks.stats())

    def _carry_out(self, ask: Ask[T]) -> T:
        tries = Tries(ask, self._pauses, self._place)
        while True:
            try:
                answer = self._http.send(request(self._http, ask), stream=ask.streams)
                if not answer.is_success:
                    answer.read()
                return tries.read(answer)
            except FAILURES as error:
                time.sleep(tries.pause_after(error))

    def _pages(self, ask_for: Callable[[str | None], Ask[Page[T]]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page = self._carry_out(ask_for(cursor))
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return
