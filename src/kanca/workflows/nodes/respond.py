"""``Respond``: answers the sender that waits."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from kanca.workflows.config import Dynamic, DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import Answer, Left, StepContext, StepFailed
from kanca.workflows.values import write_json

MAX_BODY_BYTES = 1024 * 1024


class RespondConfig(NodeConfig):
    """What to answer."""

    status: int = Field(200, ge=200, le=599, description="The HTTP status.")
    headers: dict[str, DynamicText] = Field(
        default_factory=dict, description="Headers. Values that start with `=` are expressions."
    )
    json_body: Dynamic | None = Field(
        None,
        alias="json",
        description="The body, sent as JSON. Texts in it that start with `=` are expressions, at any depth.",
    )
    body: DynamicText | None = Field(
        None,
        description="The body, sent as it is; an expression when it starts with `=`. Not together with `json`.",
    )

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.body is not None and self.json_body is not None:
            raise ValueError("an answer has either json or body")
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
