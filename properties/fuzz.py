"""Fuzzing guided by coverage: bytes that reach new code are kept and changed further.

    python -m properties.fuzz schedule -max_total_time=60

Whatever the bytes, a target reads them or raises the refusal that its documentation names, and what
was read is written and read again as the same value. What follows the target's name goes to
libFuzzer, options and corpora of one's own alike. Seeds are in ``properties/corpus``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # it has no annotations

atheris.enabled_hooks.add("RegEx")
with atheris.instrument_imports(include=["kala_trio", "isodate"]):
    from kala_trio import bodies, wire
    from kala_trio.core.checks.definition import check
    from kala_trio.core.duration import Duration
    from kala_trio.core.errors import Malformed, Refused
    from kala_trio.core.job import Job, Progress
    from kala_trio.core.schedule import parse_schedule
    from kala_trio.store.reader import JobView

ACCEPTED_AT = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
SEEDS = Path(__file__).parent / "corpus"
PARTS = {"schedule", "repetitions", "start", "interval", "end", "time zone"}
SECONDS = 60


def fuzz_duration(data: bytes) -> None:
    """Rule S3: a positive duration with a canonical text, or Malformed."""
    text = data.decode(errors="surrogateescape")
    try:
        duration = Duration.parse(text)
    except Malformed as refusal:
        _check_part(refusal, {"interval"})
        return
    assert duration.months + duration.days + duration.microseconds > 0
    assert Duration.parse(str(duration)) == duration


def fuzz_schedule(data: bytes) -> None:
    """Rules S1, S2, S6, S7, S8; a line break parts the text from the job's time zone."""
    text, _, time_zone = data.decode(errors="surrogateescape").partition("\n")
    try:
        schedule = parse_schedule(text, time_zone, accepted_at=ACCEPTED_AT)
    except Malformed as refusal:
        _check_part(refusal, PARTS)
        return
    assert parse_schedule(str(schedule), accepted_at=ACCEPTED_AT) == schedule
    coming = schedule.next_after(ACCEPTED_AT)
    assert coming is None or schedule.occurrence(coming.number) == coming.at > ACCEPTED_AT
    latest = schedule.last_at(ACCEPTED_AT)
    assert latest is None or schedule.occurrence(latest.number) == latest.at <= ACCEPTED_AT


def _check_part(refusal: Malformed, parts: set[str]) -> None:
    assert refusal.field in parts


def fuzz_job(data: bytes) -> None:
    """Rule S8: a definition that is given back as it was written, or Refused in a sentence."""
    try:
        definition = check(bodies.decode_job(data, default_owner="ada"), ACCEPTED_AT)
    except Refused as refusal:
        json.loads(wire.encode({"error": str(refusal)}))
        return
    assert check(definition, ACCEPTED_AT) == definition
    view = JobView(Job("j", 1, ACCEPTED_AT, definition), Progress("j", definition.disabled), (), ())
    answer = wire.encode(wire.encode_job(view))
    assert bodies.decode_job(answer, default_owner="ada") == definition


TARGETS: dict[str, Callable[[bytes], None]] = {
    "duration": fuzz_duration,
    "schedule": fuzz_schedule,
    "job": fuzz_job,
}


def main() -> None:
    """Fuzz one target, for a minute if nothing else is said."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m properties.fuzz")
    parser.add_argument("target", choices=TARGETS)
    chosen, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as found:  # so that the seeds stay as they are
        bounds = [f"-max_total_time={SECONDS}", "-max_len=1024", "-timeout=5", "-rss_limit_mb=1024"]
        words = ["-dict=" + str(SEEDS / "words.dict")]
        corpora = [] if any(not each.startswith("-") for each in rest) else [found]
        arguments = [*bounds, *words, *rest, *corpora, str(SEEDS / chosen.target)]
        atheris.Setup([sys.argv[0], *arguments], TARGETS[chosen.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
