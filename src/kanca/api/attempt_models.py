"""Attempts to deliver as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel, Field, JsonValue

from kanca.outbound.reports import AttemptReport

ATTEMPT: dict[str, JsonValue] = {
    "url": "https://shop.example.com/hooks",
    "status": 200,
    "headers": {"content-type": "text/plain"},
    "body": "ok",
    "is_base64": False,
    "is_truncated": False,
    "address": "203.0.113.9",
    "timing": {"dns_ms": 1.2, "connect_ms": 20.4, "tls_ms": 41.0, "first_byte_ms": 180.3, "total_ms": 181.9},
    "code": None,
    "message": None,
}
"""An example."""


class AttemptView(BaseModel):
    """One attempt, and what the receiver answered."""

    url: str | None = Field(description="null: it was not sent.")
    status: int | None = Field(description="null: there was no answer.")
    headers: dict[str, str] = Field(description="Of the answer.")
    body: str = Field(description="Of the answer: its beginning, in base64 where it is no text.")
    is_base64: bool
    is_truncated: bool = Field(description="The body went on.")
    address: str | None = Field(description="The IP address that was connected to.")
    timing: dict[str, float | None] = Field(description="Where the time went, in milliseconds.")
    code: str | None = Field(description="Why it failed; null: it did not.")
    message: str | None


def attempt_view(report: AttemptReport) -> AttemptView:
    """An attempt as JSON."""
    return AttemptView(**attempt_facts(report))


def attempt_facts(report: AttemptReport | None) -> dict[str, Any]:
    """The fields of an ``AttemptView``; None is an attempt that came to nothing that could be reported."""
    facts = msgspec.structs.asdict(report or AttemptReport(url=""))
    return facts | {"timing": msgspec.structs.asdict(facts["timing"]), "url": facts["url"] or None}
