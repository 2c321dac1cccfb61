"""``kanca serve``: gateways and workers under one supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kanca import __version__
from kanca.cli.migrate import DatabaseUrl

if TYPE_CHECKING:
    from kanca.settings import Settings

App = Annotated[
    str | None,
    typer.Option("--app", metavar="MODULE:OBJECT", help="Where your handlers are.", show_default=False),
]


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on. Default: 8000.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = None,
    redis_url: Annotated[
        str | None, typer.Option(help="Redis or Valkey for what several machines share.", show_default=False)
    ] = None,
    gateways: Annotated[
        int | None,
        typer.Option(help="Gateway processes; several need PostgreSQL. Default: 1.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes. Default: 1.", show_default=False)
    ] = None,
    app: App = None,
    no_migrate: Annotated[
        bool, typer.Option("--no-migrate", help="Leave the database's schema as it is.")
    ] = False,
) -> None:
    """Receive webhooks and do their work, until a signal ends it. What is not given is taken from the settings."""
    import asyncio

    from kanca.app.serving import serve as serve_until_stopped
    from kanca.settings import load_settings
    from kanca.telemetry.logs import configure_logs

    settings = load_settings(
        host=host,
        port=port,
        database_url=database_url,
        redis_url=redis_url,
        gateways=gateways,
        workers=workers,
        app=app,
        auto_migrate=False if no_migrate else None,
    )
    configure_logs(settings.log_level, settings.log_format, "supervisor")
    typer.echo(start_line(settings))
    raise typer.Exit(asyncio.run(serve_until_stopped(settings, _say_ready)))


def start_line(settings: Settings) -> str:
    """What is started, with the settings that differ from their defaults; nothing secret is in it."""
    from kanca.settings import redacted

    always = {"database_url", "gateways", "workers"}
    shown = [
        f"{name}={','.join(value) if isinstance(value, dict) else value}"
        for name, value in redacted(settings).items()
        if name in always or getattr(settings, name) != type(settings).model_fields[name].get_default()
    ]
    return f"Kanca {__version__} starts: {' '.join(shown)}"


def _say_ready(address: str) -> None:
    typer.echo(f"Kanca is ready: {address}" if address else "Kanca is ready: its workers work.")
