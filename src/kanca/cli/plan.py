"""What ``kanca apply`` does: from what there shall be and what there is to a list of actions.

Pure. Nothing is ever deleted, and what is as it shall be is left alone, so that applying a file again does nothing.
Values of secrets are not known here: actions have the names of the environment variables that hold them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kanca.cli.manifest import CredentialWanted, EndpointWanted, Manifest, WorkflowWanted, refused
from kanca.domain.workflow import read_definition
from kanca.workflows.difference import changes, difference, show_changes, show_difference
from kanca.workflows.nodes.webhook_trigger import NAME as TRIGGER


class Kind(StrEnum):
    """What an action is about."""

    CREDENTIAL = "credential"
    WORKFLOW = "workflow"
    ENDPOINT = "endpoint"
    SECRET = "secret"  # noqa: S105 - a word
    """Of an endpoint."""


class Verb(StrEnum):
    """What is done."""

    CREATE = "create"
    CHANGE = "change"
    PUBLISH = "publish"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    kind: Kind
    id: str
    verb: Verb
    difference: Mapping[str, Any] | None = None
    """Of a change: ``{changes, nodes?, edges?}``."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What the server is sent, but for secrets."""
    query: Mapping[str, str] = field(default_factory=dict)
    from_env: Mapping[str, str] = field(default_factory=dict)
    """Further members of the body, and the environment variables that hold them."""
    webhook_id: str | None = None
    """Of an endpoint that is there."""


@dataclass(frozen=True, slots=True)
class PresentWorkflow:
    """A workflow that is there."""

    tenant: str
    version: int
    published_version: int | None
    newest: Mapping[str, Any]
    published: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Present:
    """What there is on the server of what the file speaks of."""

    credentials: AbstractSet[str] = frozenset()
    workflows: Mapping[str, PresentWorkflow] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As the API shows them, by slug."""


def make_plan(
    wanted: Manifest, present: Present, variables: Collection[str], *, replaces_secrets: bool = False
) -> list[Action]:
    """The actions, in their order: credentials, workflows, endpoints.

    ``variables`` are the environment variables that have a value. Raises InvalidInput with all that cannot be.
    """
    problems = list(_impossible(wanted, present))
    actions = [
        *(_credential(each, present, replaces=replaces_secrets) for each in wanted.credentials),
        *(action for each in wanted.workflows for action in _workflow(each, present)),
        *(
            action
            for each in wanted.endpoints
            for action in _endpoint(each, wanted, present, replaces_secrets)
        ),
    ]
    for action in actions:
        missing = sorted(set(action.from_env.values()) - set(variables))
        problems += [
            (f"{action.kind} {action.id}", f"the environment variable {name} is not set") for name in missing
        ]
    if problems:
        raise refused("The file cannot be applied, and nothing was changed.", problems)
    return actions


def _credential(wanted: CredentialWanted, present: Present, *, replaces: bool) -> Action:
    is_there = wanted.name in present.credentials
    if is_there and not replaces:
        return Action(Kind.CREDENTIAL, wanted.name, Verb.NOTHING)
    verb = Verb.CHANGE if is_there else Verb.CREATE
    return Action(Kind.CREDENTIAL, wanted.name, verb, body={"kind": wanted.kind}, from_env=wanted.from_env)


def _workflow(wanted: WorkflowWanted, present: Present) -> Iterator[Action]:
    found = present.workflows.get(wanted.id)
    publish = Action(Kind.WORKFLOW, wanted.id, Verb.PUBLISH)
    if found is None:
        tenant = {} if wanted.tenant is None else {"tenant": wanted.tenant}
        yield Action(Kind.WORKFLOW, wanted.id, Verb.CREATE, body=wanted.definition, query=tenant)
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
        yield Action(Kind.WORKFLOW, wanted.id, Verb.CHANGE, shown, body=wanted.definition)
        if wanted.is_published:
            yield publish


def _endpoint(
    wanted: EndpointWanted, manifest: Manifest, present: Present, replaces_secrets: bool
) -> Iterator[Action]:
    found = present.endpoints.get(wanted.slug)
    secret = {"secret": wanted.secret_from_env} if wanted.secret_from_env else {}
    asked = {
        name: value
        for name in ("name", "provider", "workflow_id", "node_id")
        if (value := getattr(wanted, name)) is not None
    }
    if found is None:
        body = {"slug": wanted.slug, **asked, "config": dict(wanted.config)}
        yield Action(Kind.ENDPOINT, wanted.slug, Verb.CREATE, body=body, from_env=secret)
        return
    body = _changed(wanted, found, asked, _triggers(wanted.workflow_id, manifest, present))
    verb = Verb.CHANGE if body else Verb.NOTHING
    shown = {"changes": show_changes(_changes_of(found, body))} if body else None
    yield Action(Kind.ENDPOINT, wanted.slug, verb, shown, body, webhook_id=str(found["webhook_id"]))
    # What it is now is not told, so it cannot be compared.
    if secret and (replaces_secrets or found["secret_token"] is None):
        yield Action(
            Kind.SECRET, wanted.slug, Verb.CHANGE, from_env=secret, webhook_id=str(found["webhook_id"])
        )


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
            yield f"workflow {workflow.id}", f"its tenant is {there.tenant}, and cannot be changed"
    for endpoint in wanted.endpoints:
        where = f"endpoint {endpoint.slug}"
        found = present.endpoints.get(endpoint.slug)
        if found and endpoint.provider not in (None, found["provider"]):
            yield where, f"its provider is {found['provider']}, and cannot be changed"
        if endpoint.workflow_id is None:
            continue
        triggers = _triggers(endpoint.workflow_id, wanted, present)
        if not triggers:
            yield where, f"there is no workflow {endpoint.workflow_id} with a {TRIGGER} node"
        elif endpoint.node_id not in (None, *triggers):
            yield where, f"{endpoint.node_id} is no {TRIGGER} node; there is: {', '.join(triggers)}"
        elif endpoint.node_id is None and len(triggers) > 1:
            yield where, f"node_id must be given; there is: {', '.join(triggers)}"


def _triggers(workflow_id: str | None, wanted: Manifest, present: Present) -> list[str]:
    """The nodes at which endpoints may enter the workflow, as it will be."""
    asked = next((each.definition for each in wanted.workflows if each.id == workflow_id), None)
    there = present.workflows.get(workflow_id or "")
    definition = asked or (there.newest if there else None)
    nodes = definition["nodes"] if definition else []
    return [node["id"] for node in nodes if node["type"] == TRIGGER]


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return difference(read_definition(one), read_definition(other)).is_empty
