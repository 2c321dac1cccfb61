"""The reference page of the built-in node types, read off the node registry."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from kanca.workflows.config import CEL_FORMAT, CEL_VALUES_FORMAT, EffectOptions, NodeOptions, RetryOptions
from kanca.workflows.node_type import NodeType
from kanca.workflows.nodes import BUILT_IN

_INTRODUCTION = """\
# Node types

What a node of a [workflow](../guides/workflows.md) can be. `GET /api/node-types` gives the same, with the types of your
own app and the JSON Schema of every config. Unknown keys and wrong types are refused when a workflow is saved.

Kinds of values: an **expression** is CEL; **text or `=expression`** is taken as it stands unless it starts with `=`;
**value with `=expressions`** is any JSON in which texts that start with `=` are expressions, at any depth. A text that
shall start with `=` itself starts with two.
"""

_OPTIONS = """\
## Every node with effects

Nodes that do more than compute take these keys in their config as well, those of your own app too.

"""

_GENERAL = """\
## Every node

An edge may lead on from the port `error` of every node: a node that is out of attempts is then left by it, with
`{error, input}` as its output, and the run goes on.

"""

_FORMATS = {CEL_FORMAT: "expression", CEL_VALUES_FORMAT: "value with `=expressions`"}


def nodes_page() -> str:
    """All built-in node types in Markdown, and the options that those with effects share."""
    sections = [_section(node_type) for node_type in BUILT_IN]
    options = EffectOptions.model_json_schema()
    retry = RetryOptions.model_json_schema()
    rows = [*_rows(options), *_rows(retry, prefix="retry.")]
    general = _GENERAL + _table(_rows(NodeOptions.model_json_schema()))
    return "\n".join([_INTRODUCTION, *sections, general, _OPTIONS + _table(rows)])


def _section(node_type: NodeType) -> str:
    shared = set(NodeOptions.model_fields)
    shared |= set(EffectOptions.model_fields) if node_type.has_effects else set()
    schema = node_type.config_schema()
    ports = ", ".join(f"`{port}`" for port in node_type.ports)
    if node_type.ports_of is not None:
        ports += " and those that its config names"
    facts = [f"Ports: {ports}."]
    if node_type.is_trigger:
        facts.append("Runs start here.")
    if node_type.has_effects:
        facts.append("Has effects: its result is stored before anything that follows it starts.")
    head = [f"## {node_type.name}", "", node_type.description, "", " ".join(facts), ""]
    return "\n".join([*head, _table(_rows(schema, without=shared))])


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | kind | default | |", "|---|---|---|---|", *rows, ""])


def _rows(schema: dict[str, Any], without: Collection[str] = (), prefix: str = "") -> list[str]:
    required = set(schema.get("required", ()))
    return [
        f"| `{prefix}{name}` | {_kind(entry)} | {_default(name, entry, required)} | {entry.get('description', '')} |"
        for name, entry in schema["properties"].items()
        if name not in without
    ]


def _kind(entry: dict[str, Any]) -> str:
    match entry:
        case {"enum": choices}:
            kind = ", ".join(f"`{choice}`" for choice in choices)
        case {"$ref": what}:
            kind = "any JSON value" if what.endswith("/JsonValue") else "object, see below"
        case {"anyOf": choices}:
            kind = " or ".join(_kind(choice) for choice in choices if choice.get("type") != "null")
        case {"type": "string", "format": "cel-values"}:
            kind = "text or `=expression`"
        case {"format": known} if known in _FORMATS:
            kind = _FORMATS[known]
        case {"type": "array", "items": items}:
            kind = f"list: {_kind(items)}"
        case {"type": "object"}:
            [values] = [entry.get("additionalProperties"), *entry.get("patternProperties", {}).values()][-1:]
            kind = f"object: {_kind(values)}"
        case {"type": "integer"}:
            kind = f"whole number{_bounds(entry)}"
        case {"type": "number"}:
            kind = f"number{_bounds(entry)}"
        case _:
            kind = {"string": "text", "boolean": "true or false"}[entry["type"]]
    return kind


def _bounds(entry: dict[str, Any]) -> str:
    low, high = entry.get("minimum", entry.get("exclusiveMinimum")), entry.get("maximum")
    more = "more than " if "exclusiveMinimum" in entry else ""
    return "" if low is None else f", {more}{low:g} to {high:g}"


def _default(name: str, entry: dict[str, Any], required: set[str]) -> str:
    if name in required:
        return "required"
    default = entry.get("default")
    return "unset" if default is None else f"`{json.dumps(default)}`"
