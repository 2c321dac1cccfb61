"""Node types of apps, in processes that do not have the apps: announced by workers, learnt by gateways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # has no types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # has no types
from pydantic_core import PydanticCustomError

from kanca.errors import DatabaseUnavailable
from kanca.storage import node_types
from kanca.storage.ports import Database
from kanca.storage.versions import read_versions
from kanca.workflows.config import CEL_FORMAT, CEL_VALUES_FORMAT, Cel, Dynamic
from kanca.workflows.node_type import NodeType
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.step import StepContext

REFRESH = timedelta(milliseconds=500)

_CODES = {"additionalProperties": "unknown_key", "required": "missing_key", "format": "bad_expression"}


async def announce(database: Database, app: str, registry: NodeRegistry) -> None:
    """Tell the other processes of an app's own node types. Raises DatabaseUnavailable."""
    specs = {kind.name: json.dumps(kind.describe()) for kind in registry if kind.is_of_an_app}
    await database.write(node_types.announce, app, specs)


class AnnouncedNodeTypes:
    """A registry for checking workflows, kept up to date with what workers announce."""

    def __init__(self, database: Database, own: NodeRegistry) -> None:
        """``own``: the node types of this process. They hide announced ones of the same name."""
        self._database = database
        self.registry = NodeRegistry(own)
        """For checking only: what is announced cannot be run here."""
        self._version: int | None = None

    async def run_once(self) -> timedelta:
        """Learn what is new; gives when to look again."""
        try:
            version = (await self._database.read(read_versions)).get("node_types", 0)
            if version != self._version:
                specs = await self._database.read(node_types.announced)
                self.registry.learn(announced_type(json.loads(spec)) for spec in specs.values())
                self._version = version
        except DatabaseUnavailable:
            pass  # what is known is used on
        return REFRESH


def announced_type(described: Mapping[str, Any]) -> NodeType:
    """The node type that ``NodeType.describe`` describes: workflows can be checked with it, but not run."""
    schema = described["config_schema"]
    validator = Draft202012Validator(schema, format_checker=_formats())

    def check(config: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [_problem(error) for error in sorted(validator.iter_errors(config), key=str)]

    return NodeType(
        name=described["name"],
        title=described["title"],
        description=described["description"],
        run=_not_here,
        model=None,
        ports=tuple(described["ports"]),
        has_effects=described["has_effects"],
        schema=schema,
        check=check,
    )


async def _not_here(_step: StepContext, _config: object) -> NoReturn:
    raise RuntimeError("a worker runs only node types that its app has")


def _problem(error: ValidationError) -> tuple[str, str]:
    # An optional expression is either that or null; that it is not null says nothing.
    error = next((inner for inner in error.context or () if inner.validator == "format"), error)
    place = ".".join(str(part) for part in error.absolute_path)
    message = error.cause.message() if isinstance(error.cause, PydanticCustomError) else error.message
    return _CODES.get(error.validator, "bad_config"), f"{place}: {message}" if place else message


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, read in ((CEL_FORMAT, Cel), (CEL_VALUES_FORMAT, Dynamic)):
        checker.checks(name, raises=PydanticCustomError)(_reader(read))
    return checker


def _reader(read: type[Cel | Dynamic]) -> Any:
    def is_valid(value: object) -> bool:
        if read is Dynamic or isinstance(value, str):
            read(value)  # type: ignore[arg-type]  # a Cel is made of a text, a Dynamic of anything
        return True

    return is_valid
