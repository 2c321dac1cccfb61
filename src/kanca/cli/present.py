"""What a server says before ``kanca apply`` changes anything: what there is, and what it thinks of the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kanca.cli.actions import Present, PresentWorkflow
from kanca.cli.manifest import Manifest, WorkflowWanted, at, refused
from kanca.cli.server import Server
from kanca.errors import InvalidInput, NotFound
from kanca.storage.pages import MAX_LIMIT

ENDPOINTS = ("api", "webhooks", "endpoints")
WORKFLOWS = ("api", "workflows")
EVENT_TYPES = ("api", "event-types")
CREDENTIALS = ("api", "credentials")
SUBSCRIPTIONS = ("webhooks", "subscriptions")


def checked(server: Server, wanted: Manifest) -> Manifest:
    """The manifest with its definitions as the server would save them; nothing is saved.

    Raises InvalidInput with all that is wrong with them, and with every provider that is not known.
    """
    problems: list[tuple[str, str]] = []
    workflows: list[WorkflowWanted] = []
    for workflow in wanted.workflows:
        try:
            saved = server.post(*WORKFLOWS, "validate", body=workflow.definition).data["definition"]
        except InvalidInput as error:
            problems += _problems(workflow, error)
        else:
            workflows.append(replace(workflow, definition=saved))
    for endpoint in wanted.endpoints:
        name = None if endpoint.config.get("provider_spec") else endpoint.provider
        if name and _found(server, "api", "providers", name) is None:
            where = at(endpoint.place, f"endpoint {endpoint.id}")
            problems.append((where, f"there is no provider {name!r}"))
    if problems:
        raise refused("The manifest cannot be applied, and nothing was changed.", problems)
    return replace(wanted, workflows=tuple(workflows))


def read_present(server: Server, wanted: Manifest) -> Present:
    """What there is of what the manifest speaks of."""
    workflow_ids = {each.id for each in wanted.workflows} | {
        each.workflow_id for each in wanted.endpoints if each.workflow_id
    }
    needs_endpoints = wanted.endpoints or wanted.subscriptions
    return Present(
        _those_of(server, (each.name for each in wanted.event_types), *EVENT_TYPES),
        _those_of(server, (each.name for each in wanted.credentials), *CREDENTIALS),
        {
            workflow_id: found
            for workflow_id in sorted(workflow_ids)
            if (found := read_workflow(server, workflow_id)) is not None
        },
        {shown["webhook_id"]: shown for shown in every(server, *ENDPOINTS)} if needs_endpoints else {},
        _those_of(server, (each.id for each in wanted.subscriptions), *SUBSCRIPTIONS),
    )


def every(server: Server, *path: str, **query: object) -> Iterator[Mapping[str, Any]]:
    """All items of a list, page by page."""
    cursor = None
    while True:
        page = server.get(*path, limit=MAX_LIMIT, cursor=cursor, **query).data
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def read_workflow(server: Server, workflow_id: str) -> PresentWorkflow | None:
    """A workflow with its newest and its published definition; None when it is not there."""
    found = _found(server, *WORKFLOWS, workflow_id)
    if found is None:
        return None
    published = None
    if found["published_version"] == found["version"]:
        published = found["definition"]
    elif found["published_version"] is not None:
        answer = server.get(*WORKFLOWS, workflow_id, version=found["published_version"])
        published = answer.data["definition"]
    return PresentWorkflow(
        found["tenant"],
        found["version"],
        found["published_version"],
        found["definition"],
        published,
        found["updated_at"],
    )


def _problems(workflow: WorkflowWanted, error: InvalidInput) -> Iterator[tuple[str, str]]:
    """What the server found wrong with a definition."""
    where = at(workflow.place, f"workflow {workflow.id}")
    if "problems" not in error.facts:
        yield where, error.detail
    for problem in error.facts.get("problems", ()):
        yield (f"{where}, node {problem['node']}" if problem["node"] else where), problem["message"]


def _those_of(server: Server, names: Iterable[str], *path: str) -> dict[str, Mapping[str, Any]]:
    return {name: found for name in names if (found := _found(server, *path, name)) is not None}


def _found(server: Server, *path: str) -> Any:
    try:
        return server.get(*path).data
    except NotFound:
        return None
