"""Where a request came from, and how."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.types import Scope

SCOPE_ARRIVAL = "kanca.arrival"
"""Where the guard says it, in the ASGI scope."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a request came from, as far as the peer and trusted proxies say."""

    client: str
    """The client's address; empty when it is not known."""
    is_https: bool


def direct_arrival(scope: Scope) -> Arrival:
    """What is known where no proxy is trusted."""
    peer = scope.get("client")
    return Arrival(peer[0] if peer else "", scope.get("scheme") == "https")


def arrival_of(request: Request) -> Arrival:
    """Where a request came from."""
    arrival: Arrival | None = request.scope.get(SCOPE_ARRIVAL)
    return arrival or direct_arrival(request.scope)
