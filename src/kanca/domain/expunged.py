"""What stands in the place of a payload that was taken away."""

from __future__ import annotations

import json
from datetime import datetime

GONE = b'{"expunged":true,"message":"The payload was expunged."}'
"""In the place of an input, an output or a cause."""
MARK = b'{"expunged_at":'
"""What the request of an expunged event begins with."""
_KEPT = ("method", "authenticated", "test", "published_by", "hops")
"""What of a request says nothing about who sent it, or what."""


def expunged_request(request: bytes, now: datetime) -> bytes:
    """The request of an event without what came in it."""
    try:
        said = json.loads(request)
    except ValueError:
        said = {}
    kept = {name: said[name] for name in _KEPT if name in said}
    return json.dumps({"expunged_at": now.isoformat(), **kept}, separators=(",", ":")).encode()


def expunged_at(request: bytes) -> datetime | None:
    """When the payload of an event with this stored request was taken away; None: it is there."""
    return datetime.fromisoformat(json.loads(request)["expunged_at"]) if request.startswith(MARK) else None
