"""``hooks.yaml``: what there shall be on a server, as ``kanca apply`` reads it.

``{kanca: 1, event_types: […], credentials: […], workflows: […], endpoints: […], subscriptions: […]}``, in one document
or in several. Secrets stand in the environment or in files of their own; the manifest says where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kanca.cli.sources import Source
from kanca.errors import InvalidInput

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EventTypeWanted:
    """A type in the catalogue: the whole of it, for it is replaced whole."""

    name: str
    body: Mapping[str, Any]
    place: str = field(default="", compare=False)
    """Where it stands, as ``hooks.yaml:12``."""


@dataclass(frozen=True, slots=True)
class CredentialWanted:
    """A credential, and where that stands which it consists of."""

    name: str
    kind: str
    sources: Mapping[str, Source]
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WorkflowWanted:
    """A workflow: its definition is the server's to judge."""

    id: str
    definition: Mapping[str, Any]
    is_published: bool = True
    tenant: str | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWanted:
    """An endpoint; what is None is left as it is, or to the server."""

    slug: str | None = None
    webhook_id: str | None = None
    """It is known by this one if there is one, else by the slug."""
    name: str | None = None
    provider: str | None = None
    tenant: str | None = None
    workflow_id: str | None = None
    node_id: str | None = None
    is_active: bool | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """As the API shows it."""
    secret: Source | None = None
    place: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """What people know it by."""
        return self.slug or self.webhook_id or ""


@dataclass(frozen=True, slots=True)
class SubscriptionWanted:
    """A subscription; what its body does not have is left as it is, or to the server."""

    id: str
    body: Mapping[str, Any]
    """As the API shows it, but for ``sources``, which may be slugs."""
    tenant: str | None = None
    secret: Source | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that there shall be."""

    event_types: tuple[EventTypeWanted, ...] = ()
    credentials: tuple[CredentialWanted, ...] = ()
    workflows: tuple[WorkflowWanted, ...] = ()
    endpoints: tuple[EndpointWanted, ...] = ()
    subscriptions: tuple[SubscriptionWanted, ...] = ()

    def sources(self) -> Iterator[Source]:
        """Where all the secrets stand."""
        for credential in self.credentials:
            yield from credential.sources.values()
        secrets = [each.secret for each in self.endpoints] + [each.secret for each in self.subscriptions]
        yield from (secret for secret in secrets if secret is not None)


def at(place: str, what: str) -> str:
    """What a problem is about, with where it stands if that is known."""
    return f"{place} {what}" if place else what


def refused(sentence: str, problems: Iterable[tuple[str, str]]) -> InvalidInput:
    """The error for problems, each with what it is about."""
    return InvalidInput(
        sentence, problems=[{"node": where, "message": message} for where, message in problems]
    )
