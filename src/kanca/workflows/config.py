"""What the configs of nodes are made of: typed fields, expressions, and the options that nodes with effects share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kanca.domain.retry import RetryPolicy
from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions import Expression, compile_expression
from kanca.workflows.values import NotJson, write_json

NAMES = frozenset({"event", "input", "steps", "run"})
"""What expressions may speak of: see ``kanca.workflows.scope``."""
RESPONSE = "response"
"""What a ``DynamicResponse`` may speak of besides."""

BAD_EXPRESSION = "bad_expression"
CEL_FORMAT = "cel"
CEL_VALUES_FORMAT = "cel-values"
MAX_NESTING = 32
MAX_SHOWN_KEY = 40

Scope = Mapping[str, Any]
"""The values of NAMES."""


class NodeConfig(BaseModel):
    """The config of a node type: unknown keys are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Cel:
    """A field that is a CEL expression, compiled when the workflow is read."""

    def __init__(self, source: str, names: frozenset[str] = NAMES) -> None:
        """Raises PydanticCustomError when ``source`` cannot be compiled: the sentence of the field's problem.

        It begins with line and column, which stand among the error's context too.
        """
        self.expression: Expression = _compiled(source, names, ())

    def expressions(self) -> Iterator[Expression]:
        """The expressions in it."""
        yield self.expression

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core_schema.str_schema()) | {"format": CEL_FORMAT}


class EventCel(Cel):
    """A field that is an expression over an event alone, whatever run it may be for."""

    def __init__(self, source: str) -> None:
        super().__init__(source, frozenset({"event"}))


class Dynamic:
    """A field that is any JSON value. Texts in it that start with ``=`` are expressions, at any depth.

    A text that shall start with ``=`` itself is written with two: ``==x`` is the text ``=x``. Keys are no expressions.
    """

    names: ClassVar[frozenset[str]] = NAMES
    """What its expressions may speak of."""

    def __init__(self, value: object) -> None:
        """Raises PydanticCustomError for an expression that cannot be compiled and for what is nested too deeply."""
        self._value = _prepared(value, self.names)

    def evaluate(self, scope: Scope) -> Any:
        """The value with its expressions evaluated. Raises ExpressionFailed."""
        return _evaluated(self._value, scope)

    def text(self, scope: Scope) -> str:
        """The value as a text: numbers and booleans as JSON writes them. Raises ExpressionFailed for anything else."""
        value = _evaluated(self._value, scope)
        if isinstance(value, str):
            return value
        if isinstance(value, bool | int | float):
            try:
                return write_json(value).decode()
            except NotJson:
                pass
        raise ExpressionFailed("the value must be a text or a number", reason="type_mismatch")

    def expressions(self) -> Iterator[Expression]:
        """The expressions in it."""
        waiting = [self._value]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Expression):
                yield value
            elif isinstance(value, list):
                waiting.extend(value)
            elif isinstance(value, dict):
                waiting.extend(value.values())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.any_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"format": CEL_VALUES_FORMAT}


class DynamicText(Dynamic):
    """A ``Dynamic`` that is a text: literal, or an expression when it starts with ``=``."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.literal: str | None = self._value if isinstance(self._value, str) else None
        """The text, when it is no expression."""

    @property
    def prefix(self) -> str:
        """What the text begins with whatever the scope is."""
        return self.literal if self.literal is not None else self._value.prefix

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": CEL_VALUES_FORMAT}


class DynamicResponse(Dynamic):
    """A ``Dynamic`` over the response of a server, too: its scope has a RESPONSE."""

    names = NAMES | {RESPONSE}


class RetryOptions(NodeConfig):
    """How often and how fast a failing node is tried again."""

    max_retries: int = Field(5, ge=1, le=1000, description="Attempts in all, the first one included.")
    initial_delay: float = Field(1, ge=0, le=86_400, description="Seconds before the second attempt.")
    backoff_factor: float = Field(2, ge=1, le=100, description="What each further delay is multiplied by.")
    max_delay: float = Field(300, ge=0, le=86_400, description="The longest delay, in seconds.")

    def policy(self) -> RetryPolicy:
        """The same as the engine uses it."""
        return RetryPolicy(
            self.max_retries,
            timedelta(seconds=self.initial_delay),
            self.backoff_factor,
            timedelta(seconds=self.max_delay),
        )


class NodeOptions(NodeConfig):
    """What the config of every node may say besides its own."""

    continue_on_error: bool = Field(
        False,
        description="Whether the run goes on when this node is out of attempts: by its first port, with"
        " `{error, input}` as the output. (An edge from the port `error` does the same by that port.)",
    )


class EffectOptions(NodeConfig):
    """What the config of every node with effects may say besides its own."""

    timeout: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="Seconds for one attempt. Unset: what the node type says, else the endpoint's `webhook_timeout`.",
    )
    retry: RetryOptions | None = Field(
        None, description="How often and how fast a failed attempt is repeated."
    )


def expressions_in(value: object) -> Iterator[Expression]:
    """Every expression in a config (models, lists and objects are looked into)."""
    if isinstance(value, Cel | Dynamic):
        yield from value.expressions()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from expressions_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from expressions_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from expressions_in(entry)


def _prepared(value: object, names: frozenset[str], path: tuple[str, ...] = ()) -> Any:
    if len(path) == MAX_NESTING:
        raise PydanticCustomError("too_deep", "the value is nested too deeply")
    if isinstance(value, str) and value.startswith("="):
        return value[1:] if value.startswith("==") else _compiled(value[1:], names, path)
    if isinstance(value, list | tuple):
        return [_prepared(entry, names, (*path, str(position))) for position, entry in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): _prepared(entry, names, (*path, str(key))) for key, entry in value.items()}
    return value


def _compiled(source: str, names: frozenset[str], path: tuple[str, ...]) -> Expression:
    """The expression that stands at ``path`` within a field. Raises PydanticCustomError."""
    try:
        return compile_expression(source, names, allow_comprehensions=True)
    except InvalidExpression as error:
        place = ".".join(key[:MAX_SHOWN_KEY] for key in path).encode(errors="replace").decode()
        detail = f"in {place}: {error.detail}" if path else error.detail
        raise PydanticCustomError(BAD_EXPRESSION, "{detail}", {"detail": detail, **error.facts}) from None


def _evaluated(value: Any, scope: Scope) -> Any:
    if isinstance(value, Expression):
        return value.evaluate(scope)
    if isinstance(value, list):
        return [_evaluated(entry, scope) for entry in value]
    if isinstance(value, dict):
        return {key: _evaluated(entry, scope) for key, entry in value.items()}
    return value
