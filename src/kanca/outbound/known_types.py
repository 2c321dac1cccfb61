"""The catalogue of event types as the database has it now, for who needs no subscriptions."""

from __future__ import annotations

from sqlalchemy import Connection

from kanca.outbound.catalogue import EventCatalogue
from kanca.storage import event_types
from kanca.storage.event_types import EventType
from kanca.storage.ports import Database
from kanca.storage.versions import read_versions


class KnownTypes:
    """Reads the catalogue anew whenever it has changed."""

    def __init__(self, database: Database, *, is_closed: bool) -> None:
        """``is_closed``: nothing may be published but types of the catalogue."""
        self._database = database
        self._is_closed = is_closed
        self._version: int | None = None
        self._catalogue = EventCatalogue(is_closed=is_closed)

    async def look(self) -> EventCatalogue:
        """The catalogue, never older than this look. Raises DatabaseUnavailable."""
        version, types = await self._database.read(_read, self._version)
        if types is not None:
            self._catalogue = EventCatalogue(types, is_closed=self._is_closed)
            self._version = version
        return self._catalogue


def _read(connection: Connection, seen: int | None) -> tuple[int, list[EventType] | None]:
    # The version first: what changes after it is read again.
    version = read_versions(connection).get("event_types", 0)
    return version, None if version == seen else event_types.read_all(connection)
