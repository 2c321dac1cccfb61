"""Which handlers want an event. Pure: any worker can say it from what was announced, without the handlers' code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from kanca.domain.patterns import matches

Source = Literal["inbound", "published", "operational"]
Order = Literal["path", "function"]


class HandlerSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A handler as it is announced to the other processes."""

    name: str
    pattern: str
    """An event type, or a wildcard such as ``order.*``."""
    provider: str | None = None
    endpoint: str | None = None
    """The ``wh_…`` id or the slug of the only endpoint it listens to."""
    tenant: str | None = None
    source: Source | None = None
    order: Order | None = None
    """Where the order key comes from: a path in the data, or a function that only the handler's own app has."""
    order_path: str | None = None
    max_attempts: int = 5
    timeout_s: float | None = None
    """For one attempt; None is what the endpoint says (``webhook_timeout``)."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What decides who wants an event."""

    type: str
    tenant: str
    provider: str | None
    webhook_id: str | None
    """None for published events, and for those about webhooks themselves."""
    slug: str | None
    is_authenticated: bool
    is_operational: bool = False
    """It tells of webhooks themselves: that a subscription was disabled, for example."""

    @property
    def source(self) -> Source:
        """Where it comes from."""
        if self.is_operational:
            return "operational"
        return "published" if self.webhook_id is None else "inbound"


def wants(spec: HandlerSpec, arrival: Arrival) -> bool:
    """Whether a handler wants an event.

    What came without authentication reaches only handlers that name its endpoint: an event type in a body that anybody
    may have sent proves nothing. Events about webhooks themselves reach only handlers that ask for them: one for ``*``
    would otherwise have its own failures handled by itself.
    """
    if not matches(spec.pattern, arrival.type):
        return False
    if spec.endpoint is not None:
        if spec.endpoint not in (arrival.webhook_id, arrival.slug):
            return False
    elif not arrival.is_authenticated:
        return False
    return (
        (spec.provider is None or spec.provider == arrival.provider)
        and (spec.tenant is None or spec.tenant == arrival.tenant)
        and (spec.source == arrival.source or (spec.source is None and not arrival.is_operational))
    )


def matching(specs: Iterable[HandlerSpec], arrival: Arrival) -> list[HandlerSpec]:
    """The handlers that want an event, in the order given."""
    return [spec for spec in specs if wants(spec, arrival)]


def encode_spec(spec: HandlerSpec) -> str:
    """The spec as JSON."""
    return msgspec.json.encode(spec).decode()


def decode_spec(text: str) -> HandlerSpec:
    """The spec in ``text``; fields that a newer process added are left out."""
    return msgspec.json.decode(text, type=HandlerSpec)
