"""``/api/events/{id}/expunge``: what an event said is taken away, that it was there stays."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import STORED_EVENT
from kanca.api.events import stored_event
from kanca.api.fields import EventIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_EVENT
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.event import StoredEvent
from kanca.domain.expunged import expunged_at
from kanca.domain.ids import EVENT, id_at, show_id, time_of
from kanca.errors import EventNotFound, EventUnfinished
from kanca.storage import event_copies
from kanca.storage.events import CLOCKS_DIFFER_BY
from kanca.storage.expunging import Expunged, expunge

router = resource("Events", "/api/events")

_EVENT_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"


class EventExpunged(BaseModel):
    """The payload is gone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "expunged",
                    "event_id": _EVENT_ID,
                    "expunged_at": "2026-03-02T09:00:00.123456Z",
                    "replays": ["evt_019504a1b2c37d3e8f00b4a6c8d2e1f1"],
                }
            ]
        }
    )

    status: str
    event_id: str
    expunged_at: datetime
    replays: list[str] = Field(description="Other events with the same bytes, which were expunged with it.")


@router.post(
    "/{event_id}/expunge",
    summary="Expunge an event's payload",
    operation_id="expunge_event",
    dependencies=[OWN_EVENT],
    responses=refused_with(EventNotFound, EventUnfinished),
)
async def expunge_event(services: Given, trail: Audited, event_id: EventIdPath) -> EventExpunged:
    """Take body and headers away, with all copies: replays of it, runs, steps, results, causes, answers, dead letters.

    The record stays, with what became of the event. It cannot be replayed, retried or resent any more. Refused while
    work of it, or of a replay, goes on; what was expunged by then stays so.
    """
    event = await stored_event(services, event_id)
    alike: set[UUID] = set()
    # Looked for until there is no other one: a replay may be made while they go.
    while found := await _alike(services, event) - alike:
        await _expunge_all(services, trail, event_id, sorted(found))
        alike |= found
    await services.database.wipe()
    replays = [show_id(EVENT, each) for each in sorted(alike) if each != event_id]
    gone_at = expunged_at((await stored_event(services, event_id)).request)
    return EventExpunged(
        status="expunged",
        event_id=show_id(EVENT, event_id),
        expunged_at=gone_at or services.now(),
        replays=replays,
    )


async def _expunge_all(services: Services, trail: Trail, event_id: UUID, alike: list[UUID]) -> None:
    """Expunge the event and its likes, some at a time. Raises EventUnfinished."""
    about = About[Expunged]("event.expunged", STORED_EVENT, event_id, detail=_expunged)
    for start in range(0, len(alike), event_copies.AT_ONCE):
        part = alike[start : start + event_copies.AT_ONCE]
        done = await trail.write(about, expunge, part, services.now())
        if done.in_use:
            names = [show_id(EVENT, each) for each in sorted(done.in_use)]
            raise EventUnfinished(f"Work of {names[0]} goes on: expunge it once it has ended.", events=names)


def _expunged(done: Expunged) -> dict[str, list[str]] | None:
    """Whose payloads went: the event's, and those of its replays."""
    return {"events": [show_id(EVENT, each) for each in sorted(done.gone)]} if done.gone else None


async def _alike(services: Services, event: StoredEvent) -> set[UUID]:
    """The event, and all that have the same bytes: its original, and its replays."""
    root = event.replay_of or event.id
    # The clock of who made a replay at once may be behind that of who accepted the original.
    found, after = {root, event.id}, id_at(time_of(root) - CLOCKS_DIFFER_BY)
    while True:
        part = await services.database.read(event_copies.replays_after, event.endpoint, root, after)
        found |= set(part.replays)
        if part.last is None:
            return found
        after = part.last
