"""Who changed or saw what: a log line for every change, and for every secret that was shown."""

from __future__ import annotations

from typing import Any

import structlog

_log = structlog.get_logger("kanca.audit")


def audit(action: str, subject: str, **facts: Any) -> None:
    """Write down that ``action`` (``endpoint.created``) was done to ``subject``, an id. ``facts`` hold no secret."""
    _log.info("audit", action=action, subject=subject, **facts)
