"""What templates say things by: instants, durations, states and outcomes, for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from kala_trio.core.job import Missed, Progress
from kala_trio.schedule_words import in_words
from kala_trio.store.finding import JobState
from kala_trio.store.reader import JobView

_SECOND = timedelta(seconds=1)
UNITS = [
    (60, 1, "s"),
    (3_600, 60, "min"),
    (172_800, 3_600, "h"),
    (5_184_000, 86_400, "d"),
    (63_072_000, 2_592_000, "months"),
]
"""Below so many seconds a unit is counted, of so many seconds; ``static/live.js`` says the same."""

_YEAR = 365 * 86_400


def path_of(job_id: str) -> str:
    """Return where a job's page is."""
    return f"/webui/job/{job_id}/"


def iso(at: datetime) -> str:
    """Write an instant for machines, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def absolute(at: datetime) -> str:
    """Write an instant for people, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def relative(at: datetime, now: datetime) -> str:
    """Say how far off an instant is, roughly."""
    seconds = round((at - now) / _SECOND)
    if not seconds:
        return "now"
    far = abs(seconds)
    count, unit = next(
        ((far // size, unit) for below, size, unit in UNITS if far < below),
        (far // _YEAR, "years"),
    )
    return f"in {count} {unit}" if seconds > 0 else f"{count} {unit} ago"


def lasted(took: timedelta) -> str:
    """Say how long something took."""
    seconds = took / _SECOND
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shortened(text: str, most: int) -> str:
    """Return a text, cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def spaced(word: str) -> str:
    """Write a word of the API as people do."""
    return word.replace("_", " ")


def states(view: JobView) -> list[JobState]:
    """Return what may be said of a job as it is now, the most urgent first."""
    progress = view.progress
    said = {
        JobState.RUNNING: bool(progress.running),
        JobState.WAITING: progress.pending is not None,
        JobState.FAILING: is_failing(progress),
        JobState.DISABLED: progress.disabled,
        JobState.DONE: not (
            progress.next or progress.pending or progress.running or view.job.definition.parent_jobs
        ),
    }
    return [state for state, is_true in said.items() if is_true] or [JobState.ENABLED]


def is_failing(progress: Progress) -> bool:
    """Tell whether a job failed last."""
    error, success = progress.last_error, progress.last_success
    return error is not None and (success is None or error > success)


def schedule_of(view: JobView) -> str:
    """Return a job's schedules as they were written; empty where there are none."""
    timing = view.job.definition.timing
    written = (view.job.definition.schedule, timing.cron, *timing.schedules)
    return " + ".join(each for each in written if each)


def timing_of(view: JobView) -> str:
    """Say in words when a job runs by itself."""
    return in_words(view.job.definition, view.job.scheduled_from)


def clock(local: datetime) -> str:
    """Write an instant for people, by the clock of the zone that it is given in."""
    return local.strftime("%a %Y-%m-%d %H:%M:%S %Z")


def upper(sentence: str) -> str:
    """Begin a sentence with a capital, and leave the rest of it as it is."""
    return sentence[:1].upper() + sentence[1:]


def is_missed(entry: object) -> bool:
    """Tell what was missed from a run and its attempts."""
    return isinstance(entry, Missed)


def plain(value: object) -> str:
    """Write the value of a key as people would."""
    match value:
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(each, str | int) for each in value):
            return "\n".join(map(str, value))
        case Mapping() if all(isinstance(each, str | bool) for each in value.values()):
            # True stands for a secret, of which there is only the name to be shown.
            pairs = value.items()
            return "\n".join(name if each is True else f"{name}={each}" for name, each in pairs)
        case Mapping() if all(isinstance(each, list) for each in value.values()):
            return "\n".join(f"{name}: {each}" for name in value for each in value[name])
        case _:
            return json.dumps(value, ensure_ascii=False)
