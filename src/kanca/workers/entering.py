"""How an event enters the workflow of its endpoint: it starts a run, or is for one that waits."""

from __future__ import annotations

from dataclasses import dataclass

from kanca.domain.endpoint import NodeBehavior
from kanca.domain.event import StoredEvent
from kanca.storage import waits
from kanca.storage.ports import Database
from kanca.workers.arriving import ResumeDetail
from kanca.workers.catalogue import Catalogue
from kanca.workers.dispatch import Entry
from kanca.workers.settlement import Settling
from kanca.workers.targets import KnownWorkflow, Sender
from kanca.workflows.entry import is_wait, trigger_of
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.runs import WorkflowVersion, run_of_event


@dataclass(frozen=True, slots=True)
class Entrance:
    """Finds out how events enter workflows."""

    database: Database
    loader: WorkflowLoader
    catalogue: Catalogue
    settling: Settling

    async def find(
        self, workflow: KnownWorkflow, sender: Sender | None, works: int | None
    ) -> WorkflowVersion | ResumeDetail | None:
        """The version that a run starts with, or how one is found that waits; None: neither, it is not published.

        Raises DatabaseUnavailable.
        """
        number = workflow.published_version
        if number is None:
            # No run starts, but those that are at it may wait.
            in_use = await self.database.read(waits.versions_in_use, workflow.id)
            number = max(in_use, default=None)
        version = await self.loader.version(workflow.id, number) if number is not None else None
        if version is None or version.definition is None or sender is None:
            return None
        trigger = trigger_of(version.definition, sender.node_id)
        waiting = trigger is not None and is_wait(version.definition, trigger)
        if sender.behavior is not NodeBehavior.AUTO:
            waiting = sender.behavior is NodeBehavior.TRIGGER_ONLY
        if waiting and trigger is not None:
            return ResumeDetail(workflow.id, trigger.id, works)
        return version if workflow.is_published else None

    def start(self, event: StoredEvent, version: WorkflowVersion, sender: Sender | None) -> Entry:
        """What starts a run under a task of its own."""
        node_id = sender.node_id if sender else None
        run, task = run_of_event(event, version, node_id, self.settling.now())
        return Entry(task, run)

    def needs_own_task(self, version: WorkflowVersion) -> bool:
        """Whether a run cannot begin just so: it is for others, takes turns, or its workflow is paused."""
        limits = version.definition.settings.concurrency if version.definition else None
        return (
            version.is_for_others or limits is not None or version.number in self.catalogue.paused_workflows
        )
