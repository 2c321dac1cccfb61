"""The providers that the settings add to those that come with Kanca."""

from __future__ import annotations

from kanca.errors import InvalidProvider, InvalidSetting
from kanca.providers import Catalogue
from kanca.settings import PREFIX, Settings


def catalogue_of(settings: Settings) -> Catalogue:
    """All providers of this server. Raises InvalidSetting naming the one that is not valid, and the place in it."""
    for name, values in settings.providers.items():
        try:
            Catalogue({name: values})
        except InvalidProvider as error:
            raise InvalidSetting(f"{PREFIX}PROVIDERS: [providers.{name}]: {error.detail}") from None
    return Catalogue(settings.providers)
