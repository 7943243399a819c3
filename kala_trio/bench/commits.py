"""What durability costs on this disk, whoever asks for it: SQLite alone, one row a commit."""

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from kala_trio.bench.place import Place

_ROW = json.dumps({"name": "a job", "command": "echo hello", "schedule": "R//PT1H"})


def commit_times(place: Place, seconds: float) -> list[float]:
    """Commit one row after another, as the journal does; return what each took, in ms."""
    with (
        place.empty() as directory,
        closing(sqlite3.connect(directory / "commits.db", isolation_level=None)) as database,
    ):
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE jobs (number INTEGER PRIMARY KEY, job TEXT) STRICT")
        took, end = [], time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            database.execute("INSERT INTO jobs (job) VALUES (?)", (_ROW,))
            took.append(1000 * (time.perf_counter() - began))
    return took


def a_second(times: Sequence[float]) -> float:
    """Return how many commits a second these are."""
    return 1000 * len(times) / sum(times)
