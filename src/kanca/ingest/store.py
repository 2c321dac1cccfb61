"""The part of storage that ingest uses, on a database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Connection, select

from kanca.domain.audit import Hidden, by_itself
from kanca.domain.endpoint import BUILT_IN_PATHS, Endpoint, Secret
from kanca.domain.ids import IdFactory, time_of
from kanca.domain.status import EventStatus
from kanca.errors import EndpointNotFound
from kanca.ingest.answers import Original
from kanca.ingest.waiting_room import Became
from kanca.storage import (
    answers,
    audit,
    dead_letters,
    endpoints,
    events,
    rejections,
    runs,
    statistics,
    versions,
)
from kanca.storage.dead_letters import DeadLetterFilter
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.secret_box import SecretBox
from kanca.storage.statistics import Counted
from kanca.storage.tables import events as event_table

BY_HANDSHAKE = "handshake"
"""As whom the audit log knows a sender that told the secret of its endpoint."""


class DatabaseStore:
    """Implements ``ports.Store``."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        webhook_secret: SecretStr | None,
        writer: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``webhook_secret`` is what the built-in endpoint checks with; ``writer`` names this process in statistics."""
        self._database = database
        self._box = box
        self._webhook_secret = webhook_secret
        self._writer = writer
        self._now = now
        self._ids = IdFactory()

    async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
        """Those that are there. The built-in ones are there if the settings have a secret for them."""
        wanted = [key for key in keys if key not in BUILT_IN_PATHS or self._webhook_secret is not None]
        found = await self._database.read(_find, self._box, wanted) if wanted else {}
        if self._webhook_secret is not None:
            secrets = (Secret(self._webhook_secret.get_secret_value()),)
            for key in BUILT_IN_PATHS.keys() & found.keys():
                found[key] = replace(found[key], secrets=secrets)
        return found

    async def endpoints_version(self) -> int:
        """A number that grows with every change of any endpoint."""
        return (await self._database.read(versions.read_versions)).get("endpoints", 0)

    async def originals(self, event_ids: Sequence[UUID]) -> Sequence[Original]:
        """What became of each of these events; where the work of one is dead, it is begun again first."""
        found = await self._database.read(_originals, set(event_ids))
        for event_id, original in found.items():
            if original.status is EventStatus.DEAD:
                found[event_id] = await self._begin_again(original)
        return [found[event_id] for event_id in event_ids]

    async def _begin_again(self, original: Original) -> Original:
        wanted = DeadLetterFilter(event_id=original.id)
        if await self._database.write(dead_letters.retry_some, wanted, self._now()):
            return original.begun_again()
        # There was nothing to retry: another duplicate was first, or a person gave the work up.
        return (await self._database.read(_originals, {original.id}))[original.id]

    async def runs_became(self, event_ids: Sequence[UUID]) -> Mapping[UUID, Became]:
        """What the runs of these events answered, or how they ended without; those that go on are left out."""
        return await self._database.read(_became, event_ids)

    async def workflow_of(self, run_id: UUID) -> str | None:
        """The id of the workflow that the run is one of; None when there is no such run, or not yet."""
        run = await self._database.read(runs.get, run_id)
        return None if run is None else run.workflow_id

    async def set_first_secret(self, webhook_id: str, secret: str) -> bool:
        """Give the endpoint a secret, if it has none; whether it got it."""
        return await self._database.write(
            _set_first_secret, self._box, webhook_id, secret, self._now(), self._ids.new()
        )

    async def add_statistics(self, counted: Sequence[Counted]) -> None:
        """Add to the endpoints' statistics."""
        await self._database.write(statistics.add, self._writer, counted)

    async def add_rejections(self, refused: Sequence[Rejection]) -> None:
        """Keep rejections, the most recent ones of each endpoint."""
        await self._database.write(rejections.add, refused)


def _find(connection: Connection, box: SecretBox, keys: Sequence[str]) -> dict[str, Endpoint]:
    found = {}
    for key in keys:
        if key.startswith("/"):
            endpoint = endpoints.by_slug(connection, box, key[1:])
        else:
            endpoint = endpoints.by_webhook_id(connection, box, key)
        if endpoint is not None:
            found[key] = endpoint
    return found


def _set_first_secret(
    connection: Connection, box: SecretBox, webhook_id: str, secret: str, now: datetime, entry_id: UUID
) -> bool:
    had_one = True

    def paired(before: Endpoint) -> Endpoint:
        nonlocal had_one
        had_one = bool(before.secrets)
        return before if had_one else replace(before, secrets=(Secret(secret),), updated_at=now)

    try:
        endpoint = endpoints.change(connection, box, webhook_id, paired)
    except EndpointNotFound:
        return False
    if not had_one:
        entry = by_itself(
            BY_HANDSHAKE,
            entry_id,
            now,
            "endpoint.secret_set",
            ("endpoint", webhook_id),
            endpoint.tenant,
            before={"secrets": []},
            after={"secrets": [{"value": Hidden(secret), "expires_at": None}]},
        )
        audit.add(connection, entry)
    return endpoint.secrets == (Secret(secret),)


def _became(connection: Connection, event_ids: Sequence[UUID]) -> dict[UUID, Became]:
    ended = answers.ends(
        connection, event_ids
    )  # first: an answer that comes meanwhile is not overlooked then
    return {**ended, **answers.read(connection, event_ids)}


def _originals(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, Original]:
    became = events.originals(connection, event_ids)
    columns = event_table.c.id, event_table.c.received_at, event_table.c.correlation_id
    rows = connection.execute(select(*columns).where(event_table.c.id.in_(events.padded(event_ids))))
    received = {row.id: row for row in rows}
    originals = {}
    for event_id in event_ids:
        # Retention may have taken an event that is older than its dedupe key.
        row = received.get(event_id)
        originals[event_id] = Original(
            id=event_id,
            received_at=row.received_at if row else time_of(event_id),
            correlation_id=row.correlation_id if row else "",
            status=became[event_id].status,
            processed_at=became[event_id].processed_at,
            result=became[event_id].result or b"null",
        )
    return originals
