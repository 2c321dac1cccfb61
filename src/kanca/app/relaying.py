"""The relays of a process: one for each database that may have an outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from kanca.outbound.known_types import KnownTypes
from kanca.outbound.outbox.relaying import Relay
from kanca.queue.duties import Duty
from kanca.settings import Settings
from kanca.storage.dialects.foreign import open_foreign
from kanca.storage.ports import Database


def outbox_urls(settings: Settings) -> tuple[str, ...]:
    """The databases that may have an outbox: Kanca's own, and those that are set."""
    return tuple(dict.fromkeys((settings.database_url, *settings.outbox_urls)))


@asynccontextmanager
async def open_relays(
    settings: Settings, database: Database, on_moved: Callable[[], None]
) -> AsyncIterator[Mapping[str, Duty]]:
    """The duty of each outbox, by a name; on the way out their connections are closed.

    Connects to nothing. Raises InvalidSetting for a URL that is none, or whose driver is not installed.
    """
    types = KnownTypes(database, is_closed=settings.event_catalogue == "closed")
    async with AsyncExitStack() as opened:
        relays: dict[str, Duty] = {}
        for number, url in enumerate(outbox_urls(settings)):
            source = open_foreign(url)
            opened.push_async_callback(source.close)
            relays[f"outbox-{number}"] = Relay(
                source, database, types, on_moved, now=lambda: datetime.now(UTC)
            )
        yield relays
