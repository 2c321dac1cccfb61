"""A worker starts with what it could work with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from kanca.app.hooks import Kanca
from kanca.app.working import open_worker
from kanca.errors import InvalidSetting, UnknownProvider
from kanca.settings import Settings
from kanca.storage.ports import Database

ACME: dict[str, Any] = {"acme": {"signatures": [{"scheme": "hmac", "header": "X-Acme"}]}}


def hooks_for(provider: str) -> Kanca:
    hooks = Kanca()
    hooks.on("order.*", provider=provider, name="orders")(lambda event: None)
    return hooks


async def test_a_handler_of_a_provider_that_nobody_knows_lets_no_worker_start(database: Database) -> None:
    broken = Settings(providers={"acme": {}})
    async with AsyncExitStack() as opened:
        with pytest.raises(UnknownProvider, match="'orders' is for `acme`"):
            await opened.enter_async_context(open_worker(hooks_for("acme"), Settings(), database))
        with pytest.raises(InvalidSetting, match=r"\[providers.acme\]"):
            await opened.enter_async_context(open_worker(hooks_for("acme"), broken, database))


async def test_handlers_may_be_for_providers_of_the_settings(database: Database) -> None:
    async with open_worker(hooks_for("acme"), Settings(providers=ACME), database) as worker:
        assert worker is not None
