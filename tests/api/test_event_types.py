from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.api.conftest import Clock

TYPES = "/api/event-types"
ORDER = f"{TYPES}/order.created"
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
FULL: dict[str, Any] = {
    "description": "Sipariş verildi.\nBir kez.",
    "schema": SCHEMA,
    "example": {"id": 4711, "total": 1.5},
    "enforced": True,
}


async def put(client: httpx.AsyncClient, path: str = ORDER, **body: Any) -> dict[str, Any]:
    answer = await client.put(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_type_is_read_as_it_was_written(client: httpx.AsyncClient) -> None:
    made = await put(client, **FULL)

    assert made == {"name": "order.created", **FULL} | {
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert (await client.get(ORDER)).json() == made
    assert (await client.get(TYPES)).json() == {"items": [made], "next_cursor": None}


async def test_each_change_is_written_down_and_a_type_keeps_its_age(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    with capture_logs() as logs:
        made = await put(client, **FULL)
        clock.advance(hours=1)
        replaced = await put(client)
        gone = await client.delete(ORDER)

    assert [(line["action"], line["subject"]) for line in logs] == [
        ("event_type.created", "order.created"),
        ("event_type.replaced", "order.created"),
        ("event_type.deleted", "order.created"),
    ]
    assert replaced["created_at"] == made["created_at"] < replaced["updated_at"]
    assert (replaced["description"], replaced["schema"], replaced["enforced"]) == ("", None, False)
    assert gone.json() == {"message": "Event type order.created was deleted"}
    assert (await client.delete(ORDER)).json()["code"] == "event_type_not_found"


async def test_they_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    for name in ("b", "a", "sıra dışı"):
        await put(client, f"{TYPES}/{name}")
    first = (await client.get(TYPES, params={"limit": 2})).json()
    rest = (await client.get(TYPES, params={"cursor": first["next_cursor"]})).json()

    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "sıra dışı"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"schema": {"type": "strin"}}, "no JSON Schema"),
        ({"schema": '{"type":"object"}'}, "no JSON Schema"),
        ({"schema": {"$ref": "https://example.com/a.json"}}, "itself only"),
        ({"schema": {"items": {"$ref": "#"}}}, "contains itself"),
        ({"schema": {"pattern": "(?=a)"}}, "no JSON Schema"),
        ({"schema": SCHEMA, "example": {"id": "x"}}, "The example does not fit the schema; at /id"),
        ({"enforced": True}, "it has no schema"),
        ({"description": "\x00"}, "control characters"),
        ({"description": "a" * 4_001}, "4000"),
        ({"enforced": "yes"}, "enforced"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_cannot_be_is_refused_when_it_is_saved(
    client: httpx.AsyncClient, body: dict[str, Any], words: str
) -> None:
    answer = await client.put(ORDER, json=body)

    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert (await client.get(ORDER)).status_code == 404


async def test_a_name_that_no_event_can_have_is_refused_or_not_found(client: httpx.AsyncClient) -> None:
    odd = f"{TYPES}/{'a' * 257}"

    assert (await client.put(odd, json={})).status_code == 422
    assert (await client.get(odd)).json()["code"] == "event_type_not_found"
    assert (await client.get(f"{TYPES}/a%00")).status_code == 404
