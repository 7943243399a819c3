"""Where the nodes of a graph without circles stand: in layers, with few crossings (Sugiyama).

Nodes are numbers, edges pairs of them. Each part of the graph that hangs together is laid out by
itself. The same graph always looks the same.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

_SWEEPS: Final = 4
# Of a long edge each layer in between has a bend, unless there would be more than these.
_MOST_BENDS: Final = 2_000
_BEND: Final = 0.4

Pair = tuple[int, int]
"""An edge, from one node to another."""

Point = tuple[int, float]
"""A layer, and a place in it, in heights of a node."""


class Layout(Struct, frozen=True):
    """Where nodes stand, and where the edges that need it bend; ``size`` is layers and rows."""

    nodes: dict[int, Point]
    bends: dict[Pair, tuple[Point, ...]]
    size: Point


def connected(count: int, pairs: Iterable[Pair]) -> list[list[int]]:
    """Return the nodes that hang together, the largest part first; they are 0 to ``count`` - 1."""
    beside: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs:
        beside[one].append(other)
        beside[other].append(one)
    parts: list[list[int]] = []
    seen: set[int] = set()
    for node in range(count):
        if node in seen:
            continue
        seen.add(node)
        part = [node]
        for each in part:  # which grows meanwhile
            new = [other for other in dict.fromkeys(beside[each]) if other not in seen]
            seen.update(new)
            part += new
        parts.append(sorted(part))
    return sorted(parts, key=lambda part: (-len(part), part[0]))


def layers_of(nodes: Sequence[int], pairs: Sequence[Pair]) -> dict[int, int]:
    """Return the layer of each node: the length of the longest path to it.

    A node to which none leads stands right before the first that it leads to. If there is a circle
    after all, one of its edges leads back.
    """
    after: dict[int, list[int]] = defaultdict(list)
    missing = dict.fromkeys(nodes, 0)
    for one, other in pairs:
        after[one].append(other)
        missing[other] += 1
    starts = [node for node in nodes if not missing[node]]
    layers = dict.fromkeys(nodes, 0)
    ready = deque(starts)
    while missing:
        node = ready.popleft() if ready else next(iter(missing))
        if missing.pop(node, None) is None:
            continue
        for other in after[node]:
            if other in missing:
                layers[other] = max(layers[other], layers[node] + 1)
                missing[other] -= 1
                if not missing[other]:
                    ready.append(other)
    for node in starts:
        layers[node] = min((layers[other] - 1 for other in after[node]), default=0)
    return layers


def laid_out(nodes: Sequence[int], pairs: Sequence[Pair]) -> Layout:
    """Return where the nodes of one part stand."""
    grid = _Grid(nodes, pairs)
    for _ in range(_SWEEPS):
        grid.sweep()
    heights = grid.heights()
    return Layout(
        {node: (grid.layers[node], heights[node]) for node in nodes},
        {
            pair: tuple((grid.layers[bend], heights[bend]) for bend in bends)
            for pair, bends in grid.bends.items()
        },
        (len(grid.ranks), max(heights.values()) + 1),
    )


class _Grid:
    """The layers, with the nodes and bends of each in order; bends have numbers below 0."""

    def __init__(self, nodes: Sequence[int], pairs: Sequence[Pair]) -> None:
        """Put them in layers, in the order in which they are given."""
        self.layers = layers_of(nodes, pairs)
        self.ranks: list[list[int]] = [[] for _ in range(max(self.layers.values()) + 1)]
        for node in nodes:
            self.ranks[self.layers[node]].append(node)
        self.before: dict[int, list[int]] = defaultdict(list)
        self.after: dict[int, list[int]] = defaultdict(list)
        self.bends: dict[Pair, list[int]] = {}
        spans = {(one, other): self.layers[other] - self.layers[one] for one, other in pairs}
        few = sum(span - 1 for span in spans.values()) <= _MOST_BENDS
        for pair, span in spans.items():
            if span < 1:
                continue
            path = [pair[0], *(self._bends(pair, span) if few else []), pair[1]]
            for one, other in pairwise(path):
                self.after[one].append(other)
                self.before[other].append(one)

    def _bends(self, pair: Pair, span: int) -> list[int]:
        first = self.layers[pair[0]] + 1
        made = []
        for layer in range(first, first + span - 1):
            bend = -1 - len(self.layers)
            self.layers[bend] = layer
            self.ranks[layer].append(bend)
            made.append(bend)
        self.bends[pair] = made
        return made

    def sweep(self) -> None:
        """Order each layer by where its neighbours stand, first those before, then those after."""
        for ranks, neighbours in ((self.ranks, self.before), (self.ranks[::-1], self.after)):
            places: dict[int, float] = {}
            for rank in ranks:
                own = {it: _mean(places, neighbours[it], at) for at, it in enumerate(rank)}
                rank.sort(key=own.__getitem__)
                places.update((it, at) for at, it in enumerate(rank))

    def heights(self) -> dict[int, float]:
        """Return how far down each stands: near its neighbours, in order, and apart."""
        heights = {it: float(at) for rank in self.ranks for at, it in enumerate(rank)}
        for ranks, neighbours in (
            (self.ranks, self.before),
            (self.ranks[::-1], self.after),
            (self.ranks, self.before),
        ):
            for rank in ranks:
                wanted = [_mean(heights, neighbours[it], heights[it]) for it in rank]
                heights.update(zip(rank, _apart(rank, wanted), strict=True))
        top = min(heights.values())
        return {it: height - top for it, height in heights.items()}


def _mean(places: dict[int, float], some: Sequence[int], otherwise: float) -> float:
    known = [places[it] for it in some if it in places]
    return sum(known) / len(known) if known else otherwise


def _apart(rank: Sequence[int], wanted: Sequence[float]) -> list[float]:
    """Return places as near to the wanted ones as order and size allow, on the mean."""
    found: list[float] = []
    for at, place in enumerate(wanted):
        least = found[-1] + (_size(rank[at - 1]) + _size(rank[at])) / 2 if found else place
        found.append(max(place, least))
    excess = (sum(found) - sum(wanted)) / len(found)
    return [place - excess for place in found]


def _size(it: int) -> float:
    return 1 if it >= 0 else _BEND
