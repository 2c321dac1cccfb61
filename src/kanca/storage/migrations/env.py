"""Runs migrations: on the connection that Kanca hands over, or, for the command ``alembic``, on one of its own."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection

from kanca.settings import load_settings
from kanca.storage.dialects import open_database
from kanca.storage.dialects.schema import version_table_options
from kanca.storage.standing import Half
from kanca.storage.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # One transaction for all migrations, which the connection is already in.
        transactional_ddl=True,
        transaction_per_migration=False,
        **version_table_options(connection.dialect, context.config.attributes.get("half", Half.EXPAND)),
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run_on_configured_database() -> None:
    settings = load_settings()
    database = await open_database(settings.database_url, direct_url=settings.database_direct_url)
    try:
        await database.migrating(_run)
    finally:
        await database.close()


if (handed_over := context.config.attributes.get("connection")) is not None:
    _run(handed_over)
else:
    asyncio.run(_run_on_configured_database())
