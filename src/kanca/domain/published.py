"""Published events: facts that somebody here states, in the form in which they are stored.

Their body is ``{"event_type", "data"}``, with the data byte for byte as they were given: numbers, the order of keys and
repeated keys reach every subscriber as the publisher wrote them.
"""

from __future__ import annotations

import json

from kanca.domain.trace import Trace

PUBLISHED = 0
"""The endpoint number of published events."""
TEST_EVENT = "test.event"
"""The type of what a subscription is tested with."""


def published_request(by: str, hops: int = 0, trace: Trace | None = None) -> bytes:
    """What stands in the place of a request: who published, in whose trace, and how often what caused it was here."""
    about = {"method": None, "published_by": by, "authenticated": True, "hops": hops}
    if trace is not None:
        about |= trace.headers
    return json.dumps(about, separators=(",", ":")).encode()


def published_body(event_type: str, data: bytes) -> bytes:
    """The body. ``data`` is JSON, and stays as it is."""
    return _before_data(event_type) + data + b"}"


def published_data(event_type: str, body: bytes) -> bytes:
    """The data in a body that ``published_body`` made, as they were given."""
    return body[len(_before_data(event_type)) : -1]


def _before_data(event_type: str) -> bytes:
    return b'{"event_type":%b,"data":' % json.dumps(event_type, ensure_ascii=False).encode()
