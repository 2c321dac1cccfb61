"""``kanca health``: whether the server takes webhooks, for what watches it."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.http import call
from kanca.cli.output import Output, details
from kanca.cli.server import AsJson, Url, local_address

_HEADERS = {"Accept": "application/json", "User-Agent": "kanca-cli"}


def health(
    url: Url = None,
    as_json: AsJson = False,
    live: Annotated[
        bool, typer.Option("--live", help="Only whether it answers, not whether it takes webhooks.")
    ] = False,
) -> None:
    """Say whether the server takes webhooks. The exit code is 6 when not; it needs no key."""
    if url is None:
        from kanca.settings import load_settings  # takes as long as all the rest of the command

        settings = load_settings()
        url = local_address(settings.host, settings.port)
    answer = call("GET", f"{url.rstrip('/')}/health/{'live' if live else 'ready'}", _HEADERS)
    if not answer.is_success:
        raise answer.refusal()
    Output(as_json).show(answer, details)
