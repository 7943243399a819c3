"""The heap of instants: each job's is found, and what no longer holds takes little room."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.job import Job, Occurrence, Progress
from kala_trio.core.state import State
from properties.world import START

seconds = st.integers(0, 5)


def at(second: int) -> datetime:
    """Return the instant that many seconds after the start."""
    return START + timedelta(seconds=second)


def state_of(count: int) -> State:
    """Return a state with that many jobs, none of which wants anything."""
    state = State()
    for number in range(1, count + 1):
        state.keep(Job(f"j{number}", number, START, Definition("job", "true")))
        state.keep(Progress(f"j{number}", disabled=False))
    return state


@given(st.lists(st.tuples(st.integers(1, 4), st.none() | seconds), max_size=40))
def test_jobs_come_up_in_the_order_of_their_instants_then_of_creation(
    changes: list[tuple[int, int | None]],
) -> None:
    """L9: whatever they wanted before."""
    state = state_of(4)
    wakes = state.wakes
    wanted: dict[int, int] = {}
    for number, second in changes:
        coming = None if second is None else Occurrence(0, at(second))
        state.keep(replace(state.progress[f"j{number}"], next=coming))
        wanted.pop(number, None)
        if second is not None:
            wanted[number] = second
    order = sorted(wanted, key=lambda number: (wanted[number], number))
    for number in order:
        assert wakes.next() == at(wanted[number])
        assert wakes.take() == f"j{number}"
        state.keep(replace(state.progress[f"j{number}"], next=None))
    assert wakes.next() is None


def test_what_no_longer_holds_takes_the_room_of_three_entries_a_job_and_64_at_most() -> None:
    """L9: however often one job changes what it wants while an earlier entry hides the others."""
    state = state_of(2)
    wakes = state.wakes
    sizes = []
    for second in range(1000):
        state.keep(replace(state.progress["j1"], next=Occurrence(second, at(second))))
        sizes.append(len(wakes._heap))
    assert max(sizes) == 4 * 2 + 64
    assert min(sizes[100:]) == 1
