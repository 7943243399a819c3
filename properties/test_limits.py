"""Properties of the limits: who has to wait, who has to go, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.checks.timing import FEW, check_interval
from kala_trio.core.definition import Definition, Timing
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Conflict, Refused
from kala_trio.core.messages import Apply, Create, CreateAll, Delete
from kala_trio.core.scheduler import Scheduler
from kala_trio.core.slots import Limits
from kala_trio.web.peers import HERE, peer_of
from kala_trio.web.rates import Bucket
from kala_trio.web.room import Bounds, Room

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
PEERS = [HERE, "192.0.2.1", "192.0.2.2"]


@given(
    rate=st.sampled_from([1, 2, 7, 200]),
    asked=st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0, 3, allow_nan=False)), max_size=300
    ),
)
def test_no_client_has_more_requests_answered_than_its_rate_and_ten_seconds_worth(
    rate: int, asked: list[tuple[str, float]]
) -> None:
    """Nor less: who is told to wait for so long, and does, is answered then."""
    bucket, now = Bucket(rate), 1000.0
    answered: dict[str, list[float]] = {"a": [], "b": []}
    for client, pause in asked:
        now += pause / rate
        if wait := bucket.wait(client, now):
            now += wait * 1.000001
            assert bucket.wait(client, now) == 0
        answered[client].append(now)
    for times in answered.values():
        for first, began in enumerate(times):
            for last in range(first, len(times)):
                within = times[last] - began
                assert last - first + 1 <= rate * within + max(rate * 10, 1) + 1e-6


class Guest:
    """A connection that knows whether it was closed."""

    def __init__(self, peer: str, number: int) -> None:
        """Come from ``peer``."""
        self.peer = peer
        self.number = number
        self.is_closed = False

    def abort(self) -> None:
        """Be closed."""
        assert not self.is_closed
        self.is_closed = True


@given(
    in_all=st.integers(1, 5),
    of_one=st.integers(1, 3),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["enter", "serve", "wait", "hold", "leave"]),
            st.sampled_from(PEERS),
            st.integers(0, 20),
        ),
        max_size=60,
    ),
)
def test_there_are_never_more_connections_than_may_be_and_who_waits_longest_goes(
    in_all: int, of_one: int, steps: list[tuple[str, str, int]]
) -> None:
    """Nor do they hold more than they may; who is served is closed for that alone."""
    room = Room(Bounds(in_all, of_one), most_held=30)
    open_: list[Guest] = []
    waiting: list[Guest] = []
    holding: dict[Guest, int] = {}
    for what, peer, number in steps:
        before = [*waiting]
        if what == "enter":
            guest = Guest(peer, number)
            same = [each for each in open_ if each.peer == peer]
            is_full = len(open_) >= in_all
            is_full_of_one = peer != HERE and len(same) >= of_one
            if room.enter(guest):
                gone = [each for each in open_ if each.is_closed]
                assert bool(gone) == (is_full or is_full_of_one)
                among = [each for each in before if not is_full_of_one or each.peer == peer]
                assert gone == among[: len(gone)]
                open_.append(guest)
                waiting.append(guest)
            else:
                assert is_full or is_full_of_one
                assert not [each for each in waiting if not is_full_of_one or each.peer == peer]
        elif open_:
            guest = open_[number % len(open_)]
            waiting = [each for each in waiting if each is not guest or what == "hold"]
            if what == "hold":
                room.hold(guest, number)
                holding[guest] = number
            else:
                holding.pop(guest, None) if what != "serve" else None
                getattr(room, what)(guest)
                waiting += [guest] if what == "wait" else []
                open_ = [each for each in open_ if each is not guest or what != "leave"]
        open_ = [each for each in open_ if not each.is_closed]
        waiting = [each for each in waiting if not each.is_closed]
        holding = {each: count for each, count in holding.items() if not each.is_closed}
        assert len(open_) <= in_all
        assert all(
            sum(each.peer == peer for each in open_) <= of_one for peer in PEERS if peer != HERE
        )
        assert sum(holding.values()) <= 30 or len(holding) == 1


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("127.0.0.1", HERE),
        ("127.8.9.1", HERE),
        ("::1", HERE),
        ("::ffff:127.0.0.1", HERE),
        ("", HERE),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::2:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_stands_for_who_has_it(host: str, peer: str) -> None:
    """Whoever has an address of IPv6 has as many as there are in its network."""
    assert peer_of(host) == peer


def create(number: int) -> Create:
    return Create(f"job {number}", Definition("name", "true", disabled=True))


@given(most=st.integers(1, 4), sizes=st.lists(st.integers(-1, 4), max_size=12))
def test_there_are_never_more_jobs_than_may_be_and_a_list_is_taken_whole_or_not_at_all(
    most: int, sizes: list[int]
) -> None:
    """M9: what is deleted makes room; ``-1`` stands for a deletion, ``0`` for one job alone."""
    scheduler = Scheduler(limits=Limits(jobs=most))
    there: list[str] = []
    numbers = iter(range(1000))
    for size in sizes:
        if size < 0:
            if there:
                scheduler.handle(Delete(there.pop()), NOW)
        else:
            new = [create(next(numbers)) for _ in range(size or 1)]
            request: Any = CreateAll(tuple(new)) if size else new[0]
            try:
                scheduler.handle(request, NOW)
            except Conflict:
                assert len(there) + len(new) > most
            else:
                there += [each.job_id for each in new]
        scheduler.committed()
        assert len(there) <= most
        if there:  # a create that is repeated is no further job (M7)
            scheduler.handle(create(int(there[0].partition(" ")[2])), NOW)


@given(most=st.integers(1, 4), creates=st.integers(0, 4), deletes=st.integers(0, 4))
def test_changes_that_are_made_together_are_counted_by_what_is_there_after_them(
    most: int, creates: int, deletes: int
) -> None:
    """M9, M10: deletions make room for what is created by the same request."""
    scheduler = Scheduler(limits=Limits(jobs=most))
    scheduler.handle(CreateAll(tuple(create(number) for number in range(most))), NOW)
    gone = tuple(Delete(f"job {number}") for number in range(min(deletes, most)))
    new = tuple(
        Create(f"job {number}", Definition(f"name {number}", "true", disabled=True))
        for number in range(10, 10 + creates)
    )
    try:
        scheduler.handle(Apply(new, (), gone), NOW)
    except Conflict:
        assert len(new) > len(gone)
    else:
        assert len(new) <= len(gone)


@given(
    least=st.integers(1, 2_000_000),
    schedules=st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 2 * FEW)),
            st.integers(1, 4_000_000).map(lambda each: Duration(microseconds=each)),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_what_repeats_for_long_is_due_no_more_often_than_it_may(
    least: int, schedules: list[tuple[int | None, Duration]]
) -> None:
    """S17: counted in a second, over all schedules that repeat for long."""
    texts = tuple(
        f"R{'' if repeats is None else repeats}/2030-01-01T00:00:00Z/{interval}"
        for repeats, interval in schedules
    )
    definition = Definition("name", "true", schedule=texts[0], timing=Timing(schedules=texts[1:]))
    often = sum(
        timedelta(seconds=1) / timedelta(microseconds=interval.microseconds)
        for repeats, interval in schedules
        if repeats is None or repeats > FEW
    )
    most = timedelta(seconds=1) / timedelta(microseconds=least)
    try:
        check_interval(definition, NOW, Duration(microseconds=least))
    except Refused:
        assert often > most * (1 - 1e-9)
    else:
        assert often <= most * (1 + 1e-9)


@pytest.mark.parametrize(
    "definition",
    [
        Definition("name", "true"),
        Definition("name", "true", schedule="R//P1D"),
        Definition("name", "true", schedule=f"R{FEW}//PT0.000001S"),
        Definition("name", "true", schedule="R//PT1M", timing=Timing(cron="* * * * *")),
        Definition("name", "true", timing=Timing(schedules=("* * * * *", "R//P1M"))),
    ],
)
def test_what_is_seldom_or_soon_over_is_taken(definition: Definition) -> None:
    """S17."""
    check_interval(definition, NOW, Duration(microseconds=60_000_000))
