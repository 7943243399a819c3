"""Who follows whom, drawn: jobs as boxes in layers from left to right, an arrow to each child.

The classes are ``graph``; ``node`` beside the job's condition, ``box``, ``symbol`` and ``label``;
``edge``, ``failure`` beside it where a failure is followed, ``line`` and ``arrow``.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from kala_trio.web.layout import Pair, Point, connected, laid_out
from kala_trio.web.svg import drawing, element, number, shortened, written

_WIDTH: Final = 176
_HEIGHT: Final = 28
_COLUMN: Final = _WIDTH + 56
_ROW: Final = _HEIGHT + 12
_MARGIN: Final = 8
_LETTERS: Final = 21
# The jobs that nothing follows stand in so many columns at least.
_LEAST_COLUMNS: Final = 4
# So that the two edges that may lead from one job to another are apart.
_BELOW: Final = 7


class Condition(StrEnum):
    """How a job is, in one word: what became of its last run, unless there is something newer."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"
    DISABLED = "disabled"
    NEW = "new"


SYMBOLS: Final = {
    Condition.SUCCEEDED: "✓",
    Condition.FAILED: "✗",
    Condition.RUNNING: "▶",
    Condition.WAITING: "…",
    Condition.DISABLED: "‖",
    Condition.NEW: "○",
}
"""What shows a condition to those who see no colours."""


class Node(Struct, frozen=True):
    """A job: its ``id`` is for edges alone, ``href`` is where its box leads to."""

    id: str
    name: str
    href: str
    condition: Condition = Condition.NEW


class Edge(Struct, frozen=True):
    """From a job to one that follows its success, or its failure; both by their ids."""

    source: str
    target: str
    on_failure: bool = False


def draw_graph(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return the drawing as SVG: each node once, and each edge between two of them once.

    Jobs without any edge stand in a block below the others. No node may lead to itself.
    """
    numbers = {node.id: at for at, node in enumerate(nodes)}
    arrows = {
        (numbers[edge.source], numbers[edge.target], edge.on_failure): None
        for edge in edges
        if edge.source in numbers and edge.target in numbers and edge.source != edge.target
    }
    pairs = [*dict.fromkeys((one, other) for one, other, _ in arrows)]
    places, bends, size = _places(len(nodes), pairs)
    drawn = [
        _edge(
            nodes, (one, other), [places[one], *bends.get((one, other), ()), places[other]], dashed
        )
        for one, other, dashed in arrows
    ]
    drawn += [_node(node, _corner(places[at])) for at, node in enumerate(nodes)]
    width = size[0] * _COLUMN - _COLUMN + _WIDTH + 2 * _MARGIN
    about = f"{_count(len(nodes), 'job')}, {_count(len(arrows), 'edge')}"
    extent = (max(width, 2 * _MARGIN), size[1] * _ROW + 2 * _MARGIN)
    return drawing("graph", "group", extent, "Who follows whom", *drawn, about=about)


def _places(
    count: int, pairs: Sequence[Pair]
) -> tuple[dict[int, Point], dict[Pair, tuple[Point, ...]], Point]:
    """Return where all nodes and bends are, in columns and rows, and how many there are."""
    places: dict[int, Point] = {}
    bends: dict[Pair, tuple[Point, ...]] = {}
    columns, rows = 0, 0.0
    parts = connected(count, pairs)
    for part in parts:
        if len(part) == 1:
            continue
        within = set(part)
        found = laid_out(part, [pair for pair in pairs if pair[0] in within])
        places |= {node: _lower(point, rows) for node, point in found.nodes.items()}
        bends |= {
            pair: tuple(_lower(point, rows) for point in some) for pair, some in found.bends.items()
        }
        columns, rows = max(columns, found.size[0]), rows + found.size[1] + 0.5
    alone = [part[0] for part in parts if len(part) == 1]
    if alone:
        columns = max(columns, min(len(alone), _LEAST_COLUMNS))
        places |= {node: (at % columns, rows + at // columns) for at, node in enumerate(alone)}
        rows += -(-len(alone) // columns)
    return places, bends, (columns, rows)


def _lower(point: Point, rows: float) -> Point:
    return point[0], point[1] + rows


def _corner(place: Point) -> tuple[float, float]:
    return _MARGIN + place[0] * _COLUMN, _MARGIN + place[1] * _ROW


def _node(node: Node, corner: tuple[float, float]) -> str:
    x, y = corner
    middle = y + _HEIGHT / 2 + 4
    label = shortened(node.name, _LETTERS)
    return element(
        "a",
        element("title", written(f"{node.name}: {node.condition}")),
        element("rect", class_="box", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=5),
        element("text", SYMBOLS[node.condition], class_="symbol", x=x + 8, y=middle),
        element("text", written(label), class_="label", x=x + 24, y=middle),
        class_=f"node {node.condition}",
        href=node.href,
    )


def _edge(nodes: Sequence[Node], pair: Pair, path: Sequence[Point], on_failure: bool) -> str:
    """Return a line from one box to the left of another, and the tip of its arrow."""
    one, other = (nodes[each].name for each in pair)
    below = _HEIGHT / 2 + (_BELOW if on_failure else 0)
    (x, y), *rest = [(left, top + below) for left, top in map(_corner, path)]
    x += _WIDTH
    line = [f"M{number(x)} {number(y)}"]
    for left, height in rest:
        middle = (x + left) / 2
        points = (middle, y, middle, height, left, height)
        line.append(f"C{' '.join(map(number, points))}")
        x, y = left + _WIDTH, height
        line.append(f"H{number(x)}")
    tip = rest[-1][0]
    return element(
        "g",
        element("title", written(f"{one} {'fails →' if on_failure else '→'} {other}")),
        element(
            "path",
            class_="line",
            d="".join(line[:-1]),
            fill="none",
            stroke="currentColor",
            **({"stroke_dasharray": "5 4"} if on_failure else {}),
        ),
        element(
            "path",
            class_="arrow",
            d=f"M{number(tip - 6)} {number(y - 4)}L{number(tip)} {number(y)}l-6 4Z",
            fill="currentColor",
        ),
        class_="edge failure" if on_failure else "edge",
    )


def _count(many: int, noun: str) -> str:
    return f"{many} {noun}{'' if many == 1 else 's'}"
