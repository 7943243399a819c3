"""What of the history is beyond its bounds: what pruning asks the file for."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kala_trio.store import rows
from kala_trio.store.reader import STATS
from kala_trio.store.trouble import look_into


class Expired:
    """Looks into the file at ``path``; each method raises Unavailable where that can't be read."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet: looks are rare, and each has a connection of its own."""
        self._path = path

    def runs(self, before: datetime, keep: int, limit: int) -> list[str]:
        """Return the ids of ``limit`` runs that are to be pruned.

        Those are a job's runs that have ended and are not its ``keep`` latest, and runs that ended
        ``before``, save the ten latest of a job that is there.
        """
        query = (
            "SELECT id FROM runs WHERE ended_at < :before AND number <= ifnull("
            "(SELECT runs FROM progress WHERE job_id = runs.job_id) - :latest, number) "
            "UNION ALL SELECT runs.id FROM progress CROSS JOIN runs "
            "ON runs.job_id = progress.job_id AND runs.number <= progress.runs - :keep "
            "WHERE progress.runs > :keep AND runs.outcome NOT NULL LIMIT :limit"
        )
        return self._beyond(query, before, keep, limit)

    def missed(self, before: datetime, keep: int, limit: int) -> list[int]:
        """Return the rows of missed records to which the same applies, by their latest time."""
        query = (
            "SELECT rowid FROM missed WHERE last < :before AND number <= ifnull("
            "(SELECT misses FROM progress WHERE job_id = missed.job_id) - :latest, number) "
            "UNION ALL SELECT missed.rowid FROM progress CROSS JOIN missed "
            "ON missed.job_id = progress.job_id AND missed.number <= progress.misses - :keep "
            "WHERE progress.misses > :keep LIMIT :limit"
        )
        return self._beyond(query, before, keep, limit)

    def notices(self, before: datetime, keep: int, limit: int) -> list[int]:
        """Return the rows of notices to which the same applies, save those that still wait."""
        query = (
            "SELECT rowid FROM notices WHERE at < :before AND next_try_at IS NULL AND number <= "
            "ifnull((SELECT ifnull(json_extract(standing, '$.notices'), 0) FROM progress "
            "WHERE job_id = notices.job_id) - :latest, number) "
            "UNION ALL SELECT notices.rowid FROM progress CROSS JOIN notices "
            "ON notices.job_id = progress.job_id "
            "AND notices.number <= json_extract(standing, '$.notices') - :keep "
            "WHERE json_extract(standing, '$.notices') > :keep AND next_try_at IS NULL LIMIT :limit"
        )
        return self._beyond(query, before, keep, limit)

    def deeds(self, before: datetime, keep: int, limit: int) -> list[int]:
        """Return the rows of ``limit`` deeds from ``before``; of each job any number is kept."""
        query = "SELECT rowid FROM deeds WHERE at < :before LIMIT :limit"
        return self._beyond(query, before, keep, limit)

    def unknown(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are no job's and of which no run is in the history."""
        query = (
            "SELECT value FROM json_each(?) "
            "WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = value) "
            "AND NOT EXISTS (SELECT 1 FROM runs WHERE job_id = value)"
        )
        with look_into(self._path) as database:
            return [job_id for (job_id,) in database.execute(query, (json.dumps(job_ids),))]

    def _beyond(self, query: str, before: datetime, keep: int, limit: int) -> list[Any]:
        """Return what a query finds beyond both bounds, each of it once."""
        bounds = {"before": rows.from_instant(before), "keep": keep}
        with look_into(self._path) as database:
            found = database.execute(query, bounds | {"latest": STATS, "limit": limit})
            return list(dict.fromkeys(key for (key,) in found))
