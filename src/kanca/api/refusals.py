"""Requests to management that are not let in: counted and logged, and not stored, for anybody can send them."""

from __future__ import annotations

import structlog
from starlette.types import Scope

from kanca.errors import KancaError
from kanca.telemetry.metrics import MANAGEMENT_REFUSED

_log = structlog.get_logger("kanca.access")
_LONGEST_PATH = 200


def note_refusal(scope: Scope, error: KancaError) -> None:
    """Count a request that is answered 401 or 403, and log what it asked for: never what it came with."""
    client = scope.get("client")
    MANAGEMENT_REFUSED.labels(error.code).inc()
    _log.warning(
        "management_refused",
        code=error.code,
        method=scope["method"],
        path=scope["path"][:_LONGEST_PATH],
        peer=client[0] if client else None,
    )
