"""A worker beside the API: for what people do with runs that go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx

from kanca.domain.ids import RUN, derived_id, show_id
from kanca.domain.status import RunStatus
from kanca.storage import runs
from tests.workers.site import Site
from tests.workers.test_waiting import KEYS, START, WAIT, edge, node, save

__all__ = ["KEYS", "START", "WAIT", "Living", "edge", "node"]


class Living:
    """A site with endpoints of the workflow ``w``, and somebody who asks the API about its runs."""

    def __init__(self, site: Site, client: httpx.AsyncClient) -> None:
        self.site = site
        self.client = client

    async def publish(
        self, nodes: Sequence[dict[str, Any]], edges: Sequence[dict[str, str]], workflow_id: str = "w"
    ) -> None:
        """Save and publish a workflow that begins at ``start``; ``w`` has the endpoints."""
        await save(self.site, [node("start", "WebhookTrigger"), *nodes], edges, workflow_id)
        if workflow_id == "w":
            await self.site.change_endpoint(START, workflow_id="w", node_id="start")
            await self.site.change_endpoint(WAIT, workflow_id="w", node_id="paid")

    async def begin(self, data: Any, *, count: int = 1) -> list[str]:
        """Events that start runs; gives the ids of those."""
        events = await self.site.accept(endpoint=START, data=data, count=count)
        return [show_id(RUN, derived_id(event, "workflow:w")) for event in events]

    async def until(self, run_id: str, *statuses: RunStatus) -> runs.Run:
        """Wait until a run is so."""
        found: list[runs.Run] = []

        async def is_so() -> bool:
            run = await self.site.database.read(runs.get, UUID(hex=run_id.partition("_")[2]))
            if run is not None and run.status in statuses:
                found.append(run)
            return bool(found)

        await self.site.until(is_so)
        return found[0]

    async def ask(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """What the API answers."""
        answer = await self.client.request(method, f"/api/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The status and the code with which the API refuses."""
        answer = await self.client.request(method, f"/api/{path}", json=body)
        return answer.status_code, answer.json()["code"]
