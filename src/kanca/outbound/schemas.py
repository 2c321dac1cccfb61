"""JSON Schemas of data: kept to what can be checked in a time that grows with the data and nothing else.

What a schema may not be, and why:

- It refers to nothing but itself (``#/…``): nothing is ever fetched.
- It does not contain itself, however indirectly, and unfolded it is of a bounded size: what repeats itself could have a
  few bytes of data checked for years.
- Its patterns are regular expressions without look-around and back-references, which take linear time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from kanca.errors import InvalidInput

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES = 64 * 1024
MAX_UNFOLDED = 10_000
"""Subschemas, each counted as often as it is referred to."""
MAX_NESTING = 64
"""Subschemas within each other, references followed."""
MAX_PROBLEMS = 20
"""So many are told at once."""

_PATTERNS = RegexOptions(size_limit=256 * 1024)
_MAX_MESSAGE = 300
# Names that would have a reference mean something else than the place it points at.
_NAMING = ("$id", "$dynamicRef", "$recursiveRef")
_ONE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("dependentSchemas", "patternProperties", "properties")


class Misfit(NamedTuple):
    """Where data do not fit, and what is wrong there; never the data themselves."""

    location: str
    """A JSON Pointer (RFC 6901); empty for all of the data."""
    message: str


class DataSchema:
    """A JSON Schema (2020-12) that data are checked with. Formats are checked too."""

    def __init__(self, schema: Any) -> None:
        """Raises InvalidInput for what is no schema, or none that is taken."""
        if not isinstance(schema, dict | bool):  # of a text the library would read what nobody has looked at
            raise InvalidInput("The schema is no JSON Schema: that is an object, true or false")
        if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
            raise InvalidInput(f"The schema is larger than {MAX_SCHEMA_BYTES // 1024} KB")
        _Unfolding(schema).check()
        try:
            self._validator = Draft202012Validator(
                schema, pattern_options=_PATTERNS, offline=True, validate_formats=True, mask="it"
            )
        except ValidationError as error:
            place = _pointer(error.instance_path)
            where = f"at {place}: " if place else ""
            raise InvalidInput(f"The schema is no JSON Schema; {where}{_cut(error.message)}") from None
        except ValueError as error:
            raise InvalidInput(f"The schema cannot be used: {_cut(str(error))}") from None

    def misfits(self, data: Any) -> list[Misfit]:
        """Where the data do not fit; the first places, if there are many."""
        try:
            return [
                Misfit(_pointer(error.instance_path), _cut(error.message))
                for error in islice(self._validator.iter_errors(data), MAX_PROBLEMS)
            ]
        except ValueError:  # lone surrogates, and numbers beyond any type
            return [Misfit("", "the data have something that cannot be checked")]


class _Unfolding:
    """How large a schema is with every reference followed."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def check(self) -> None:
        """Raises InvalidInput for a schema that is too large then, or never ends."""
        if isinstance(self._root, Mapping):
            dialect = self._root.get("$schema", DIALECT)
            if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
                raise InvalidInput(f"The schema must be one of {DIALECT}")
        for key, value in _members(self._root):
            if key in _NAMING and isinstance(value, str):
                raise InvalidInput(f"The schema must not have `{key}`")
        size, _ = self._size(self._root, 0)
        if size > MAX_UNFOLDED:
            raise InvalidInput(f"With its references followed the schema has more than {MAX_UNFOLDED} parts")

    def _size(self, schema: Any, depth: int) -> tuple[int, int]:
        """The parts of a schema, and how deep they are within each other; ``depth`` is its own."""
        if not isinstance(schema, Mapping):
            return 1, 1
        known = self._sizes.get(id(schema))
        if known is None:
            if id(schema) in self._open:
                raise InvalidInput("The schema contains itself")
            if depth > MAX_NESTING:
                raise _too_deep()
            self._open.add(id(schema))
            below = [self._size(each, depth + 1) for each in self._parts(schema)]
            self._open.discard(id(schema))
            known = 1 + sum(size for size, _ in below), 1 + max((height for _, height in below), default=0)
            self._sizes[id(schema)] = known
        if depth + known[1] > MAX_NESTING:
            raise _too_deep()
        return known

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield self._target(reference)
        for key in _ONE:
            if key in schema:
                yield schema[key]
        for key in _LISTS:
            yield from schema[key] if isinstance(schema.get(key), list) else ()
        for key in _NAMED:
            yield from schema[key].values() if isinstance(schema.get(key), Mapping) else ()

    def _target(self, reference: str) -> Any:
        """What a reference points at. Raises InvalidInput."""
        if reference != "#" and not reference.startswith("#/"):
            raise InvalidInput(f"The schema may refer to itself only (`#/…`), not to {reference[:100]!a}")
        found = self._root
        for part in unquote(reference).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key[:6]) < len(found):
                found = found[int(key[:6])]
            else:
                raise InvalidInput(f"The schema has nothing at {reference[:100]!a}")
        return found


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """The members of all objects in a document."""
    open_ = [document]
    while open_:
        each = open_.pop()
        if isinstance(each, Mapping):
            yield from each.items()
            open_ += each.values()
        elif isinstance(each, list):
            open_ += each


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _cut(message: str) -> str:
    line = message.splitlines()[0] if message else "it does not fit"
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"


def _too_deep() -> InvalidInput:
    return InvalidInput(
        f"With its references followed the schema is nested more than {MAX_NESTING} levels deep"
    )
