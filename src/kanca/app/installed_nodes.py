"""Node types of installed packages: the entry points of the group ``kanca.nodes``."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from kanca.errors import InvalidSetting, KancaError
from kanca.workflows.node_type import NodeType
from kanca.workflows.registry import NodeRegistry

GROUP = "kanca.nodes"


def add_installed_nodes(registry: NodeRegistry) -> None:
    """Add the node types of installed packages. Doing it again changes nothing.

    Each entry point is a ``NodeType``, or a function that takes the registry and adds to it. Raises InvalidSetting,
    naming the entry point, for one that is neither or cannot be loaded.
    """
    for found in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        if found.value not in registry.installed:
            _add(registry, found)
            registry.installed.add(found.value)


def _add(registry: NodeRegistry, found: EntryPoint) -> None:
    try:
        loaded: Any = found.load()
        if isinstance(loaded, NodeType):
            # Other processes may lack the package: it is announced to them.
            registry.add(replace(loaded, is_of_an_app=True))
        elif callable(loaded):
            loaded(registry)
        else:
            raise TypeError("it is neither a NodeType nor a function")
    except Exception as error:
        why = error.detail if isinstance(error, KancaError) else f"{type(error).__name__}: {error}"
        raise InvalidSetting(f"The entry point {found.name!r} ({found.value}) of {GROUP}: {why}") from error
