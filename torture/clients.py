"""Clients that never rest: they ask for all that the API offers, and note what was acknowledged."""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from torture.jobs import Commands, Fields, loose
from torture.ledgers import ASKS, Ask, Body

PATIENCE = 60.0
"""How many seconds an answer may take; no claim about speed."""

_MOST_JOBS = 16  # loose ones at a time, about: what two cores can serve
_PAUSE = 0.05  # seconds between two requests of a client, on average
_METHODS = {"create": "POST", "delete": "DELETE", "read": "GET"}


class NotAsked(Exception):
    """Nobody listens: the request was not sent."""


class Api:
    """The API at one port, and the ledger of what it acknowledged; for any thread."""

    def __init__(self, port: int, directory: Path) -> None:
        """Write the ledger to ``directory``."""
        self.asks: list[Ask] = []
        self._port = port
        self._ledger = directory / ASKS
        self._lock = threading.Lock()
        self._names = itertools.count(1)

    def request(self, method: str, path: str, body: Fields | None = None) -> tuple[int, bytes]:
        """Return status and text of an answer.

        Raises:
            NotAsked: nobody listens.
            OSError, http.client.HTTPException: no answer came.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise NotAsked from error
            connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def create(self, fields: Fields) -> Ask:
        """Ask for a job, under a name that no other has."""
        named = {"name": f"job-{next(self._names)}", **fields}
        body = msgspec.convert(named, Body)
        return self._ask("/job/", Ask("create", 0, 0, None, body=body), named)

    def change(self, ask: Ask) -> Ask:
        """Ask for what is no creation."""
        what = f"{ask.what}/" if ask.what in ("start", "enable", "disable") else ""
        return self._ask(f"/job/{what}{ask.job_id}/", ask)

    def _ask(self, path: str, ask: Ask, body: Fields | None = None) -> Ask:
        sent, status, answer = _now(), None, b""
        with suppress(OSError, http.client.HTTPException):  # then nobody knows what became of it
            status, answer = self.request(_METHODS.get(ask.what, "POST"), path, body)
        job_id = json.loads(answer)["id"] if status == 201 else ask.job_id
        noted = msgspec.structs.replace(ask, sent=sent, over=_now(), status=status, job_id=job_id)
        with self._lock, self._ledger.open("ab") as ledger:
            self.asks.append(noted)
            ledger.write(msgspec.json.encode(noted) + b"\n")
        return noted


class Client:
    """One client: sends one request after the other until it is told to stop."""

    def __init__(
        self, api: Api, draw: random.Random, command: Commands, steady: Sequence[str]
    ) -> None:
        """Draw from ``draw``; jobs that are ``steady`` are not deleted or disabled."""
        self._api = api
        self._draw = draw
        self._command = command
        self._steady = steady
        self._loose: list[str] = []
        self._actions: dict[Callable[[], object], int] = {
            self._look: 1,
            self._read_job: 4,
            self._read_more: 3,
            self._start: 6,
            self._enable: 3,
            self._disable: 2,
            self._create_or_delete: 5,
        }

    def run(self, stop: threading.Event) -> None:
        """Ask until ``stop`` is set."""
        actions, weights = list(self._actions), list(self._actions.values())
        while not stop.wait(self._draw.expovariate(1 / _PAUSE)):
            try:
                self._draw.choices(actions, weights)[0]()
            except NotAsked:
                continue

    def _job(self, *, steady: bool) -> str:
        """Draw a job; where there is none that may be harmed, one that never was."""
        known = [*self._loose, *self._steady] if steady else self._loose
        return self._draw.choice(known or ["nobody"])

    def _look(self) -> None:
        """Learn which jobs there are, those among them whose creation was not answered."""
        try:
            status, text = self._api.request("GET", "/job/")
        except (OSError, http.client.HTTPException):
            return
        if status == 200:
            steady = set(self._steady)
            self._loose = [each for each in json.loads(text)["jobs"] if each not in steady]

    def _read_job(self) -> None:
        self._api.change(Ask("read", 0, 0, None, self._job(steady=True)))

    def _read_more(self) -> None:
        job_id = self._job(steady=True)
        paths = ["/stats/", f"/job/runs/{job_id}/?limit=50", f"/job/missed/{job_id}/"]
        try:
            self._api.request("GET", self._draw.choice(paths))
        except (OSError, http.client.HTTPException):
            return

    def _start(self) -> None:
        self._api.change(Ask("start", 0, 0, None, self._job(steady=True)))

    def _enable(self) -> None:
        self._api.change(Ask("enable", 0, 0, None, self._job(steady=False)))

    def _disable(self) -> None:
        self._api.change(Ask("disable", 0, 0, None, self._job(steady=False)))

    def _create_or_delete(self) -> None:
        if self._draw.random() < len(self._loose) / (2 * _MOST_JOBS):
            job_id = self._job(steady=False)
            if self._api.change(Ask("delete", 0, 0, None, job_id)).is_done:
                self._loose.remove(job_id)
            return
        known = [*self._steady, *self._loose]
        created = self._api.create(loose(self._draw, self._command, known))
        if created.is_done:
            self._loose.append(created.job_id)


def _now() -> int:
    return time.time_ns() // 1000
