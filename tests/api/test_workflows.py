from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
from pydantic import BaseModel

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.task import TaskKind
from kanca.storage.ports import Database
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.step import StepContext
from tests.api.conftest import Wakes, speaking_to
from tests.api.rows import waiting
from tests.api.workflow_samples import definition

WORKFLOWS = "/api/workflows"
ONE = f"{WORKFLOWS}/test-123"
JSON = {"content-type": "application/json"}


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(WORKFLOWS, json=definition() | changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_workflow_is_saved_unpublished(client: httpx.AsyncClient) -> None:
    made = await create(client)

    found = (await client.get(ONE)).json()
    assert (made["version"], made["published_version"], made["is_published"]) == (1, None, False)
    assert found["definition"] == definition() | {
        "edges": [{"from": "node-456", "to": "say", "port": "out"}],
    }
    assert found["definition_version"] == 1


async def test_each_save_is_a_new_version_and_publishing_chooses_one(client: httpx.AsyncClient) -> None:
    await create(client)
    saved = (await client.put(ONE, json=definition() | {"name": "Greet twice"})).json()
    assert (saved["version"], saved["name"], saved["is_published"]) == (2, "Greet twice", False)

    newest = (await client.post(f"{ONE}/publish")).json()
    older = (await client.post(f"{ONE}/publish", params={"version": 1})).json()
    none = (await client.post(f"{ONE}/publish", params={"version": 3})).json()
    withdrawn = (await client.post(f"{ONE}/unpublish")).json()

    assert (newest["published_version"], older["published_version"]) == (2, 1)
    assert none["code"] == "workflow_not_found"
    assert withdrawn["is_published"] is False
    assert (await client.get(ONE, params={"version": 1})).json()["definition"]["name"] == "Greet"
    assert (await client.get(ONE)).json()["definition"]["name"] == "Greet twice"


async def test_all_that_is_wrong_is_said_with_its_node(client: httpx.AsyncClient) -> None:
    wrong = definition() | {
        "nodes": [
            {"id": "in", "type": "WebhookTrigger"},
            {"id": "odd", "type": "Teapot"},
            {"id": "say", "type": "Log", "config": {"message": "=event.typo("}},
        ],
        "edges": [{"from": "in", "to": "nowhere"}],
    }

    answer = await client.post(WORKFLOWS, json=wrong)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
    problems = {(each["node"], each["code"]) for each in answer.json()["problems"]}
    assert {("odd", "unknown_node_type"), ("say", "bad_expression"), ("in", "unknown_node")} <= problems


async def test_definitions_of_another_form_are_refused(client: httpx.AsyncClient) -> None:
    await create(client)
    for body in (
        {},
        {"id": "x"},
        {"id": "a b", "nodes": []},
        {"id": "x", "nodes": "n"},
        {"id": 1, "nodes": [1]},
    ):
        assert (await client.post(WORKFLOWS, json=body)).json()["code"] == "invalid_workflow", body
    for text in ("[]", '"x"', "null", ""):
        assert (await client.post(WORKFLOWS, content=text, headers=JSON)).status_code == 422, text
    assert (await client.put(ONE, json=definition("other"))).json()["code"] == "invalid_input"
    assert (await client.put(ONE, json={})).json()["code"] == "invalid_workflow"
    assert (await client.post(WORKFLOWS, json=definition("x"), params={"tenant": "a b"})).status_code == 422


async def test_an_id_is_given_once_and_may_be_left_out_when_saving(client: httpx.AsyncClient) -> None:
    await create(client)
    without = {key: value for key, value in definition().items() if key != "id"}

    assert (await client.post(WORKFLOWS, json=definition())).json()["code"] == "workflow_exists"
    assert (await client.put(ONE, json=without)).json()["version"] == 2


async def test_a_workflow_that_endpoints_use_stays(client: httpx.AsyncClient) -> None:
    await create(client)
    made = (await client.post("/api/webhooks/endpoints", json={"workflow_id": "test-123"})).json()

    refused = await client.delete(ONE)
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow_in_use")
    assert made["webhook_id"] in refused.json()["detail"]

    await client.delete(f"/api/webhooks/endpoints/{made['webhook_id']}")
    assert (await client.delete(ONE)).json() == {"message": "Workflow test-123 was deleted"}
    assert (await client.get(ONE)).status_code == 404


async def test_workflows_are_listed_by_id_page_by_page(client: httpx.AsyncClient) -> None:
    for workflow_id, tenant in (("b", "x"), ("a", "y"), ("c", "x")):
        await client.post(WORKFLOWS, json=definition(workflow_id), params={"tenant": tenant})

    first = (await client.get(WORKFLOWS, params={"limit": 2})).json()
    second = (await client.get(WORKFLOWS, params={"cursor": first["next_cursor"]})).json()
    labelled = (await client.get(WORKFLOWS, params={"tenant": "x"})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert [item["id"] for item in labelled["items"]] == ["b", "c"]
    # A cursor is not believed: this one would be a NUL.
    assert (await client.get(WORKFLOWS, params={"cursor": "AA"})).status_code == 422


async def test_a_run_is_started_by_hand_with_the_published_version(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    await create(client)
    assert (await client.post(f"{ONE}/runs", json={})).json()["code"] == "workflow_not_published"
    await client.post(f"{ONE}/publish")
    await client.put(ONE, json=definition() | {"name": "newer"})

    run = (await client.post(f"{ONE}/runs", json={"data": {"message": "hello"}})).json()
    plain = (await client.post(f"{ONE}/runs")).json()

    assert (run["status"], run["version"], run["event_id"]) == ("pending", 1, None)
    assert (run["input"], plain["input"]) == ({"message": "hello"}, {})
    first, second = await waiting(database)
    assert first.kind == second.kind == TaskKind.RUN
    assert f"run_{first.ref.hex}" == run["id"]
    assert wakes.count == 2


async def test_a_run_starts_at_the_trigger_that_is_named(
    client: httpx.AsyncClient, database: Database
) -> None:
    await client.post(WORKFLOWS, json=definition("two", "a", "b"))
    await client.post(f"{WORKFLOWS}/two/publish")

    for request in ({}, {"node_id": "say"}, {"node_id": "\u0000"}, {"data": "x" * 10, "node_id": ""}):
        assert (await client.post(f"{WORKFLOWS}/two/runs", json=request)).status_code == 422, request
    assert (await client.post(f"{WORKFLOWS}/two/runs", json={"node_id": "b"})).status_code == 200

    [task] = await waiting(database)
    assert json.loads(task.detail)["start"] == "b"


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for name in ("nothing", "a%20b", "%00"):
        requests = [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/publish"), ("POST", "/unpublish")]
        for method, path in [*requests, ("POST", "/runs")]:
            body = (
                {key: value for key, value in definition().items() if key != "id"}
                if method == "PUT"
                else None
            )
            answer = await client.request(method, f"{WORKFLOWS}/{name}{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "workflow_not_found"), (
                method,
                name + path,
            )


class Greeting(BaseModel):
    to: str


async def test_node_types_of_an_app_can_be_used_and_are_listed(services: Services) -> None:
    @services.nodes.node("Greet", config=Greeting)
    async def greet(_step: StepContext, config: Greeting) -> str:
        """Says hello."""
        return f"hello {config.to}"

    own = {"id": "greet", "type": "Greet", "config": {"to": "you"}}
    graph = definition() | {
        "nodes": [{"id": "in", "type": "WebhookTrigger"}, own],
        "edges": [{"from": "in", "to": "greet"}],
    }
    async with speaking_to(create_api(services)) as client:
        assert (await client.post(WORKFLOWS, json=graph)).status_code == 200
        own["config"] = {"from": "me"}
        assert (await client.put(ONE, json=graph)).json()["problems"][0]["node"] == "greet"
        listed = {item["name"]: item for item in (await client.get("/api/node-types")).json()["items"]}

    assert {"WebhookTrigger", "Transform", "Branch", "Log", "HttpRequest", "Greet"} <= listed.keys()
    assert listed["Greet"]["description"] == "Says hello."
    assert listed["Greet"]["config_schema"]["properties"]["to"]["type"] == "string"


async def test_publishing_checks_again_what_may_have_gone(services: Services) -> None:
    @services.nodes.node("Greet")
    async def greet(_step: StepContext, _config: object) -> None: ...

    graph = definition() | {
        "nodes": [{"id": "in", "type": "WebhookTrigger"}, {"id": "greet", "type": "Greet"}],
        "edges": [{"from": "in", "to": "greet"}],
    }
    async with speaking_to(create_api(services)) as client:
        await client.post(WORKFLOWS, json=graph)
    without = create_api(replace(services, nodes=built_in_registry()))
    async with speaking_to(without) as client:
        answer = await client.post(f"{ONE}/publish")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
