"""What those who want to know are told of a job: a sentence, JSON for a webhook, a letter."""

from collections.abc import Sequence

from msgspec import Struct

from kala_trio import wire
from kala_trio.core.definition import News
from kala_trio.core.job import Attempt, Notice, Run, reason_of
from kala_trio.letter import Letter, on_one_line

_LONGEST_NAME = 100
_LONGEST_SUBJECT = 300
_LONGEST_WORDS = 4_000  # of what the run has written
_SUFFIXES = {News.START: "/start", News.FAILURE: "/fail"}


class Report(Struct, frozen=True):
    """A notice, and what of its run is known by the time at which it is told.

    ``run`` is None where there is none, or where the history has lost it; ``words`` are the last
    that it has written.
    """

    notice: Notice
    run: tuple[Run, tuple[Attempt, ...]] | None = None
    words: str = ""

    @property
    def reason(self) -> str:
        """Why it failed, or is late; empty where it did not."""
        if self.notice.news is News.START:
            return ""
        encoded = wire.encode_run(*self.run) if self.run else {}
        return self.notice.reason or str(encoded.get("reason") or "")


def sentence(report: Report) -> str:
    """Say in one sentence what has happened."""
    notice = report.notice
    name = _shortened(notice.job_name, _LONGEST_NAME)
    why = f": {report.reason}" if report.reason else ""
    match notice.news:
        case News.START:
            return f"{name} started"
        case News.SUCCESS:
            return f"{name} succeeded"
        case News.FAILURE:
            often = f" ({notice.streak} times in a row)" if notice.streak > 1 else ""
            return f"{name} failed{why}{often}"
        case News.RECOVERY:
            return f"{name} works again"
        case News.LATE:
            since = f"of {_time(notice)} or later nothing has succeeded"
            return f"{name} is late: {since}; {report.reason}"


def as_json(report: Report) -> str:
    """Write what a webhook gets; ``text`` is what chats show of it."""
    notice = report.notice
    value = {
        "text": sentence(report),
        "news": notice.news,
        "job_id": notice.job_id,
        "job_name": notice.job_name,
        "number": notice.number,
        "at": wire.encode_time(notice.at),
        "scheduled_at": wire.encode_time(notice.scheduled_at),
        "failures_in_a_row": notice.streak,
        "reason": report.reason,
        "run": wire.encode_run(*report.run) if report.run else None,
        "output": report.words,
    }
    return wire.encode(value).decode()


def as_letter(report: Report) -> Letter:
    """Write a letter."""
    notice = report.notice
    lines = [
        f"{sentence(report)}.",
        "",
        f"Job:       {notice.job_id}",
        f"Scheduled: {_time(notice)}",
    ]
    if report.run:
        run, attempts = report.run
        lines += [f"Run:       {run.id}", *_attempts(attempts)]
    if report.words:
        lines += ["", "It has written, at the end:", "", report.words.rstrip("\n")]
    return Letter(
        f"{notice.job_id}.{notice.number}",
        tuple(notice.receiver.split(", ")),
        _shortened(f"[kala-trio] {sentence(report)}", _LONGEST_SUBJECT),
        "\n".join(lines) + "\n",
        notice.at,
    )


def ping_url(url: str, news: News, run_uuid: str) -> str:
    """Return what is asked for of a server that listens for pings: the form of healthchecks.io."""
    url, _, query = url.partition("#")[0].partition("?")
    query = f"{query}&rid={run_uuid}" if query else f"rid={run_uuid}"
    return f"{url.rstrip('/')}{_SUFFIXES.get(news, '')}?{query}"


def last_words(written: bytes) -> str:
    """Return the end of what a run has written, as text, from the beginning of a line."""
    text = written[-4 * _LONGEST_WORDS :].decode(errors="replace").replace("\0", "�")
    if len(text) <= _LONGEST_WORDS:
        return text
    return text[-_LONGEST_WORDS:].partition("\n")[2] or text[-_LONGEST_WORDS:]


def _attempts(attempts: Sequence[Attempt]) -> list[str]:
    return [
        f"Attempt {each.number}: {wire.encode_time(each.started_at)} to "
        f"{wire.encode_time(each.ended_at)}, {reason_of(each.result) or 'succeeded'}"
        for each in attempts
        if each.result
    ]


def _time(notice: Notice) -> str:
    return wire.encode_time(notice.scheduled_at)


def _shortened(text: str, longest: int) -> str:
    line = on_one_line(text)
    return line if len(line) <= longest else f"{line[:longest]}…"
