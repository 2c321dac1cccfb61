"""Events that resume a wait by its name: how they say so, whoever makes them and whoever reads them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from kanca.domain.ids import RUN, show_id
from kanca.domain.wait import WaitAddress

RESUMED = "run.resumed"
"""The type of events that have a run go on."""
DECIDED = "approval.decided"
"""The type of those that give the answer which a run waits for."""
ADDRESS_LASTS = timedelta(days=30)
"""How much longer than its wait an address that resumes it is good."""


def mark_of(address: WaitAddress, decision: str | None) -> dict[str, Any]:
    """What the request of an event has under ``resume``: the wait that it is for, and what was decided."""
    return {
        "wait": address.wait_id.hex,
        "run": show_id(RUN, address.run_id),
        "node": address.node_id,
        "iteration": address.iteration,
        "decision": decision,
    }


def mark_in(request: bytes) -> dict[str, Any]:
    """What the request of a stored event has under ``resume``; empty for one that resumes nothing by name."""
    try:
        described = json.loads(request)
    except ValueError:
        return {}
    mark = described.get("resume") if isinstance(described, dict) else None
    return mark if isinstance(mark, dict) else {}
