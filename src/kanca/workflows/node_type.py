"""What a node can be, and how the config of one is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kanca.domain.retry import RetryPolicy
from kanca.domain.workflow import OUT
from kanca.workflows.config import BAD_EXPRESSION, EffectOptions, NodeOptions
from kanca.workflows.step import Came, StepContext

Run = Callable[[StepContext, Any], Any]
Resume = Callable[[StepContext, Any, Came], Any]

ERROR = "error"
"""The port that every node can be left by which is out of attempts, if an edge leads on from there."""
ITEM = "item"
"""The port of a loop that leads into its body."""

DEFAULT_POLICY = RetryPolicy()
OPTIONS = frozenset(EffectOptions.model_fields)
"""Keys of every config of a type with effects."""
OPTIONS_OF_ALL = frozenset(NodeOptions.model_fields)
"""Keys of every config."""

_CODES = {"extra_forbidden": "unknown_key", "missing": "missing_key", BAD_EXPRESSION: BAD_EXPRESSION}


class ConfigRefused(ValueError):
    """A node's config cannot be; ``problems`` are ``(code, message)``."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(message for _, message in problems))


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """A node's config, read."""

    config: Any
    """What the run function is given: the type's model, or the config as it stands."""
    policy: RetryPolicy
    timeout: timedelta | None
    """For one attempt; None is what the endpoint says."""
    continues_on_error: bool = False
    """Out of attempts, it is left as if it had succeeded, with the error as its output."""


@dataclass(frozen=True, slots=True)
class NodeType:
    """What a node can be."""

    name: str
    title: str
    description: str
    run: Run
    """Called with the step and the config; gives the output, or ``step.leave(port, output)``. Sync or async."""
    model: type[BaseModel] | None
    """The config; None takes any object."""
    ports: tuple[str, ...] = (OUT,)
    has_effects: bool = True
    """Nodes without effects only compute: they may run again after a crash, and never by a retry."""
    is_trigger: bool = False
    passes_input: bool = False
    """Its output is its input: it is not stored for its successors."""
    is_of_an_app: bool = False
    """Not built in: it is announced to other processes, and given copies, for it may change what it is given."""
    schema: Mapping[str, Any] | None = None
    """Of a config whose model only the app has: its JSON Schema, and what finds the problems of a config by it."""
    check: Callable[[Mapping[str, Any]], list[tuple[str, str]]] | None = None
    policy: RetryPolicy = DEFAULT_POLICY
    timeout: timedelta | None = None
    resume: Resume | None = None
    """Of a type that may wait: what it is left with once that is over. Sync; it only computes."""
    takes_events: bool = False
    """What it waits for are events: an address resumes it."""
    takes_decisions: bool = False
    """Only an address that says what was decided resumes it."""
    ports_of: Callable[[Any], tuple[str, ...]] | None = None
    """Of a type whose ports are set by the config."""
    joins_first: Callable[[Any], bool] | None = None
    """Whether a node, by its config, runs as soon as one way led to it; what leads to it otherwise is cancelled."""
    is_loop: bool = False
    """What its port ``item`` leads to runs once for each item."""
    ends_run: bool = False
    """The run is over with it, whatever else is still to be done; its output is the run's."""
    is_stored_at_once: bool = False
    """Somebody waits for what it says."""
    sample: Any = None
    """Its output in test runs, where it has effects and nothing is given in place of them."""
    is_async: bool = field(init=False)
    """Whether calling ``run`` gives a coroutine."""

    def __post_init__(self) -> None:
        functions = (self.run, getattr(self.run, "__call__", None))  # noqa: B004 - an object may have an async one
        object.__setattr__(self, "is_async", any(map(inspect.iscoroutinefunction, functions)))

    def read_config(self, values: Mapping[str, Any]) -> NodeSettings:
        """The settings in ``values``. Raises ConfigRefused with all that is wrong."""
        problems: list[tuple[str, str]] = []
        options, own = EffectOptions(), dict(values)
        shared = {key: own.pop(key) for key in OPTIONS_OF_ALL & own.keys()}
        general = _validated(NodeOptions, shared, problems) or NodeOptions()
        if self.has_effects:
            shared = {key: own.pop(key) for key in OPTIONS & own.keys()}
            options = _validated(EffectOptions, shared, problems) or options
        if self.check is not None:
            problems += self.check(own)
        config = own if self.model is None else _validated(self.model, own, problems)
        if problems:
            raise ConfigRefused(problems)
        return NodeSettings(
            config,
            options.retry.policy() if options.retry else self.policy,
            timedelta(seconds=options.timeout) if options.timeout else self.timeout,
            general.continue_on_error,
        )

    def ports_with(self, config: Any) -> tuple[str, ...]:
        """The ports of a node with that config."""
        return self.ports if self.ports_of is None or config is None else self.ports_of(config)

    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema of its config."""
        if self.schema is not None:
            return dict(self.schema)
        schema: dict[str, Any] = {"type": "object"} if self.model is None else self.model.model_json_schema()
        for shared in (NodeOptions, EffectOptions) if self.has_effects else (NodeOptions,):
            options = shared.model_json_schema()
            for part in ("properties", "$defs"):
                merged = schema.get(part, {}) | options.get(part, {})
                if merged:
                    schema[part] = merged
        return schema

    def describe(self) -> dict[str, Any]:
        """The node type as ``GET /api/node-types`` shows it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "ports": list(self.ports),
            "has_more_ports": self.ports_of is not None,
            "is_trigger": self.is_trigger,
            "has_effects": self.has_effects,
            "sample": self.sample,
            "config_schema": self.config_schema(),
        }


def _validated(model: type[BaseModel], values: Mapping[str, Any], problems: list[tuple[str, str]]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems.extend(map(_problem, error.errors(include_url=False, include_input=False)))
        return None


def _problem(error: ErrorDetails) -> tuple[str, str]:
    place = ".".join(str(part) for part in error["loc"])
    message = "there is no such key" if error["type"] == "extra_forbidden" else error["msg"]
    message = message.removeprefix("Value error, ")
    return _CODES.get(error["type"], "bad_config"), f"{place}: {message}" if place else message
