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

    def part(self, start: str) -> Part:
        """What can be reached from ``start``. The graph must have no cycle."""
        part = self._parts.get(start)
        if part is None:
            reached = self.reachable([start])
            order = tuple(node for node in self.order() if node in reached)
            incoming = {
                node: [edge for edge in self.incoming[node] if edge.source in reached] for node in order
            }
            part = self._parts[start] = Part(order, incoming)
        return part

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
