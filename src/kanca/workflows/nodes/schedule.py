"""``Schedule``: starts runs by the clock."""

from __future__ import annotations

from typing import Any

from pydantic import Field, JsonValue, field_validator

from kanca.workflows.config import NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.scheduling import Missed, Rule, read_cron, read_rule, read_zone
from kanca.workflows.step import StepContext

NAME = "Schedule"


class ScheduleConfig(NodeConfig):
    """When runs start, and with what."""

    cron: str = Field(
        description="Minute, hour, day of the month, month and day of the week, as cron has them: `0 9 * * mon-fri`."
        " Also `L` and `LW` (the last day and the last weekday of the month), `fri#2` (the second Friday) and `5L`"
        " (the last Friday)."
    )
    timezone: str = Field("UTC", description="The zone whose local time that is, like `Europe/Istanbul`.")
    missed: Missed = Field(
        "once",
        description="What becomes of moments at which nobody was there, or the workflow was paused: `once` starts one"
        " run for the newest of them, `skip` none when it is more than a minute late.",
    )
    data: JsonValue = Field(None, description="What the run is given besides: any JSON value, as it stands.")

    @field_validator("cron")
    @classmethod
    def _comes(cls, cron: str) -> str:
        return read_cron(cron)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, timezone: str) -> str:
        read_zone(timezone)
        return timezone

    def rule(self) -> Rule:
        """When runs start."""
        return read_rule(self.cron, self.timezone)


async def run(step: StepContext, _config: ScheduleConfig) -> Any:
    """Let the data through that started the run."""
    return step.input


SCHEDULE = NodeType(
    name=NAME,
    title="Schedule",
    description="Starts a run of the published workflow whenever its cron expression says so. The data of the run, and"
    " the output of the node, is `{scheduled_at, node_id, data}`.",
    run=run,
    model=ScheduleConfig,
    has_effects=False,
    is_trigger=True,
    passes_input=True,
)
