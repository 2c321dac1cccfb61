"""The specs that commands work with by themselves, without a server."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.options import read_file, read_json
from kanca.errors import InvalidInput

if TYPE_CHECKING:
    from kanca.providers import ProviderSpec

SpecFile = Annotated[
    str | None,
    typer.Option(
        "--spec",
        metavar="FILE",
        help="The spec of a provider of your own, as TOML or JSON; - is standard input.",
        show_default=False,
    ),
]
ProviderOptions = Annotated[
    str | None,
    typer.Option(
        "--options",
        metavar="JSON",
        help='What an endpoint would have as `provider_options`, such as {"variant": "…"}.',
        show_default=False,
    ),
]


def read_spec(name: str) -> dict[str, Any]:
    """What a file says of a provider. Raises InvalidInput when it is neither TOML nor JSON."""
    text = read_file(name)
    if text.lstrip().startswith(b"{"):
        values: dict[str, Any] = read_json(text, name)
        return values
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        raise InvalidInput(f"{name} is not valid TOML: {error}") from None


def find_spec(name: str, file: str | None) -> ProviderSpec:
    """The provider of that name: as ``file`` says, else one that comes with Kanca, else one of the settings.

    Raises UnknownProvider, InvalidProvider, InvalidSetting, InvalidInput.
    """
    from kanca.providers import Catalogue, get_provider, provider_names

    if file is not None:
        return Catalogue().read_own(read_spec(file), name)
    if name in provider_names():
        return get_provider(name)  # without the time that reading the settings takes
    from kanca.app.own_providers import catalogue_of
    from kanca.settings import load_settings

    return catalogue_of(load_settings()).get(name)


def read_options(text: str | None) -> dict[str, Any] | None:
    """The value of ``--options``. Raises InvalidInput."""
    values = None if text is None else read_json(text, "--options")
    if values is not None and not isinstance(values, dict):
        raise InvalidInput('--options is an object, such as {"variant": "…"}.')
    return values
