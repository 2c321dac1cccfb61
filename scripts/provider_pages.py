"""A page for each provider, and one that lists them all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kanca.providers import ProviderSpec, get_provider, provider_names
from kanca.providers.description import (
    contents_of,
)
from kanca.providers.schemes.none import Unsigned
from scripts.markdown import row
from scripts.own_provider import OWN_PROVIDER
from scripts.provider_page import covers_body, provider_page

_INTRODUCTION = """\
# Providers

Who can send without a line of code. Each page says where to click, what to paste, what is checked, and how the sender
goes on when it is refused. `kanca provider list` and `kanca provider show NAME` tell the same.

The column *known* says where the formula comes from: **confirmed** was read in the provider's own documentation or
code, **secondary** at third parties, **recalled** is from memory and not checked against a source.

| provider | name | what comes from there | proof | known |
|---|---|---|---|---|
"""


def provider_pages(root: Path) -> dict[Path, str]:
    """The pages under ``docs/providers``, by path."""
    folder = root / "docs" / "providers"
    specs = [get_provider(name) for name in provider_names()]
    return {folder / "README.md": _index(specs)} | {
        folder / f"{spec.name}.md": provider_page(spec) for spec in specs
    }


def _index(specs: Iterable[ProviderSpec]) -> str:
    rows = [
        row(f"[{spec.title}]({spec.name}.md)", f"`{spec.name}`", spec.summary, _kind(spec), spec.label)
        for spec in sorted(specs, key=lambda spec: spec.title.lower())
    ]
    return _INTRODUCTION + "\n".join([*rows, "", OWN_PROVIDER])


def _kind(spec: ProviderSpec) -> str:
    if isinstance(spec.signatures[0], Unsigned):
        return "none"
    if not spec.signs:
        return "token"
    if covers_body(spec):
        return "signature"
    return "signature of some fields" if contents_of(spec.signatures[0]) else "signed token"
