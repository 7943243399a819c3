"""Graphs as they are drawn: everything once, nothing on top of another, and arrows that lead on."""

from collections import Counter
from itertools import combinations
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from kala_trio.web.graph import SYMBOLS, Condition, Edge, Node, draw_graph
from properties.drawn import child, legible, names, number, numbers, of_class, read

Graph = tuple[list[Node], list[Edge]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw jobs in an order in which each only leads to later ones, and then mix them."""
    count = draw(st.integers(0, 25))
    nodes = [
        Node(draw(names) + f" {at}", draw(names), f"/{at}?{draw(names)}", draw(conditions))
        for at in range(count)
    ]
    edges = []
    for _ in range(draw(st.integers(0, 40)) if count > 1 else 0):
        one, other = sorted(draw(st.sets(st.integers(0, count - 1), min_size=2, max_size=2)))
        edges.append(Edge(nodes[one].id, nodes[other].id, draw(st.booleans())))
    return draw(st.permutations(nodes)), edges


conditions = st.sampled_from(Condition)
Box = tuple[float, float, float, float]


def boxes(root: ET.Element) -> list[Box]:
    """Return the left, top, right and bottom of each node."""
    found = []
    for each in of_class(root, "node"):
        box = child(each, "rect")
        x, y = number(box, "x"), number(box, "y")
        found.append((x, y, x + number(box, "width"), y + number(box, "height")))
    return found


def at(places: list[Box], x: float, y: float, side: int) -> int:
    """Return which box has that point on its left side (0) or on its right one (2)."""
    (found,) = (n for n, box in enumerate(places) if box[side] == x and box[1] <= y <= box[3])
    return found


@given(graphs())
def test_each_node_is_drawn_once_as_a_link_with_its_whole_name_and_its_symbol(graph: Graph) -> None:
    nodes, edges = graph
    root = read(draw_graph(nodes, edges))
    drawn = [
        (
            each.get("href"),
            child(each, "title").text,
            child(each, "text").text,
            each.get("class"),
        )
        for each in of_class(root, "node")
    ]
    assert drawn == [
        (
            legible(it.href),
            f"{legible(it.name)}: {it.condition}",
            SYMBOLS[it.condition],
            f"node {it.condition}",
        )
        for it in nodes
    ]


@given(graphs())
def test_each_edge_is_drawn_once_from_its_source_to_its_target_further_on(graph: Graph) -> None:
    nodes, edges = graph
    root = read(draw_graph(nodes, edges))
    places = boxes(root)
    numbered = {node.id: at for at, node in enumerate(nodes)}
    expected = {(numbered[it.source], numbered[it.target], it.on_failure) for it in edges}
    drawn: Counter[tuple[int, int, bool]] = Counter()
    for each in of_class(root, "edge"):
        line, arrow = (numbers(path.attrib["d"]) for path in each.iter() if "d" in path.attrib)
        assert arrow[2:4] == line[-2:]
        one, other = at(places, line[0], line[1], 2), at(places, line[-2], line[-1], 0)
        assert places[one][2] < places[other][0]
        dashed = any("stroke-dasharray" in path.attrib for path in each.iter())
        assert dashed == ("failure" in each.attrib["class"].split())
        drawn[one, other, dashed] += 1
    assert drawn == Counter(expected)


@given(graphs())
def test_no_two_nodes_overlap_and_all_are_within_the_drawing(graph: Graph) -> None:
    root = read(draw_graph(*graph))
    places = boxes(root)
    for one, other in combinations(places, 2):
        beside = one[2] < other[0] or other[2] < one[0]
        assert beside or one[3] < other[1] or other[3] < one[1]
    for left, top, right, bottom in places:
        assert 0 <= left < right <= number(root, "width")
        assert 0 <= top < bottom <= number(root, "height")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_even_a_circle_is_drawn_and_each_graph_always_looks_the_same(
    pairs: list[tuple[int, int]],
) -> None:
    nodes = [Node(str(each), f"job {each}", "/") for each in range(8)]
    edges = [Edge(str(one), str(other)) for one, other in pairs]
    text = draw_graph(nodes, edges)
    expected = {(one, other) for one, other in pairs if one != other and max(one, other) < 8}
    assert len(of_class(read(text), "edge")) == len(expected)
    assert text == draw_graph(nodes, edges)
