from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanca.cli.actions import Action, Present, PresentWorkflow
from kanca.cli.manifest import (
    CredentialWanted,
    EndpointWanted,
    EventTypeWanted,
    Manifest,
    SubscriptionWanted,
    WorkflowWanted,
)
from kanca.cli.plan import make_plan
from kanca.cli.sources import Keeper, Source
from kanca.domain.endpoint import EndpointConfig
from kanca.domain.endpoint_config import show_config
from kanca.domain.workflow import read_definition, show_definition
from kanca.errors import InvalidInput


def a_flow(message: str = "m", *triggers: str) -> dict[str, Any]:
    nodes = [{"id": name, "type": "WebhookTrigger"} for name in triggers or ("in",)]
    log = {"id": "log", "type": "Log", "config": {"message": message}}
    return show_definition(read_definition({"id": "flow", "nodes": [*nodes, log], "edges": []}))


def an_endpoint(**values: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "webhook_id": "wh_1",
        "slug": "s",
        "name": "s",
        "provider": "generic",
        "secret_token": "…5386",
    }
    shown |= {"tenant": "default", "is_active": True, "updated_at": "2026-03-01T12:00:00Z"}
    config = show_config(EndpointConfig()) | {"rate_limit_per_minute": 60}
    return shown | {"workflow_id": "flow", "node_id": "in", "config": config} | values


SET, NOT_SET = Source(Keeper.ENV, "SET"), Source(Keeper.ENV, "NOT_SET")
MISSING = {NOT_SET: "the environment variable NOT_SET is not set"}
CREDENTIAL = {"name": "crm", "kind": "bearer", "updated_at": "2026-03-01T12:00:00Z"}
FLOW = WorkflowWanted("flow", a_flow())
PRESENT_FLOW = PresentWorkflow("default", 1, 1, a_flow(), a_flow())
ENDPOINT = EndpointWanted(slug="s", workflow_id="flow")


def planned(wanted: Manifest, present: Present, **options: Any) -> list[str]:
    return [told(action) for action in make_plan(wanted, present, MISSING, **options)]


def told(action: Action) -> str:
    return f"{action.verb} {action.kind} {action.id}"


def test_what_is_not_there_is_created() -> None:
    wanted = Manifest(
        credentials=(CredentialWanted("crm", "bearer", {"token": SET}),),
        workflows=(
            replace(FLOW, tenant="acme"),
            WorkflowWanted("draft", a_flow() | {"id": "draft"}, is_published=False),
        ),
        endpoints=(
            EndpointWanted(
                slug="s",
                name="S",
                provider="github",
                workflow_id="flow",
                node_id="in",
                config={"dedupe": "off"},
                secret=SET,
            ),
        ),
    )
    actions = make_plan(wanted, Present(), MISSING)
    assert [told(action) for action in actions] == [
        "create credential crm",
        "create workflow flow",
        "publish workflow flow",
        "create workflow draft",
        "create endpoint s",
    ]
    assert (actions[0].body, actions[0].secrets) == ({"kind": "bearer"}, {"token": SET})
    assert (actions[1].body, actions[1].tenant) == (a_flow(), "acme")
    assert actions[4].secrets == {"secret": SET}
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
        credentials=(CredentialWanted("crm", "bearer", {"token": NOT_SET}),),
        workflows=(FLOW,),
        endpoints=(
            replace(ENDPOINT, config={"dedupe": "auto", "rate_limit_per_minute": None}, secret=NOT_SET),
        ),
    )
    present = Present(
        credentials={"crm": CREDENTIAL},
        workflows={"flow": PRESENT_FLOW},
        endpoints={"wh_1": an_endpoint()},
    )
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
        Manifest(workflows=(replace(FLOW, is_published=publish),)), Present(workflows={"flow": there})
    )
    assert [action.verb for action in made] == actions
    if made[0].difference is not None:
        [node] = made[0].difference["nodes"]["changed"]
        assert node["changes"] == [{"path": "/config/message", "old": "draft", "new": "m"}]


def test_an_endpoint_is_changed_where_it_differs() -> None:
    wanted = replace(ENDPOINT, name="Orders", config={"dedupe": "off", "allowed_ips": [], "filter": "true"})
    present = Present(workflows={"flow": PRESENT_FLOW}, endpoints={"wh_1": an_endpoint()})
    [action] = make_plan(Manifest(endpoints=(wanted,)), present)
    assert action.body == {"name": "Orders", "config": {"dedupe": "off", "filter": "true"}}
    assert action.updated_at == "2026-03-01T12:00:00Z"
    assert action.difference == {
        "changes": [
            {"path": "/name", "old": "s", "new": "Orders"},
            {"path": "/config/dedupe", "old": "auto", "new": "off"},
            {"path": "/config/filter", "old": None, "new": "true"},
        ]
    }


def test_an_endpoint_follows_when_its_trigger_is_another() -> None:
    flow = replace(FLOW, definition=a_flow("m", "entry"))
    present = Present(workflows={"flow": PRESENT_FLOW}, endpoints={"wh_1": an_endpoint()})
    actions = make_plan(Manifest(workflows=(flow,), endpoints=(ENDPOINT,)), present)
    assert actions[-1].body == {"workflow_id": "flow"}
    moved = make_plan(
        Manifest(endpoints=(replace(ENDPOINT, node_id="in"),)),
        Present(workflows={"flow": PRESENT_FLOW}, endpoints={"wh_1": an_endpoint(workflow_id="other")}),
    )
    assert moved[0].body == {"workflow_id": "flow", "node_id": "in"}


def test_secrets_that_are_there_are_set_again_only_when_asked_to() -> None:
    wanted = Manifest(
        credentials=(CredentialWanted("crm", "bearer", {"token": SET}),),
        endpoints=(EndpointWanted(slug="s", secret=SET),),
    )
    present = Present(credentials={"crm": CREDENTIAL}, endpoints={"wh_1": an_endpoint()})
    without = replace(present, endpoints={"wh_1": an_endpoint(secret_token=None)})
    assert planned(wanted, present) == ["nothing credential crm", "nothing endpoint s"]
    assert planned(wanted, present, replaces_secrets=True) == [
        "change credential crm",
        "nothing endpoint s",
        "rotate endpoint s",
    ]
    assert planned(wanted, without)[-1] == "rotate endpoint s"


@pytest.mark.parametrize(
    ("wanted", "where", "words"),
    [
        (
            Manifest(credentials=(CredentialWanted("c", "bearer", {"token": NOT_SET}),)),
            "credential c",
            "NOT_SET is not set",
        ),
        (Manifest(endpoints=(EndpointWanted(slug="new", secret=NOT_SET),)), "endpoint new", "NOT_SET"),
        (Manifest(workflows=(replace(FLOW, tenant="acme"),)), "workflow flow", "tenant is default"),
        (Manifest(endpoints=(replace(ENDPOINT, provider="github"),)), "endpoint s", "provider is generic"),
        (Manifest(endpoints=(replace(ENDPOINT, workflow_id="none"),)), "endpoint s", "no workflow none"),
        (Manifest(endpoints=(replace(ENDPOINT, node_id="log"),)), "endpoint s", "there is: in"),
        (
            Manifest(subscriptions=(SubscriptionWanted("partner", {}, "acme"),)),
            "subscription partner",
            "tenant is default",
        ),
        (Manifest(endpoints=(replace(ENDPOINT, tenant="acme"),)), "endpoint s", "tenant is default"),
        (Manifest(endpoints=(replace(ENDPOINT, webhook_id="wh_2"),)), "endpoint s", "that of wh_1"),
        (
            Manifest(workflows=(replace(FLOW, definition=a_flow("m", "a", "b")),), endpoints=(ENDPOINT,)),
            "endpoint s",
            "there is: a, b",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(wanted: Manifest, where: str, words: str) -> None:
    present = Present(
        workflows={"flow": PRESENT_FLOW},
        endpoints={"wh_1": an_endpoint()},
        subscriptions={"partner": {"tenant": "default"}},
    )
    with pytest.raises(InvalidInput) as refused:
        make_plan(wanted, present, MISSING)
    [problem] = refused.value.facts["problems"]
    assert problem["node"] == where
    assert words in problem["message"]


def test_an_event_type_is_replaced_when_any_of_it_differs() -> None:
    body = {"description": "d", "schema": {"type": "object"}, "example": None, "enforced": True}
    wanted = Manifest(event_types=(EventTypeWanted("order.created", body),))
    found = {"name": "order.created", **body, "updated_at": "2026-03-01T12:00:00Z"}
    assert planned(wanted, Present()) == ["create event_type order.created"]
    assert planned(wanted, Present(event_types={"order.created": found})) == [
        "nothing event_type order.created"
    ]
    [action] = make_plan(wanted, Present(event_types={"order.created": found | {"enforced": False}}))
    assert (action.verb, action.body, action.updated_at) == ("change", body, found["updated_at"])
    assert action.difference == {"changes": [{"path": "/enforced", "old": False, "new": True}]}


def a_subscription(**values: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": "partner", "name": "P", "tenant": "default", "events": ["*"]}
    shown |= {
        "url": "https://p.example",
        "sources": ["wh_1"],
        "active": True,
        "secret": "…aH4d",
        "timeout": None,
    }
    return shown | {"updated_at": "2026-03-01T12:00:00Z"} | values


def test_a_subscription_is_made_with_its_tenant_and_its_secret() -> None:
    body = {"url": "https://p.example", "events": ["*"]}
    [action] = make_plan(
        Manifest(subscriptions=(SubscriptionWanted("partner", body, "acme", SET),)), Present(), MISSING
    )
    assert (action.body, action.secrets) == (body | {"tenant": "acme"}, {"secret": SET})


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ({"events": ["*", "*"]}, {}),
        ({"sources": ["s"]}, {}),
        ({"sources": ["wh_1", "s"]}, {}),
        ({"sources": ["new"]}, {"sources": ["new"]}),
        ({"timeout": 5.0, "name": "P"}, {"timeout": 5.0}),
        ({"active": False}, {"active": False}),
    ],
)
def test_a_subscription_is_changed_where_it_differs(body: dict[str, Any], change: dict[str, Any]) -> None:
    present = Present(endpoints={"wh_1": an_endpoint()}, subscriptions={"partner": a_subscription()})
    [action] = make_plan(Manifest(subscriptions=(SubscriptionWanted("partner", body),)), present)
    assert (action.verb, dict(action.body)) == ("change" if change else "nothing", change)


def test_an_endpoint_that_is_to_be_inactive_is_made_and_then_switched_off() -> None:
    off = EndpointWanted(slug="s", is_active=False)
    actions = make_plan(Manifest(endpoints=(off,)), Present())
    assert [told(action) for action in actions] == ["create endpoint s", "change endpoint s"]
    assert actions[1].body == {"is_active": False}
    present = Present(endpoints={"wh_1": an_endpoint(is_active=False)})
    assert planned(Manifest(endpoints=(off,)), present) == ["nothing endpoint s"]


def test_an_endpoint_is_known_by_its_id_before_its_slug() -> None:
    present = Present(endpoints={"wh_1": an_endpoint()})
    [action] = make_plan(Manifest(endpoints=(EndpointWanted(slug="t", webhook_id="wh_1"),)), present)
    assert (action.verb, action.body) == ("change", {"slug": "t"})
