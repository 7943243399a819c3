"""Graphs as they are drawn, looked at closely: where the boxes stand, and what they are called."""

from itertools import pairwise

import pytest

from kala_trio.web.graph import Edge, Node, draw_graph
from kala_trio.web.layout import connected, laid_out, layers_of
from kala_trio.web.svg import element, shortened, written
from properties.drawn import child, of_class, read


def chain(*ids: str) -> list[Edge]:
    """Return edges from each to the next."""
    return [Edge(one, other) for one, other in pairwise(ids)]


def named(ids: str) -> list[Node]:
    """Return nodes of one letter."""
    return [Node(each, each, f"/{each}") for each in ids]


def test_a_layer_is_the_length_of_the_longest_path_to_it() -> None:
    assert layers_of(range(4), [(0, 1), (1, 2), (2, 3), (0, 3)]) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_what_nothing_leads_to_stands_right_before_what_it_leads_to() -> None:
    assert layers_of(range(5), [(0, 1), (1, 2), (2, 3), (4, 3)])[4] == 2


def test_parts_that_do_not_hang_together_stand_below_each_other() -> None:
    assert connected(6, [(0, 5), (1, 2), (4, 2)]) == [[1, 2, 4], [0, 5], [3]]
    root = read(draw_graph(named("abcdef"), [*chain("a", "b", "c"), *chain("d", "e")]))
    tops = [float(child(each, "rect").attrib["y"]) for each in of_class(root, "node")]
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4] < tops[5]


def test_edges_that_would_cross_do_not_if_an_order_without_crossings_is_near() -> None:
    """Three chains whose ends are written down the other way round."""
    layout = laid_out(range(7), [(0, 1), (0, 2), (0, 3), (1, 6), (2, 5), (3, 4)])
    order = [
        sorted(some, key=lambda node: layout.nodes[node][1]) for some in ([1, 2, 3], [6, 5, 4])
    ]
    assert order in ([[1, 2, 3], [6, 5, 4]], [[3, 2, 1], [4, 5, 6]])


def test_a_long_edge_bends_around_what_is_in_between() -> None:
    layout = laid_out(range(4), [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert [layer for layer, _ in layout.bends[0, 3]] == [1, 2]
    for layer, height in layout.bends[0, 3]:
        (other,) = (high for it, high in layout.nodes.values() if it == layer)
        assert abs(height - other) >= 0.7


def test_a_chain_with_thousands_of_long_edges_is_drawn_without_bends() -> None:
    count = 100
    pairs = [(0, each) for each in range(1, count)] + [(n, n + 1) for n in range(count - 1)]
    layout = laid_out(range(count), [*dict.fromkeys(pairs)])
    assert layout.bends == {}
    assert layout.size[0] == count


def test_an_edge_to_a_job_that_is_not_drawn_is_left_out() -> None:
    assert not of_class(read(draw_graph(named("a"), [Edge("a", "gone"), Edge("a", "a")])), "edge")
    assert not of_class(read(draw_graph([], [])), "node")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("", ""),
        ("backup", "backup"),
        ("backups", "backu…"),
        ("夜間バ", "夜間バ"),
        ("夜間バッ", "夜間…"),
    ],
)
def test_a_label_is_cut_where_its_box_ends_whatever_the_script(text: str, short: str) -> None:
    assert shortened(text, 6) == short


def test_nothing_that_is_written_into_a_drawing_can_end_what_it_stands_in() -> None:
    assert written("</text>&\"'\0\n") == "&lt;/text&gt;&amp;&quot;&#x27;\ufffd "
    assert element("a", href='"><b') == '<a href="&quot;&gt;&lt;b"/>'
    assert element("a", "b", stroke_width=1.0, x=0.126) == '<a stroke-width="1" x="0.13">b</a>'
