"""How a run waits, and what it is that came for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kanca.domain.event import StoredEvent
from kanca.domain.ids import RUN, show_id
from kanca.domain.resumption import ADDRESS_LASTS, mark_in
from kanca.domain.status import WaitStatus
from kanca.domain.task import Task
from kanca.domain.wait import Wait, WaitAddress
from kanca.expressions.event_scope import stored_event_scope
from kanca.storage.seeking import KEYLESS, Opening
from kanca.workflows.calling import Failed, cause
from kanca.workflows.progress import At
from kanca.workflows.publishing import hops_of_run, trace_of_run
from kanca.workflows.runs import RunDetail, RunState, TestPlan, run_of_run
from kanca.workflows.step import AwaitEvent, AwaitRun, Came, EndedRun
from kanca.workflows.surroundings import Surroundings
from kanca.workflows.validation import PreparedNode, Workflow
from kanca.workflows.values import read_json, write_json

MAX_DEPTH = 16
"""How many runs may wait for each other, each for the next."""
NO_URL = "wait.unknown"


class Waiting:
    """The waits of one run."""

    def __init__(
        self, surroundings: Surroundings, task: Task, state: RunState, detail: RunDetail, workflow: Workflow
    ) -> None:
        self._around = surroundings
        self._task = task
        self._state = state
        self._detail = detail
        self._workflow = workflow
        self._awaiting = [
            node.id
            for node in workflow.nodes.values()
            if self.takes_events(node) and not node.type.takes_decisions
        ]
        self._scopes: dict[int, Mapping[str, Any]] = {}

    def scope(self, run: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        """``run``, as expressions see it: with the addresses that resume it, by node, where there are any."""
        if self._around.resume_url is None or not self._awaiting:
            return run
        known = self._scopes.get(iteration)
        if known is None:
            urls = {
                node_id: self.urls(At(node_id, iteration if self._is_in_loop(node_id) else 0))["resume"]
                for node_id in self._awaiting
            }
            known = self._scopes[iteration] = {**run, "resume_urls": urls}
        return known

    def takes_events(self, node: PreparedNode) -> bool:
        """Whether a run may wait for an event at a node."""
        return node.type.takes_events and (not node.type.is_trigger or node.id in self._workflow.waits)

    def urls(self, at: At) -> dict[str, str]:
        """The addresses that resume the run at a node: ``resume``, and with a decision ``approve`` and ``reject``."""
        make = self._around.resume_url
        if make is None:
            return {}
        config = self._workflow.nodes[at.node_id].settings.config
        # The same in every attempt, so not from now on.
        until = self._state.run.started_at + ADDRESS_LASTS + getattr(config, "longest_wait", timedelta(0))
        address = self._address(at)
        return {
            "resume": make(address, until, None),
            "approve": make(address, until, "approve"),
            "reject": make(address, until, "reject"),
        }

    async def open(self, at: At, for_what: AwaitEvent | AwaitRun) -> Wait | Failed | None:
        """Wait at a node; None when the run is over, or no longer this worker's."""
        run, address = self._state.run, self._address(at)
        rule, key, child = "", address.wait_id.hex, None
        if isinstance(for_what, AwaitEvent):
            rule, key = for_what.rule, for_what.key
        else:
            rule = "@run"
            found = await self._child(at, for_what, address)
            if isinstance(found, Failed):
                return found
            child = found
        event = self._state.event
        is_keyless = rule == KEYLESS and event is not None
        return await self._around.desk.open(
            Opening(
                task=self._task,
                wait_id=address.wait_id,
                run_id=run.id,
                workflow=self._state.version.number,
                workflow_id=run.workflow_id,
                node_id=at.node_id,
                iteration=at.iteration,
                rule=rule,
                key=key,
                timeout=for_what.timeout,
                not_before=event.received_at if is_keyless and event else None,
                child=child,
            )
        )

    async def came(self, wait: Wait) -> Came:
        """What a wait has ended with."""
        if wait.status is WaitStatus.TIMED_OUT:
            return Came(is_timeout=True)
        if wait.child_run_id is not None:
            ended = await self._around.desk.run(wait.child_run_id)
            if ended is None:
                return Came(is_timeout=True)
            output = None if ended.output is None else read_json(ended.output)
            error = None if ended.error is None else read_json(ended.error)
            return Came(run=EndedRun(show_id(RUN, ended.id), ended.status, output, error))
        event = self._state.arrived.get(wait.event_id) if wait.event_id else None
        if event is None and wait.event_id:
            event = await self._around.desk.event(wait.event_id)
        if event is None:
            return Came(event={"id": None, "type": NO_URL, "data": None, "headers": {}})
        return Came(event=stored_event_scope(event), decision=_decision(event))

    async def _child(self, at: At, asked: AwaitRun, address: WaitAddress) -> Any:
        """The run that is waited for, or why there can be none."""
        if self._detail.depth >= MAX_DEPTH:
            message = f"more than {MAX_DEPTH} runs would wait for each other"
            return Failed("too_deep", cause(at.node_id, "too_deep", message), is_final=True)
        workflow = await self._around.desk.workflow(asked.workflow_id)
        if workflow is None or workflow.published_version is None:
            message = f"no version of the workflow {asked.workflow_id!r} is published"
            return Failed("workflow_not_published", cause(at.node_id, "workflow_not_published", message))
        return run_of_run(
            self._around.new_id(),
            (workflow.id, workflow.published_version, workflow.number),
            write_json(asked.data),
            self._state.run,
            address.wait_id,
            RunDetail(
                depth=self._detail.depth + 1,
                hops=hops_of_run(self._state, self._detail),
                traceparent=trace_of_run(self._state, self._detail).child(str(address.wait_id)).traceparent,
                test=TestPlan() if self._state.run.is_test else None,
            ),
            self._around.now(),
        )

    def _address(self, at: At) -> WaitAddress:
        return WaitAddress(self._state.run.id, at.node_id, at.iteration, self._detail.generation)

    def _is_in_loop(self, node_id: str) -> bool:
        return any(node_id in body.incoming for body in self._workflow.loops.values())


def _decision(event: StoredEvent) -> str | None:
    decision = mark_in(event.request).get("decision")
    return decision if isinstance(decision, str) else None
