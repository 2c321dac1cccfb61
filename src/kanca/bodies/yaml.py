"""The one reader and writer of YAML: as much of it as there is in JSON.

Definitions of workflows are written in it. What is read is what a person sees: texts are texts (``yes``, ``on``,
``12:30``, ``2026-03-01`` and ``007`` too), truth values are ``true`` and ``false``, numbers are JSON's, and the key of
a mapping is the text that stands there. What is no JSON is refused: tags, aliases (a few of them, nested, are billions
of values), the same key twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from kanca.bodies.json import MAX_DEPTH
from kanca.bodies.unreadable import Unreadable

MAX_YAML_BYTES = 2 * 1024 * 1024
"""Reading so much takes up to 20 seconds."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?")
_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
"""What ends a line in YAML 1.1 and not in 1.2, or nothing at all in a text."""
_NULLS = ("", "~", "null")
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_LINE_WIDTH = 110


class YamlDocument(NamedTuple):
    """What one document of a text says, and where in the text."""

    value: Any
    lines: Mapping[tuple[str, int], int]
    """Of each item of a list that stands at the top: the list's key, the item's place, and its line from 1."""


def read_yaml(text: bytes) -> list[Any]:
    """What the documents of a YAML text say, one after the other.

    Raises Unreadable: ``too_large``, ``invalid_utf8``, ``invalid_yaml`` or ``nested_too_deeply``.
    """
    return [document.value for document in read_yaml_documents(text)]


def read_yaml_documents(text: bytes) -> list[YamlDocument]:
    """As ``read_yaml``, with the lines that things stand in."""
    if len(text) > MAX_YAML_BYTES:
        raise Unreadable("too_large", f"The text has more than {MAX_YAML_BYTES} bytes.")
    try:
        loader = _Loader(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable("invalid_utf8", f"The text is not UTF-8 (byte {error.start}).") from None
    except yaml.YAMLError as error:
        raise _invalid(error) from None
    try:
        documents = []
        while loader.check_data():  # type: ignore[no-untyped-call]  # the stubs leave it so
            node = loader.get_node()
            documents.append(YamlDocument(loader.construct_document(node), _lines(node)))
        return documents
    except yaml.YAMLError as error:
        raise _invalid(error) from None
    except Unreadable:
        raise
    except ValueError as error:  # a number longer than Python reads
        raise Unreadable("invalid_yaml", f"The text cannot be read as YAML: {error}.") from None
    except RecursionError:
        raise _too_deep() from None
    finally:
        loader.dispose()


def _lines(document: yaml.Node | None) -> dict[tuple[str, int], int]:
    if not isinstance(document, yaml.MappingNode):
        return {}
    return {
        (key.value, place): item.start_mark.line + 1
        for key, value in document.value
        if isinstance(value, yaml.SequenceNode)
        for place, item in enumerate(value.value)
    }


def write_yaml(document: Any) -> str:
    """A JSON document as YAML, which any reader of YAML reads as the same."""
    written: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE_WIDTH, indent=2
    )
    return written


class _Loader(yaml.SafeLoader):
    """Reads what JSON could say."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node. Raises MarkedYAMLError for an alias, and Unreadable too deep inside others."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it so
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _too_deep()
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], _value: Any, implicit: Any) -> str:
        """The tag of a node that has none written at it."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return f"{_TAG}map" if kind is yaml.MappingNode else f"{_TAG}seq"

    def object(self, node: yaml.MappingNode) -> dict[str, Any]:
        """The mapping. Raises MarkedYAMLError when a key is no text, or stands there twice."""
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a text", problem_mark=key.start_mark)
            if key.value in found:
                problem = f"the key {key.value[:64]!r} stands there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            found[key.value] = self.construct_object(value, deep=True)
        return found

    def list(self, node: yaml.SequenceNode) -> list[Any]:
        """The sequence."""
        return [self.construct_object(item, deep=True) for item in node.value]

    def plain(self, node: yaml.ScalarNode) -> str | float | bool | None:
        """What a scalar without quotes says."""
        return _value(node.value)

    def text(self, node: yaml.ScalarNode) -> str:
        """A scalar in quotes."""
        return str(node.value)

    def other(self, node: yaml.Node) -> None:
        """Raises MarkedYAMLError: there are no such values in JSON."""
        raise yaml.MarkedYAMLError(
            problem=f"values with the tag {node.tag[:64]!r} are not read", problem_mark=node.start_mark
        )


class _Dumper(yaml.SafeDumper):
    """Writes so that readers of any version of YAML agree: what one of them might not take for a text has quotes."""

    def ignore_aliases(self, _data: object) -> bool:
        """Whether a value that is there twice is written twice."""
        return True

    def text(self, text: str) -> yaml.ScalarNode:
        """A text: with quotes when it could be something else, by lines when it has some."""
        return self.represent_scalar(f"{_TAG}str", text, style=_style(text))


_Loader.yaml_constructors = {
    f"{_TAG}map": _Loader.object,
    f"{_TAG}seq": _Loader.list,
    f"{_TAG}str": _Loader.text,
    _PLAIN: _Loader.plain,
    None: _Loader.other,
}
_Loader.yaml_multi_constructors = {}
_Dumper.add_representer(str, _Dumper.text)


def _value(text: str) -> str | float | bool | None:
    """What a text without quotes says. Raises ValueError for a number that cannot be held."""
    if text in _NULLS:
        return None
    if text in {"true", "false"}:
        return text == "true"
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    if not number["fraction"] and not number["exponent"]:
        return int(text)
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {text[:64]} is out of range")
    return value


def _style(text: str) -> str | None:
    """How a text is written; None: without quotes, if nothing else speaks against it."""
    if _BREAKS.search(text):
        return '"'
    if _NUMBER.fullmatch(text) or not isinstance(_value(text), str):
        return "'"
    return "|" if "\n" in text else None


def _invalid(error: yaml.YAMLError) -> Unreadable:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return Unreadable("invalid_yaml", f"The text cannot be read as YAML: {problem}{where}.")


def _too_deep() -> Unreadable:
    return Unreadable("nested_too_deeply", f"The text is nested more than {MAX_DEPTH} levels deep.")
