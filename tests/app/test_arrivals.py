from __future__ import annotations

from typing import Any

import pytest

from kanca.api.arrival import Arrival
from kanca.app.arrivals import Arrivals

PROXY = "10.0.0.1"
FORWARDED = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}


def scope(peer: str | None, scheme: str = "http", **headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": scheme,
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize(
    ("request_scope", "arrival"),
    [
        (scope(PROXY, **FORWARDED), Arrival("203.0.113.9", is_https=True)),
        (scope("192.0.2.7", **FORWARDED), Arrival("192.0.2.7", is_https=False)),
        (scope("192.0.2.7", "https"), Arrival("192.0.2.7", is_https=True)),
        (scope(None), Arrival("", is_https=False)),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(
    request_scope: dict[str, Any], arrival: Arrival
) -> None:
    assert Arrivals([PROXY])(request_scope) == arrival
