"""Files that people write: JSON or YAML, by what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kanca.cli.options import STDIN, read_file
from kanca.errors import InvalidInput

_PORTS = {True: "true", False: "false"}
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Document:
    """What a document of a file says, and where it stands."""

    value: Any
    file: str = ""
    lines: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Of each item of a list at its top: the list's key, the item's place, and its line from 1."""

    def place_of(self, key: str, at: int) -> str:
        """Where an item of a list stands, as ``hooks.yaml:12``; empty when that is not known."""
        line = self.lines.get((key, at))
        return self.file if line is None else f"{self.file}:{line}"


def read_folder(name: str) -> list[str]:
    """The names of the files that a name stands for: those of YAML and JSON in a folder, by name; else itself.

    Raises InvalidInput for a folder that has none.
    """
    folder = Path(name)
    if name == STDIN or not folder.is_dir():
        return [name]
    files = sorted(str(path) for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    if not files:
        raise InvalidInput(f"{name} has no file that ends in {', '.join(_SUFFIXES)}.")
    return files


def read_documents(name: str) -> list[Any]:
    """The documents of a file (``-`` is standard input): one of JSON, any number of YAML.

    Raises InvalidInput when it cannot be read, is too large or is neither.
    """
    return [document.value for document in read_placed_documents(name)]


def read_placed_documents(name: str) -> list[Document]:
    """As ``read_documents``, each with where it stands."""
    from kanca.bodies.unreadable import Unreadable
    from kanca.bodies.yaml import MAX_YAML_BYTES, read_yaml_documents

    text = read_file(name)
    shown = "standard input" if name == STDIN else name
    why_not_json = ""
    if text.lstrip()[:1] in {b"{", b"["} and len(text) <= MAX_YAML_BYTES:
        try:
            return [Document(json.loads(text, object_pairs_hook=_object), shown)]
        except (ValueError, RecursionError) as error:
            why_not_json = f" (as JSON: {error})"
    try:
        return [Document(value, shown, lines) for value, lines in read_yaml_documents(text)]
    except Unreadable as error:
        raise InvalidInput(f"{name}: {error.detail.removesuffix('.')}{why_not_json}.") from None


def read_definitions(name: str) -> list[Any]:
    """The workflow definitions in a file. Raises InvalidInput when it cannot be read, or has none."""
    documents = [with_text_ports(document) for document in read_documents(name) if document is not None]
    if not documents:
        raise InvalidInput(f"{name} has no definition in it.")
    return documents


def read_definition_file(name: str) -> Any:
    """The only definition in a file. Raises InvalidInput."""
    documents = read_definitions(name)
    if len(documents) > 1:
        raise InvalidInput(
            f"{name} has {len(documents)} documents; give one, or use `kanca workflow import`."
        )
    return documents[0]


def with_text_ports(definition: Any) -> Any:
    """The definition with texts for ports that YAML took for truth values: ``port: true`` is the port "true"."""
    if not isinstance(definition, Mapping) or not isinstance(definition.get("edges"), list):
        return definition
    return {**definition, "edges": [_with_text_port(edge) for edge in definition["edges"]]}


def _with_text_port(edge: Any) -> Any:
    if isinstance(edge, Mapping) and isinstance(edge.get("port"), bool):
        return {**edge, "port": _PORTS[edge["port"]]}
    return edge


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands there twice")
    return found
