"""Node types, by name: the built-in ones and those of an app."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeGuard, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from kanca.domain.retry import RetryPolicy
from kanca.domain.workflow import OUT
from kanca.errors import InvalidNodeType
from kanca.workflows.config import BAD_EXPRESSION, EffectOptions
from kanca.workflows.step import StepContext

F = TypeVar("F", bound=Callable[..., Any])
Run = Callable[[StepContext, Any], Any]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
PORT = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEFAULT_POLICY = RetryPolicy()
MAX_TIMEOUT = timedelta(hours=1)
_OPTIONS = frozenset(EffectOptions.model_fields)
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
    is_async: bool = field(init=False)
    """Whether calling ``run`` gives a coroutine."""

    def __post_init__(self) -> None:
        functions = (self.run, getattr(self.run, "__call__", None))  # noqa: B004 - an object may have an async one
        object.__setattr__(self, "is_async", any(map(inspect.iscoroutinefunction, functions)))

    def read_config(self, values: Mapping[str, Any]) -> NodeSettings:
        """The settings in ``values``. Raises ConfigRefused with all that is wrong."""
        problems: list[tuple[str, str]] = []
        options, own = EffectOptions(), dict(values)
        if self.has_effects:
            shared = {key: own.pop(key) for key in _OPTIONS & own.keys()}
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
        )

    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema of its config."""
        if self.schema is not None:
            return dict(self.schema)
        schema: dict[str, Any] = {"type": "object"} if self.model is None else self.model.model_json_schema()
        if not self.has_effects:
            return schema
        options = EffectOptions.model_json_schema()
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
            "is_trigger": self.is_trigger,
            "has_effects": self.has_effects,
            "config_schema": self.config_schema(),
        }


class NodeRegistry:
    """Node types with unique names, in the order of their registration."""

    def __init__(self, types: Iterable[NodeType] = ()) -> None:
        self._types: dict[str, NodeType] = {}
        self._announced: dict[str, NodeType] = {}
        for node_type in types:
            self.add(node_type)

    def __iter__(self) -> Iterator[NodeType]:
        learnt = {name: kind for name, kind in self._announced.items() if name not in self._types}
        return iter((self._types | learnt).values())

    def get(self, name: str) -> NodeType | None:
        """The node type of that name."""
        return self._types.get(name) or self._announced.get(name)

    def learn(self, announced: Iterable[NodeType]) -> None:
        """Know these node types of other processes, and no others of theirs. Those of this process hide them."""
        self._announced = {node_type.name: node_type for node_type in announced}

    def add(self, node_type: NodeType) -> None:
        """Add a node type. Raises InvalidNodeType when it cannot be, or the name is taken."""
        _check(node_type)
        if node_type.name in self._types:
            raise InvalidNodeType(f"there is a node type {node_type.name!r} already")
        self._types[node_type.name] = node_type

    def node(
        self,
        name: str,
        *,
        config: type[BaseModel] | None = None,
        ports: Iterable[str] = (OUT,),
        title: str | None = None,
        has_effects: bool = True,
        max_retries: int | None = None,
        timeout: float | timedelta | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated function as a node type; gives the function back unchanged.

        It is called with a ``StepContext`` and the node's config (an instance of ``config``, when that model is given;
        keys that the model does not know are refused when a workflow is saved) and may be sync or async. What it
        returns must be something that JSON can say; a function with several ``ports`` returns
        ``step.leave(port, output)``. ``max_retries`` counts attempts in all (default 5), ``timeout`` is for one attempt
        (seconds or a timedelta; default: the endpoint's ``webhook_timeout``); a node's config may say otherwise. With
        ``has_effects=False`` the function only computes: it may run again after a crash, and is not retried.
        The docstring describes the type in ``GET /api/node-types``.

        Raises InvalidNodeType when any of this cannot be, or the name is taken.
        """
        policy = DEFAULT_POLICY if max_retries is None else replace(DEFAULT_POLICY, max_attempts=max_retries)
        limit = timedelta(seconds=timeout) if isinstance(timeout, int | float) else timeout

        def register(function: F) -> F:
            self.add(
                NodeType(
                    name=name,
                    title=title or name,
                    description=inspect.getdoc(function) or "",
                    run=function,
                    model=_strict_about_keys(config),
                    ports=tuple(ports),
                    has_effects=has_effects,
                    is_of_an_app=True,
                    policy=policy,
                    timeout=limit,
                )
            )
            return function

        return register


def _validated(model: type[BaseModel], values: Mapping[str, Any], problems: list[tuple[str, str]]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems.extend(map(_problem, error.errors(include_url=False, include_input=False)))
        return None


def _strict_about_keys(model: type[BaseModel] | None) -> type[BaseModel] | None:
    """The model, refusing unknown keys unless it says itself what becomes of them."""
    if not _is_model(model) or model.model_config.get("extra") is not None:
        return model
    return type(
        model.__name__, (model,), {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__}
    )


def _is_model(value: object) -> TypeGuard[type[BaseModel]]:
    return inspect.isclass(value) and issubclass(value, BaseModel)


def _problem(error: ErrorDetails) -> tuple[str, str]:
    place = ".".join(str(part) for part in error["loc"])
    message = "there is no such key" if error["type"] == "extra_forbidden" else error["msg"]
    message = message.removeprefix("Value error, ")
    return _CODES.get(error["type"], "bad_config"), f"{place}: {message}" if place else message


def _check(node_type: NodeType) -> None:
    name = node_type.name
    if not NAME.fullmatch(name):
        raise InvalidNodeType(
            f"{name!r} cannot be the name of a node type: a letter, then letters, digits, '_', '.', '-'"
        )
    if not node_type.ports or len(set(node_type.ports)) < len(node_type.ports):
        raise InvalidNodeType(f"{name}: a node type has at least one port, and each once")
    if not all(PORT.fullmatch(port) for port in node_type.ports):
        raise InvalidNodeType(f"{name}: a port is named with letters, digits, '_' and '-'")
    if node_type.model is not None and not _is_model(node_type.model):
        raise InvalidNodeType(f"{name}: config= must be a Pydantic model")
    if node_type.model is not None and node_type.has_effects and _OPTIONS & set(node_type.model.model_fields):
        raise InvalidNodeType(
            f"{name}: 'timeout' and 'retry' are read by Kanca and cannot be fields of config="
        )
    if not 1 <= node_type.policy.max_attempts <= 1000:
        raise InvalidNodeType(f"{name}: max_retries counts attempts in all: from 1 to 1000")
    if node_type.timeout is not None and not timedelta(0) < node_type.timeout <= MAX_TIMEOUT:
        raise InvalidNodeType(
            f"{name}: timeout must be more than 0 and at most {MAX_TIMEOUT.total_seconds():.0f} seconds"
        )
    _check_function(name, node_type.run)


def _check_function(name: str, function: Run) -> None:
    if not callable(function):
        raise InvalidNodeType(f"{name}: a node type needs a function")
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise InvalidNodeType(f"{name}: a node returns its output, it cannot yield")
    try:
        inspect.signature(function).bind(object(), object())
    except TypeError:
        raise InvalidNodeType(
            f"{name}: a node's function takes two arguments, the step and the config"
        ) from None
    except ValueError:
        pass  # some built-in callables do not say what they take
