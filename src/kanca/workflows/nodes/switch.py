"""``Switch``: goes one of several ways."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from kanca.workflows.config import Cel, NodeConfig
from kanca.workflows.node_type import ERROR, NodeType
from kanca.workflows.step import Left, StepContext

DEFAULT = "default"

Port = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SwitchConfig(NodeConfig):
    """The ways, and when each is taken."""

    cases: dict[Port, Cel] = Field(
        min_length=1,
        max_length=100,
        description="A condition for each port, in the order in which they are tried; the first that is true is taken.",
    )

    @field_validator("cases")
    @classmethod
    def _are_not_taken(cls, cases: dict[str, Cel]) -> dict[str, Cel]:
        if taken := {DEFAULT, ERROR} & cases.keys():
            raise ValueError(f"the port {min(taken)!r} has a meaning of its own")
        return cases


async def run(step: StepContext, config: SwitchConfig) -> Left:
    """Find the way, and let the input through."""
    scope = step.scope
    for port, condition in config.cases.items():
        if condition.expression.evaluate_bool(scope):
            return step.leave(port, step.input)
    return step.leave(DEFAULT, step.input)


def _ports(config: SwitchConfig) -> tuple[str, ...]:
    return (*config.cases, DEFAULT)


SWITCH = NodeType(
    name="Switch",
    title="Switch",
    description="Goes on at the port of the first case whose condition is true, or at `default`. Its output is"
    " its input.",
    run=run,
    model=SwitchConfig,
    ports=(DEFAULT,),
    ports_of=_ports,
    has_effects=False,
    passes_input=True,
)
