"""The handlers of an app."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from kanca.domain.patterns import is_pattern
from kanca.domain.retry import RetryPolicy
from kanca.errors import InvalidHandler, UnknownProvider
from kanca.handlers.event import Event
from kanca.handlers.matching import HandlerSpec, Order, Source
from kanca.providers import Catalogue
from kanca.providers.locations import parse_path

F = TypeVar("F", bound=Callable[..., Any])
OrderBy = str | Callable[[Event[Any]], str | int | None]

MAX_NAME_LENGTH = 200
MAX_TIMEOUT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Handler:
    """A function registered for event types."""

    spec: HandlerSpec
    function: Callable[[Event[Any]], Any]
    is_async: bool
    payload: TypeAdapter[Any] | None
    """Reads the data; None leaves them as JSON gives them."""
    policy: RetryPolicy
    timeout: timedelta | None
    order_by: Callable[[Event[Any]], str | int | None] | None
    """Computes the order key; None when a path does, or nothing."""

    @property
    def name(self) -> str:
        """What it is called in the database and everywhere else."""
        return self.spec.name


class HandlerRegistry:
    """Handlers by name, in the order of their registration."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def __len__(self) -> int:
        return len(self._handlers)

    def __contains__(self, name: object) -> bool:
        return name in self._handlers

    def get(self, name: str) -> Handler | None:
        """The handler of that name."""
        return self._handlers.get(name)

    def on(  # noqa: PLR0913 - the public decorator: every argument is a promise to users
        self,
        pattern: str,
        *,
        model: Any = None,
        name: str | None = None,
        provider: str | None = None,
        endpoint: str | None = None,
        tenant: str | None = None,
        source: Source | None = None,
        max_retries: int | None = None,
        timeout: float | timedelta | None = None,
        retry: RetryPolicy | None = None,
        order_by: OrderBy | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated function for events whose type fits ``pattern``; gives the function back unchanged.

        ``model`` is any type that Pydantic reads; data that do not fit it are a dead letter at once. ``name``
        stands for the handler in the database (default: module and qualified name); it must stay the same while
        events are unfinished. ``provider``, ``endpoint`` (``wh_…`` id or slug), ``tenant`` and ``source``
        (``"inbound"``, ``"published"``, or ``"operational"`` for events about webhooks themselves, which reach no other
        handler) narrow what reaches it; the provider must come with Kanca or be in the settings when a worker starts
        (for one that only an endpoint describes, say ``endpoint``). ``max_retries`` counts attempts in all (default 5);
        ``retry`` says more exactly how they follow each other. ``timeout`` is for one attempt (seconds; default: the
        endpoint's ``webhook_timeout``, 30 s). Events with the same ``order_by`` (a dotted path in the data, or a quick
        function of the event) are handled one after the other, in the order of their arrival.

        Raises InvalidHandler when any of this cannot be, or the name is taken.
        """
        policy = retry or RetryPolicy()
        if max_retries is not None:
            policy = replace(policy, max_attempts=max_retries)
        limit = timedelta(seconds=timeout) if isinstance(timeout, int | float) else timeout
        _check(pattern, policy, limit, source)
        order = _order_of(order_by)

        def register(function: F) -> F:
            chosen = name or _default_name(function)
            self._add(
                Handler(
                    spec=HandlerSpec(
                        name=chosen,
                        pattern=pattern,
                        provider=provider,
                        endpoint=endpoint,
                        tenant=tenant,
                        source=source,
                        order=order,
                        order_path=order_by if isinstance(order_by, str) else None,
                        max_attempts=policy.max_attempts,
                        timeout_s=None if limit is None else limit.total_seconds(),
                    ),
                    function=function,
                    is_async=_is_async(function, chosen),
                    payload=_adapter(model, chosen),
                    policy=policy,
                    timeout=limit,
                    order_by=order_by if callable(order_by) else None,
                )
            )
            return function

        return register

    def check_providers(self, catalogue: Catalogue) -> None:
        """Raise UnknownProvider for a handler of a provider that is not in the catalogue: it would get nothing."""
        for handler in self:
            if handler.spec.provider is not None:
                try:
                    catalogue.get(handler.spec.provider)
                except UnknownProvider as error:
                    detail = f"the handler {handler.name!r} is for `{handler.spec.provider}`: {error.detail}"
                    raise UnknownProvider(detail, handler=handler.name) from None

    def _add(self, handler: Handler) -> None:
        if not 0 < len(handler.name) <= MAX_NAME_LENGTH or not handler.name.isprintable():
            raise InvalidHandler(f"{handler.name!r} cannot be the name of a handler")
        if handler.name in self._handlers:
            raise InvalidHandler(
                f"there is a handler {handler.name!r} already: give this one a name= of its own"
            )
        self._handlers[handler.name] = handler


def _check(pattern: str, policy: RetryPolicy, timeout: timedelta | None, source: Source | None) -> None:
    if not is_pattern(pattern):
        raise InvalidHandler(f"{pattern!r} is neither an event type nor a wildcard such as 'order.*'")
    if not 1 <= policy.max_attempts <= 1000:
        raise InvalidHandler("max_retries counts attempts in all: from 1 to 1000")
    if policy.initial_delay < timedelta(0) or policy.backoff_factor < 1 or not 0 <= policy.jitter <= 1:
        raise InvalidHandler(
            "retry: delays are not negative, backoff_factor is 1 or more, jitter from 0 to 1"
        )
    if timeout is not None and not timedelta(0) < timeout <= MAX_TIMEOUT:
        raise InvalidHandler(
            f"timeout must be more than 0 and at most {MAX_TIMEOUT.total_seconds():.0f} seconds"
        )
    if source is not None and source not in get_args(Source):
        raise InvalidHandler(f"source is 'inbound', 'published' or 'operational', not {source!r}")


def _order_of(order_by: object) -> Order | None:
    if order_by is None:
        return None
    if callable(order_by):
        return "function"
    if not isinstance(order_by, str):
        raise InvalidHandler("order_by is a dotted path in the data or a function of the event")
    try:
        parse_path(order_by)
    except ValueError as error:
        raise InvalidHandler(f"order_by: {error}") from None
    return "path"


def _default_name(function: Callable[..., Any]) -> str:
    inner = _unwrapped(function)
    named: Any = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}.{named.__qualname__}"


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_async(function: Callable[..., Any], name: str) -> bool:
    """Whether calling it makes a coroutine. Raises InvalidHandler for what cannot be called with an event alone."""
    inner = _unwrapped(function)
    code: Any = inner if inspect.isroutine(inner) else getattr(inner, "__call__", None)  # noqa: B004 - its kind, not whether
    if code is None or isinstance(inner, type):
        raise InvalidHandler(f"{name}: a handler must be a function")
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise InvalidHandler(f"{name}: a handler returns its result, it cannot yield")
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise InvalidHandler(f"{name}: a handler takes one argument, the event") from None
    except ValueError:
        pass  # some built-in callables do not say what they take
    return inspect.iscoroutinefunction(code)


def _adapter(model: Any, name: str) -> TypeAdapter[Any] | None:
    if model is None:
        return None
    try:
        return TypeAdapter(model)
    except (PydanticUserError, TypeError) as error:
        raise InvalidHandler(f"{name}: model={model!r} is nothing that Pydantic can read: {error}") from None
