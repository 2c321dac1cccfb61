"""Runs and their steps in the traces of what started them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

from kanca.domain.ids import EVENT, RUN, show_id
from kanca.domain.trace import Trace
from kanca.telemetry.tracing import Span, span
from kanca.workflows.publishing import trace_of_run
from kanca.workflows.runs import RunDetail, RunState, work_of
from kanca.workflows.step import StepContext
from kanca.workflows.validation import PreparedNode


def run_span(state: RunState, detail: RunDetail, fence: int) -> AbstractContextManager[Span]:
    """One stretch of a run, under the claim with that fence."""
    run, event = state.run, state.event
    return span(
        work_of(run.workflow_id),
        cache(lambda: trace_of_run(state, detail)),  # every step asks
        lambda: f"{run.id} {fence}",
        "consumer",
        lambda: {
            "messaging.operation.type": "process",
            "kanca.run_id": show_id(RUN, run.id),
            "kanca.workflow_id": run.workflow_id,
            "kanca.workflow_version": run.version,
            "kanca.event_id": None if event is None else show_id(EVENT, event.id),
            "kanca.tenant": state.version.tenant,
        },
    )


def step_span(
    run: Callable[[], Trace], step: StepContext, node: PreparedNode
) -> AbstractContextManager[Span]:
    """One attempt of a node."""
    return span(
        f"node:{step.node_id}",
        run,
        lambda: f"{step.call_id} {step.attempt_number}",
        "internal",
        lambda: {
            "kanca.node_id": step.node_id,
            "kanca.node_type": node.type.name,
            "kanca.attempt_number": step.attempt_number,
            "kanca.iteration": step.iteration,
        },
    )
