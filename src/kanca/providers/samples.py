"""Realistic deliveries of a provider, with fresh ids and times."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from kanca.providers.spec import ProviderSpec, Sample

_SLOT = re.compile(r"\{([a-z_]+)\}")
_ENVELOPE = Sample(
    event_type="test.event",
    body='{"event_type": "{event_type}", "event_id": "{delivery_id}", "data": {"message": "hello"}}',
)


class SampleDelivery(Struct, frozen=True):
    """A body that the provider could have sent, not signed yet."""

    event_type: str
    body: bytes
    headers: dict[str, str] = {}
    """Those of this sample, beside the provider's own."""
    query: str = ""


def new_delivery_id(spec: ProviderSpec) -> str:
    """A fresh id that looks like the provider's."""
    random = uuid.uuid4()
    return f"{spec.delivery_id_prefix}{random.hex}" if spec.delivery_id_prefix else str(random)


def sample(spec: ProviderSpec, now: float, delivery_id: str, event_type: str | None = None) -> SampleDelivery:
    """A realistic delivery at ``now`` (Unix seconds).

    That of ``event_type`` where the spec has one; else the spec's first, saying that it is of ``event_type``.
    """
    samples = spec.samples or (_ENVELOPE,)
    chosen = next((entry for entry in samples if entry.event_type == event_type), samples[0])
    named = event_type or chosen.event_type
    values = {"now": now, "delivery_id": delivery_id, "event_type": named}
    body = fill(chosen.body, **values, escape=_in_json)  # type: ignore[arg-type] # mypy sees one type of value
    headers = {name: fill(value, **values) for name, value in chosen.headers.items()}  # type: ignore[arg-type] # same
    return SampleDelivery(named, body.encode(), headers, chosen.query)


def fill(
    text: str, *, now: float, delivery_id: str, event_type: str, escape: Callable[[str], str] = str
) -> str:
    """The text with its slots filled in; other braces stay, since the text may be JSON.

    The slots are ``{delivery_id}``, ``{event_type}``, ``{event_type_head}`` (what precedes the first dot),
    ``{timestamp}``, ``{timestamp_ms}`` and ``{timestamp_iso}``.
    """
    values = {
        "delivery_id": escape(delivery_id),
        "event_type": escape(event_type),
        "event_type_head": escape(event_type.split(".", 1)[0]),
        "timestamp": str(int(now)),
        "timestamp_ms": str(int(now * 1000)),
        "timestamp_iso": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return _SLOT.sub(lambda match: values.get(match[1], match[0]), text)


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]
