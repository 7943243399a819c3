"""The implementation that the S and L properties judge: kala-trio's own, unless pytest is told."""

from importlib import import_module

from properties.implementation import Implementation

DEFAULT = "properties.kala:Kala"

_chosen: list[Implementation] = []


def choose(name: str) -> None:
    """Judge what ``module:factory`` names."""
    module, _, factory = name.partition(":")
    _chosen[:] = [getattr(import_module(module), factory)()]


def implementation() -> Implementation:
    """Return what is judged."""
    return _chosen[0]
