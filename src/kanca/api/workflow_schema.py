"""Workflow definitions as JSON: an example, and their schema."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from kanca.domain.workflow import MAX_CONCURRENCY, MAX_DESCRIPTION_LENGTH, MAX_TIMEOUT_SECONDS

DEFINITION: dict[str, JsonValue] = {
    "id": "test-123",
    "name": "Greet",
    "nodes": [
        {"id": "node-456", "type": "WebhookTrigger", "config": {}},
        {"id": "say", "type": "Log", "config": {"message": "=event.type"}},
    ],
    "edges": [{"from": "node-456", "to": "say", "port": "out"}],
}
DEFINITION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "nodes"],
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "name": {"type": "string", "description": "Defaults to the id."},
        "description": {"type": ["string", "null"], "maxLength": MAX_DESCRIPTION_LENGTH},
        "nodes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "type"],
                "properties": {
                    "id": {"type": "string"},
                    "type": {"type": "string", "description": "See `GET /api/node-types`."},
                    "config": {"type": "object"},
                    "position": {
                        "type": ["object", "null"],
                        "required": ["x", "y"],
                        "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                        "description": "For tools that draw: it is kept, and means nothing.",
                    },
                },
            },
        },
        "edges": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["from", "to"],
                "properties": {
                    "from": {"type": "string"},
                    "to": {"type": "string"},
                    "port": {"type": "string", "default": "out"},
                },
            },
        },
        "settings": {
            "type": "object",
            "description": "What holds for every run.",
            "properties": {
                "timeout": {
                    "type": ["number", "null"],
                    "exclusiveMinimum": 0,
                    "maximum": MAX_TIMEOUT_SECONDS,
                    "description": "Seconds after which a run fails.",
                },
                "concurrency": {
                    "type": ["object", "null"],
                    "description": "How many runs go on at the same time, for each value of the expression `key`.",
                    "required": ["limit"],
                    "properties": {
                        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY},
                        "key": {"type": ["string", "null"]},
                        "when_full": {"enum": ["queue", "skip"], "default": "queue"},
                    },
                },
            },
        },
    },
    "examples": [DEFINITION],
}
