"""The addresses of endpoints, whole: ready to be given to a sender."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kanca.cli.server import Server

if TYPE_CHECKING:
    from rich.console import RenderableType

_NOT_PUBLIC = (
    "The server has no KANCA_PUBLIC_URL: endpoint_url is where this command reaches it. "
    "Senders elsewhere need an address that they reach."
)


def with_addresses(server: Server, form: Callable[[Any], RenderableType]) -> Callable[[Any], RenderableType]:
    """The form of an endpoint, or of a page of them, with addresses at ``server`` where no public one is known."""

    def shown(data: Any) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        endpoints = data.get("items", [data])
        if not any(_lacks_address(endpoint) for endpoint in endpoints):
            return form(data)
        whole = [_at(server, endpoint) for endpoint in endpoints]
        return Group(form(data | {"items": whole} if "items" in data else whole[0]), Text(_NOT_PUBLIC))

    return shown


def _lacks_address(endpoint: dict[str, Any]) -> bool:
    return "endpoint_path" in endpoint and not endpoint.get("endpoint_url")


def _at(server: Server, endpoint: dict[str, Any]) -> dict[str, Any]:
    return endpoint | {"endpoint_url": server.url.rstrip("/") + endpoint["endpoint_path"]}
