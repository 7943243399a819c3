"""Notices are delivered: sent, tried again after growing pauses, and given up in the end.

The journal has them, with what became of each (rule N5): this only looks what there is to send, so
that a restart goes on where the last daemon ended. Whoever is told may be told twice, where the
daemon died in between.
"""

import logging
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn, assert_never

import trio
import trio.lowlevel
from msgspec.structs import replace

from kala_trio.clock import Clock
from kala_trio.complaint import Complaint
from kala_trio.core.checks.secrecy import is_url
from kala_trio.core.definition import News, secret_named
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.core.job import Channel, Notice
from kala_trio.core.url import parse_url
from kala_trio.mail import Mailer, NotSent
from kala_trio.report import Report, as_json, as_letter, last_words, ping_url
from kala_trio.runner.connection import NotAnswered
from kala_trio.runner.mask import Mask
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.output import output_path, read_output
from kala_trio.runner.secret_files import text_of
from kala_trio.store.journal import Journal
from kala_trio.store.outbox import Delivery, Head, Outbox
from kala_trio.store.reader import Reader
from kala_trio.threads import in_thread

log = logging.getLogger(__name__)

# In seconds, from one try to the next, and until a notice is given up; the start of a run is no
# news for long.
_FIRST_PAUSE = 10.0
_GROWTH = 3
_LONGEST_PAUSE = 3600.0
_LASTS = timedelta(days=1)
_START_LASTS = timedelta(minutes=1)
# At once, and of these to one host: so one that hangs does not keep the others waiting.
_AT_ONCE = 20
_OF_A_HOST = 4
# So many one after the other to one receiver, before others have their turn.
_IN_A_ROW = 50
# How long what is on its way may still take when the daemon stops, in seconds.
_PARTING = 2.0
# Looks are so far apart, in seconds, at least and at most.
_BREATH = 0.25
# What became of notices is noted so rarely that commits of the scheduler come in between, and if
# that fails, again after a while.
_BETWEEN_NOTES = 0.02
_RENOTE = 1.0
_RETRY = 60.0

_RUNS = uuid.NAMESPACE_URL

_Lane = tuple[str, Channel, str]


class Deliveries:
    """Delivers what is in the outbox: of a job's notices to one receiver, one after the other.

    ``counts`` tells of each channel how many were ``delivered`` or ``given_up``, and how many tries
    have ``failed``.
    """

    def __init__(
        self,
        journal: Journal,
        output: Path,
        clock: Clock,
        outbound: Outbound,
        mailer: Mailer | None,
    ) -> None:
        """Find what runs have written in the directory ``output``; without ``mailer`` no mail goes.

        Requests go through ``outbound``.
        """
        self.counts: dict[str, dict[str, int]] = {}
        self._journal = journal
        self._outbox = Outbox(journal.path)
        self._reader = Reader(journal.path)
        self._output = output
        self._clock = clock
        self._outbound = outbound
        self._mailer = mailer
        self._failures = Complaint(log, "notices are taken again")
        self._in_progress: set[_Lane] = set()
        self._to_note: list[tuple[Delivery, trio.Event]] = []
        self._something_new = trio.Event()
        self._something_to_note = trio.Event()
        self._lane_ended = trio.Event()
        self._is_closing = False

    def wake(self) -> None:
        """Look soon: there are notices, or room for the next."""
        self._something_new.set()

    async def run(self) -> NoReturn:
        """Deliver what there is, and then whatever comes."""
        trouble = Complaint(log, "notices are sent again")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_notes)
            while True:
                last_look = trio.current_time()
                self._something_new = trio.Event()
                try:
                    heads = await in_thread(self._outbox.heads, _OF_A_HOST)
                    pause = self._start(heads, nursery)
                    trouble.end()
                except Unavailable as error:
                    trouble.tell(f"notices cannot be sent, which is tried again: {error}")
                    pause = _RETRY
                with trio.move_on_after(pause):
                    await self._something_new.wait()
                await trio.sleep_until(last_look + _BREATH)

    async def finish(self) -> None:
        """Begin nothing any more, and return when what is on its way has arrived, or soon."""
        self._is_closing = True
        with trio.move_on_after(_PARTING):
            while self._in_progress:
                self._lane_ended = trio.Event()
                await self._lane_ended.wait()
        if self._to_note:  # what has arrived is not to be sent again, however slow the disk is
            with suppress(Unavailable):
                await self._journal.record_deliveries([after for after, _ in self._to_note])

    async def _keep_notes(self) -> NoReturn:
        """Make durable what became of notices, all that there is at once."""
        trouble = Complaint(log, "what became of notices is noted again")
        while True:
            await self._something_to_note.wait()
            self._something_to_note = trio.Event()
            noting = self._to_note
            try:
                await self._journal.record_deliveries([after for after, _ in noting])
            except Unavailable as error:
                trouble.tell(f"what became of notices cannot be noted: {error}")
                self._something_to_note.set()
                await trio.sleep(_RENOTE)
                continue
            trouble.end()
            self._to_note = self._to_note[len(noting) :]
            for _, noted in noting:
                noted.set()
            await trio.sleep(_BETWEEN_NOTES)

    async def _note(self, after: Delivery) -> None:
        noted = trio.Event()
        self._to_note = [*self._to_note, (after, noted)]
        self._something_to_note.set()
        await noted.wait()

    def _start(self, heads: list[Head], nursery: trio.Nursery) -> float:
        """Start what is to be sent now; return in how many seconds to look again."""
        now, pause = self._clock.now(), _RETRY
        for head in heads:
            lane = _lane(head.delivery.notice)
            wait = ((head.delivery.next_try_at or now) - now).total_seconds()
            # None is further away, unless the clock was set back.
            if 0 < wait <= _LONGEST_PAUSE and not _gives_way(head):
                pause = min(pause, wait)
            elif lane not in self._in_progress and self._has_room():
                self._in_progress.add(lane)
                nursery.start_soon(self._deliver, head)
        return pause

    def _has_room(self) -> bool:
        return len(self._in_progress) < _AT_ONCE and not self._is_closing

    async def _deliver(self, first: Head) -> None:
        """Send what waits for a receiver, one notice after the other, as long as they arrive."""
        head: Head | None = first
        for _ in range(_IN_A_ROW):
            if head is None or self._is_closing:
                break
            after = self._given_up(head) or await self._try(head.delivery)
            await self._note(after)
            if after.next_try_at:
                break
            try:
                head = await in_thread(self._outbox.next, after.notice)
            except Unavailable:
                break
        self._in_progress.remove(_lane(first.delivery.notice))
        self._lane_ended.set()
        self.wake()

    def _given_up(self, head: Head) -> Delivery | None:
        """Return a notice as given up that is no news any more; None if it is some."""
        before = head.delivery
        if _gives_way(head):
            return replace(before, next_try_at=None, error="gave way to later pings")
        is_old = self._clock.now() > before.notice.at + _START_LASTS
        if before.notice.news is News.START and is_old:
            return replace(before, next_try_at=None, error="came too late to be news")
        return None

    def _log(self, after: Delivery) -> None:
        which = f"notice {after.notice.number} of job {after.notice.job_id}"
        if after.next_try_at is None and after.notice.channel is not Channel.PING:
            log.error("%s by %s is given up: %s", which, after.notice.channel, after.error)
        else:
            what = "is tried again" if after.next_try_at else "is given up"
            self._failures.tell(f"{which} by {after.notice.channel} {what}: {after.error}")

    async def _try(self, delivery: Delivery) -> Delivery:
        """Send a notice, and tell what became of that."""
        tries = delivery.tries + 1
        try:
            warning = await self._send(delivery.notice)
        except (NotAnswered, NotSent, Unavailable) as error:
            problem = str(error)
        except Exception:
            # A bug, which would come again with the same notice: it must not end the scheduler.
            log.exception("notice %d of job %s", delivery.notice.number, delivery.notice.job_id)
            problem = "could not be sent because of a bug, which is in the log"
        else:
            self._failures.end()
            self._count(delivery.notice.channel, "delivered")
            return replace(
                delivery,
                tries=tries,
                next_try_at=None,
                delivered_at=self._clock.now(),
                error=warning or None,
            )
        again_at = next_try_at(delivery, self._clock.now())
        after = replace(delivery, tries=tries, next_try_at=again_at, error=problem)
        self._log(after)
        self._count(delivery.notice.channel, "failed")
        if again_at is None:
            self._count(delivery.notice.channel, "given_up")
        return after

    def _count(self, channel: Channel, what: str) -> None:
        counts = self.counts.setdefault(channel.value, {})
        counts[what] = counts.get(what, 0) + 1

    async def _send(self, notice: Notice) -> str:
        """Send a notice; return what its sender should know all the same."""
        report = await in_thread(self._report, notice)
        match notice.channel:
            case Channel.WEBHOOK:
                await self._post(notice, as_json(report), "application/json")
                return ""
            case Channel.PING:
                await self._post(notice, report.reason, "text/plain; charset=utf-8")
                return ""
            case Channel.EMAIL:
                if self._mailer is None:
                    raise NotSent("there is no mail server: start kala-trio with --smtp")
                return await self._mailer.send(as_letter(report))
            case _:
                assert_never(notice.channel)

    async def _post(self, notice: Notice, body: str, content_type: str) -> None:
        """Send a text to the URL that a notice names; one that is a secret stays one (K4)."""
        url = notice.receiver
        name = secret_named(url)
        if name:
            url = await in_thread(self._secret_url, notice, name)
        mask = Mask.of_texts([url, parse_url(url).path] if name else [])
        if notice.channel is Channel.PING:
            # It is to be a UUID, which a run's id is not.
            url = ping_url(url, notice.news, str(uuid.uuid5(_RUNS, notice.run_id or "")))
        try:
            await self._outbound.post(url, body, content_type)
        except NotAnswered as error:
            raise NotAnswered(mask.sentence(str(error))) from None

    def _secret_url(self, notice: Notice, name: str) -> str:
        """Return the URL that a secret holds now; raises NotSent."""
        view = self._reader.job(notice.job_id)
        if view is None:
            raise NotSent("the URL was a secret of the job, which is deleted")
        try:
            url = text_of(view.job.definition, name)
        except (Refused, ValueError) as error:
            raise NotSent(str(error)) from error
        if not is_url(url):
            raise NotSent(f"the secret {name} holds no URL of http or https")
        return url

    def _report(self, notice: Notice) -> Report:
        run_id = notice.run_id
        run = self._reader.run_with_attempts(run_id) if run_id else None
        # What is told of a start are no words of that run's.
        if run is None or run_id is None or notice.news is News.START:
            return Report(notice, run)
        try:
            output = read_output(output_path(self._output, run_id))
            return Report(notice, run, last_words(output.head + output.tail))
        except OSError:
            return Report(notice, run)


def _gives_way(head: Head) -> bool:
    """Tell whether a ping is no news: later ones wait, of the end of a run and the next start."""
    is_ping = head.delivery.notice.channel is Channel.PING
    return is_ping and head.followers >= (1 if head.delivery.tries else 2)


def _lane(notice: Notice) -> _Lane:
    return notice.job_id, notice.channel, notice.receiver


def next_try_at(delivery: Delivery, now: datetime) -> datetime | None:
    """Return when a notice is tried again that could not be sent; None if it is given up."""
    pause = min(_FIRST_PAUSE * _GROWTH ** min(delivery.tries, 10), _LONGEST_PAUSE)
    at = now + timedelta(seconds=pause)
    notice = delivery.notice
    lasts = _START_LASTS if notice.news is News.START else _LASTS
    return at if at <= notice.at + lasts else None
