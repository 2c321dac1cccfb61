"""``SubWorkflow``: runs another workflow and waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from kanca.domain.status import RunStatus
from kanca.workflows.config import Dynamic, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import AwaitRun, Came, StepContext, StepFailed
from kanca.workflows.values import write_json


class SubWorkflowConfig(NodeConfig):
    """What to run."""

    workflow_id: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The workflow; its published version is run."
    )
    data: Dynamic | None = Field(
        None,
        description="What its run has as `event.data`; texts that start with `=` are expressions. Unset: the input.",
    )
    max_wait: float = Field(86_400, gt=0, le=365 * 86_400, description="Seconds after which the node fails.")


async def run(step: StepContext, config: SubWorkflowConfig) -> AwaitRun:
    """Say what to run."""
    data: Any = step.input if config.data is None else config.data.evaluate(step.scope)
    write_json(data)  # refused here, where it is the node's own failure
    return AwaitRun(config.workflow_id, data, timedelta(seconds=config.max_wait))


def resume(_step: StepContext, config: SubWorkflowConfig, came: Came) -> Any:
    """Go on with what the run came to."""
    if came.run is None:
        message = f"the run of {config.workflow_id!r} took longer than {config.max_wait:g} s"
        raise StepFailed("sub_workflow_timeout", message, is_final=True)
    if came.run.status is RunStatus.SUCCEEDED:
        return came.run.output
    error = came.run.error if isinstance(came.run.error, dict) else {}
    why = f": {error.get('message')}" if error.get("message") else ""
    message = f"the run {came.run.run_id} of {config.workflow_id!r} has {came.run.status}{why}"
    raise StepFailed(f"sub_workflow_{came.run.status}", message, is_final=True)


SUB_WORKFLOW = NodeType(
    name="SubWorkflow",
    title="Sub-workflow",
    description="Starts a run of another workflow and waits until it has ended. Its output is that run's output; when"
    " that run fails or is cancelled, the node fails. A run of its own also has steps, retries and limits of its own."
    " Cancelling this run cancels that one.",
    run=run,
    resume=resume,
    model=SubWorkflowConfig,
    has_effects=False,
)
