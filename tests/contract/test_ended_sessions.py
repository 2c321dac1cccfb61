from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kanca.storage import api_keys, ended_sessions
from kanca.storage.ports import Database
from tests.factories import ids

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def test_who_knows_the_keys_hears_of_a_session_that_ended(database: Database) -> None:
    session = ids.new()
    before = await database.read(api_keys.read_known, None)
    assert before is not None

    for _ in range(2):
        await database.write(ended_sessions.end, session, NOW + timedelta(hours=12), NOW)

    after = await database.read(api_keys.read_known, before.version)
    assert after is not None
    assert not before.ended_sessions
    assert after.ended_sessions == {session}


async def test_what_would_be_over_by_now_is_forgotten(database: Database) -> None:
    old, young, new = ids.new(), ids.new(), ids.new()
    for session, hours in ((old, 12), (young, 20)):
        await database.write(ended_sessions.end, session, NOW + timedelta(hours=hours), NOW)

    later = NOW + timedelta(hours=14)
    await database.write(ended_sessions.end, new, later + timedelta(hours=12), later)

    assert await database.read(ended_sessions.read_all) == {young, new}
