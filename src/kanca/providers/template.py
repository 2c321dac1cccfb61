"""Templates say in one line where something is, or how it is put together: ``v0:{timestamp}:{body}``.

A template is literal text and slots. A slot has a name and, for some names, an argument: ``{body}``,
``{header:x-github-event}``, ``{body:data.object.id}``. Braces that are no slot are an error, so that a mistyped
template is found when it is saved. The same notation serves signed content, header forms, and the places of event
types and delivery ids; which slots a template may use depends on its use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_SLOT = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([^{}\s]{1,200}))?\}")


class Slot(NamedTuple):
    """A place in a template that a request fills in."""

    name: str
    argument: str
    """What is behind the colon (a header's name in lower case, a path into the body), or empty."""


Part = str | Slot


def parse_template(text: str, slots: Mapping[str, bool | None]) -> tuple[Part, ...]:
    """Split a template into literal text and slots.

    ``slots`` names the slots that may be used, and whether each takes an argument (None: with or without). Raises
    ValueError with a sentence for people for an unknown slot, a missing or needless argument, or a stray brace.
    """
    parts: list[Part] = []
    end = 0
    for match in _SLOT.finditer(text):
        _append_literal(parts, text[end : match.start()])
        parts.append(_slot(match[1], match[2], slots))
        end = match.end()
    _append_literal(parts, text[end:])
    return tuple(parts)


def slots_of(parts: tuple[Part, ...]) -> tuple[Slot, ...]:
    """The slots among the parts, in order."""
    return tuple(part for part in parts if isinstance(part, Slot))


def _append_literal(parts: list[Part], text: str) -> None:
    if "{" in text or "}" in text:
        raise ValueError(f"`{text}` has a brace that belongs to no slot")
    if text:
        parts.append(text)


def _slot(name: str, argument: str | None, slots: Mapping[str, bool | None]) -> Slot:
    if name not in slots:
        raise ValueError(f"unknown slot {{{name}}}; there are {', '.join(sorted(slots))}")
    wanted = slots[name]
    if wanted is not None and wanted != (argument is not None):
        raise ValueError(f"slot {{{name}}} {'needs an' if wanted else 'takes no'} argument")
    return Slot(name, (argument or "").lower() if name == "header" else argument or "")
