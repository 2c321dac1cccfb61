from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from kanca.domain.task import TaskKind
from kanca.storage.event_copies import make_replays
from kanca.storage.events import read_events
from kanca.storage.expunging import expunge
from kanca.storage.ports import Database
from tests.api.rows import accept, later_ids, waiting
from tests.planted import plant

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def test_replays_have_the_bytes_of_what_is_there_and_nothing_is_made_of_the_rest(
    database: Database,
) -> None:
    kept, expunged, never = await accept(database), await plant(database), UUID(int=1)
    await database.write(expunge, [expunged.id], NOW)

    [made] = await database.write(make_replays, [expunged.id, never, kept.id], later_ids.new, NOW)

    stored = (await database.read(read_events, [made.id]))[made.id]
    assert (stored.body, stored.request, stored.replay_of) == (kept.body, kept.request, kept.id)
    assert [(task.kind, task.ref) for task in await waiting(database)] == [
        (TaskKind.DISPATCH, kept.id),
        (TaskKind.DISPATCH, made.id),
    ]
