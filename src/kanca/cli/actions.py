"""What there is on a server, and what ``kanca apply`` may do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kanca.cli.manifest import EndpointWanted
from kanca.cli.sources import Source
from kanca.domain.changing import Kind


class Verb(StrEnum):
    """What is done: what the API may be asked for, and nothing."""

    CREATE = "create"
    CHANGE = "change"
    PUBLISH = "publish"
    ROTATE = "rotate"
    """Its secret is set."""
    DELETE = "delete"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    kind: Kind
    id: str
    verb: Verb
    difference: Mapping[str, Any] | None = None
    """Of a change: ``{changes, nodes?, edges?}``."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What the server is sent, but for secrets."""
    tenant: str | None = None
    """Of a new workflow."""
    secrets: Mapping[str, Source] = field(default_factory=dict)
    """Further members of the body, and where they stand."""
    updated_at: str | None = None
    """When what is changed was changed before: if that is not so any more, somebody else is at work."""
    place: str = field(default="", compare=False)
    """Where in a manifest it is asked for."""


@dataclass(frozen=True, slots=True)
class PresentWorkflow:
    """A workflow that is there."""

    tenant: str
    version: int
    published_version: int | None
    newest: Mapping[str, Any]
    published: Mapping[str, Any] | None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What there is on the server of what a manifest speaks of, as the API shows it."""

    event_types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    workflows: Mapping[str, PresentWorkflow] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By ``webhook_id``."""
    subscriptions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def endpoint(self, wanted: EndpointWanted) -> Mapping[str, Any] | None:
        """The endpoint that is meant."""
        if wanted.webhook_id is not None:
            return self.endpoints.get(wanted.webhook_id)
        return self.endpoint_with(wanted.slug)

    def endpoint_with(self, slug: str | None) -> Mapping[str, Any] | None:
        """The endpoint of that slug."""
        return next((shown for shown in self.endpoints.values() if slug and shown["slug"] == slug), None)
