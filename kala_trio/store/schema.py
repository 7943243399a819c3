"""The tables, and how a file of an older version becomes one of this.

Instants are integers: microseconds since 1970 in UTC. What is only read as a whole is JSON.
"""

from collections.abc import Callable, Set

from sqlite_utils import Database
from sqlite_utils.db import Table

_INSTANT = int
_FLAG = int


def _first_version(database: Database) -> None:
    jobs = {
        "id": str,
        "number": int,
        "created_at": _INSTANT,
        "name": str,
        "command": str,
        "owner": str,
        "disabled": _FLAG,
        "schedule": str,
        "time_zone": str,
        "on_failure_job": str,
        "retries": int,
        "epsilon": str,
        "resume_at_next_scheduled_time": _FLAG,
    }
    _create(database, "jobs", jobs, "id").create_index(["number"], unique=True)
    edges = {"child": str, "position": int, "parent": str}
    _create(database, "edges", edges, ("child", "position")).create_index(["parent"])
    progress = {
        "job_id": str,
        "disabled": _FLAG,
        "next_number": int,
        "next_at": _INSTANT,
        "pending": str,
        "run_id": str,
        "runs": int,
        "finished": int,
        "success_count": int,
        "error_count": int,
        "last_success": _INSTANT,
        "last_error": _INSTANT,
        "last_attempted_run": _INSTANT,
        "misses": int,
        "latest_missed": str,
    }
    nullable = {"next_number", "next_at", "pending", "run_id"}
    nullable |= {"last_success", "last_error", "last_attempted_run"}
    _create(database, "progress", progress, "job_id", nullable)
    runs = {
        "id": str,
        "job_id": str,
        "job_name": str,
        "number": int,
        "trigger": str,
        "started_at": _INSTANT,
        "attempts": int,
        "ended_at": _INSTANT,
        "outcome": str,
    }
    table = _create(database, "runs", runs, "id", {"ended_at", "outcome"})
    table.create_index(["job_id", "number"], unique=True)
    attempts = {
        "run_id": str,
        "number": int,
        "started_at": _INSTANT,
        "ended_at": _INSTANT,
        "result": str,
    }
    _create(database, "attempts", attempts, ("run_id", "number"), {"ended_at", "result"})
    # Few are in progress, of many: without these a restart would read the whole history.
    database.execute("CREATE INDEX runs_in_progress ON runs (id) WHERE outcome IS NULL")
    database.execute("CREATE INDEX attempts_in_progress ON attempts (run_id) WHERE result IS NULL")
    missed = {
        "job_id": str,
        "job_name": str,
        "number": int,
        "cause": str,
        "reason": str,
        "count": int,
        "first": _INSTANT,
        "last": _INSTANT,
        "last_occurrence": int,
    }
    _create(database, "missed", missed, ("job_id", "number"), {"last_occurrence"})
    _create(database, "queues", {"run_id": str, "position": int}, "run_id")
    # Apart from the position, which moves on with each of them.
    turns = {"run_id": str, "position": int, "child": str}
    _create(database, "turns", turns, ("run_id", "position"))


def _second_version(database: Database) -> None:
    database.execute("ALTER TABLE jobs ADD COLUMN rerun_lost INTEGER NOT NULL DEFAULT 0")
    # The history is pruned by age.
    database.execute("CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at NOT NULL")
    database.execute("CREATE INDEX missed_last ON missed (last)")


def _third_version(database: Database) -> None:
    # Who follows whom stays in ``edges`` too, for readers.
    columns = {"id": str, "number": int, "created_at": _INSTANT, "definition": str}
    _create(database, "defined", columns, "id")
    database.execute(
        """
        INSERT INTO defined SELECT id, number, created_at, json_object(
            'name', name, 'command', command, 'owner', owner,
            'disabled', json(iif(disabled, 'true', 'false')),
            'schedule', schedule, 'time_zone', time_zone,
            'parent_jobs', (
                SELECT json_group_array(parent)
                FROM (SELECT parent FROM edges WHERE child = id ORDER BY position)
            ),
            'on_failure_job', on_failure_job, 'retries', retries, 'epsilon', epsilon,
            'resume_at_next_scheduled_time',
            json(iif(resume_at_next_scheduled_time, 'true', 'false')),
            'rerun_lost', json(iif(rerun_lost, 'true', 'false'))
        ) FROM jobs
        """
    )
    database.execute("DROP TABLE jobs")
    database.rename_table("defined", "jobs")
    database.table("jobs").create_index(["number"], unique=True)


def _fourth_version(database: Database) -> None:
    for change in (
        "jobs ADD COLUMN rescheduled_at INTEGER",
        "progress ADD COLUMN running TEXT NOT NULL DEFAULT '[]'",
        "progress ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
        "progress ADD COLUMN parents_done TEXT NOT NULL DEFAULT '[]'",
        "progress ADD COLUMN standing TEXT",
        "runs ADD COLUMN ending TEXT",
        "runs ADD COLUMN pause TEXT",
    ):
        database.execute(f"ALTER TABLE {change}")
    database.execute("UPDATE progress SET running = json_array(run_id) WHERE run_id IS NOT NULL")
    database.execute("ALTER TABLE progress DROP COLUMN run_id")
    # Most succeed: the others are looked for, among all that there are.
    database.execute(
        "CREATE INDEX runs_not_succeeded ON runs (outcome) "
        "WHERE outcome NOT NULL AND outcome <> 'succeeded'"
    )
    # Those that wait have a next try, new ones at once.
    database.execute(
        "CREATE TABLE notices (job_id TEXT NOT NULL, number INTEGER NOT NULL, "
        "job_name TEXT NOT NULL, channel TEXT NOT NULL, receiver TEXT NOT NULL, "
        "news TEXT NOT NULL, at INTEGER NOT NULL, run_id TEXT, scheduled_at INTEGER NOT NULL, "
        "streak INTEGER NOT NULL, reason TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, "
        "next_try_at INTEGER DEFAULT 0, delivered_at INTEGER, error TEXT, "
        "PRIMARY KEY (job_id, number)) STRICT"
    )
    database.execute(
        "CREATE INDEX notices_waiting ON notices (next_try_at) WHERE next_try_at NOT NULL"
    )
    database.execute("CREATE INDEX notices_at ON notices (at)")
    database.execute(
        "CREATE TABLE deeds (at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, "
        "subject TEXT NOT NULL) STRICT"
    )
    database.execute("CREATE INDEX deeds_at ON deeds (at)")


def _create(
    database: Database,
    name: str,
    columns: dict[str, type],
    key: str | tuple[str, ...],
    nullable: Set[str] = frozenset(),
) -> Table:
    not_null = columns.keys() - nullable
    return database.create_table(name, columns, pk=key, not_null=not_null, strict=True)


MIGRATIONS: list[Callable[[Database], None]] = [
    _first_version,
    _second_version,
    _third_version,
    _fourth_version,
]
"""What makes each version of the one before, the first of an empty file."""
