"""Every change and every look at a secret is written down, and no secret is."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from structlog.testing import capture_logs

import kanca.api
from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.audit import is_audited
from kanca.api.audited import (
    HIDDEN_OF_ENDPOINTS,
    HIDDEN_OF_SUBSCRIPTIONS,
    SHOWN_OF_ENDPOINTS,
    SHOWN_OF_SUBSCRIPTIONS,
    endpoint_config,
    shown_url,
    subscription_config,
)
from kanca.api.guard import ManagementGuard
from kanca.api.services import Services
from kanca.domain.answer import AnswerSpec
from kanca.domain.audit import changes
from kanca.domain.endpoint import EndpointConfig
from kanca.domain.portal_token import KEY_LABEL, PortalToken, make_token
from kanca.domain.subscription import SubscriptionConfig
from kanca.errors import DatabaseUnavailable
from kanca.storage import audit
from kanca.storage.ports import Database
from kanca.storage.tables import audit as table
from tests.api.conformity import ROUTES
from tests.api.conftest import Clock
from tests.api.rows import accept, shown
from tests.api.test_dead_letters import a_letter
from tests.api.test_dead_letters import name as letter_name
from tests.api.test_deliveries import name as delivery_name
from tests.api.workflow_samples import definition
from tests.sending import a_delivery, ended, publish, subscribe

AUDIT = "/api/audit"
ENDPOINTS = "/api/webhooks/endpoints"
SUBSCRIPTIONS = "/webhooks/subscriptions"

NOT_AUDITED = {
    "trigger_event": "publishing is the use of the server, not a change of it: the event itself is the record",
    "trigger_events": "as one event",
    "validate_workflow": "it changes nothing",
}
"""Routes that are not for reading, and leave no entry all the same."""
REVEALS = {"reveal_resume_urls"}
"""Routes for reading that show what opens something."""


def _audited() -> Iterator[str]:
    for route in ROUTES:
        if is_audited(route.dependant):
            yield str(route.operation_id)


def test_every_route_that_changes_something_is_audited() -> None:
    changing = {str(route.operation_id) for route in ROUTES if route.methods != {"GET"}}

    assert set(_audited()) == (changing - NOT_AUDITED.keys()) | REVEALS
    assert NOT_AUDITED.keys() <= changing


def test_no_route_writes_past_the_audit_log() -> None:
    past = {
        (path.name, call)
        for path in Path(kanca.api.__file__).parent.glob("*.py")
        for call in _writing_calls(path)
        if path.name != "audit.py"
    }

    # A wait's event is accepted as ingest does it, after its entry; work that waits is only told to go on.
    assert past == {
        ("run_waits.py", "accepting.append"),
        # When keys were used last is no change that anybody made.
        ("key_book.py", "_database.write"),
        *((name, "queue.unpark") for name in ("endpoints.py", "subscriptions.py", "workflows.py")),
    }


def _writing_calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(
            ("database.write", "accepting.append", "queue.unpark", "queue.enqueue")
        ):
            yield ".".join(ast.unparse(node).split(".")[-2:])


async def entries(client: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await client.get(AUDIT, params=wanted)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def done(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_life_of_an_endpoint_is_told(client: httpx.AsyncClient) -> None:
    made = await done(client, "POST", ENDPOINTS, {"name": "Shop", "slug": "shop"})
    one = f"{ENDPOINTS}/{made['webhook_id']}"
    await done(client, "PUT", one, {"name": "Store", "config": {"max_payload_size": 2048}})
    await done(client, "POST", f"{one}/rotate-secret", {"grace_seconds": 60})
    await done(client, "POST", f"{one}/reveal-secret")
    await done(client, "POST", f"{one}/pause")
    await done(client, "POST", f"{one}/resume")
    await done(client, "DELETE", one)

    told = (await entries(client, subject=made["webhook_id"]))[::-1]

    assert [entry["action"].removeprefix("endpoint.") for entry in told] == [
        "created",
        "changed",
        "secret_rotated",
        "secret_revealed",
        "paused",
        "resumed",
        "deleted",
    ]
    created, changed, rotated, revealed, paused, resumed, deleted = told
    assert created["before"] is None
    assert (created["after"]["name"], created["after"]["is_paused"]) == ("Shop", False)
    assert created["after"]["secrets"] == [{"value": "[redacted]", "expires_at": None}]
    assert changed["before"] == {"name": "Shop", "config": {"max_payload_size": 1024}}
    assert changed["after"] == {"name": "Store", "config": {"max_payload_size": 2048}}
    assert [len(rotated[side]["secrets"]) for side in ("before", "after")] == [1, 2]
    assert rotated["detail"] == {"grace_seconds": 60, "is_given": False}
    assert (revealed["before"], revealed["after"], revealed["tenant"]) == (None, None, "default")
    assert (paused["after"], resumed["after"]) == ({"is_paused": True}, {"is_paused": False})
    assert (deleted["before"]["name"], deleted["after"]) == ("Store", None)
    assert await done(client, "GET", f"{AUDIT}/{changed['id']}") == changed


async def test_the_life_of_a_subscription_is_told(client: httpx.AsyncClient) -> None:
    one = f"{SUBSCRIPTIONS}/partner"
    body = {
        "id": "partner",
        "url": "https://partner.example/h?key=abc",
        "events": ["*"],
        "tenant": "acme",
    }
    await done(client, "POST", SUBSCRIPTIONS, body | {"headers": {"X-Key": "1"}})
    await done(client, "PUT", one, {"headers": {"X-Key": "2"}, "timeout": 5, "active": False})
    for action in ("rotate-secret", "reveal-secret", "enable"):
        await done(client, "POST", f"{one}/{action}")
    await done(client, "DELETE", one)

    told = (await entries(client, tenant="acme"))[::-1]

    assert [entry["action"].removeprefix("subscription.") for entry in told] == [
        "created",
        "changed",
        "secret_rotated",
        "secret_revealed",
        "enabled",
        "deleted",
    ]
    assert told[0]["after"]["url"] == "https://partner.example/h?key=[redacted]"
    assert told[1]["before"] == {
        "is_active": True,
        "config": {"headers": {"X-Key": "[redacted]"}, "timeout": None},
    }
    assert told[1]["after"]["config"] == {"headers": {"X-Key": "[redacted]"}, "timeout": 5}
    assert told[4]["after"] == {"is_active": True}


async def test_what_is_done_to_workflows_and_their_runs_is_told(client: httpx.AsyncClient) -> None:
    one = "/api/workflows/w"
    await done(client, "POST", "/api/workflows", definition("w"))
    await done(client, "PUT", one, definition("w") | {"name": "Other"})
    await done(client, "POST", f"{one}/publish")
    run = await done(client, "POST", f"{one}/runs")
    await done(client, "POST", f"/api/runs/{run['id']}/cancel")
    await done(client, "POST", f"{one}/test")
    for action in ("publish?version=1", "rollback", "pause", "resume", "unpublish"):
        await done(client, "POST", f"{one}/{action}")
    await done(client, "DELETE", one)

    told = (await entries(client))[::-1]

    assert [entry["action"] for entry in told] == [
        "workflow.created",
        "workflow.saved",
        "workflow.published",
        "run.started",
        "run.cancelled",
        "workflow.tested",
        "workflow.published",
        "workflow.rolled_back",
        "workflow.paused",
        "workflow.resumed",
        "workflow.unpublished",
        "workflow.deleted",
    ]
    assert (told[1]["before"], told[1]["after"]) == (
        {"name": "Greet", "version": 1},
        {"name": "Other", "version": 2},
    )
    assert told[3]["subject"] == told[4]["subject"] == {"kind": "run", "id": run["id"]}
    assert (told[3]["after"]["workflow_id"], told[3]["tenant"]) == ("w", "default")


async def test_what_is_done_with_stored_work_is_told(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    event = await accept(database)
    letters = [await a_letter(database, clock) for _ in range(4)]
    shop = await subscribe(database)
    delivered = await publish(database)
    await ended(database, a_delivery((delivered.id, shop.number)))
    clock.advance(minutes=1)

    await done(client, "POST", f"/api/events/{shown(event)}/replay")
    await done(client, "POST", "/api/events/replay", {"event_type": event.type, "limit": 1})
    await done(client, "POST", "/api/events/replay", {"event_type": event.type, "dry_run": True})
    await done(client, "POST", f"/admin/dlq/{letter_name(letters[0])}/retry")
    await done(client, "DELETE", f"/admin/dlq/{letter_name(letters[1])}")
    await done(client, "POST", "/admin/dlq/retry", {"tenant": "default"})
    await done(client, "POST", "/admin/dlq/retry", {"tenant": "nobody"})
    await done(client, "POST", f"/api/deliveries/{delivery_name((delivered.id, shop.number))}/resend")
    asked = {"since": "2026-01-01T00:00:00Z", "only": "all"}
    replay = await done(client, "POST", "/api/deliveries/replay", asked)
    await done(client, "POST", f"/api/replays/{replay['id']}/cancel")

    told = (await entries(client))[::-1]

    assert [entry["action"] for entry in told] == [
        "event.replayed",
        "events.replayed",
        "dead_letter.retried",
        "dead_letter.deleted",
        "dead_letters.retried",
        "delivery.resent",
        "replay.created",
        "replay.cancelled",
    ]
    assert told[0]["subject"] == {"kind": "event", "id": shown(event)}
    assert told[1]["detail"]["count"] == len(told[1]["detail"]["event_ids"]) == 1
    assert told[3]["before"]["code"] == letters[1].code
    assert told[4]["detail"]["count"] == 2
    assert told[4]["detail"]["filter"]["tenant"] == "default"
    assert (told[7]["before"], told[7]["after"]) == ({"status": "pending"}, {"status": "cancelled"})


async def test_what_is_set_for_all_is_told(client: httpx.AsyncClient) -> None:
    bearer = {"kind": "bearer", "token": "s3cret"}
    for _ in range(2):
        await done(client, "PUT", "/api/credentials/shop", bearer)
    await done(client, "DELETE", "/api/credentials/shop")
    for enforced in (False, True):
        body = {"schema": {"type": "object"}, "enforced": enforced}
        await done(client, "PUT", "/api/event-types/order.paid", body)
    await done(client, "DELETE", "/api/event-types/order.paid")
    await done(client, "POST", "/api/portal/tokens", {"tenant": "acme"})

    told = (await entries(client))[::-1]

    assert [(entry["action"], entry["before"], entry["after"]) for entry in told] == [
        ("credential.created", None, {"kind": "bearer", "value": "[redacted]"}),
        ("credential.replaced", {"value": "[redacted]"}, {"value": "[redacted]"}),
        ("credential.deleted", {"kind": "bearer", "value": "[redacted]"}, None),
        (
            "event_type.created",
            None,
            {"description": "", "schema": {"type": "object"}, "example": None, "enforced": False},
        ),
        ("event_type.replaced", {"enforced": False}, {"enforced": True}),
        (
            "event_type.deleted",
            {"description": "", "schema": {"type": "object"}, "example": None, "enforced": True},
            None,
        ),
        ("portal_token.created", None, None),
    ]
    assert (told[-1]["subject"], told[-1]["tenant"]) == ({"kind": "portal_token", "id": "acme"}, "acme")


async def test_a_change_that_is_refused_leaves_no_entry(client: httpx.AsyncClient) -> None:
    await done(client, "POST", ENDPOINTS, {"slug": "shop"})
    refused = [
        await client.post(ENDPOINTS, json={"slug": "shop"}),
        await client.put(f"{ENDPOINTS}/wh_{'0' * 24}", json={"name": "x"}),
        await client.delete("/api/credentials/shop"),
        await client.post(f"/admin/dlq/dl_{'0' * 32}/retry"),
    ]

    assert [answer.status_code for answer in refused] == [409, 404, 404, 404]
    assert len(await entries(client)) == 1


async def test_a_change_that_cannot_be_written_down_does_not_happen(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await done(client, "POST", ENDPOINTS, {"name": "Shop"})
    one = f"{ENDPOINTS}/{made['webhook_id']}"

    def fail(*_: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(audit, "add", fail)
        changed = await client.put(one, json={"name": "Store"})
        deleted = await client.delete(one)
        revealed = await client.post(f"{one}/reveal-secret")

    assert [answer.status_code for answer in (changed, deleted, revealed)] == [503] * 3
    assert made["secret_token"] not in revealed.text
    assert (await done(client, "GET", one))["name"] == "Shop"


async def test_two_who_change_the_same_are_told_one_after_the_other(client: httpx.AsyncClient) -> None:
    made = await done(client, "POST", ENDPOINTS, {"name": "0"})
    one = f"{ENDPOINTS}/{made['webhook_id']}"
    for name in ("1", "2", "3"):
        await done(client, "PUT", one, {"name": name})

    told = await entries(client, action="endpoint.changed")

    assert [(each["before"]["name"], each["after"]["name"]) for each in told] == [
        ("2", "3"),
        ("1", "2"),
        ("0", "1"),
    ]


@pytest.fixture
async def guarded(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    guard = ManagementGuard(
        create_api(services),
        AccessRule("the-key", False),
        services.secret_box.derived(KEY_LABEL),
        services.now,
    )
    transport = httpx.ASGITransport(guard, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
        yield client


async def test_an_entry_says_who_it_was_and_from_where(
    guarded: httpx.AsyncClient, services: Services
) -> None:
    token = PortalToken("acme", services.now() + timedelta(hours=1), is_read_only=False)
    theirs = {"authorization": f"Bearer {make_token(services.secret_box.derived(KEY_LABEL), token)}"}
    ours = {"authorization": "Bearer the-key"}
    body = {"id": "a", "url": "https://partner.example", "events": ["*"]}

    await guarded.post(SUBSCRIPTIONS, headers=theirs | {"x-request-id": "r-1"}, json=body)
    await guarded.delete(f"{SUBSCRIPTIONS}/a", headers=ours | {"x-request-id": "\x7f" * 3})
    found = (await guarded.get(AUDIT, headers=ours)).json()["items"]
    refused = await guarded.get(AUDIT, headers=theirs)

    names = ("actor", "address", "request_id", "tenant")
    assert [[entry[name] for name in names] for entry in found] == [
        [{"kind": "admin_key", "id": None, "name": None}, "192.0.2.7", None, "acme"],
        [{"kind": "tenant", "id": "acme", "name": None}, "192.0.2.7", "r-1", "acme"],
    ]
    assert (refused.status_code, refused.json()["code"]) == (403, "not_for_tenants")


async def test_without_a_key_it_was_somebody_on_this_machine(client: httpx.AsyncClient) -> None:
    await done(client, "POST", ENDPOINTS, {})
    [entry] = await entries(client, actor="loopback")
    assert entry["actor"] == {"kind": "loopback", "id": None, "name": None}


async def test_the_log_is_listed_page_by_page_and_searched(client: httpx.AsyncClient, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        await done(client, "POST", ENDPOINTS, {"name": name})
        clock.advance(hours=1)
    first = (await client.get(AUDIT, params={"limit": 2})).json()
    second = (await client.get(AUDIT, params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert [entry["after"]["name"] for entry in first["items"] + second["items"]] == ["c", "b", "a"]
    assert second["next_cursor"] is None
    since = (clock.now - timedelta(hours=1)).isoformat()
    assert [each["after"]["name"] for each in await entries(client, since=since)] == ["c"]
    assert [each["after"]["name"] for each in await entries(client, until=since)] == ["b", "a"]
    assert await entries(client, action="run.*") == await entries(client, tenant="nobody") == []
    assert len(await entries(client, subject="endpoint", action="endpoint.*")) == 3
    assert (await client.get(AUDIT, params={"who": "me"})).status_code == 422
    assert (await client.get(f"{AUDIT}/aud_{'0' * 32}")).json()["code"] == "audit_entry_not_found"
    assert (await client.get(f"{AUDIT}/x")).status_code == 404


async def test_no_secret_gets_into_the_audit_log_or_the_log(
    client: httpx.AsyncClient, database: Database
) -> None:
    secret, header = "planted" * 6, "planted-in-a-header"
    with capture_logs() as logs:
        endpoint = await done(client, "POST", ENDPOINTS, {"secret": secret})
        one = f"{ENDPOINTS}/{endpoint['webhook_id']}"
        answer = {"status": 200, "headers": {"X-Key": header}}
        await done(client, "PUT", one, {"config": {"answer": answer}})
        await done(client, "POST", f"{one}/rotate-secret", {"secret": secret + "2"})
        await done(client, "POST", f"{one}/reveal-secret")
        await done(client, "DELETE", one)
        subscription = {
            "id": "a",
            "url": "https://partner.example/h?token=planted",
            "events": ["*"],
            "secret": secret,
            "headers": {"X-Key": header, "Cookie": header},
        }
        await done(client, "POST", SUBSCRIPTIONS, subscription)
        other = {"url": "https://partner.example/h?planted", "headers": {"X-Other": header}}
        await done(client, "PUT", f"{SUBSCRIPTIONS}/a", other)
        await done(client, "POST", f"{SUBSCRIPTIONS}/a/rotate-secret", {"secret": secret + "2"})
        await done(client, "POST", f"{SUBSCRIPTIONS}/a/reveal-secret")
        await done(client, "DELETE", f"{SUBSCRIPTIONS}/a")
        for body in (
            {"kind": "bearer", "token": "planted"},
            {"kind": "basic", "username": "planted", "password": "planted"},
            {"kind": "header", "name": "X-Key", "value": "planted"},
            {
                "kind": "oauth2",
                "token_url": "https://a.example",
                "client_id": "planted",
                "client_secret": "planted",
            },
        ):
            await done(client, "PUT", "/api/credentials/shop", body)
        await done(client, "DELETE", "/api/credentials/shop")
        token = await done(client, "POST", "/api/portal/tokens", {"tenant": "acme"})
    rows = await database.read(lambda connection: connection.execute(select(table)).all())

    said = f"{[tuple(row) for row in rows]}{logs}"
    assert len(rows) == len(logs) == 16
    assert "planted" not in said
    assert token["token"] not in said


MARKED = st.text(alphabet="abc /:?#&=@[]%\"'", max_size=8).map(lambda text: f"planted{text}planted")
HEADERS = st.dictionaries(st.sampled_from(["X-Key", "Authorization", "Cookie", "Accept"]), MARKED)


@given(HEADERS, HEADERS)
def test_values_of_headers_are_in_no_entry(before: dict[str, str], after: dict[str, str]) -> None:
    subscription = changes(
        subscription_config(SubscriptionConfig(headers=before)),
        subscription_config(SubscriptionConfig(headers=after)),
    )
    endpoint = changes(
        endpoint_config(EndpointConfig(answer=AnswerSpec(headers=tuple(before.items())))),
        endpoint_config(EndpointConfig(answer=AnswerSpec(headers=tuple(after.items())))),
    )

    assert "planted" not in f"{subscription}{endpoint}"
    assert (subscription == (None, None)) == (before == after)


@given(
    st.sampled_from(["{}@", ":{}@", "u:{}@", "{}:{}@"]), st.sampled_from(["", "?{}", "?a={}", "?a=1&{}={}"])
)
def test_users_passwords_and_parameters_of_addresses_are_in_no_entry(user: str, query: str) -> None:
    secrets = user.replace("{}", "planted"), query.replace("{}", "planted").replace("&planted=", "&name=")
    url = f"https://{secrets[0]}partner.example:8443/hooks{secrets[1]}"

    shown = shown_url(url).shown_as

    assert "planted" not in shown
    assert shown.startswith("https://[redacted]@partner.example:8443/hooks")


def test_it_is_decided_of_each_key_of_a_config_whether_its_value_is_shown() -> None:
    for config, shows, hides in (
        (EndpointConfig, SHOWN_OF_ENDPOINTS, HIDDEN_OF_ENDPOINTS),
        (SubscriptionConfig, SHOWN_OF_SUBSCRIPTIONS, HIDDEN_OF_SUBSCRIPTIONS),
    ):
        assert {each.name for each in fields(config)} == shows | hides
        assert not shows & hides
