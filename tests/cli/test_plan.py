from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanca.cli.manifest import CredentialWanted, EndpointWanted, Manifest, WorkflowWanted
from kanca.cli.plan import Action, Present, PresentWorkflow, make_plan
from kanca.domain.endpoint import EndpointConfig, show_config
from kanca.domain.workflow import read_definition, show_definition
from kanca.errors import InvalidInput


def a_flow(message: str = "m", *triggers: str) -> dict[str, Any]:
    nodes = [{"id": name, "type": "WebhookTrigger"} for name in triggers or ("in",)]
    log = {"id": "log", "type": "Log", "config": {"message": message}}
    return show_definition(read_definition({"id": "flow", "nodes": [*nodes, log], "edges": []}))


def an_endpoint(**values: Any) -> dict[str, Any]:
    shown = {"webhook_id": "wh_1", "slug": "s", "name": "s", "provider": "generic", "secret_token": "…5386"}
    config = show_config(EndpointConfig()) | {"rate_limit_per_minute": 60}
    return shown | {"workflow_id": "flow", "node_id": "in", "config": config} | values


FLOW = WorkflowWanted("flow", a_flow())
PRESENT_FLOW = PresentWorkflow("default", 1, 1, a_flow(), a_flow())
ENDPOINT = EndpointWanted("s", workflow_id="flow")


def planned(wanted: Manifest, present: Present, **options: Any) -> list[str]:
    return [told(action) for action in make_plan(wanted, present, {"SET"}, **options)]


def told(action: Action) -> str:
    return f"{action.verb} {action.kind} {action.id}"


def test_what_is_not_there_is_created() -> None:
    wanted = Manifest(
        (CredentialWanted("crm", "bearer", {"token": "SET"}),),
        (
            replace(FLOW, tenant="acme"),
            WorkflowWanted("draft", a_flow() | {"id": "draft"}, is_published=False),
        ),
        (EndpointWanted("s", "S", "github", "flow", "in", {"dedupe": "off"}, "SET"),),
    )
    actions = make_plan(wanted, Present(), {"SET"})
    assert [told(action) for action in actions] == [
        "create credential crm",
        "create workflow flow",
        "publish workflow flow",
        "create workflow draft",
        "create endpoint s",
    ]
    assert (actions[0].body, actions[0].from_env) == ({"kind": "bearer"}, {"token": "SET"})
    assert (actions[1].body, actions[1].query) == (a_flow(), {"tenant": "acme"})
    assert actions[4].from_env == {"secret": "SET"}
    assert actions[4].body == {
        "slug": "s",
        "name": "S",
        "provider": "github",
        "workflow_id": "flow",
        "node_id": "in",
        "config": {"dedupe": "off"},
    }


def test_what_is_as_it_shall_be_is_left_alone() -> None:
    wanted = Manifest(
        (CredentialWanted("crm", "bearer", {"token": "NOT_SET"}),),
        (FLOW,),
        (
            replace(
                ENDPOINT, config={"dedupe": "auto", "rate_limit_per_minute": None}, secret_from_env="NOT_SET"
            ),
        ),
    )
    present = Present(frozenset({"crm"}), {"flow": PRESENT_FLOW}, {"s": an_endpoint()})
    assert planned(wanted, present) == [
        "nothing credential crm",
        "nothing workflow flow",
        "nothing endpoint s",
    ]


@pytest.mark.parametrize(
    ("newest", "published", "publish", "actions"),
    [
        ("m", None, True, ["publish"]),
        ("m", None, False, ["nothing"]),
        ("m", "old", True, ["publish"]),
        ("draft", "m", True, ["nothing"]),
        ("draft", "m", False, ["change"]),
        ("draft", None, True, ["change", "publish"]),
        ("draft", "old", True, ["change", "publish"]),
    ],
)
def test_a_workflow_becomes_what_the_file_says(
    newest: str, published: str | None, publish: bool, actions: list[str]
) -> None:
    older = None if published is None else a_flow(published)
    there = PresentWorkflow("default", 2, 1 if published else None, a_flow(newest), older)
    made = make_plan(
        Manifest(workflows=(replace(FLOW, is_published=publish),)), Present(workflows={"flow": there}), ()
    )
    assert [action.verb for action in made] == actions
    if made[0].difference is not None:
        [node] = made[0].difference["nodes"]["changed"]
        assert node["changes"] == [{"path": "/config/message", "old": "draft", "new": "m"}]


def test_an_endpoint_is_changed_where_it_differs() -> None:
    wanted = replace(ENDPOINT, name="Orders", config={"dedupe": "off", "allowed_ips": [], "filter": "true"})
    present = Present(workflows={"flow": PRESENT_FLOW}, endpoints={"s": an_endpoint()})
    [action] = make_plan(Manifest(endpoints=(wanted,)), present, ())
    assert (action.body, action.webhook_id) == (
        {"name": "Orders", "config": {"dedupe": "off", "filter": "true"}},
        "wh_1",
    )
    assert action.difference == {
        "changes": [
            {"path": "/name", "old": "s", "new": "Orders"},
            {"path": "/config/dedupe", "old": "auto", "new": "off"},
            {"path": "/config/filter", "old": None, "new": "true"},
        ]
    }


def test_an_endpoint_follows_when_its_trigger_is_another() -> None:
    flow = replace(FLOW, definition=a_flow("m", "entry"))
    present = Present(workflows={"flow": PRESENT_FLOW}, endpoints={"s": an_endpoint()})
    actions = make_plan(Manifest(workflows=(flow,), endpoints=(ENDPOINT,)), present, ())
    assert actions[-1].body == {"workflow_id": "flow"}
    moved = make_plan(
        Manifest(endpoints=(replace(ENDPOINT, node_id="in"),)),
        Present(workflows={"flow": PRESENT_FLOW}, endpoints={"s": an_endpoint(workflow_id="other")}),
        (),
    )
    assert moved[0].body == {"workflow_id": "flow", "node_id": "in"}


def test_secrets_that_are_there_are_set_again_only_when_asked_to() -> None:
    wanted = Manifest(
        (CredentialWanted("crm", "bearer", {"token": "SET"}),),
        (),
        (EndpointWanted("s", secret_from_env="SET"),),
    )
    present = Present(frozenset({"crm"}), {}, {"s": an_endpoint()})
    without = replace(present, endpoints={"s": an_endpoint(secret_token=None)})
    assert planned(wanted, present) == ["nothing credential crm", "nothing endpoint s"]
    assert planned(wanted, present, replaces_secrets=True) == [
        "change credential crm",
        "nothing endpoint s",
        "change secret s",
    ]
    assert planned(wanted, without)[-1] == "change secret s"


@pytest.mark.parametrize(
    ("wanted", "where", "words"),
    [
        (
            Manifest((CredentialWanted("c", "bearer", {"token": "NOT_SET"}),)),
            "credential c",
            "NOT_SET is not set",
        ),
        (Manifest(endpoints=(EndpointWanted("new", secret_from_env="NOT_SET"),)), "endpoint new", "NOT_SET"),
        (Manifest(workflows=(replace(FLOW, tenant="acme"),)), "workflow flow", "tenant is default"),
        (Manifest(endpoints=(replace(ENDPOINT, provider="github"),)), "endpoint s", "provider is generic"),
        (Manifest(endpoints=(replace(ENDPOINT, workflow_id="none"),)), "endpoint s", "no workflow none"),
        (Manifest(endpoints=(replace(ENDPOINT, node_id="log"),)), "endpoint s", "there is: in"),
        (
            Manifest(workflows=(replace(FLOW, definition=a_flow("m", "a", "b")),), endpoints=(ENDPOINT,)),
            "endpoint s",
            "there is: a, b",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(wanted: Manifest, where: str, words: str) -> None:
    present = Present(workflows={"flow": PRESENT_FLOW}, endpoints={"s": an_endpoint()})
    with pytest.raises(InvalidInput) as refused:
        make_plan(wanted, present, {"SET"})
    [problem] = refused.value.facts["problems"]
    assert problem["node"] == where
    assert words in problem["message"]
