"""What the task of a delivery says, and what is kept of its attempts: JSON, in both cases."""

from __future__ import annotations

import msgspec

from kanca.storage.delivery_details import DeliverDetail, detail_of

__all__ = ["AttemptReport", "DeliverDetail", "TimingReport", "detail_of"]


class TimingReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the time of an attempt went, in milliseconds; None is a part that there was not."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None


class AttemptReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one attempt of a delivery."""

    url: str
    status: int | None = None
    """What the receiver answered; None: it did not."""
    headers: dict[str, str] = {}
    """Of the answer."""
    body: str = ""
    """Of the answer: at most 16 KB, as text where it is one, else in base64."""
    is_base64: bool = False
    is_truncated: bool = False
    """The body went on."""
    address: str | None = None
    """The IP address that was connected to."""
    timing: TimingReport = TimingReport()
    code: str | None = None
    """Why it failed."""
    message: str | None = None
