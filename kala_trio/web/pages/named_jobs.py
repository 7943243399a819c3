"""Which jobs a form means where it names some: by their ids, or by names that are theirs alone."""

from typing import Any

from kala_trio.core.errors import Refused
from kala_trio.store.reader import Reader

KEYS = ("parent_jobs", "on_failure_job")
"""The keys that name jobs."""


def by_id(reader: Reader, changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes of a job's keys in which other jobs stand by their ids.

    An id goes before a name. What is neither stays as it is: the core has a sentence for that.

    Raises:
        Refused: several jobs have a name that is given.
    """
    given = {key: changes[key] for key in KEYS if changes.get(key)}
    texts = {text for each in given.values() for text in _texts(each)}
    ids = reader.ids(texts - reader.names(texts).keys()) if texts else {}

    def meant(key: str, text: object) -> object:
        found = ids.get(text, []) if isinstance(text, str) else []
        if len(found) > 1:
            problem = f"{len(found)} jobs have this name, so give the id of the one that is meant"
            raise Refused(key, problem, found=text, example=found[0])
        return found[0] if found else text

    return changes | {
        key: [meant(key, text) for text in each] if isinstance(each, list) else meant(key, each)
        for key, each in given.items()
    }


def _texts(value: object) -> list[str]:
    some = value if isinstance(value, list) else [value]
    return [text for text in some if isinstance(text, str)]
