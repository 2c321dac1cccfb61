"""What is another tenant's is not there: one of these stands among the ``dependencies`` of each route that names it.

They cost those who are confined to a tenant one query, and the others nothing.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import Depends

from kanca.api.callers import Caller, CallerTenant
from kanca.api.fields import EventIdPath, RunIdPath, WebhookIdPath, WorkflowIdPath
from kanca.api.services import Given, Services
from kanca.domain.ids import EVENT, RUN, show_id
from kanca.errors import EndpointNotFound, EventNotFound, RunNotFound, WorkflowNotFound
from kanca.storage import owners


async def check_endpoint(services: Services, caller: Caller, webhook_id: str) -> None:
    """Raise EndpointNotFound for an endpoint of another tenant's."""
    if caller.tenant is not None and not caller.owns(
        await services.database.read(owners.of_endpoint, webhook_id)
    ):
        raise EndpointNotFound(f"There is no endpoint {webhook_id}.")


async def check_event(services: Services, caller: Caller, event_id: UUID) -> None:
    """Raise EventNotFound for an event of another tenant's."""
    if caller.tenant is not None and not caller.owns(await services.database.read(owners.of_event, event_id)):
        raise EventNotFound(f"There is no event {show_id(EVENT, event_id)}, or not any more.")


async def check_workflow(services: Services, caller: Caller, workflow_id: str) -> None:
    """Raise WorkflowNotFound for a workflow of another tenant's."""
    if caller.tenant is not None and not caller.owns(
        await services.database.read(owners.of_workflow, workflow_id)
    ):
        raise WorkflowNotFound(f"There is no workflow {workflow_id}.", workflow_id=workflow_id)


async def _own_endpoint(services: Given, caller: CallerTenant, webhook_id: WebhookIdPath) -> None:
    await check_endpoint(services, caller, webhook_id)


async def _own_event(services: Given, caller: CallerTenant, event_id: EventIdPath) -> None:
    await check_event(services, caller, event_id)


async def _own_workflow(services: Given, caller: CallerTenant, workflow_id: WorkflowIdPath) -> None:
    await check_workflow(services, caller, workflow_id)


async def _own_run(services: Given, caller: CallerTenant, run_id: RunIdPath) -> None:
    if caller.tenant is not None and not caller.owns(await services.database.read(owners.of_run, run_id)):
        raise RunNotFound(f"There is no run {show_id(RUN, run_id)}, or not any more.")


OWN_ENDPOINT = Depends(_own_endpoint)
OWN_EVENT = Depends(_own_event)
OWN_WORKFLOW = Depends(_own_workflow)
OWN_RUN = Depends(_own_run)
