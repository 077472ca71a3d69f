"""Graphs: chains become places and a drawing."""

import xml.etree.ElementTree

import pytest

from kvae.family import MEMBERS, Graph, make


def test_a_node_is_right_of_all_that_lead_to_it() -> None:
    graph = Graph("[x] -> a -> (z) -> {cost}", "[x] -> {cost}", "[y] -> (z)")
    places = graph.places()
    assert places["[x]"] == (0, 0)
    assert places["[y]"] == (0, 1)
    for start, end in graph.edges:
        assert places[start][0] < places[end][0]
    assert len(graph.edges) == 5


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="no cycles"):
        Graph("a -> b -> a").places()


@pytest.mark.parametrize("name", MEMBERS)
def test_every_model_draws_its_two_graphs(name: str) -> None:
    model = make(name)
    for graph in (model.training_graph(), model.use_graph()):
        places = graph.places()
        assert len(set(places.values())) == len(places)
        root = xml.etree.ElementTree.fromstring(graph.svg())
        boxes = [node for node in root.iter() if node.tag.endswith("rect")]
        assert len(boxes) == len(places)
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        for box in boxes:
            assert 0 <= float(box.get("x", -1)) <= width - float(box.get("width", 0))
            assert 0 <= float(box.get("y", -1)) <= height - float(box.get("height", 0))


def test_words_are_escaped() -> None:
    assert "a &lt; b" in Graph("a < b -> c").svg()
