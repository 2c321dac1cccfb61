from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from kanca.storage import endpoints, rejections
from kanca.storage.ports import Database
from kanca.storage.rejections import KEPT, Rejection
from kanca.storage.secret_box import SecretBox
from tests.factories import ids, new_endpoint

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def _rejection(endpoint: int = 100, detail: str = "the signature does not match") -> Rejection:
    return Rejection(ids.new(), endpoint, NOW, 401, "signature_mismatch", detail, "192.0.2.1", b"{}")


async def test_rejections_are_listed_newest_first(database: Database) -> None:
    refused = sorted((_rejection() for _ in range(5)), key=lambda each: each.id, reverse=True)
    await database.write(rejections.add, refused)
    await database.write(rejections.add, [_rejection(101)])
    await database.write(rejections.add, [])
    first = await database.read(rejections.page, 100, limit=3)
    second = await database.read(rejections.page, 100, limit=3, cursor=first.next_cursor)
    assert [*first.items, *second.items] == refused
    assert second.next_cursor is None


async def test_only_the_newest_hundred_of_an_endpoint_are_kept(database: Database) -> None:
    others = [_rejection(101) for _ in range(3)]
    await database.write(rejections.add, others)
    refused = sorted((_rejection() for _ in range(KEPT + 50)), key=lambda each: each.id)
    for start in range(0, len(refused), 30):
        await database.write(rejections.add, refused[start : start + 30])
    kept = (await database.read(rejections.page, 100, limit=500)).items
    assert list(kept) == refused[:-101:-1]
    assert len((await database.read(rejections.page, 101)).items) == 3


async def test_several_processes_keep_no_more_of_an_endpoint_than_one(database: Database) -> None:
    endpoint = await database.write(endpoints.create, SecretBox(["a key of the tests"]), new_endpoint())
    number = endpoint.number
    batches = [[_rejection(number) for _ in range(10)] for _ in range(24)]
    await asyncio.gather(*(database.write(rejections.add, batch) for batch in batches))
    assert len((await database.read(rejections.page, number, limit=500)).items) == KEPT


async def test_causes_count_what_rejections_stand_for(database: Database) -> None:
    refused = [_rejection(), replace(_rejection(), count=41), replace(_rejection(), code="rate_limited")]
    await database.write(rejections.add, [*refused, _rejection(101)])
    assert await database.read(rejections.causes, 100) == {"signature_mismatch": 42, "rate_limited": 1}
    assert await database.read(rejections.causes, 999) == {}


async def test_what_no_text_column_takes_is_replaced_not_refused(database: Database) -> None:
    await database.write(rejections.add, [_rejection(detail="a\0b\ud800c")])
    [kept] = (await database.read(rejections.page, 100)).items
    assert kept.detail == "a\ufffdb?c"
