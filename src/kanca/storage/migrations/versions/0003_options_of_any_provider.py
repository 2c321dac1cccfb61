"""Endpoints set options of any provider: those of ``hmac`` move to where all of them are.

A config with a key that Kanca does not know is not read at all, so both ways leave none behind.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from alembic import op
from sqlalchemy import column, select, table, update

revision = "0003"
down_revision = "0002"

_endpoints = table("endpoints", column("number"), column("provider"), column("config"), schema="kanca")
_NEW_KEYS = frozenset(
    {
        "allowed_methods",
        "cors_origins",
        "dedupe_include",
        "dedupe_exclude",
        "answer",
        "filter",
        "provider_options",
        "provider_spec",
    }
)


def upgrade() -> None:
    """Call options of ``hmac`` what options of any provider are called."""

    def renamed(_provider: str, config: dict[str, Any]) -> dict[str, Any]:
        options = config.pop("hmac", None)
        return config if options is None else config | {"provider_options": options}

    _change(renamed)


def downgrade() -> None:
    """Forget what only newer versions know of endpoints; those of providers of one's own are not verified any more."""

    def without(provider: str, config: dict[str, Any]) -> dict[str, Any]:
        options = config.get("provider_options")
        kept = {key: value for key, value in config.items() if key not in _NEW_KEYS}
        return kept | {"hmac": options} if options and provider == "hmac" else kept

    _change(without)


def _change(change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    connection = op.get_bind()
    rows = connection.execute(select(_endpoints.c.number, _endpoints.c.provider, _endpoints.c.config)).all()
    for number, provider, config in rows:
        changed = json.dumps(change(provider, json.loads(config)))
        if changed != config:
            connection.execute(update(_endpoints).where(_endpoints.c.number == number).values(config=changed))
