"""What ingest asks of storage besides accepting: endpoints, what became of originals, and where to put its books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from kanca.domain.endpoint import Endpoint
from kanca.ingest.answers import Original
from kanca.ingest.waiting_room import Became
from kanca.storage.rejections import Rejection
from kanca.storage.statistics import Counted


class Store(Protocol):
    """The part of storage that ingest uses. All raise DatabaseUnavailable."""

    async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
        """Those that are there of the endpoints with these keys: ``wh_…``, or ``/`` and a slug."""
        ...

    async def endpoints_version(self) -> int:
        """A number that grows with every change of any endpoint."""
        ...

    async def originals(self, event_ids: Sequence[UUID]) -> Sequence[Original]:
        """What became of each of these events; where the work of one is dead, it is begun again first."""
        ...

    async def runs_became(self, event_ids: Sequence[UUID]) -> Mapping[UUID, Became]:
        """What the runs of these events answered, or how they ended without; those that go on are left out."""
        ...

    async def workflow_of(self, run_id: UUID) -> str | None:
        """The id of the workflow that the run is one of; None when there is no such run, or not yet."""
        ...

    async def set_first_secret(self, webhook_id: str, secret: str) -> bool:
        """Give the endpoint a secret, if it has none; whether it got it."""
        ...

    async def add_statistics(self, counted: Sequence[Counted]) -> None:
        """Add to the endpoints' statistics."""
        ...

    async def add_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Keep rejections, the most recent ones of each endpoint."""
        ...
