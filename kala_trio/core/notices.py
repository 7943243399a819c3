"""Whom to tell what of a job's runs, and when it is late: rules N1 to N5."""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from kala_trio.core.definition import News, Reporting
from kala_trio.core.job import (
    Cause,
    Channel,
    Job,
    Notice,
    Occurrence,
    Outcome,
    Progress,
    Run,
    Standing,
)
from kala_trio.core.messages import Deliver
from kala_trio.core.occurrences import is_scheduled, schedule_of
from kala_trio.core.state import State
from kala_trio.core.wakes import late_at


class Notices:
    """Decides what is told, and keeps in mind what those who are told know already."""

    def __init__(self, state: State) -> None:
        """Work on ``state``."""
        self._state = state

    # Runs

    def started(self, job: Job, run: Run) -> None:
        """Tell that a run has started."""
        self._tell_of(job, News.START, run)

    def ended(self, job: Job, run: Run, outcome: Outcome) -> None:
        """Tell how a run ended: rules N1, N2."""
        if outcome is Outcome.SUCCEEDED:
            self._succeeded(job, run)
        elif outcome.is_failure:
            standing = self._standing(job)
            self._keep(job, replace(standing, streak=standing.streak + 1))
            self._tell_of(job, News.FAILURE, run)

    def _succeeded(self, job: Job, run: Run) -> None:
        before = self._standing(job)
        after = replace(before, streak=0)
        scheduled_at = run.trigger.scheduled_at
        if before.expected and scheduled_at >= before.expected:
            after = replace(after, expected=self._expected_after(job, scheduled_at), is_late=False)
            # What is late by now was late already, if the job was: that is no news.
            after = replace(after, is_late=before.is_late and self._is_overdue(job, after))
        self._keep(job, after)
        has_recovered = bool(before.streak or before.is_late) and not after.is_late
        if has_recovered and News.RECOVERY in job.definition.reporting.wanted:
            self._tell_of(job, News.RECOVERY, run)
        else:
            self._tell_of(job, News.SUCCESS, run)

    # Expectations

    def expect(self, job: Job, first: Occurrence | None) -> None:
        """Expect the occurrences from ``first`` on, and nothing that was asked for before: N4."""
        progress = self._state.progress[job.id]
        expects = job.definition.reporting.expect_within and not progress.disabled
        self._keep(
            job,
            replace(
                progress.standing,
                expected=first.at if expects and first else None,
                is_late=False,
                asked=None,
                since=self._state.now if expects and not is_scheduled(job.definition) else None,
            ),
        )

    def expect_from_now(self, job: Job) -> None:
        """Expect what is still to come, and nothing of before: rule N4."""
        schedule = schedule_of(job) if is_scheduled(job.definition) else None
        self.expect(job, schedule.next_after(self._state.now) if schedule else None)

    def expect_run(self, job: Job, scheduled_at: datetime) -> None:
        """Expect that a job without schedule succeeds, now that a run of it is asked for."""
        definition, standing = job.definition, self._standing(job)
        if not definition.reporting.expect_within or is_scheduled(definition):
            return
        if standing.since is None or scheduled_at >= standing.since:
            expected = min(standing.expected or scheduled_at, scheduled_at)
            asked = max(standing.asked or scheduled_at, scheduled_at)
            self._keep(job, replace(standing, expected=expected, asked=asked))

    def receivers_changed(self, job: Job) -> None:
        """Let who is new hear of what goes on: rule N2."""
        self._keep(job, replace(self._standing(job), streak=0, is_late=False))

    def _expected_after(self, job: Job, scheduled_at: datetime) -> datetime | None:
        """Return an S that is left to be answered after a success of ``scheduled_at``."""
        if is_scheduled(job.definition) and (schedule := schedule_of(job)):
            coming = schedule.next_after(scheduled_at)
            return coming.at if coming else None
        asked = self._standing(job).asked
        return asked if asked and asked > scheduled_at else None

    def _is_overdue(self, job: Job, standing: Standing) -> bool:
        at = late_at(job, replace(self._state.progress[job.id], standing=standing))
        return at is not None and at <= self._state.now

    def is_late(self, job: Job) -> bool:
        """Tell whether it is to be told by now that a job is late."""
        return self._is_overdue(job, self._standing(job))

    def tell_late(self, job: Job) -> None:
        """Tell that a job is late, and say why: rule N4."""
        progress = self._state.progress[job.id]
        self._keep(job, replace(progress.standing, is_late=True))
        if expected := progress.standing.expected:
            self._tell(job, News.LATE, expected, None, _why_late(job, progress, expected))

    # What is told

    def _tell_of(self, job: Job, news: News, run: Run) -> None:
        self._tell(job, news, run.trigger.scheduled_at, run.id, "")

    def _tell(
        self, job: Job, news: News, scheduled_at: datetime, run_id: str | None, reason: str
    ) -> None:
        standing = self._standing(job)
        receivers = [*_receivers(job.definition.reporting, news, standing)]
        for number, (channel, receiver) in enumerate(receivers, standing.notices + 1):
            self._state.keep(
                Notice(
                    job.id,
                    number,
                    job.definition.name,
                    channel,
                    receiver,
                    news,
                    self._state.now,
                    run_id,
                    scheduled_at,
                    standing.streak,
                    reason,
                )
            )
        if receivers:
            self._keep(job, replace(standing, notices=standing.notices + len(receivers)))
            self._state.act(Deliver())

    def _standing(self, job: Job) -> Standing:
        return self._state.progress[job.id].standing

    def _keep(self, job: Job, standing: Standing) -> None:
        progress = self._state.progress[job.id]
        if standing != progress.standing:
            self._state.keep(replace(progress, standing=standing))


def _receivers(
    reporting: Reporting, news: News, standing: Standing
) -> Iterator[tuple[Channel, str]]:
    """Yield who is told: rules N1, N2, N3."""
    is_known = news is News.FAILURE and standing.streak > 1 and not reporting.notify_every_time
    if news in reporting.wanted and not is_known:
        if reporting.notify_webhook:
            yield Channel.WEBHOOK, reporting.notify_webhook
        if reporting.notify_email:
            yield Channel.EMAIL, ", ".join(reporting.notify_email)
    if reporting.ping_url and news is not News.LATE:
        yield Channel.PING, reporting.ping_url


def _why_late(job: Job, progress: Progress, expected: datetime) -> str:
    """Say what has become of a job that is late."""
    if progress.running:
        return "its run is still in progress"
    if progress.pending:
        return "its run waits to be started"
    for missed in progress.latest_missed:
        is_meant = missed.cause is Cause.OCCURRENCE or not is_scheduled(job.definition)
        if is_meant and missed.last >= expected:
            return f"it was missed ({missed.reason})"
    return "its last run failed" if progress.standing.streak else "no run of it succeeded"
