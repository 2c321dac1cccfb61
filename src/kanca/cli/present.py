"""What a server says before ``kanca apply`` changes anything: what there is, and what it thinks of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from kanca.cli.manifest import Manifest, WorkflowWanted, refused
from kanca.cli.plan import Present, PresentWorkflow
from kanca.cli.server import Server
from kanca.errors import InvalidInput, NotFound
from kanca.storage.pages import MAX_LIMIT

ENDPOINTS = ("api", "webhooks", "endpoints")
WORKFLOWS = ("api", "workflows")


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
            problems += _problems(workflow.id, error)
        else:
            workflows.append(replace(workflow, definition=saved))
    for endpoint in wanted.endpoints:
        name = None if endpoint.config.get("provider_spec") else endpoint.provider
        if name and _found(server, "api", "providers", name) is None:
            problems.append((f"endpoint {endpoint.slug}", f"there is no provider {name!r}"))
    if problems:
        raise refused("The file cannot be applied, and nothing was changed.", problems)
    return replace(wanted, workflows=tuple(workflows))


def read_present(server: Server, wanted: Manifest) -> Present:
    """What there is of what the manifest speaks of."""
    credentials = (each.name for each in wanted.credentials)
    workflow_ids = {each.id for each in wanted.workflows} | {
        each.workflow_id for each in wanted.endpoints if each.workflow_id
    }
    slugs = {each.slug for each in wanted.endpoints}
    return Present(
        frozenset(name for name in credentials if _found(server, "api", "credentials", name) is not None),
        {
            workflow_id: found
            for workflow_id in sorted(workflow_ids)
            if (found := _workflow(server, workflow_id)) is not None
        },
        {shown["slug"]: shown for shown in _endpoints(server) if shown["slug"] in slugs} if slugs else {},
    )


def _problems(workflow_id: str, error: InvalidInput) -> Iterator[tuple[str, str]]:
    """What the server found wrong with a definition."""
    where = f"workflow {workflow_id}"
    if "problems" not in error.facts:
        yield where, error.detail
    for problem in error.facts.get("problems", ()):
        yield (f"{where}, node {problem['node']}" if problem["node"] else where), problem["message"]


def _workflow(server: Server, workflow_id: str) -> PresentWorkflow | None:
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
        found["tenant"], found["version"], found["published_version"], found["definition"], published
    )


def _endpoints(server: Server) -> Iterator[Mapping[str, Any]]:
    cursor = None
    while True:
        page = server.get(*ENDPOINTS, limit=MAX_LIMIT, cursor=cursor).data
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _found(server: Server, *path: str) -> Any:
    try:
        return server.get(*path).data
    except NotFound:
        return None
