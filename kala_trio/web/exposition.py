"""What Prometheus is shown: each metric, its meaning, and where its value is from.

The scheduler has counted (``vitals``), the database knows how things stand, and this process has
answered. No label is of a job's or a client's making, but for tags that the operator has limited:
so the number of series is bounded, whatever is scheduled or asked.
"""

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import kala_trio
from kala_trio.core.job import Channel, Outcome, Reason
from kala_trio.store.reader import Reader
from kala_trio.store.sizes import Walk, sizes_of
from kala_trio.vitals import RESULTS, Histogram, Tally, Vitals, objection
from kala_trio.web.traffic import Traffic

# How long one look at the outputs may take, in seconds.
_WALK = 0.25


async def _nothing_heard() -> None:
    return None


class Watch(Struct):
    """What is known of the service at this moment, beside what its database says.

    ``vitals`` are the scheduler's, None if it shows none; ``traffic`` and ``dropped`` lines of the
    log are this process's. ``is_closing`` once the scheduler has gone.
    """

    db: Path
    output: Path
    vitals: Callable[[], Awaitable[Vitals | None]] = _nothing_heard
    traffic: Traffic = field(default_factory=Traffic)
    dropped: Callable[[], int] = lambda: 0
    is_closing: Callable[[], bool] = lambda: False


class Exposition:
    """Shows all that."""

    def __init__(self, watch: Watch, reader: Reader) -> None:
        """Show what ``watch`` and ``reader`` know."""
        self._watch = watch
        self._reader = reader
        self._walk = Walk(watch.output)

    def __call__(self, vitals: Vitals | None, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their content type, in the form that ``accept`` asks for.

        It reads the database, so it is for a thread. Raises Unavailable where that can't be read.
        """
        encode, content_type = choose_encoder(accept)
        metrics = [*self._metrics(vitals)]
        return encode(_Collected(metrics)), content_type

    def _metrics(self, vitals: Vitals | None) -> Iterator[Metric]:
        yield _gauge("build_info", "What runs, as labels", {(kala_trio.__version__,): 1}, "version")
        yield _gauge("up", "Whether the scheduler shows signs of life", vitals is not None)
        if vitals:
            yield from _of_scheduler(vitals)
            yield from _of_counts(vitals.tally)
        yield from _of_database(self._reader, vitals.limits if vitals else ())
        yield from self._of_disk()
        yield from _of_traffic(self._watch.traffic)
        dropped = {("web",): self._watch.dropped()}
        if vitals:
            dropped["scheduler",] = vitals.dropped_lines
        meaning = "Lines of the log that nobody read in time"
        yield _counter("log_lines_dropped", meaning, dropped, "process")
        yield from _of_processes({"scheduler": os.getppid(), "web": os.getpid()})

    def _of_disk(self) -> Iterator[Metric]:
        sizes = sizes_of(self._watch.db)
        yield _gauge("database_bytes", "Size of the database", sizes.database)
        yield _gauge("database_log_bytes", "Size of its write-ahead log", sizes.log)
        yield _gauge("disk_free_bytes", "Free on the disk of both, and of the outputs", sizes.free)
        if outputs := self._walk.step(_WALK):
            files, size = outputs
            yield _gauge("output_files", "Files that hold what runs have written", files)
            yield _gauge("output_bytes", "Size of these files, as of a few minutes ago", size)


class _Collected(Collector):
    """Metrics that are there already, for what wants a registry."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_scheduler(vitals: Vitals) -> Iterator[Metric]:
    yield _gauge("ready", "Whether it is ready, as /readyz tells", not objection(vitals))
    yield _gauge("can_commit", "Whether the database can be written", vitals.can_commit)
    yield _gauge("stopping", "Whether the daemon is stopping", vitals.is_stopping)
    yield _gauge("batch_age_seconds", "How long the present batch takes", vitals.busy_for)
    started = vitals.started_at.timestamp()
    yield _gauge("start_time_seconds", "When the daemon was started, in Unix time", started)
    meaning = "When the scheduler has something to do next, in Unix time; none if nothing is due"
    wake = vitals.next_wake
    yield _gauge("next_wake_time_seconds", meaning, {(): wake.timestamp()} if wake else {})
    yield _gauge("attempts_running", "Attempts in progress, orphans apart", vitals.running)
    limit = {(): vitals.limit} if vitals.limit else {}
    yield _gauge("runs_limit", "How many runs there may be at once; none without limit", limit)
    tags = {(tag,): limit for tag, limit in vitals.limits.items()}
    yield _gauge("tag_runs_limit", "How many runs of jobs with a tag there may be", tags, "tag")


def _of_counts(tally: Tally) -> Iterator[Metric]:
    late = {(cause,): histogram for cause, histogram in tally.lateness.items()}
    meaning = "From the time that a run is scheduled for to the start of its first attempt"
    yield _histogram("lateness_seconds", meaning, late, "cause")
    ends = [each.value for each in Outcome]
    yield _counter("runs", "Runs that have ended", _by(ends, tally.runs), "outcome")
    yield _counter("attempts", "Attempts that have ended", _by(ends, tally.attempts), "outcome")
    yield _counter("retries", "Attempts that were started after a failed one", tally.retries)
    reasons = [each.value for each in Reason]
    yield _counter("missed", "Triggers that were missed", _by(reasons, tally.missed), "reason")
    requests = _by_two({_snake(kind): answers for kind, answers in tally.requests.items()})
    meaning = "Requests to the scheduler that would change something"
    yield _counter("requests", meaning, requests, "request", "answer")
    meaning = "What became of notices: delivered or given up, and each try that failed"
    results = {(channel.value, each): 0 for channel in Channel for each in RESULTS}
    notices = results | _by_two(tally.notices)
    yield _counter("notices", meaning, notices, "channel", "result")
    yield _histogram("commit_seconds", "How long commits took", {(): tally.commits})
    meaning = "How many records were committed at once"
    yield _histogram("commit_records", meaning, {(): tally.batches})
    yield _counter("commits_failed", "Commits that failed", tally.failed_commits)


def _of_database(reader: Reader, tags: Iterable[str]) -> Iterator[Metric]:
    totals, (jobs, waiting) = reader.totals(), reader.standings()
    states = {(state.value,): count for state, count in jobs.items()}
    meaning = "Jobs by what may be said of them: of one several, or none"
    yield _gauge("jobs", meaning, states, "state")
    yield _gauge("runs_running", "Runs in progress, those between two attempts too", totals.running)
    by_tag = {(tag,): totals.running_by_tag.get(tag, 0) for tag in tags}
    meaning = "Runs in progress of jobs with a tag that has a limit"
    yield _gauge("tag_runs_running", meaning, by_tag, "tag")
    yield _gauge("triggers_pending", "Triggers that wait for their turn", totals.waiting)
    yield _gauge("notices_waiting", "Notices that are to be delivered", waiting)


def _of_traffic(traffic: Traffic) -> Iterator[Metric]:
    answers = {
        (method, _readable(route), str(status)): count
        for (method, route, status), count in traffic.answers.copy().items()
    }
    names = ("method", "route", "status")
    yield _counter("http_requests", "Requests that were answered", answers, *names)
    durations = {(_readable(route),): each for route, each in traffic.durations.copy().items()}
    meaning = "From a request's head to the beginning of its answer"
    yield _histogram("http_request_seconds", meaning, durations, "route")


def _of_processes(pids: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the metrics that every process has by convention, of both processes."""
    found: dict[str, Metric] = {}
    for process, pid in pids.items():
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            into = found.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                into.add_sample(sample.name, {"process": process}, sample.value)
    yield from found.values()


# By the values of labels, or of none.
_Values = float | Mapping[Any, float]


def _gauge(name: str, meaning: str, values: _Values, *labels: str) -> Metric:
    return _with(GaugeMetricFamily(f"kala_trio_{name}", meaning, labels=labels), values)


def _counter(name: str, meaning: str, values: _Values, *labels: str) -> Metric:
    return _with(CounterMetricFamily(f"kala_trio_{name}", meaning, labels=labels), values)


def _with(
    family: GaugeMetricFamily | CounterMetricFamily, values: _Values
) -> GaugeMetricFamily | CounterMetricFamily:
    for labels, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric(labels, float(value))
    return family


def _histogram(name: str, meaning: str, values: Mapping[Any, Histogram], *labels: str) -> Metric:
    family = HistogramMetricFamily(f"kala_trio_{name}", meaning, labels=labels)
    for key, histogram in values.items():
        family.add_metric(key, histogram.cumulated(), histogram.sum)
    return family


def _by(names: Iterable[str], counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """Return the counts of all names, 0 where there is none: so that rates begin with the first."""
    return {(name,): counts.get(name, 0) for name in names}


def _by_two(counts: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, ...], float]:
    return {
        (first, second): count
        for first, others in counts.items()
        for second, count in others.items()
    }


def _snake(name: str) -> str:
    """Return ``CreateAll`` as ``create_all``."""
    return re.sub("(?<!^)([A-Z])", r"_\1", name).lower()


def _readable(rule: str) -> str:
    """Return a route as the documents write it: ``<job_id>`` is ``{job_id}``."""
    return re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule)
