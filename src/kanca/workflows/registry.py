"""Node types, by name: the built-in ones and those of an app."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeGuard, TypeVar

from pydantic import BaseModel, ConfigDict

from kanca.domain.workflow import OUT
from kanca.errors import InvalidNodeType
from kanca.workflows.node_type import DEFAULT_POLICY, OPTIONS, OPTIONS_OF_ALL, NodeType, Run

F = TypeVar("F", bound=Callable[..., Any])

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
PORT = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_TIMEOUT = timedelta(hours=1)


class NodeRegistry:
    """Node types with unique names, in the order of their registration."""

    def __init__(self, types: Iterable[NodeType] = ()) -> None:
        self._types: dict[str, NodeType] = {}
        self._announced: dict[str, NodeType] = {}
        self.installed: set[str] = set()
        """The entry points whose node types are here."""
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


def _strict_about_keys(model: type[BaseModel] | None) -> type[BaseModel] | None:
    """The model, refusing unknown keys unless it says itself what becomes of them."""
    if not _is_model(model) or model.model_config.get("extra") is not None:
        return model
    return type(
        model.__name__, (model,), {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__}
    )


def _is_model(value: object) -> TypeGuard[type[BaseModel]]:
    return inspect.isclass(value) and issubclass(value, BaseModel)


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
    taken = OPTIONS | OPTIONS_OF_ALL if node_type.has_effects else OPTIONS_OF_ALL
    fields = set(node_type.model.model_fields) if node_type.model is not None else set()
    if node_type.is_of_an_app and taken & fields:
        names = ", ".join(repr(field) for field in sorted(taken & fields))
        raise InvalidNodeType(f"{name}: {names} are read by Kanca and cannot be fields of config=")
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
