"""What ``kanca apply`` does: from what there shall be and what there is to a list of actions.

Pure. What is as it shall be is left alone, so that applying a manifest again does nothing. Values of secrets are not
known here: actions have where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kanca.cli.actions import Action, Present, Verb
from kanca.cli.manifest import (
    CredentialWanted,
    EndpointWanted,
    EventTypeWanted,
    Manifest,
    SubscriptionWanted,
    WorkflowWanted,
    at,
    refused,
)
from kanca.cli.sources import Source
from kanca.domain.changing import Kind
from kanca.domain.workflow import read_definition
from kanca.workflows.difference import changes, difference, show_changes, show_difference
from kanca.workflows.nodes.webhook_trigger import NAME as TRIGGER


def make_plan(
    wanted: Manifest,
    present: Present,
    missing: Mapping[Source, str] | None = None,
    *,
    replaces_secrets: bool = False,
) -> list[Action]:
    """The actions, in their order: event types, credentials, workflows, endpoints, subscriptions.

    ``missing`` are secrets that are not where they should be, and why. Raises InvalidInput with all that cannot be.
    """
    problems = list(_impossible(wanted, present))
    actions = [
        *(_event_type(each, present) for each in wanted.event_types),
        *(_credential(each, present, replaces=replaces_secrets) for each in wanted.credentials),
        *(action for each in wanted.workflows for action in _workflow(each, present)),
        *(
            action
            for each in wanted.endpoints
            for action in _endpoint(each, wanted, present, replaces_secrets)
        ),
        *(
            action
            for each in wanted.subscriptions
            for action in _subscription(each, present, replaces_secrets)
        ),
    ]
    problems += [
        (at(action.place, f"{action.kind} {action.id}"), missing[source])
        for action in actions
        for source in sorted(set(action.secrets.values()))
        if missing and source in missing
    ]
    if problems:
        raise refused("The manifest cannot be applied, and nothing was changed.", problems)
    return actions


def _event_type(wanted: EventTypeWanted, present: Present) -> Action:
    found = present.event_types.get(wanted.name)
    if found is None:
        return Action(Kind.EVENT_TYPE, wanted.name, Verb.CREATE, body=wanted.body, place=wanted.place)
    shown = changes({key: found[key] for key in wanted.body}, wanted.body)
    if not shown:
        return Action(Kind.EVENT_TYPE, wanted.name, Verb.NOTHING)
    return Action(
        Kind.EVENT_TYPE,
        wanted.name,
        Verb.CHANGE,
        {"changes": show_changes(shown)},
        wanted.body,
        updated_at=found["updated_at"],
        place=wanted.place,
    )


def _credential(wanted: CredentialWanted, present: Present, *, replaces: bool) -> Action:
    found = present.credentials.get(wanted.name)
    if found is not None and found["kind"] == wanted.kind and not replaces:
        return Action(Kind.CREDENTIAL, wanted.name, Verb.NOTHING)
    return Action(
        Kind.CREDENTIAL,
        wanted.name,
        Verb.CREATE if found is None else Verb.CHANGE,
        body={"kind": wanted.kind},
        secrets=wanted.sources,
        updated_at=None if found is None else found["updated_at"],
        place=wanted.place,
    )


def _workflow(wanted: WorkflowWanted, present: Present) -> Iterator[Action]:
    found = present.workflows.get(wanted.id)
    publish = Action(Kind.WORKFLOW, wanted.id, Verb.PUBLISH, place=wanted.place)
    if found is None:
        yield Action(
            Kind.WORKFLOW,
            wanted.id,
            Verb.CREATE,
            body=wanted.definition,
            tenant=wanted.tenant,
            place=wanted.place,
        )
        if wanted.is_published:
            yield publish
        return
    nothing = Action(Kind.WORKFLOW, wanted.id, Verb.NOTHING)
    if wanted.is_published and found.published is not None and _is_same(found.published, wanted.definition):
        yield nothing  # whatever draft there is besides
    elif _is_same(found.newest, wanted.definition):
        yield publish if wanted.is_published else nothing
    else:
        shown = show_difference(difference(read_definition(found.newest), read_definition(wanted.definition)))
        yield Action(
            Kind.WORKFLOW,
            wanted.id,
            Verb.CHANGE,
            shown,
            wanted.definition,
            updated_at=found.updated_at,
            place=wanted.place,
        )
        if wanted.is_published:
            yield publish


def _endpoint(
    wanted: EndpointWanted, manifest: Manifest, present: Present, replaces_secrets: bool
) -> Iterator[Action]:
    found = present.endpoint(wanted)
    secret = {"secret": wanted.secret} if wanted.secret else {}
    asked = {
        name: value
        for name in ("slug", "name", "provider", "workflow_id", "node_id")
        if (value := getattr(wanted, name)) is not None
    }
    if found is None:
        own = {name: value for name in ("webhook_id", "tenant") if (value := getattr(wanted, name))}
        body = {**asked, **own, "config": dict(wanted.config)}
        yield Action(Kind.ENDPOINT, wanted.id, Verb.CREATE, body=body, secrets=secret, place=wanted.place)
        if wanted.is_active is False:
            # Endpoints are active when they are made, or cannot be.
            yield Action(Kind.ENDPOINT, wanted.id, Verb.CHANGE, body={"is_active": False}, place=wanted.place)
        return
    if wanted.is_active is not None:
        asked["is_active"] = wanted.is_active
    body = _changed(wanted, found, asked, _triggers(wanted.workflow_id, manifest, present))
    shown = {"changes": show_changes(_changes_of(found, body))} if body else None
    yield Action(
        Kind.ENDPOINT,
        wanted.id,
        Verb.CHANGE if body else Verb.NOTHING,
        shown,
        body,
        updated_at=found["updated_at"] if body else None,
        place=wanted.place,
    )
    # What it is now is not told, so it cannot be compared.
    if secret and (replaces_secrets or found["secret_token"] is None):
        yield Action(Kind.ENDPOINT, wanted.id, Verb.ROTATE, secrets=secret, place=wanted.place)


def _subscription(wanted: SubscriptionWanted, present: Present, replaces_secrets: bool) -> Iterator[Action]:
    found = present.subscriptions.get(wanted.id)
    secret = {"secret": wanted.secret} if wanted.secret else {}
    if found is None:
        body = dict(wanted.body) | ({"tenant": wanted.tenant} if wanted.tenant else {})
        yield Action(Kind.SUBSCRIPTION, wanted.id, Verb.CREATE, body=body, secrets=secret, place=wanted.place)
        return
    as_found = {key: found[key] for key in wanted.body}
    as_wanted = {key: _as_shown(key, value, present) for key, value in wanted.body.items()}
    body = {
        key: wanted.body[key] for key in wanted.body if changes({key: as_found[key]}, {key: as_wanted[key]})
    }
    if not body:
        yield Action(Kind.SUBSCRIPTION, wanted.id, Verb.NOTHING)
    else:
        shown = changes({key: as_found[key] for key in body}, {key: as_wanted[key] for key in body})
        yield Action(
            Kind.SUBSCRIPTION,
            wanted.id,
            Verb.CHANGE,
            {"changes": show_changes(shown)},
            body,
            updated_at=found["updated_at"],
            place=wanted.place,
        )
    if secret and (replaces_secrets or found["secret"] is None):
        yield Action(Kind.SUBSCRIPTION, wanted.id, Verb.ROTATE, secrets=secret, place=wanted.place)


def _as_shown(key: str, value: Any, present: Present) -> Any:
    """A member of a subscription as the API shows it: endpoints by their ids, each thing once."""
    if key == "sources":
        value = [(present.endpoint_with(name) or {"webhook_id": name})["webhook_id"] for name in value]
    return list(dict.fromkeys(value)) if key in ("sources", "events") else value


def _changed(
    wanted: EndpointWanted, found: Mapping[str, Any], asked: Mapping[str, Any], triggers: list[str]
) -> dict[str, Any]:
    """What of the endpoint must change."""
    body = {name: value for name, value in asked.items() if name != "provider" and found[name] != value}
    if "workflow_id" in asked and wanted.node_id is None and found["node_id"] not in triggers:
        body["workflow_id"] = wanted.workflow_id  # and the server takes its only trigger
    if body.keys() & {"workflow_id", "node_id"}:
        body |= {name: asked[name] for name in ("workflow_id", "node_id") if name in asked}
    config = {
        key: value
        for key, value in wanted.config.items()
        # Null is whatever limit the server finds right, which it shows.
        if (key, value) != ("rate_limit_per_minute", None)
        and changes({key: found["config"].get(key)}, {key: value})
    }
    return body | ({"config": config} if config else {})


def _changes_of(found: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
    old = {key: found[key] for key in body if key != "config"}
    old_config = {key: found["config"].get(key) for key in body.get("config", {})}
    return changes(old | ({"config": old_config} if "config" in body else {}), body)


def _impossible(wanted: Manifest, present: Present) -> Iterator[tuple[str, str]]:
    for workflow in wanted.workflows:
        there = present.workflows.get(workflow.id)
        if there and workflow.tenant not in (None, there.tenant):
            where = at(workflow.place, f"workflow {workflow.id}")
            yield where, f"its tenant is {there.tenant}, and cannot be changed"
    for subscription in wanted.subscriptions:
        known = present.subscriptions.get(subscription.id)
        if known and subscription.tenant not in (None, known["tenant"]):
            where = at(subscription.place, f"subscription {subscription.id}")
            yield where, f"its tenant is {known['tenant']}, and cannot be changed"
    for endpoint in wanted.endpoints:
        where = at(endpoint.place, f"endpoint {endpoint.id}")
        yield from ((where, why) for why in _impossible_endpoint(endpoint, wanted, present))


def _impossible_endpoint(endpoint: EndpointWanted, wanted: Manifest, present: Present) -> Iterator[str]:
    found = present.endpoint(endpoint)
    if found and endpoint.provider not in (None, found["provider"]):
        yield f"its provider is {found['provider']}, and cannot be changed"
    if found and endpoint.tenant not in (None, found["tenant"]):
        yield f"its tenant is {found['tenant']}, and cannot be changed"
    if found is None and (other := present.endpoint_with(endpoint.slug)) is not None:
        yield f"the slug is that of {other['webhook_id']}"
    if endpoint.workflow_id is None:
        return
    triggers = _triggers(endpoint.workflow_id, wanted, present)
    if not triggers:
        yield f"there is no workflow {endpoint.workflow_id} with a {TRIGGER} node"
    elif endpoint.node_id not in (None, *triggers):
        yield f"{endpoint.node_id} is no {TRIGGER} node; there is: {', '.join(triggers)}"
    elif endpoint.node_id is None and len(triggers) > 1:
        yield f"node_id must be given; there is: {', '.join(triggers)}"


def _triggers(workflow_id: str | None, wanted: Manifest, present: Present) -> list[str]:
    """The nodes at which endpoints may enter the workflow, as it will be."""
    asked = next((each.definition for each in wanted.workflows if each.id == workflow_id), None)
    there = present.workflows.get(workflow_id or "")
    definition = asked or (there.newest if there else None)
    nodes = definition["nodes"] if definition else []
    return [node["id"] for node in nodes if node["type"] == TRIGGER]


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return difference(read_definition(one), read_definition(other)).is_empty
