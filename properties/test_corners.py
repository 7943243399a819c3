"""The properties see what they are for: each odd place is reached, again and again."""

from collections import Counter
from functools import cache

import pytest
from hypothesis import Phase, given, seed, settings

from properties.corners import WANTED, corners_of
from properties.stepping import Spec
from properties.strategies import questions


@cache
def reached() -> Counter[str]:
    """Count the corners of the same 1,500 questions each time."""
    counts: Counter[str] = Counter()

    @seed(1)
    @settings(max_examples=1500, database=None, phases=[Phase.generate])
    @given(questions)
    def ask(question: tuple[Spec, int]) -> None:
        counts.update(corners_of(*question))

    ask()
    return counts


@pytest.mark.thorough
@pytest.mark.parametrize("corner", WANTED)
def test_a_corner_is_reached(corner: str) -> None:
    assert reached()[corner] >= WANTED[corner]


@pytest.mark.thorough
def test_every_corner_has_a_number() -> None:
    assert set(reached()) <= set(WANTED)
