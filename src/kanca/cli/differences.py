"""Differences between definitions, as the API tells them, for people: a line each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kanca.cli.output import plain

if TYPE_CHECKING:
    from rich.console import RenderableType


def difference_lines(found: Mapping[str, Any]) -> list[str]:
    """The lines of ``{changes, nodes, edges}``: what is new has a ``+``, what is gone a ``-``, the rest a ``~``."""
    nodes, edges = found["nodes"], found["edges"]
    return [
        *change_lines(found["changes"]),
        *(f"+ node {plain(node['id'])} ({plain(node['type'])})" for node in nodes["added"]),
        *(f"- node {plain(node['id'])} ({plain(node['type'])})" for node in nodes["removed"]),
        *(
            line
            for node in nodes["changed"]
            for line in change_lines(node["changes"], f"node {plain(node['id'])} ")
        ),
        *(f"+ edge {_edge(edge)}" for edge in edges["added"]),
        *(f"- edge {_edge(edge)}" for edge in edges["removed"]),
    ]


def change_lines(changes: list[dict[str, Any]], where: str = "") -> list[str]:
    """A line for each ``{path, old?, new?}``."""
    return [
        f"~ {where}{plain(change['path'])}: {_value(change, 'old')} → {_value(change, 'new')}"
        for change in changes
    ]


def compared(answered: Mapping[str, Any]) -> RenderableType:
    """How a comparison of two versions is shown."""
    from rich.console import Group
    from rich.text import Text

    lines = difference_lines(answered) or ["no difference"]
    versions = f"version {answered['from_version']} → version {answered['to_version']}"
    return Group(Text(versions, style="bold"), *map(Text, lines))


def _value(change: Mapping[str, Any], name: str) -> str:
    return plain(json.dumps(change[name], ensure_ascii=False)) if name in change else "nothing"


def _edge(edge: Mapping[str, Any]) -> str:
    port = "" if edge["port"] == "out" else f" ({plain(edge['port'])})"
    return f"{plain(edge['from'])} → {plain(edge['to'])}{port}"
