"""``Delay``: waits for a while, or until a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import Field, model_validator

from kanca.errors import ExpressionFailed
from kanca.workflows.config import Dynamic, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import MAX_WAIT, Came, Sleep, StepContext


class DelayConfig(NodeConfig):
    """How long to wait."""

    seconds: Dynamic | None = Field(
        None, description="Seconds to wait: a number, or an expression that starts with `=`."
    )
    until: Dynamic | None = Field(
        None,
        description="The moment to wait for, as RFC 3339 writes it (`2026-05-01T12:00:00Z`), or an expression. What"
        " lies in the past is not waited for.",
    )

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.seconds is None) == (self.until is None):
            raise ValueError("a delay has either seconds or until")
        return self


async def run(step: StepContext, config: DelayConfig) -> Sleep:
    """Say when to go on."""
    if config.seconds is not None:
        return Sleep(step.now + _duration(config.seconds.evaluate(step.scope)))
    until = _moment(config.until.evaluate(step.scope)) if config.until is not None else step.now
    if until - step.now > MAX_WAIT:
        raise _wrong(f"a delay lasts at most {MAX_WAIT.days} days")
    return Sleep(until)


def resume(step: StepContext, _config: DelayConfig, _came: Came) -> Any:
    """Go on with the input."""
    return step.input


def _duration(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("seconds must be a number")
    if not 0 <= value <= MAX_WAIT.total_seconds():
        raise _wrong(f"seconds must be between 0 and {MAX_WAIT.total_seconds():.0f}")
    return timedelta(seconds=value)


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise _wrong("until must be a text such as 2026-05-01T12:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _wrong("until must be a moment such as 2026-05-01T12:00:00Z") from None
    if moment.tzinfo is None:
        raise _wrong("until must say its offset from UTC, as 2026-05-01T12:00:00Z does")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _wrong("until must be a moment within the years 1 to 9999") from None


def _wrong(message: str) -> ExpressionFailed:
    return ExpressionFailed(message, reason="type_mismatch")


DELAY = NodeType(
    name="Delay",
    title="Delay",
    description="Waits for so many seconds, or until a moment; no worker is busy meanwhile. Its output is its input.",
    run=run,
    resume=resume,
    model=DelayConfig,
    has_effects=False,
    passes_input=True,
)
