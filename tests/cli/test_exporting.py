from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies.yaml import read_yaml, write_yaml
from kanca.cli.actions import Present, PresentWorkflow, Verb
from kanca.cli.documents import Document
from kanca.cli.exporting import manifest_of, variables_of
from kanca.cli.manifest_reader import read_manifest
from kanca.cli.plan import make_plan
from kanca.domain.endpoint import EndpointConfig, effective_rate_limit
from kanca.domain.endpoint_config import read_config, show_config
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.subscription_config import read_subscription_config, show_subscription_config
from kanca.domain.workflow import read_definition, show_definition

AT = "2026-03-01T12:00:00Z"
TENANTS = st.sampled_from(["default", "acme"])
TEXTS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)
"""Printable, as the API takes names."""


def shown(read: Any, show: Any, values: dict[str, Any]) -> dict[str, Any]:
    """A config as the API gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(show(read(values))))
    return found


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "authentication_required": st.booleans(),
        "allowed_event_types": st.lists(st.sampled_from(["order.created", "order.*"]), unique=True),
        "max_payload_size": st.integers(1, 1024),
        "rate_limit_per_minute": st.integers(0, 100),
        "dedupe": st.sampled_from(["auto", "off", "content"]),
        "response_wait": st.just(0),
        "enable_cors": st.booleans(),
        "filter": st.sampled_from(["true", 'event.type == "on"']),
        "provider_options": st.sampled_from([{}, {"tolerance_seconds": 60}]),
    },
)


@st.composite
def endpoints(draw: st.DrawFn) -> dict[str, Any]:
    number, config = draw(st.integers(0, 99)), read_config(draw(CONFIGS))
    provider = draw(st.sampled_from(["generic", "stripe"]))
    limit = effective_rate_limit(config, provider_signs=provider != "generic")
    has_workflow = draw(st.booleans())
    return {
        "webhook_id": f"wh_{number:024x}",
        "slug": draw(st.sampled_from([None, f"s{number}", f"s.{number}"])),
        "name": draw(TEXTS),
        "provider": provider,
        "tenant": draw(TENANTS),
        "workflow_id": "flow" if has_workflow else None,
        "node_id": "in" if has_workflow else None,
        "config": json.loads(json.dumps(show_config(config))) | {"rate_limit_per_minute": limit},
        "is_active": draw(st.booleans()),
        "secret_token": "…5386",
        "updated_at": AT,
    }


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.sampled_from([None, "event.data.total >= 100"]),
        "headers": st.dictionaries(st.sampled_from(["X-One", "X-Two"]), st.sampled_from(["1", "yes"])),
        "timeout": st.sampled_from([None, 5.0]),
        "retry_config": st.sampled_from([None, {"schedule": [5, 60]}, {"max_retries": 3}]),
        "rate_limit_per_second": st.sampled_from([None, 0.5]),
        "max_in_flight": st.integers(1, 100),
        "fifo": st.booleans(),
        "signature": st.sampled_from(["standard", "ed25519", "hex"]),
        "credential": st.sampled_from([None, "crm"]),
        "challenge": st.booleans(),
    },
)


@st.composite
def subscriptions(draw: st.DrawFn, ids: list[str]) -> dict[str, Any]:
    options = shown(read_subscription_config, show_subscription_config, draw(OPTIONS))
    return {
        "id": f"sub{draw(st.integers(0, 99))}",
        "name": draw(TEXTS),
        "tenant": draw(TENANTS),
        "url": "https://partner.example/hooks",
        "events": draw(st.lists(st.sampled_from(["*", "a.b", "order.*"]), min_size=1, unique=True)),
        "sources": draw(st.lists(st.sampled_from([*ids, "operational"]), unique=True)),
        "active": draw(st.booleans()),
        "secret": "…aH4d",
        "updated_at": AT,
        **options,
    }


@st.composite
def servers(draw: st.DrawFn) -> Present:
    """All that there may be on a server."""
    made = draw(st.lists(endpoints(), max_size=4, unique_by=lambda each: each["webhook_id"]))
    ids = [each["webhook_id"] for each in made]
    sent_to = draw(st.lists(subscriptions(ids), max_size=4, unique_by=lambda each: each["id"]))
    definition = show_definition(
        read_definition({"id": "flow", "nodes": [{"id": "in", "type": "WebhookTrigger"}]})
    )
    workflow = PresentWorkflow(draw(TENANTS), 1, 1, definition, draw(st.sampled_from([definition, None])), AT)
    event_type = {
        "name": "order.created",
        "description": draw(st.sampled_from(["", "An order"])),
        "schema": draw(st.sampled_from([None, {"type": "object"}, True])),
        "example": draw(st.sampled_from([None, {"id": 1}, False, 0])),
        "enforced": draw(st.booleans()),
        "updated_at": AT,
    }
    return Present(
        event_types={"order.created": event_type},
        credentials={"crm": {"name": "crm", "kind": "basic", "updated_at": AT}},
        workflows={"flow": workflow},
        endpoints={each["webhook_id"]: each for each in made},
        subscriptions={each["id"]: each for each in sent_to},
    )


def exported(present: Present, **options: Any) -> dict[str, Any]:
    return manifest_of(
        event_types=present.event_types.values(),
        credentials=present.credentials.values(),
        workflows=present.workflows,
        endpoints=present.endpoints.values(),
        subscriptions=present.subscriptions.values(),
        slugs={each["webhook_id"]: each["slug"] for each in present.endpoints.values() if each["slug"]},
        **options,
    )


@given(servers())
def test_what_was_exported_is_as_it_shall_be_where_it_came_from(present: Present) -> None:
    [document] = read_yaml(write_yaml(exported(present)).encode())
    actions = make_plan(read_manifest([Document(document)]), present)
    assert {action.verb for action in actions} == {Verb.NOTHING}, actions


@given(servers(), st.randoms())
def test_an_export_has_a_stable_order_and_no_secret(present: Present, random: Any) -> None:
    first = exported(present)
    shuffled = list(present.endpoints.values())
    random.shuffle(shuffled)
    other = Present(
        present.event_types,
        present.credentials,
        present.workflows,
        {each["webhook_id"]: each for each in shuffled},
        present.subscriptions,
    )
    assert write_yaml(exported(other)) == write_yaml(first)
    # A name may look like a masked secret.
    unnamed = [each | {"name": ""} for each in first.get("endpoints", [])]
    written = json.dumps(unnamed, ensure_ascii=False)
    assert not [each for each in present.endpoints.values() if str(each["secret_token"]) in written]
    variables = variables_of(first)
    assert len(variables) == len(set(variables))


def test_a_portable_one_has_no_ids_and_no_secrets_that_a_server_can_make() -> None:
    endpoint = {
        "webhook_id": "wh_1",
        "slug": "s",
        "name": "S",
        "provider": "generic",
        "tenant": "default",
        "workflow_id": None,
        "node_id": None,
        "config": show_config(EndpointConfig()) | {"rate_limit_per_minute": 60},
        "is_active": True,
        "secret_token": "…5386",
    }
    bare = endpoint | {"slug": None, "webhook_id": "wh_2"}
    subscription = {
        "id": "p",
        "name": "P",
        "url": "u",
        "events": ["*"],
        "sources": ["wh_1", "wh_2"],
        "tenant": "default",
        "active": True,
        "secret": "…",
        **show_subscription_config(SubscriptionConfig()),
    }
    made = manifest_of(
        endpoints=[endpoint, bare], subscriptions=[subscription], slugs={"wh_1": "s"}, is_portable=True
    )
    assert made == {
        "kanca": 1,
        "endpoints": [{"slug": "s", "name": "S"}, {"webhook_id": "wh_2", "name": "S"}],
        "subscriptions": [
            {"id": "p", "name": "P", "url": "u", "events": ["*"], "sources": ["s", "wh_2"]},
        ],
    }


def test_endpoints_whose_slugs_look_alike_have_variables_of_their_own() -> None:
    credentials = [{"name": name, "kind": "bearer"} for name in ("a-b", "a_b", "c")]
    assert variables_of(manifest_of(credentials=credentials)) == [
        "CREDENTIAL_A_B_TOKEN",
        "CREDENTIAL_A_B_TOKEN_2",
        "CREDENTIAL_C_TOKEN",
    ]
