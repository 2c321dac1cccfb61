"""``Approval``: waits for the decision of a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from pydantic import Field, model_validator

from kanca.workflows.config import Dynamic, DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.responses import RETRIED_STATUSES
from kanca.workflows.step import AwaitEvent, Came, Left, Publication, StepContext, StepFailed
from kanca.workflows.values import write_json

REQUESTED = "approval.requested"
RULE = "@approval"
"""Events for such a wait name it: none is found by a key of its own."""
DECISIONS = {"approve": "approved", "reject": "rejected"}


class ApprovalConfig(NodeConfig):
    """Who is asked what."""

    title: DynamicText = Field(
        description="What is to be approved, in a line; an expression when it starts with `=`."
    )
    details: Dynamic | None = Field(None, description="Whatever the person needs to decide, as JSON.")
    notify_url: DynamicText | None = Field(
        None,
        description="Where the request goes: a `POST` of `{type, title, details, approve_url, reject_url, expires_at,"
        " run_id, node_id, …}`. Unset: the addresses are given by `kanca run approve` and the API alone.",
    )
    notify_handlers: bool = Field(
        False,
        description="Whether handlers get the request: an event `approval.requested` with `{title, details, run_id,"
        " node_id, iteration, generation, expires_at}`. The addresses are no part of it, for events can be read by more"
        " people than may decide: `hooks.approval_urls(event)` makes them.",
    )
    wait: float = Field(
        7 * 86_400,
        gt=0,
        le=365 * 86_400,
        description="Seconds to wait; then the node is left by its port `timeout`.",
    )

    @property
    def longest_wait(self) -> timedelta:
        """How long a run waits."""
        return timedelta(seconds=self.wait)

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        url = self.notify_url
        if (
            url is not None
            and url.literal is not None
            and not url.literal.lower().startswith(("http://", "https://"))
        ):
            raise ValueError("a URL starts with https:// or http://, an expression with =")
        return self


async def run(step: StepContext, config: ApprovalConfig) -> Any:
    """Ask, and wait for the answer."""
    if config.notify_url is not None:
        await _notify(step, config)
    told = (Publication(step.new_id(), REQUESTED, _told(step, config)),) if config.notify_handlers else ()
    return AwaitEvent(RULE, step.call_id, config.longest_wait, told)


def resume(step: StepContext, _config: ApprovalConfig, came: Came) -> Left:
    """Go on as it was decided."""
    if came.event is None:
        return Left("timeout", {"input": step.input})
    said = came.event["data"] if isinstance(came.event["data"], dict) else {}
    decision = came.decision or said.get("decision")
    if not isinstance(decision, str) or decision not in DECISIONS:
        raise StepFailed("no_decision", "the answer is neither approve nor reject", is_final=True)
    decided = {key: said[key] for key in ("comment", "by") if isinstance(said.get(key), str)}
    decided["at"] = came.event.get("received_at")
    return Left(DECISIONS[decision], {"decision": DECISIONS[decision], **decided, "input": step.input})


def _told(step: StepContext, config: ApprovalConfig) -> dict[str, Any]:
    """What those are told who are asked."""
    return {
        "title": config.title.text(step.scope),
        "details": None if config.details is None else config.details.evaluate(step.scope),
        "run_id": step.run_id,
        "node_id": step.node_id,
        "iteration": step.iteration,
        "generation": step.generation,
        "expires_at": (step.now + config.longest_wait).isoformat(),
    }


async def _notify(step: StepContext, config: ApprovalConfig) -> None:
    assert config.notify_url is not None  # noqa: S101 - asked before
    if "approve" not in step.resume_urls:
        raise StepFailed("no_public_url", "KANCA_PUBLIC_URL is not set, so nobody could answer")
    asked = {
        "type": REQUESTED,
        **_told(step, config),
        "approve_url": step.resume_urls["approve"],
        "reject_url": step.resume_urls["reject"],
    }
    headers = {"Content-Type": "application/json", "Idempotency-Key": step.call_id}
    response = await step.http.request(
        "POST",
        config.notify_url.text(step.scope),
        headers=headers,
        body=write_json(asked),
        timeout=step.timeout * 0.95,
        max_response_bytes=64 * 1024,
    )
    if not 200 <= response.status < 300:
        is_final = response.status not in RETRIED_STATUSES
        raise StepFailed("http_status", f"the receiver answered {response.status}", is_final=is_final)


APPROVAL = NodeType(
    name="Approval",
    title="Approval",
    description="Waits for a person to approve or reject, and is left by the port that says so. Those who can decide"
    " get two addresses; opening one shows a page that asks again before anything happens. The output is"
    " `{decision, comment?, by?, at, input}`.",
    run=run,
    resume=resume,
    takes_events=True,
    takes_decisions=True,
    model=ApprovalConfig,
    ports=("approved", "rejected", "timeout"),
    sample={"decision": "approved"},
)
