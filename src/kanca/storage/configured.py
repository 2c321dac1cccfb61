"""The config and the secrets of an endpoint or a subscription, which another version or key may have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Row

from kanca.domain.endpoint import InvalidConfig, Secret
from kanca.errors import ConfigUnreadable, InvalidSetting
from kanca.storage.sealed_secrets import unseal
from kanca.storage.secret_box import SecretBox

Config = TypeVar("Config")
Read = Callable[[Any], Config]
"""Makes a config of what is stored. Raises InvalidConfig."""


class Readable(NamedTuple, Generic[Config]):
    """As much as can be read."""

    config: Config
    secrets: tuple[Secret, ...]
    unreadable: tuple[str, ...]
    """``config``, ``secrets``: what cannot be read, and stands there as if nothing were set."""


def whole(box: SecretBox, row: Row[Any], name: str, read: Read[Config]) -> tuple[Config, tuple[Secret, ...]]:
    """Config and secrets of what is called ``name``. Raises ConfigUnreadable, InvalidSetting."""
    try:
        config = read(json.loads(row.config))
    except InvalidConfig as error:
        message = f"The config of {name} cannot be read by this version: {error}"
        raise ConfigUnreadable(message, number=row.number) from error
    return config, unseal(box, row.secrets)


def readable(box: SecretBox, row: Row[Any], read: Read[Config], nothing: Config) -> Readable[Config]:
    """For lists, which show everything. ``nothing`` stands for a config that cannot be read."""
    unreadable = []
    config, secrets = nothing, tuple[Secret, ...]()
    try:
        config = read(json.loads(row.config))
    except ValueError:
        unreadable.append("config")
    try:
        secrets = unseal(box, row.secrets)
    except InvalidSetting:
        unreadable.append("secrets")
    return Readable(config, secrets, tuple(unreadable))
