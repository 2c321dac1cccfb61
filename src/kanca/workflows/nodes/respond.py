"""``Respond``: answers the sender that waits."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from kanca.workflows.config import NodeConfig
from kanca.workflows.message_fields import Body, Headers, JsonBody, check_bodies
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import Answer, Left, StepContext, StepFailed
from kanca.workflows.values import write_json

MAX_BODY_BYTES = 1024 * 1024


class RespondConfig(NodeConfig):
    """What to answer."""

    status: int = Field(200, ge=200, le=599, description="The HTTP status.")
    headers: Headers
    json_body: JsonBody = None
    body: Body = None

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        check_bodies("an answer", self.body, self.json_body)
        return self


async def run(step: StepContext, config: RespondConfig) -> Left:
    """Say what to answer."""
    headers = {name: value.text(step.scope) for name, value in config.headers.items()}
    given = {name.lower() for name in headers}
    body = b""
    if config.json_body is not None:
        body = write_json(config.json_body.evaluate(step.scope))
        default = "application/json"
    else:
        body = config.body.text(step.scope).encode(errors="replace") if config.body is not None else b""
        default = "text/plain; charset=utf-8"
    if body and "content-type" not in given:
        headers["Content-Type"] = default
    if len(body) > MAX_BODY_BYTES:
        raise StepFailed("answer_too_large", "an answer has at most 1 MB", is_final=True)
    output: dict[str, Any] = {"status": config.status}
    return Left("out", output, answer=Answer(config.status, headers, body))


RESPOND = NodeType(
    name="Respond",
    title="Respond",
    description="Answers the sender of the event that started the run, where the endpoint lets it wait"
    " (`response_wait`). The first answer counts. A sender that does not wait, or not any more, is not answered; the"
    " run goes on all the same. The output is `{status}`.",
    run=run,
    model=RespondConfig,
    has_effects=False,
    is_stored_at_once=True,
)
