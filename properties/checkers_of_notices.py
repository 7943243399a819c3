"""The judge of a ledger who looks at what was told of jobs."""

from kala_trio.core.definition import News
from kala_trio.core.job import Notice, Outcome, Run
from kala_trio.core.messages import ForgetJob, Keep
from properties.story import Story

_FAILURES = {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST, Outcome.STOPPED}


def failures_are_told(story: Story) -> None:
    """N5: what is told of a failure is in one transaction with it, and no number is used twice."""
    numbers: set[tuple[str, int]] = set()
    gone: set[str] = set()
    for commit in story.kept:
        gone |= {each.job_id for each in commit.records if isinstance(each, ForgetJob)}
        values = [each.value for each in commit.records if isinstance(each, Keep)]
        notices = [each for each in values if isinstance(each, Notice)]
        used = {(each.job_id, each.number) for each in notices}
        assert len(used) == len(notices)
        assert not used & numbers, used & numbers
        numbers |= used
        failed = {
            each.id
            for each in values
            if isinstance(each, Run) and each.outcome in _FAILURES and _tells(story, each.job_id)
        }
        told = {each.run_id for each in notices if each.news is News.FAILURE}
        assert {run for run in failed ^ told if run and run.partition(".")[0] not in gone} == set()


def _tells(story: Story, job_id: str) -> bool:
    return bool(story.definitions[job_id].reporting.notify_webhook)
