"""The providers that Kanca knows: one TOML file each, beside this one, read when it is first asked for."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from kanca.errors import InvalidProvider, UnknownProvider
from kanca.providers.spec import ProviderSpec, parse_spec

_SUFFIX = ".toml"
_NO_OWN: Mapping[str, Mapping[str, Any]] = {}


class Catalogue:
    """The providers of one server: those that come with Kanca, and its own."""

    def __init__(self, own: Mapping[str, Mapping[str, Any]] = _NO_OWN) -> None:
        """``own`` are specs by name, as ``kanca.toml`` has them; the name need not be repeated within.

        Raises InvalidProvider for a spec that is not valid, or has the name of one that comes with Kanca.
        """
        self._own = {name: self.read_own(values, name) for name, values in own.items()}
        self.names = tuple(sorted({*provider_names(), *self._own}))
        """The names of all, sorted."""

    def get(self, name: str) -> ProviderSpec:
        """The provider of that name. Raises UnknownProvider, with the nearest name where there is one."""
        own = self._own.get(name)
        return own if own is not None else _built_in(name, self.names)

    def is_own(self, name: str) -> bool:
        """Whether it is one of the server's own, and did not come with Kanca."""
        return name in self._own

    def spec_of(self, name: str, own: Mapping[str, Any] | None) -> ProviderSpec:
        """The spec of an endpoint: its own one where it has any, else that of its provider.

        Raises UnknownProvider, and InvalidProvider for an own one that is not valid.
        """
        return self.get(name) if own is None else self.read_own(own, name)

    def read_own(self, values: Mapping[str, Any], name: str) -> ProviderSpec:
        """A spec of somebody's own. Raises InvalidProvider."""
        if name in provider_names():
            raise InvalidProvider(
                f"`{name}` comes with Kanca: choose another name for a provider of your own"
            )
        defaults = {"name": name, "title": name, "summary": "", "label": "confirmed", "source": "your own"}
        spec = parse_spec({**defaults, **values})
        if spec.name != name:
            raise InvalidProvider(f"the provider spec is named `{spec.name}`, and not `{name}`")
        return spec


@cache
def provider_names() -> tuple[str, ...]:
    """The names of all providers that come with Kanca, sorted."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


def get_provider(name: str) -> ProviderSpec:
    """The provider of that name that comes with Kanca. Raises UnknownProvider."""
    return _built_in(name, provider_names())


def _built_in(name: str, known: tuple[str, ...]) -> ProviderSpec:
    if name not in provider_names():
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
        raise UnknownProvider(f"there is no provider of that name{hint}", provider=name[:100])
    return _read(name)


@cache
def _read(name: str) -> ProviderSpec:
    text = resources.files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")
    return parse_spec(tomllib.loads(text))
