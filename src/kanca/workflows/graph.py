"""The order of a graph. Pure, and without recursion: definitions come from outside."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from kanca.domain.workflow import Edge


@dataclass(frozen=True, slots=True)
class Part:
    """What can be reached from one node."""

    order: tuple[str, ...]
    """Every node after all that lead to it."""
    incoming: Mapping[str, Sequence[Edge]]
    """The edges into each node, from nodes of the part."""


class Graph:
    """Nodes and edges, looked at from both ends. Every end of an edge is one of the nodes."""

    def __init__(self, nodes: Iterable[str], edges: Iterable[Edge]) -> None:
        incoming: dict[str, list[Edge]] = {node: [] for node in nodes}
        outgoing: dict[str, list[Edge]] = {node: [] for node in incoming}
        for edge in edges:
            incoming[edge.target].append(edge)
            outgoing[edge.source].append(edge)
        self.incoming: Mapping[str, Sequence[Edge]] = incoming
        self.outgoing: Mapping[str, Sequence[Edge]] = outgoing
        self._leading: dict[str, set[str]] = {}
        self._parts: dict[str, Part] = {}
        self._bodies: dict[str, Part] = {}
        self._towards: dict[str, set[str]] = {}

    def order(self) -> list[str]:
        """Every node after all that lead to it; among equals, as they were given.

        Nodes on a cycle, and behind one, are left out.
        """
        open_edges = {node: len(edges) for node, edges in self.incoming.items()}
        free = deque(node for node, count in open_edges.items() if not count)
        ordered: list[str] = []
        while free:
            node = free.popleft()
            ordered.append(node)
            for edge in self.outgoing[node]:
                open_edges[edge.target] -= 1
                if not open_edges[edge.target]:
                    free.append(edge.target)
        return ordered

    def cycle(self) -> list[str]:
        """The nodes of one cycle in the order of its edges, from the one given first; empty when there is none."""
        ordered = set(self.order())
        left = [node for node in self.incoming if node not in ordered]
        if not left:
            return []
        # Every node left out has a predecessor left out, so going backwards must come by some node twice.
        trail: list[str] = []
        seen: dict[str, int] = {}
        node = left[0]
        while node not in seen:
            seen[node] = len(trail)
            trail.append(node)
            node = next(edge.source for edge in self.incoming[node] if edge.source not in ordered)
        cycle = trail[seen[node] :][::-1]
        given_first = cycle.index(next(node for node in left if node in cycle))
        return cycle[given_first:] + cycle[:given_first]

    def reachable(self, starts: Iterable[str]) -> set[str]:
        """The nodes that can be reached from ``starts``, these included."""
        reached = set(starts)
        waiting = list(reached)
        while waiting:
            further = {edge.target for edge in self.outgoing[waiting.pop()]} - reached
            reached |= further
            waiting.extend(further)
        return reached

    def part(self, start: str, without: AbstractSet[str] = frozenset()) -> Part:
        """What can be reached from ``start``, but for the nodes ``without``. The graph must have no cycle."""
        part = self._parts.get(start)
        if part is None:
            part = self._parts[start] = self._part(self.reachable([start]) - without, frozenset())
        return part

    def body(self, loop: str, port: str) -> Part:
        """What can be reached from the port ``port`` of a node. Edges from that port are among the incoming ones."""
        part = self._bodies.get(loop)
        if part is None:
            first = {edge.target for edge in self.outgoing[loop] if edge.port == port}
            part = self._bodies[loop] = self._part(self.reachable(first), {loop})
        return part

    def _part(self, nodes: AbstractSet[str], sources: AbstractSet[str]) -> Part:
        order = tuple(node for node in self.order() if node in nodes)
        known = nodes | sources
        return Part(
            order, {node: [edge for edge in self.incoming[node] if edge.source in known] for node in order}
        )

    def only_towards(
        self, node: str, without: AbstractSet[tuple[str, str]] = frozenset()
    ) -> AbstractSet[str]:
        """The nodes from which every way leads to ``node``, but for ways by the ports ``without`` of nodes."""
        found = self._towards.get(node)
        if found is None:
            found = set()
            # From the node backwards, each after all that it leads to.
            for name in reversed([name for name in self.order() if name in self.leading_to(node)]):
                edges = (edge for edge in self.outgoing[name] if (name, edge.port) not in without)
                if all(edge.target == node or edge.target in found for edge in edges):
                    found.add(name)
            self._towards[node] = found
        return found

    def leading_to(self, node: str) -> AbstractSet[str]:
        """The nodes from which ``node`` can be reached; the node itself only when it is on a cycle."""
        found = self._leading.get(node)
        if found is None:
            found = set()
            waiting = [node]
            while waiting:
                further = {edge.source for edge in self.incoming[waiting.pop()]} - found
                found |= further
                waiting.extend(further)
            self._leading[node] = found
        return found
