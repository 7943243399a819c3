"""Who follows whom, as far as a drawing shows it: a job's family, or all jobs that have one."""

import json
import sqlite3

# Most definitions name no failure job: those need not be read as JSON.
_ON_FAILURE = "json_extract(definition, '$.on_failure_job')"
_HAS_FAILURE = f"instr(definition, 'on_failure_job') AND {_ON_FAILURE} <> ''"
_THOSE = "(SELECT value FROM json_each(?1))"

_BEFORE = (
    f"SELECT parent FROM edges WHERE child IN {_THOSE} "  # noqa: S608 - our own words
    f"UNION SELECT id FROM jobs WHERE {_HAS_FAILURE} AND {_ON_FAILURE} IN {_THOSE} LIMIT ?2"
)
_AFTER = (
    f"SELECT child FROM edges WHERE parent IN {_THOSE} "  # noqa: S608 - our own words
    f"UNION SELECT {_ON_FAILURE} FROM jobs WHERE id IN {_THOSE} AND {_HAS_FAILURE} LIMIT ?2"
)
_RELATED = (
    "SELECT child FROM edges UNION SELECT parent FROM edges "  # noqa: S608 - our own words
    f"UNION SELECT id FROM jobs WHERE {_HAS_FAILURE} "
    f"UNION SELECT {_ON_FAILURE} FROM jobs WHERE {_HAS_FAILURE}"
)


def related(database: sqlite3.Connection, most: int) -> tuple[list[str], int]:
    """Return the first ``most`` jobs that follow others or are followed, and how many there are."""
    query = f"FROM jobs WHERE id IN ({_RELATED})"
    ((count,),) = database.execute(f"SELECT count(*) {query}")
    found = database.execute(f"SELECT id {query} ORDER BY number LIMIT ?", (most,))
    return [job_id for (job_id,) in found], count


def family(
    database: sqlite3.Connection, job_id: str, steps: int, most: int
) -> tuple[list[str], bool]:
    """Return a job and those so many steps before and after it, and whether there are more.

    The nearest come first, and ``most`` at most.
    """
    found = {job_id: None}
    edges = {_BEFORE: [job_id], _AFTER: [job_id]}
    for _ in range(steps):
        for query, edge in edges.items():
            near = database.execute(query, (json.dumps(edge), most + len(found))).fetchall()
            edges[query] = [each for (each,) in near if each not in found]
            found |= dict.fromkeys(edges[query])
    there = database.execute(f"SELECT id FROM jobs WHERE id IN {_THOSE}", (json.dumps([*found]),))  # noqa: S608
    known = {each for (each,) in there}
    ids = [each for each in found if each in known]
    return ids[:most], len(ids) > most
