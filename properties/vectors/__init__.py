"""Golden vectors: schedules and what they mean as JSON, to judge a scheduler in any language."""

import json
from datetime import datetime
from pathlib import Path

from properties.stepping import Stepped
from properties.vectors.chosen import ACCEPTED_AT, REFUSED, Chosen, chosen

HERE = Path(__file__).parent
Vector = dict[str, object]


def occurrences() -> list[Vector]:
    """Count the occurrences of each chosen schedule."""
    return [_counted(each) for each in chosen()]


def refusals() -> list[Vector]:
    """Name the part at fault of each text that is no schedule."""
    return [
        {"schedule": text, "time_zone": time_zone, "part": part}
        for part, texts in REFUSED.items()
        for text, time_zone in texts
    ]


def written(vectors: list[Vector]) -> str:
    """Write vectors as JSON, one on each line."""
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in vectors)
    return f"[\n{lines}\n]\n"


def instant(at: datetime | None) -> str | None:
    """Write an instant in UTC."""
    return at.isoformat().replace("+00:00", "Z") if at else None


FILES = {"occurrences.json": occurrences, "refusals.json": refusals}


def _counted(each: Chosen) -> Vector:
    stepped = Stepped(each.spec, ACCEPTED_AT)
    return {
        "why": each.why,
        "schedule": each.spec.text(),
        "time_zone": each.spec.time_zone,
        "accepted_at": instant(ACCEPTED_AT),
        "occurrences": [[k, instant(stepped.occurrence(k))] for k in each.numbers],
    }
