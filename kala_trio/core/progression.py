"""Arithmetic progressions as ranges: what several have in common, and how much they have in all."""

from collections.abc import Iterable
from math import gcd, lcm


def intersection(one: range, other: range) -> range:
    """Return what two rising progressions have in common, which is one, too; perhaps empty."""
    divisor = gcd(one.step, other.step)
    away = other.start - one.start
    if not one or not other or away % divisor:
        return range(0)
    modulus = other.step // divisor
    steps = away // divisor * pow(one.step // divisor, -1, modulus) % modulus
    first, step = one.start + steps * one.step, lcm(one.step, other.step)
    first += max(0, -((first - other.start) // step)) * step
    return range(first, min(one.stop, other.stop), step)


def inclusion_exclusion(progressions: Iterable[range]) -> dict[range, int]:
    """Return progressions, each with a factor.

    What a set has in common with each, times its factor, adds up to what it has in common with the
    union of the ``progressions``.
    """
    terms: dict[range, int] = {}
    for progression in progressions:
        added = {progression: 1}
        for each, factor in terms.items():
            if common := intersection(each, progression):
                added[common] = added.get(common, 0) - factor
        for each, factor in added.items():
            terms[each] = terms.get(each, 0) + factor
        terms = {each: factor for each, factor in terms.items() if factor}
    return terms
