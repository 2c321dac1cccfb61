"""Definitions of workflows."""

from __future__ import annotations

from typing import Any


def definition(workflow_id: str = "test-123", *triggers: str) -> dict[str, Any]:
    """A workflow that writes to the log, with these triggers (``node-456``)."""
    names = triggers or ("node-456",)
    return {
        "id": workflow_id,
        "name": "Greet",
        "nodes": [
            *({"id": name, "type": "WebhookTrigger", "config": {}} for name in names),
            {"id": "say", "type": "Log", "config": {"message": "=event.type"}},
        ],
        "edges": [{"from": name, "to": "say"} for name in names],
    }
