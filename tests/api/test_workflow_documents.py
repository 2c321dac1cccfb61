from __future__ import annotations

import json

import httpx
import pytest

from kanca.bodies.yaml import read_yaml
from kanca.domain.ids import RUN, show_id
from kanca.storage.ports import Database
from tests.api.rows import store
from tests.api.test_runs import a_run, a_step
from tests.api.workflow_samples import definition

WORKFLOWS = "/api/workflows"
ONE = f"{WORKFLOWS}/test-123"
SAVED = definition() | {"edges": [{"from": "node-456", "to": "say", "port": "out"}]}


async def test_an_exported_definition_can_be_saved_again(client: httpx.AsyncClient) -> None:
    assert (await client.post(WORKFLOWS, json=definition())).status_code == 200
    await client.put(ONE, json=definition() | {"name": "ödül", "description": "two\nlines"})

    as_json = await client.get(f"{ONE}/export")
    as_yaml = await client.get(f"{ONE}/export", params={"format": "yaml"})
    first = await client.get(f"{ONE}/export", params={"version": 1})

    assert as_json.headers["content-type"] == "application/json"
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_yaml.headers["content-disposition"] == 'attachment; filename="test-123.yaml"'
    assert first.json() == SAVED
    assert as_json.json() == SAVED | {"name": "ödül", "description": "two\nlines"}
    assert read_yaml(as_yaml.content) == [as_json.json()]
    assert (
        await client.put(ONE, content=as_json.content, headers={"content-type": "application/json"})
    ).status_code == 200
    assert (await client.get(f"{ONE}/export", params={"format": "xml"})).status_code == 422


async def test_a_definition_is_checked_without_being_saved(client: httpx.AsyncClient) -> None:
    old_name = definition() | {"nodes": [{"id": "in", "type": "WebhookStartNode"}], "edges": []}

    right = (await client.post(f"{WORKFLOWS}/validate", json=definition())).json()
    renamed = (await client.post(f"{WORKFLOWS}/validate", json=old_name)).json()
    wrong = await client.post(f"{WORKFLOWS}/validate", json={"id": "w", "nodes": []})

    assert right == {"definition": SAVED}
    assert renamed["definition"]["nodes"][0]["type"] == "WebhookTrigger"
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_workflow")
    assert [problem["code"] for problem in wrong.json()["problems"]] == ["no_trigger"]
    assert (await client.get(WORKFLOWS)).json()["items"] == []


async def test_a_workflow_is_drawn(client: httpx.AsyncClient) -> None:
    await client.post(WORKFLOWS, json=definition())
    drawn = await client.get(f"{ONE}/mermaid")
    assert drawn.headers["content-type"].startswith("text/plain")
    assert 'n0(["node-456<br/>WebhookTrigger"])' in drawn.text


async def test_a_run_is_drawn_with_the_version_that_it_started_with(
    client: httpx.AsyncClient, database: Database
) -> None:
    await client.post(WORKFLOWS, json=definition())
    await client.put(ONE, json=definition("test-123", "other"))
    run = a_run(workflow_id="test-123")
    await store(database, run, a_step(run, "node-456"))
    lost = a_run(workflow_id="never-saved")
    await store(database, lost)

    drawn = await client.get(f"/api/runs/{show_id(RUN, run.id)}/mermaid")

    assert '"node-456<br/>WebhookTrigger<br/>succeeded<br/>' in drawn.text
    assert "class n1 running" in drawn.text
    for name in (show_id(RUN, lost.id), "run_x"):
        missing = await client.get(f"/api/runs/{name}/mermaid")
        assert (missing.status_code, missing.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize("value", ["123456789012345678901234567890", "1e300", '"\\u2028 #"'])
async def test_definitions_with_unusual_values_are_shown(client: httpx.AsyncClient, value: str) -> None:
    graph = definition() | {
        "nodes": [definition()["nodes"][0], {"id": "say", "type": "Transform", "config": {}}]
    }
    body = json.dumps(graph).replace(
        '"Transform", "config": {}', f'"Transform", "config": {{"value": {value}}}'
    )
    made = await client.post(WORKFLOWS, content=body, headers={"content-type": "application/json"})
    assert made.status_code == 200, made.text
    await client.put(ONE, json=definition())

    for path in ("export?version=1", "diff?from=1", "mermaid?version=1", "versions"):
        assert (await client.get(f"{ONE}/{path}")).status_code == 200, path
    [read] = read_yaml((await client.get(f"{ONE}/export?version=1&format=yaml")).content)
    assert read["nodes"][1]["config"]["value"] == json.loads(value)
