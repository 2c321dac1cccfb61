from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, update
from structlog.testing import capture_logs

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID, RESUME_WEBHOOK_ID
from kanca.domain.task import LANES, Completion, Park, TaskKind, TaskState
from kanca.storage import statistics, versions
from kanca.storage.ports import Capabilities, Database, LaneAsk
from kanca.storage.secret_box import SecretBox
from kanca.storage.statistics import Counted
from kanca.storage.tables import endpoints
from tests.api.conftest import Clock, Wakes, speaking_to
from tests.api.rows import accept, number_of, waiting
from tests.api.workflow_samples import definition

ENDPOINTS = "/api/webhooks/endpoints"
MISSING = f"{ENDPOINTS}/wh_{'0' * 24}"
STRIPE_SECRET = "whsec_0123456789abcdef0123456789abcdef"


async def create(client: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    answer = await client.post(ENDPOINTS, json=request)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refused(client: httpx.AsyncClient, status: int, **request: Any) -> dict[str, Any]:
    answer = await client.post(ENDPOINTS, json=request)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_an_endpoint_without_wishes_has_a_token_and_the_defaults(client: httpx.AsyncClient) -> None:
    made = await create(client)

    assert made["endpoint_path"] == f"/api/webhooks/{made['webhook_id']}"
    assert made["endpoint_url"] == f"https://hooks.example.com/api/webhooks/{made['webhook_id']}"
    assert made["secret_token"].startswith("wht_")
    assert len(made["secret_token"]) == 68
    assert made["is_active"] is True
    assert made["hint"] is None
    assert made["config"] == {
        "authentication_required": True,
        "allowed_event_types": [],
        "max_payload_size": 1024,
        "rate_limit_per_minute": 60,
        "webhook_timeout": 30,
        "allowed_methods": ["POST"],
        "enable_cors": True,
        "cors_origins": ["*"],
        "response_wait": 0,
        "response_timeout_status": 202,
        "payload_retention_days": None,
        "indexed_fields": [],
        "node_behavior": "auto",
        "allowed_ips": [],
        "dedupe": "auto",
        "dedupe_window_days": 7,
        "dedupe_include": [],
        "dedupe_exclude": [],
        "redact_fields": [],
        "answer": None,
        "filter": None,
        "provider_options": {},
        "provider_spec": None,
    }
    counted = ("last_triggered", "trigger_count", "avg_response_time_ms", "error_count")
    assert [made[key] for key in counted] == [None, 0, 0, 0]


async def test_an_endpoint_of_a_workflow_belongs_to_its_trigger(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/workflows", json=definition())).status_code == 200

    made = await create(client, workflow_id="test-123", node_id="node-456", config={})
    by_itself = await create(client, workflow_id="test-123")

    assert (made["workflow_id"], made["node_id"]) == ("test-123", "node-456")
    assert by_itself["node_id"] == "node-456"


async def test_an_endpoint_of_an_unknown_workflow_is_refused(client: httpx.AsyncClient) -> None:
    problem = await refused(client, 404, workflow_id="test-123", node_id="node-456", config={})

    assert problem["code"] == "workflow_not_found"
    assert "test-123" in problem["detail"]


async def test_an_endpoint_at_an_impossible_node_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/api/workflows", json=definition("one", "a"))
    await client.post("/api/workflows", json=definition("two", "a", "b"))
    impossible: list[dict[str, Any]] = [
        {"workflow_id": "one", "node_id": "say"},
        {"workflow_id": "one", "node_id": "nowhere"},
        {"workflow_id": "two"},
        {"node_id": "a"},
    ]
    for request in impossible:
        problem = await refused(client, 422, **request)
        assert (problem["code"], problem["problems"][0]["key"]) == ("invalid_endpoint", "node_id")


def with_a_wait(*, has_edge: bool = True) -> dict[str, Any]:
    nodes = [{"id": name, "type": "WebhookTrigger"} for name in ("order", "paid")]
    edges = [{"from": "order", "to": "paid"}] if has_edge else []
    return {"id": "orders", "nodes": nodes, "edges": edges}


@pytest.mark.parametrize(("node_id", "behavior"), [("order", "trigger_only"), ("paid", "start_only")])
async def test_an_endpoint_that_says_what_its_node_cannot_do_is_refused(
    client: httpx.AsyncClient, node_id: str, behavior: str
) -> None:
    await client.post("/api/workflows", json=with_a_wait())
    entry = {"workflow_id": "orders", "node_id": node_id}

    problem = await refused(client, 422, **entry, config={"node_behavior": behavior})

    assert problem["problems"][0]["key"] == "config.node_behavior"
    made = (await client.post("/api/webhooks/endpoints", json=entry)).json()
    path = f"/api/webhooks/endpoints/{made['webhook_id']}"
    answer = await client.put(path, json={"config": {"node_behavior": behavior}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_endpoint")


async def test_a_version_that_an_endpoint_contradicts_is_not_published(client: httpx.AsyncClient) -> None:
    await client.post("/api/workflows", json=with_a_wait())
    entry = {"workflow_id": "orders", "node_id": "paid", "config": {"node_behavior": "trigger_only"}}
    made = (await client.post("/api/webhooks/endpoints", json=entry)).json()
    assert (await client.post("/api/workflows/orders/publish")).status_code == 200
    await client.put("/api/workflows/orders", json=with_a_wait(has_edge=False))

    answer = await client.post("/api/workflows/orders/publish")

    assert answer.status_code == 422
    [problem] = answer.json()["problems"]
    assert (problem["node"], problem["code"]) == ("paid", "endpoint_contradicts")
    assert made["webhook_id"] in problem["message"]
    renamed = await client.put(f"/api/webhooks/endpoints/{made['webhook_id']}", json={"name": "Paid"})
    assert renamed.status_code == 200


async def test_all_that_is_wrong_with_a_config_is_said_at_once(client: httpx.AsyncClient) -> None:
    config = {"rate_limit_per_minute": "many", "allowed_ips": ["here"], "colour": "red", "dedupe": "maybe"}

    problem = await refused(client, 422, config=config)

    assert problem["code"] == "invalid_endpoint"
    assert [each["key"] for each in problem["problems"]] == [f"config.{key}" for key in sorted(config)]


MISSHAPEN: list[dict[str, Any]] = [
    {"colour": "red"},
    {"name": ""},
    {"name": "a\u0000b"},
    {"name": "x" * 201},
    {"slug": "a/b"},
    {"slug": ".."},
    {"tenant": "ten ant"},
    {"config": []},
    {"workflow_id": "a b"},
]
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"provider": "strip"}, "unknown_provider"),
    ({"provider": "stripe", "secret": "not-from-stripe"}, "invalid_secret"),
    ({"config": {"provider_options": {"header": "X-Sig"}}}, "invalid_provider"),
    ({"provider": "hmac", "config": {"provider_options": {"algorithm": "rot13"}}}, "invalid_provider"),
    ({"slug": "receive"}, "invalid_endpoint"),
    ({"config": {"dedupe_window_days": 31}}, "invalid_endpoint"),
    ({"config": {"dedupe_include": ["data.id"]}}, "invalid_endpoint"),
    ({"config": {"answer": {"status": 302}}}, "invalid_endpoint"),
    ({"config": {"answer": {"expression": "event.data.exists(x, x > 1)"}}}, "invalid_endpoint"),
    ({"config": {"answer": {"expression": "run.id"}}}, "invalid_endpoint"),
    ({"config": {"filter": "event.data.total >"}}, "invalid_endpoint"),
    ({"config": {"filter": "steps.a == 1"}}, "invalid_endpoint"),
]


async def test_a_request_of_another_form_is_refused(client: httpx.AsyncClient) -> None:
    for request in MISSHAPEN:
        assert (await refused(client, 422, **request))["code"] == "invalid_request", request


async def test_what_cannot_be_is_refused_when_it_is_saved(client: httpx.AsyncClient) -> None:
    for request, code in IMPOSSIBLE:
        problem = await refused(client, 422, **request)
        assert problem["code"] == code, request
        assert "not-from-stripe" not in str(problem)


async def test_verified_providers_are_not_limited_unless_asked(client: httpx.AsyncClient) -> None:
    signed = await create(client, provider="github")
    unverified = await create(client, provider="github", config={"authentication_required": False})
    asked = await create(client, provider="github", config={"rate_limit_per_minute": 7})

    limits = [made["config"]["rate_limit_per_minute"] for made in (signed, unverified, asked)]
    assert limits == [0, 60, 7]


async def test_a_secret_is_made_where_it_is_ours_to_choose(client: httpx.AsyncClient) -> None:
    for provider in ("github", "standardwebhooks", "hmac"):
        made = await create(client, provider=provider)
        assert made["is_active"] is True
        assert len(made["secret_token"]) >= 32


async def test_an_endpoint_whose_secret_only_the_provider_makes_waits_for_it(
    client: httpx.AsyncClient,
) -> None:
    made = await create(client, provider="stripe")
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    assert (made["is_active"], made["secret_token"]) == (False, None)
    assert "Signing secret" in made["hint"]
    assert f"kanca endpoint rotate-secret {made['webhook_id']} --secret" in made["hint"]
    assert f"POST {address}/rotate-secret" in made["hint"]

    too_early = await client.put(address, json={"is_active": True})
    made_up = await client.post(f"{address}/rotate-secret", json={})
    nothing = await client.post(f"{address}/reveal-secret")
    assert [each.json()["code"] for each in (too_early, made_up, nothing)] == [
        "secret_required",
        "invalid_secret",
        "secret_required",
    ]

    answer = await client.post(f"{address}/rotate-secret", json={"secret": STRIPE_SECRET})
    assert answer.status_code == 200
    assert (answer.json()["is_active"], answer.json()["hint"]) == (True, None)


@pytest.mark.parametrize("provider", ["asana", "notion"])
async def test_an_endpoint_whose_provider_brings_the_secret_is_active_and_says_that_it_waits(
    client: httpx.AsyncClient, provider: str
) -> None:
    made = await create(client, provider=provider)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    assert (made["is_active"], made["secret_token"]) == (True, None)
    assert made["hint"].startswith(f"Waits for {provider.title()} to bring its secret")

    off = await client.put(address, json={"is_active": False})
    on = await client.put(address, json={"is_active": True})
    assert [each.json()["is_active"] for each in (off, on)] == [False, True]

    given = await client.post(f"{address}/rotate-secret", json={"secret": "a-secret-that-was-given"})
    assert (given.json()["is_active"], given.json()["hint"]) == (True, None)


@pytest.mark.parametrize("provider", ["twilio", "square"])
async def test_an_endpoint_whose_provider_signs_the_address_says_that_it_must_be_known(
    services: Services, provider: str
) -> None:
    wanted = {"provider": provider, "secret": "a" * 32}
    unknown = create_api(replace(services, public_url=None))
    async with speaking_to(create_api(services)) as known, speaking_to(unknown) as client:
        assert (await create(known, **wanted))["hint"] is None
        assert "KANCA_PUBLIC_URL" in (await create(client, **wanted))["hint"]
        assert (await create(client, provider="github"))["hint"] is None
        without_secret = await create(client, provider=provider)
        assert without_secret["hint"].startswith("Inactive until")
        assert "KANCA_PUBLIC_URL" in without_secret["hint"]
        open_to_all = await create(client, **wanted, config={"authentication_required": False})
        assert open_to_all["hint"] is None


async def test_an_endpoint_that_cannot_be_read_is_listed_with_the_others_and_can_be_deleted(
    services: Services, client: httpx.AsyncClient
) -> None:
    sound = await create(client)
    other_box = SecretBox(["another key of the tests"])
    async with speaking_to(create_api(replace(services, secret_box=other_box))) as another:
        locked = await create(another)
        address = f"{ENDPOINTS}/{locked['webhook_id']}"
    misconfigured = await create(client)

    def outdate(connection: Connection) -> None:
        of_it = endpoints.c.webhook_id == misconfigured["webhook_id"]
        connection.execute(update(endpoints).where(of_it).values(config='{"what_was_dropped":1}'))

    await services.database.write(outdate)
    shown = (await client.get(ENDPOINTS)).json()["items"]
    assert [each["webhook_id"] for each in shown] == [
        misconfigured["webhook_id"],
        locked["webhook_id"],
        sound["webhook_id"],
    ]
    assert (shown[0]["config"], shown[1]["secret_token"]) == ({}, None)
    assert "its config" in shown[0]["hint"]
    assert "KANCA_SECRET_KEY" in shown[1]["hint"]
    assert shown[2]["hint"] is None

    assert (await client.delete(address)).status_code == 200
    assert (await client.delete(address)).json()["code"] == "endpoint_not_found"


async def test_an_endpoint_stored_before_a_rule_of_its_provider_is_listed_shown_and_given_another_secret(
    services: Services, client: httpx.AsyncClient
) -> None:
    made = await create(client, provider="paypal", config={"authentication_required": False})
    address = f"{ENDPOINTS}/{made['webhook_id']}"

    def outdate(connection: Connection) -> None:
        of_it = endpoints.c.webhook_id == made["webhook_id"]
        connection.execute(update(endpoints).where(of_it).values(config='{"dedupe":"off"}'))

    await services.database.write(outdate)

    assert (await client.get(ENDPOINTS)).json()["items"][0]["config"]["dedupe"] == "off"
    assert (await client.get(address)).status_code == 200
    assert (
        await client.post(f"{address}/rotate-secret", json={"secret": "1JE4291016473214C"})
    ).status_code == 200
    refused = await client.put(address, json={"config": {"dedupe": "off"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_endpoint")


async def test_a_given_secret_makes_it_active_at_once(client: httpx.AsyncClient) -> None:
    made = await create(client, provider="stripe", secret=STRIPE_SECRET)

    assert (made["is_active"], made["secret_token"]) == (True, STRIPE_SECRET)


async def test_a_secret_that_no_longer_fits_the_options_is_named_until_there_is_another(
    client: httpx.AsyncClient,
) -> None:
    made = await create(client, provider="hmac", secret="no base64 at all")
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    assert made["hint"] is None

    options = {"provider_options": {"key_encoding": "base64"}}
    changed = (await client.put(address, json={"config": options})).json()
    assert "rotate-secret" in changed["hint"]
    assert "This cannot be a secret of" in changed["hint"]
    assert "no base64 at all" not in changed["hint"]

    rotated = await client.post(f"{address}/rotate-secret", json={"secret": "bm93IGl0IGlzIGJhc2U2NA=="})
    assert rotated.json()["hint"] is None


async def test_verification_cannot_be_turned_on_without_a_secret(client: httpx.AsyncClient) -> None:
    made = await create(client, provider="stripe", config={"authentication_required": False})
    assert made["is_active"] is True

    answer = await client.put(
        f"{ENDPOINTS}/{made['webhook_id']}", json={"config": {"authentication_required": True}}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "secret_required")


async def test_a_provider_gives_its_name_as_slug_while_it_is_free(client: httpx.AsyncClient) -> None:
    first = await create(client, provider="github")
    second = await create(client, provider="github")
    without = await create(client, provider="stripe", slug=None)
    chosen = await create(client, provider="stripe", slug="pay")
    plain = await create(client)

    made = (first, second, without, chosen, plain)
    assert [each["slug"] for each in made] == ["github", None, None, "pay", None]
    assert chosen["slug_path"] == "/webhooks/pay"


async def test_a_slug_is_one_endpoint_s_until_that_is_deleted(client: httpx.AsyncClient) -> None:
    made = await create(client, slug="orders")
    assert (await refused(client, 409, slug="orders"))["code"] == "slug_taken"

    assert (await client.delete(f"{ENDPOINTS}/{made['webhook_id']}")).json().keys() == {"message"}

    assert (await create(client, slug="orders"))["slug"] == "orders"
    assert (await client.get(f"{ENDPOINTS}/{made['webhook_id']}")).status_code == 404


async def test_the_secret_is_shown_only_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        made = await create(client)
        secret, address = made["secret_token"], f"{ENDPOINTS}/{made['webhook_id']}"
        one = await client.get(address)
        listed = await client.get(ENDPOINTS)
        changed = await client.put(address, json={"name": "Else"})
        paused = await client.post(f"{address}/pause")
        revealed = await client.post(f"{address}/reveal-secret")

    assert all(secret not in answer.text for answer in (one, listed, changed, paused))
    assert one.json()["secret_token"] == f"…{secret[-4:]}"
    assert revealed.json() == {"webhook_id": made["webhook_id"], "secret_token": secret, "old_secrets": []}
    assert revealed.headers["cache-control"] == "no-store"
    assert secret not in str(logs)
    assert [line["action"] for line in logs] == [
        "endpoint.created",
        "endpoint.changed",
        "endpoint.paused",
        "endpoint.secret_revealed",
    ]
    assert all(line["subject"] == made["webhook_id"] for line in logs)


async def test_a_short_secret_is_not_shown_in_part(client: httpx.AsyncClient) -> None:
    made = await create(client, provider="github", secret="hunter2")

    shown = (await client.get(f"{ENDPOINTS}/{made['webhook_id']}")).json()

    assert shown["secret_token"] == "…"


async def test_an_old_secret_is_valid_for_the_grace(client: httpx.AsyncClient, clock: Clock) -> None:
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"

    rotated = (await client.post(f"{address}/rotate-secret", json={"grace_seconds": 60})).json()
    assert rotated["secret_token"] != made["secret_token"]
    live = (await client.post(f"{address}/reveal-secret")).json()
    assert live["secret_token"] == rotated["secret_token"]
    assert [old["secret_token"] for old in live["old_secrets"]] == [made["secret_token"]]

    clock.advance(seconds=61)
    assert (await client.post(f"{address}/reveal-secret")).json()["old_secrets"] == []


async def test_rotating_without_a_body_gives_a_day_of_grace(client: httpx.AsyncClient, clock: Clock) -> None:
    address = f"{ENDPOINTS}/{(await create(client))['webhook_id']}"
    assert (await client.post(f"{address}/rotate-secret")).status_code == 200

    clock.advance(hours=23)
    assert len((await client.post(f"{address}/reveal-secret")).json()["old_secrets"]) == 1
    clock.advance(hours=2)
    assert (await client.post(f"{address}/reveal-secret")).json()["old_secrets"] == []


async def test_what_is_given_changes_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    made = await create(
        client, name="Orders", slug="orders", config={"webhook_timeout": 5, "allowed_ips": ["10.0.0.0/8"]}
    )
    address = f"{ENDPOINTS}/{made['webhook_id']}"

    await client.put(address, json={"config": {"webhook_timeout": 9}})
    await client.put(address, json={"slug": None})
    await client.put(address, json={"is_active": False})
    changed = (await client.get(address)).json()

    assert changed["config"] == made["config"] | {"webhook_timeout": 9}
    assert (changed["name"], changed["slug"], changed["is_active"]) == ("Orders", None, False)
    assert changed["created_at"] == made["created_at"]


async def test_an_endpoint_can_change_its_workflow(client: httpx.AsyncClient) -> None:
    for workflow_id in ("one", "two"):
        await client.post("/api/workflows", json=definition(workflow_id, f"in-{workflow_id}"))
    made = await create(client, workflow_id="one")
    address = f"{ENDPOINTS}/{made['webhook_id']}"

    moved = (await client.put(address, json={"workflow_id": "two"})).json()
    assert (moved["workflow_id"], moved["node_id"]) == ("two", "in-two")
    assert (await client.put(address, json={"workflow_id": "three"})).json()["code"] == "workflow_not_found"
    assert (await client.put(address, json={"node_id": "in-one"})).json()["code"] == "invalid_endpoint"
    freed = (await client.put(address, json={"workflow_id": None})).json()
    assert (freed["workflow_id"], freed["node_id"]) == (None, None)


async def test_what_cannot_change_so_is_refused(client: httpx.AsyncClient) -> None:
    address = f"{ENDPOINTS}/{(await create(client))['webhook_id']}"
    for request in ({"name": None}, {"is_active": None}, {"provider": "github"}, {"slug": "receive"}):
        assert (await client.put(address, json=request)).status_code == 422, request


async def test_every_change_moves_the_version_that_caches_watch(
    client: httpx.AsyncClient, database: Database
) -> None:
    async def version() -> int:
        return (await database.read(versions.read_versions)).get("endpoints", 0)

    seen = [await version()]
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    for path in ("pause", "resume", "rotate-secret"):
        seen.append(await version())
        await client.post(f"{address}/{path}")
    seen.append(await version())
    await client.delete(address)
    seen.append(await version())

    assert seen == sorted(set(seen))


async def test_resuming_lets_the_work_go_that_waited(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    number = await number_of(database, made["webhook_id"])
    assert (await client.post(f"{address}/pause")).json()["is_paused"] is True
    await accept(database, endpoint=number)
    await _park(database)
    assert [task.state for task in await waiting(database)] == [TaskState.PARKED]

    assert (await client.post(f"{address}/resume")).json()["is_paused"] is False

    assert [task.state for task in await waiting(database)] == [TaskState.READY]
    assert wakes.count == 1


async def test_endpoints_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    made = [(await create(client, tenant=tenant))["webhook_id"] for tenant in ("a", "b", "a")]

    first = (await client.get(ENDPOINTS, params={"limit": 2})).json()
    second = (await client.get(ENDPOINTS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    only_b = (await client.get(ENDPOINTS, params={"tenant": "b"})).json()

    listed = [item["webhook_id"] for item in first["items"] + second["items"]]
    assert listed == made[::-1]
    assert second["next_cursor"] is None
    assert [item["webhook_id"] for item in only_b["items"]] == [made[1]]


async def test_a_page_that_cannot_be_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=501", "limit=x", "cursor=???", "cursor=%00", "tenant=a%20b"):
        assert (await client.get(f"{ENDPOINTS}?{query}")).status_code == 422, query


async def test_an_endpoint_says_how_it_is_doing(client: httpx.AsyncClient, services: Services) -> None:
    made = await create(client)
    number = await number_of(services.database, made["webhook_id"])
    now = services.now()
    counted = Counted(number, now, accepted=3, duplicates=1, dead=2, response_us=8_000, last_accepted_at=now)
    await services.database.write(statistics.add, "test", [counted])

    shown = (await client.get(f"{ENDPOINTS}/{made['webhook_id']}")).json()

    assert shown["trigger_count"] == 3
    assert shown["avg_response_time_ms"] == 2
    assert shown["error_count"] == 2
    assert shown["last_triggered"] is not None


async def test_an_endpoint_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    requests = [("GET", ""), ("PUT", ""), ("DELETE", "")]
    requests += [("POST", f"/{name}") for name in ("rotate-secret", "reveal-secret", "pause", "resume")]
    for address in (MISSING, f"{ENDPOINTS}/wh_x", f"{ENDPOINTS}/%00"):
        for method, path in requests:
            answer = await client.request(method, address + path, json={} if method == "PUT" else None)
            assert (answer.status_code, answer.json()["code"]) == (404, "endpoint_not_found"), (method, path)


async def test_the_built_in_endpoints_are_there_while_their_secret_is_set(
    client: httpx.AsyncClient, services: Services
) -> None:
    built_in = f"{ENDPOINTS}/{RECEIVE_WEBHOOK_ID}"
    secret = SecretStr("the secret of the built-in endpoints")
    unset = (await client.get(built_in)).json()
    assert (unset["is_active"], unset["endpoint_path"]) == (False, "/webhooks/receive")
    assert "KANCA_WEBHOOK_SECRET" in unset["hint"]
    assert (await client.get(ENDPOINTS)).json()["items"] == []

    async with speaking_to(create_api(replace(services, webhook_secret=secret))) as client_:
        listed = (await client_.get(ENDPOINTS)).json()["items"]
        changed = await client_.put(built_in, json={"config": {"webhook_timeout": 5}})
        answering = await client_.put(built_in, json={"config": {"answer": {"body": "OK"}}})
        refusals = [
            await client_.delete(built_in),
            await client_.post(f"{built_in}/rotate-secret"),
            await client_.put(built_in, json={"slug": "mine"}),
        ]

    paths = ["/webhooks/receive-content-hash", "/webhooks/receive"]
    assert [(item["endpoint_path"], item["is_active"]) for item in listed] == [(path, True) for path in paths]
    assert secret.get_secret_value() not in str(listed)
    assert changed.json()["config"]["webhook_timeout"] == 5
    assert (answering.status_code, answering.json()["problems"][0]["key"]) == (422, "config.answer")
    assert [answer.json()["code"] for answer in refusals] == ["built_in_endpoint"] * 3


async def test_answer_filter_and_dedupe_fields_are_kept_as_they_were_given(client: httpx.AsyncClient) -> None:
    config = {
        "dedupe": "content",
        "dedupe_exclude": ["data.sent_at"],
        "answer": {"status": 202, "headers": {"X-Shop": "a"}, "expression": "event.id"},
        "filter": "event.data.lines.exists(line, line.price > 10)",
    }
    made = await create(client, config=config)
    path = f"{ENDPOINTS}/{made['webhook_id']}"

    renamed = (await client.put(path, json={"name": "Shop"})).json()
    cleared = (await client.put(path, json={"config": {"answer": None, "filter": None}})).json()

    assert {key: renamed["config"][key] for key in config} == config
    assert (cleared["config"]["answer"], cleared["config"]["filter"]) == (None, None)


async def test_every_expression_that_cannot_be_compiled_is_named_with_its_place(
    client: httpx.AsyncClient,
) -> None:
    problem = await refused(
        client, 422, config={"answer": {"expression": "event."}, "filter": "event.data.foo(1)"}
    )

    assert [each["key"] for each in problem["problems"]] == ["config.answer", "config.filter"]
    assert all("column" in each["message"] for each in problem["problems"]), problem


async def test_a_rule_for_fields_goes_with_the_rule_for_contents_alone(client: httpx.AsyncClient) -> None:
    made = await create(client, config={"dedupe": "content", "dedupe_include": ["id"]})
    path = f"{ENDPOINTS}/{made['webhook_id']}"

    alone = await client.put(path, json={"config": {"dedupe": "auto"}})
    together = await client.put(path, json={"config": {"dedupe": "auto", "dedupe_include": []}})

    assert (alone.status_code, alone.json()["problems"][0]["key"]) == (422, "config.dedupe_include")
    assert (together.status_code, together.json()["config"]["dedupe"]) == (200, "auto")


async def _park(database: Database) -> None:
    """Let a worker find out that the endpoint is paused."""
    worker = await database.queue.register("host", 1, None, 1, timedelta(seconds=30))
    asks = [LaneAsk(lane, 0, 10) for lane in range(LANES)]
    claimed = await database.queue.claim(worker, 10, Capabilities({}), asks)
    assert [task.kind for task, _ in claimed] == [TaskKind.DISPATCH]
    await database.queue.finish(worker, [Completion(task, Park()) for task, _ in claimed])


async def test_the_endpoint_of_resume_addresses_is_in_no_list_and_stays_what_it_is(
    client: httpx.AsyncClient,
) -> None:
    address = f"{ENDPOINTS}/{RESUME_WEBHOOK_ID}"
    shown = (await client.get(address)).json()
    assert (shown["is_active"], shown["endpoint_path"], shown["secret_token"]) == (
        True,
        "/webhooks/resume/{token}",
        None,
    )
    assert shown["hint"] is None
    assert (await client.get(ENDPOINTS)).json()["items"] == []
    limited = await client.put(address, json={"config": {"rate_limit_per_minute": 5}})
    assert limited.json()["config"]["rate_limit_per_minute"] == 5
    refusals = [
        await client.delete(address),
        await client.post(f"{address}/rotate-secret"),
        await client.put(address, json={"slug": "mine"}),
        await client.put(address, json={"workflow_id": "w"}),
    ]
    assert [answer.json()["code"] for answer in refusals] == ["built_in_endpoint"] * 4
    reserved = await client.post(ENDPOINTS, json={"slug": "resume"})
    assert (reserved.status_code, reserved.json()["problems"][0]["key"]) == (422, "slug")


async def test_senders_are_held_only_where_a_workflow_can_answer(client: httpx.AsyncClient) -> None:
    held = {"config": {"response_wait": 12.5, "response_timeout_status": 504}}
    refused = await client.post(ENDPOINTS, json=held)
    assert (refused.status_code, refused.json()["problems"][0]["key"]) == (422, "config.response_wait")

    await client.post("/api/workflows", json=definition())
    made = (await client.post(ENDPOINTS, json=held | {"workflow_id": "test-123"})).json()
    assert {key: made["config"][key] for key in held["config"]} == held["config"]
    path = f"{ENDPOINTS}/{made['webhook_id']}"
    left = await client.put(path, json={"workflow_id": None})
    assert (left.status_code, left.json()["problems"][0]["key"]) == (422, "config.response_wait")
    free = await client.put(path, json={"workflow_id": None, "config": {"response_wait": 0}})
    assert (free.status_code, free.json()["workflow_id"]) == (200, None)


async def test_paths_of_indexed_fields_are_checked_when_they_are_saved(client: httpx.AsyncClient) -> None:
    config = {"indexed_fields": ["$.data.customer.id", "data.customer.id", "id"], "payload_retention_days": 3}
    made = (await client.post(ENDPOINTS, json={"config": config})).json()
    kept = (await client.get(f"{ENDPOINTS}/{made['webhook_id']}")).json()["config"]
    assert (kept["indexed_fields"], kept["payload_retention_days"]) == (["data.customer.id", "id"], 3)

    for wrong in (["a..b"], ["a:b"], ["a\u0000"], [f"a.{n}" for n in range(9)], "a", [1]):
        refused = await client.post(ENDPOINTS, json={"config": {"indexed_fields": wrong}})
        assert refused.json()["problems"][0]["key"] == "config.indexed_fields"
    refused = await client.post(ENDPOINTS, json={"config": {"payload_retention_days": 0}})
    assert refused.json()["problems"][0]["key"] == "config.payload_retention_days"
