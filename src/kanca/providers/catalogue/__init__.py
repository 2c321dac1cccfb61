"""The providers that Kanca knows: one TOML file each, beside this one, read when it is first asked for."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from importlib import resources

from kanca.errors import UnknownProvider
from kanca.providers.spec import ProviderSpec, parse_spec

_SUFFIX = ".toml"


@cache
def provider_names() -> tuple[str, ...]:
    """The names of all providers, sorted."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


@cache
def get_provider(name: str) -> ProviderSpec:
    """The spec of that provider. Raises UnknownProvider, with the nearest name where there is one."""
    if name not in provider_names():
        nearest = difflib.get_close_matches(name, provider_names(), n=1)
        hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
        raise UnknownProvider(f"there is no provider of that name{hint}", provider=name[:100])
    text = resources.files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")
    return parse_spec(tomllib.loads(text))
