"""Who is told what of a job, and when it is late: rules N1 to N5, each judged by its own words."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.definition import Definition, News, Reporting
from kala_trio.core.job import (
    Cancelled,
    Channel,
    Exited,
    Lost,
    Notice,
    Result,
    Run,
    TimedOut,
)
from kala_trio.core.messages import (
    AttemptEnded,
    Cancel,
    Create,
    Delete,
    Deliver,
    Keep,
    Start,
)
from kala_trio.delivery import next_try_at
from kala_trio.store.outbox import Delivery
from properties.world import START, World

FAR = "R0/2999-01-01T00:00:00Z/"
USUAL = {News.FAILURE, News.RECOVERY, News.LATE}
HOOK = "http://a/hook"
results = st.sampled_from([Exited(0), Exited(0), Exited(1), TimedOut(), Lost(), Cancelled()])
news = st.lists(st.sampled_from([*News]), unique=True).map(tuple)


def told(world: World, channel: Channel = Channel.WEBHOOK) -> list[tuple[News, str | None]]:
    """Return what was told by a channel, in order, and of which runs."""
    notices = sorted(world.notices.values(), key=lambda each: each.number)
    return [(each.news, each.run_id) for each in notices if each.channel is channel]


def with_runs(reporting: Reporting, ends: list[Result]) -> World:
    """Run a job by hand, so that its runs end as given."""
    world = World()
    world.do(Create("a", Definition("a", "true", schedule=FAR, reporting=reporting)))
    for result in ends:
        world.do(Start("a"))
        (run_id,) = world.in_progress
        if isinstance(result, Cancelled):
            world.do(Cancel(run_id))
        world.end(run_id, result)
    return world


@given(news, st.booleans(), st.lists(results, max_size=8))
def test_the_news_that_are_wanted_are_told_and_no_others(
    wanted: tuple[News, ...], every_time: bool, ends: list[Result]
) -> None:
    """Rules N1 and N2."""
    reporting = Reporting(HOOK, notify_on=wanted, notify_every_time=every_time)
    world = with_runs(reporting, ends)
    tells = set(wanted) or USUAL
    expected: list[tuple[News, str | None]] = []
    counting = [each for each in ends if not isinstance(each, Cancelled)]
    place = 0
    for number, result in enumerate(ends, 1):
        run = f"a.{number}"
        if News.START in tells:
            expected.append((News.START, run))
        if isinstance(result, Cancelled):
            continue
        before = counting[place - 1] if place else Exited(0)
        place += 1
        failed, has_failed = result != Exited(0), before != Exited(0)
        if failed and News.FAILURE in tells and (every_time or not has_failed):
            expected.append((News.FAILURE, run))
        if not failed and has_failed and News.RECOVERY in tells:
            expected.append((News.RECOVERY, run))
        elif not failed and News.SUCCESS in tells:
            expected.append((News.SUCCESS, run))
    assert told(world) == expected


@given(st.lists(results, max_size=6))
def test_a_monitor_hears_of_each_start_and_each_end(ends: list[Result]) -> None:
    """Rule N3."""
    world = with_runs(Reporting(ping_url="http://a/ping"), ends)
    expected: list[tuple[bool, str]] = []
    for number, result in enumerate(ends, 1):
        expected.append((True, f"a.{number}"))
        if not isinstance(result, Cancelled):
            expected.append((False, f"a.{number}"))
    heard = told(world, Channel.PING)
    assert [(each is News.START, run_id) for each, run_id in heard] == expected
    ended = [each for each in ends if not isinstance(each, Cancelled)]
    assert [each is News.FAILURE for each, _ in heard if each is not News.START] == [
        each != Exited(0) for each in ended
    ]


def test_the_streak_is_told_and_what_was_said_to_whom() -> None:
    """N1, N2: with every channel a notice of its own, numbered as they were decided on."""
    reporting = Reporting(HOOK, ("a@b", "c@d"), notify_every_time=True, ping_url="http://a/ping")
    world = with_runs(reporting, [Exited(1), Exited(1)])
    notices = sorted(world.notices.values(), key=lambda each: each.number)
    assert [each.number for each in notices] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {(each.channel, each.receiver) for each in notices} == {
        (Channel.WEBHOOK, HOOK),
        (Channel.EMAIL, "a@b, c@d"),
        (Channel.PING, "http://a/ping"),
    }
    failures = [each.streak for each in notices if each.news is News.FAILURE]
    assert failures == [1, 1, 1, 2, 2, 2]


def test_what_a_deleted_job_still_runs_is_not_told() -> None:
    """Rule N1."""
    world = World()
    reporting = Reporting(HOOK, ping_url="http://a/ping")
    world.do(Create("a", Definition("a", "true", schedule=FAR, reporting=reporting)))
    world.do(Start("a"))
    world.do(Delete("a"))
    world.fail("a")
    assert [each for each, _ in told(world, Channel.PING)] == [News.START]
    assert told(world) == []


@given(results.filter(lambda each: not isinstance(each, Cancelled)))
def test_what_is_told_is_durable_with_what_it_tells_of(result: Result) -> None:
    """Rule N5: one event, one transaction; and it is delivered after that."""
    world = World()
    reporting = Reporting(HOOK, notify_on=tuple(News))
    world.do(Create("a", Definition("a", "true", schedule=FAR, reporting=reporting)))
    world.do(Start("a"))
    (run_id,) = world.in_progress
    commands = world.scheduler.handle(AttemptEnded(run_id, 1, START, START, result), START)
    kept = [each.value for each in commands if isinstance(each, Keep)]
    assert [each.run_id for each in kept if isinstance(each, Notice)] == [run_id]
    assert [each.outcome for each in kept if isinstance(each, Run)] != [None]
    assert Deliver() in commands


def delivery(news: News) -> Delivery:
    """Return a notice that is to be sent for the first time."""
    return Delivery(Notice("a", 1, "a", Channel.WEBHOOK, HOOK, news, START, "a.1", START))


@given(st.lists(st.integers(0, 60), min_size=40, max_size=40))
def test_what_nobody_takes_is_tried_after_growing_pauses_and_given_up_in_a_day(
    takes: list[int],
) -> None:
    """N5: however long each try takes."""
    waits, pauses = delivery(News.FAILURE), []
    now = START
    for seconds in takes:
        now += timedelta(seconds=seconds)
        at = next_try_at(waits, now)
        if at is None:
            break
        pauses.append((at - now).total_seconds())
        waits = Delivery(waits.notice, waits.tries + 1, at)
        now = at
    assert pauses == [10, 30, 90, 270, 810, 2430, *[3600] * (len(pauses) - 6)]
    assert timedelta(hours=22) < now - START <= timedelta(days=1)


def test_that_a_run_has_started_is_news_for_a_minute() -> None:
    """Rule N5."""
    start = delivery(News.START)
    assert next_try_at(start, START + timedelta(seconds=50)) == START + timedelta(seconds=60)
    assert next_try_at(start, START + timedelta(seconds=51)) is None
