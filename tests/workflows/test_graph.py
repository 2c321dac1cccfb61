from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.workflow import Edge
from kanca.workflows.graph import Graph

NODES = st.integers(1, 12).map(lambda count: [f"n{number}" for number in range(count)])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(NODES)
    ends = st.sampled_from(nodes)
    return Graph(nodes, draw(st.lists(st.builds(Edge, ends, ends), max_size=30)))


def test_the_order_keeps_what_was_given_first_first() -> None:
    graph = Graph("abcd", [Edge("a", "d"), Edge("b", "d"), Edge("c", "d")])
    assert graph.order() == ["a", "b", "c", "d"]


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    assert Graph("ab", [Edge("a", "b"), Edge("b", "b")]).cycle() == ["b"]


def test_a_cycle_is_told_in_the_order_of_its_edges() -> None:
    graph = Graph("sabct", [Edge("s", "a"), Edge("a", "b"), Edge("b", "c"), Edge("c", "a"), Edge("c", "t")])
    cycle = graph.cycle()
    assert sorted(cycle) == ["a", "b", "c"]
    assert all(
        any(e.target == after for e in graph.outgoing[n])
        for n, after in zip(cycle, cycle[1:] + cycle[:1], strict=True)
    )


def test_what_no_edge_leads_to_is_not_reachable() -> None:
    graph = Graph("abc", [Edge("a", "b"), Edge("c", "b")])
    assert graph.reachable(["a"]) == {"a", "b"}


@given(graphs())
def test_either_all_nodes_are_ordered_after_their_predecessors_or_a_cycle_is_found(graph: Graph) -> None:
    order, cycle = graph.order(), graph.cycle()
    place = {node: at for at, node in enumerate(order)}
    assert all(place[edge.source] < place[node] for node in order for edge in graph.incoming[node])
    assert (len(order) < len(graph.incoming)) == bool(cycle)
    for node, after in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        assert after in {edge.target for edge in graph.outgoing[node]}
