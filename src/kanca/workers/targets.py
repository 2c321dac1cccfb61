"""Who gets an event: the workflow of its endpoint and the handlers that match. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from kanca.bodies import headers_in
from kanca.domain.endpoint import EndpointConfig, NodeBehavior
from kanca.domain.event import StoredEvent
from kanca.domain.published import PUBLISHED
from kanca.domain.subscription import OPERATIONAL, OPERATIONAL_ENDPOINT, Subscription
from kanca.expressions.filtering import Filter
from kanca.handlers.event import Headers
from kanca.handlers.matching import Arrival, HandlerSpec, wants

DEFAULT_TIMEOUT = timedelta(seconds=EndpointConfig().webhook_timeout)
"""For one attempt of the work of published events."""


@dataclass(frozen=True, slots=True)
class KnownWorkflow:
    """The workflow that an endpoint belongs to."""

    id: str
    published_version: int | None
    number: int = 0
    """What the queue calls it; 0: it is not there any more."""

    @property
    def is_published(self) -> bool:
        """Whether events start runs of it."""
        return self.published_version is not None


@dataclass(frozen=True, slots=True)
class Sender:
    """What a worker has to know of an endpoint."""

    number: int
    webhook_id: str
    slug: str | None
    provider: str
    workflow: KnownWorkflow | None
    node_id: str | None
    """Where in the workflow its events start; None is the only place possible."""
    timeout: timedelta
    """For one attempt of the work, unless the work says otherwise."""
    is_paused: bool
    behavior: NodeBehavior = NodeBehavior.AUTO
    """What its events do at their node."""
    filter: Filter | None = None
    """What lets its events through to any work."""
    indexed_fields: tuple[str, ...] = ()
    """Paths into its events' documents, by whose values they are found."""


@dataclass(frozen=True, slots=True)
class KnownHandler:
    """An announced handler: of this app or of another."""

    number: int
    spec: HandlerSpec


@dataclass(frozen=True, slots=True)
class Targets:
    """Who gets an event."""

    handlers: tuple[KnownHandler, ...] = ()
    workflow: KnownWorkflow | None = None
    """The endpoint's. Its piece of work is skipped when it is not published."""
    subscriptions: tuple[Subscription, ...] = ()
    """Their filters are still to be asked."""
    ordered_by_function: frozenset[int] = frozenset()
    """The numbers of those handlers whose order key only their own app can tell."""

    @property
    def works(self) -> int:
        """How many pieces of work the event has, but for deliveries."""
        return len(self.handlers) + (self.workflow is not None)


class _Proof(msgspec.Struct, frozen=True):
    authenticated: bool = True


_read_proof = msgspec.json.Decoder(_Proof).decode


def is_authenticated(event: StoredEvent) -> bool:
    """Whether it is proven who sent the event."""
    if event.endpoint in (PUBLISHED, OPERATIONAL_ENDPOINT):
        return True
    try:
        return _read_proof(event.request).authenticated
    except (msgspec.MsgspecError, UnicodeError):
        return False


def headers_of(event: StoredEvent) -> Headers:
    """The headers the event came with."""
    return Headers(lambda: headers_in(event.request))


def arrival_of(event: StoredEvent, sender: Sender | None) -> Arrival:
    """What decides who wants the event."""
    return Arrival(
        type=event.type,
        tenant=event.tenant,
        provider=sender.provider if sender else None,
        webhook_id=sender.webhook_id if sender else None,
        slug=sender.slug if sender else None,
        is_authenticated=is_authenticated(event),
        is_operational=event.endpoint == OPERATIONAL_ENDPOINT,
    )


def source_of(event: StoredEvent, sender: Sender | None) -> str | None:
    """What subscriptions name the event's source by; None: it was published."""
    if event.endpoint == OPERATIONAL_ENDPOINT:
        return OPERATIONAL
    return sender.webhook_id if sender else None


def find_targets(
    arrival: Arrival,
    sender: Sender | None,
    handlers: Iterable[KnownHandler],
    subscriptions: Iterable[Subscription] = (),
) -> Targets:
    """Who gets an event: the workflow of its endpoint in any case, every handler that wants it, and subscriptions."""
    wanting = tuple(handler for handler in handlers if wants(handler.spec, arrival))
    return Targets(
        handlers=wanting,
        workflow=sender.workflow if sender else None,
        subscriptions=tuple(subscriptions),
        ordered_by_function=frozenset(each.number for each in wanting if each.spec.order == "function"),
    )
